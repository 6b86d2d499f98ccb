//! Members of both kinds that join, follow, fall silent and leave at random, seed by seed: the group's invariants hold
//! after every turn, and it comes to rest when they do.

use super::stage::Stage;

pub struct Dice(pub u64);

/// `GROUP_SEEDS`, or enough for every day.
pub fn seeds() -> u64 {
    std::env::var("GROUP_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(50)
}

impl Dice {
    pub fn below(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % max
    }
}

/// What a client of a consumer group knows.
#[derive(Clone, Default)]
struct Client {
    epoch: i32,
    owned: String,
    is_in: bool,
}

/// Sends its heartbeat and does at once what it is told.
fn beat(stage: &mut Stage, name: &str, client: &mut Client, topics: Option<&str>) {
    let mut command = format!("beat {name} epoch={}", client.epoch);
    if client.epoch == 0 {
        command.push_str(" rebalance=20000");
    } else {
        command.push_str(&format!(" owned={}", client.owned));
    }
    if let Some(topics) = topics {
        command.push_str(&format!(" topics={topics}"));
    }
    let told = stage.act(&command).pop().unwrap_or_default();
    let answer = told.split_once(": ").map_or("", |(_, answer)| answer);
    let Some(rest) = answer.strip_prefix("epoch=") else {
        *client = Client::default();
        return;
    };
    let (epoch, held) = rest.split_once(" has").map_or((rest, None), |(epoch, held)| (epoch, Some(held)));
    let epoch: i32 = epoch.parse().unwrap();
    assert!(client.epoch == 0 || epoch >= client.epoch, "a member's epoch went back: {told}");
    client.epoch = epoch;
    client.is_in = true;
    if let Some(held) = held {
        client.owned = held.trim().replace(' ', ",");
    }
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let mut stage = Stage::new("");
    let mut clients: Vec<Client> = vec![Client::default(); 5];
    for _ in 0..80 {
        let at = dice.below(5) as usize;
        let name = format!("m{at}");
        match dice.below(12) {
            0 if clients[at].is_in => {
                stage.act(&format!("beat {name} epoch=-1"));
                clients[at] = Client::default();
            }
            // It falls silent and forgets all.
            1 => clients[at] = Client::default(),
            2 => drop(stage.act(&format!("topics t={} u={}", 1 + dice.below(6), dice.below(5)))),
            3 => drop(stage.act(&format!("wait {}", 1000 * dice.below(30)))),
            4 => drop(stage.act("restart")),
            5 if clients[at].is_in => {
                let topics = ["t", "u", "t,u"][dice.below(3) as usize];
                beat(&mut stage, &name, &mut clients[at], Some(topics));
            }
            _ => beat(&mut stage, &name, &mut clients[at], None),
        }
        drop(stage.act(&format!("wait {}", dice.below(1500))));
    }
    settle(&mut stage, &mut clients, seed);
}

/// With everybody well again the group comes to rest, and all of it is given out.
fn settle(stage: &mut Stage, clients: &mut [Client], seed: u64) {
    for _ in 0..60 {
        for (at, client) in clients.iter_mut().enumerate() {
            beat(stage, &format!("m{at}"), client, None);
        }
        stage.act("wait 1000");
    }
    let told = stage.act("group").pop().unwrap_or_default();
    assert!(told.starts_with("Stable"), "seed {seed}: {told}");
    let held: usize =
        clients.iter().map(|client| client.owned.split([',', '+']).filter(|one| !one.is_empty()).count()).sum();
    assert!(stage.partitions_wanted() == held, "seed {seed}: {held} of {} are held", stage.partitions_wanted());
}

#[test]
fn a_consumer_group_comes_to_rest_whatever_its_members_did() {
    for seed in 0..seeds() {
        run(seed);
    }
}

#[test]
fn a_classic_group_comes_to_rest_whatever_its_members_did() {
    for seed in 0..seeds() {
        run_classic(seed);
    }
}

/// Every request has an answer in the end, and those who go on joining share a generation.
fn run_classic(seed: u64) {
    let mut dice = Dice(seed);
    let mut stage = Stage::new("");
    for _ in 0..60 {
        let name = ["a", "b", "c"][dice.below(3) as usize];
        let command = match dice.below(9) {
            0 => format!("leave {name}"),
            1 => format!("join {name} fresh v=3 session=3000 rebalance=2000"),
            2 => format!("sync {name} assign=a:x,b:y,c:z"),
            3 => format!("heartbeat {name}"),
            4 => format!("wait {}", dice.below(4000)),
            5 => format!("join s as=i session=3000 rebalance=2000{}", if dice.below(2) == 0 { " fresh" } else { "" }),
            6 => "restart".into(),
            7 => format!("commit {name}"),
            _ => format!("join {name} session=3000 rebalance=2000"),
        };
        stage.act(&command);
    }
    stage.act("wait 400000");
    assert_eq!(stage.waiting(), 0, "seed {seed}: a request has no answer");
    assert!(stage.act("group")[0].starts_with("Empty") || stage.act("group")[0] == "no group", "seed {seed}");
}
