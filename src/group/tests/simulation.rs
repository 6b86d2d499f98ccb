//! Members of both kinds that join, follow, fall silent and leave at random, seed by seed: the group's invariants hold
//! after every turn (NoDoubleAssignment, ValidEpochs, MonotonicEpochs, LegalTargetAssignment; `consumer/invariants.rs`),
//! and it comes to rest when they do (EventualConvergence).

use super::stage::Stage;
use std::collections::{BTreeMap, BTreeSet};

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

/// A member that is silent for longer, or slower to give back, may be out without knowing.
const FRESH_MS: u64 = 15_000;

/// What a client of a consumer group knows.
#[derive(Clone, Default)]
struct Client {
    epoch: i32,
    is_in: bool,
    /// What it works on, and what it was told to; it says so when it has changed over.
    owned: BTreeSet<String>,
    told: BTreeSet<String>,
    heard_ms: u64,
    told_ms: u64,
}

impl Client {
    /// Its time to give back has not passed, nor that to be heard of.
    fn is_fresh(&self, now_ms: u64) -> bool {
        let since = if self.owned == self.told { self.heard_ms } else { self.heard_ms.min(self.told_ms) };
        now_ms - since < FRESH_MS
    }
}

struct World {
    seed: u64,
    stage: Stage,
    clients: Vec<Client>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self { seed, stage: Stage::new(""), clients: vec![Client::default(); 5] }
    }

    fn step(&mut self, dice: &mut Dice) {
        let at = dice.below(5) as usize;
        match dice.below(13) {
            0 if self.clients[at].is_in => {
                self.stage.act(&format!("beat m{at} epoch=-1"));
                self.clients[at] = Client::default();
            }
            // It falls silent and forgets all.
            1 => self.clients[at] = Client::default(),
            2 => {
                let more = ["", " v=1", " t=2 v=3", " x=2"][dice.below(4) as usize];
                let topics = [format!("t={} u={}", 1 + dice.below(6), dice.below(5)), format!("u=2{more}")];
                drop(self.stage.act(&format!("topics {}", topics[usize::from(dice.below(4) == 0)])));
            }
            3 => drop(self.stage.act(&format!("wait {}", 1000 * dice.below(30)))),
            4 => drop(self.stage.act("restart")),
            5 if self.clients[at].is_in => {
                let subscriptions = [
                    "topics=t regex=",
                    "topics=u regex=",
                    "topics=t,u,v,w,x regex=",
                    "topics= regex=t|u|v",
                    "topics=t regex=[a-z]",
                    "topics=t regex=u",
                ];
                let wish = format!(" {}", subscriptions[dice.below(6) as usize]);
                self.beat(at, dice.below(2) == 0, &wish);
            }
            6 if self.clients[at].is_in => self.intrude(at, 1 + dice.below(3) as i32),
            _ => self.beat(at, dice.below(2) == 0, ""),
        }
        drop(self.stage.act(&format!("wait {}", dice.below(1500))));
    }

    /// A heartbeat; one that is ready has changed over to what it was told, and says so.
    fn beat(&mut self, at: usize, is_ready: bool, wish: &str) {
        let client = &mut self.clients[at];
        if is_ready {
            client.owned = client.told.clone();
        }
        let says = if client.epoch == 0 {
            " rebalance=20000".into()
        } else if is_ready {
            format!(" owned={}", joined(&client.owned))
        } else {
            String::new()
        };
        let line = self.stage.act(&format!("beat m{at} epoch={}{says}{wish}", client.epoch)).pop().unwrap_or_default();
        self.hear(at, &line);
    }

    /// Under its name, at an epoch it has not reached or has long left, with what nobody has: refused.
    fn intrude(&mut self, at: usize, distance: i32) {
        let epoch = self.clients[at].epoch;
        let beats = [epoch + distance, epoch - distance].map(|epoch| format!("beat m{at} epoch={epoch} owned=t:77"));
        let commits = format!("commit m{at} gen={}", epoch + distance);
        for command in beats.iter().filter(|command| !command.contains("=-") && !command.contains("=0 ")) {
            let told = self.stage.act(command);
            assert!(!told[0].contains("epoch="), "seed {}: {command} is let through: {told:?}", self.seed);
        }
        let told = self.stage.act(&commits);
        assert!(!told[0].contains("NONE"), "seed {}: {commits} is let through: {told:?}", self.seed);
    }

    fn hear(&mut self, at: usize, line: &str) {
        let now = self.stage.now_ms();
        let (seed, client) = (self.seed, &mut self.clients[at]);
        let Some(rest) = line.split_once(": ").and_then(|(_, answer)| answer.strip_prefix("epoch=")) else {
            *client = Client::default();
            return;
        };
        let (epoch, held) = rest.split_once(" has").map_or((rest, None), |(epoch, held)| (epoch, Some(held)));
        let epoch: i32 = epoch.parse().unwrap();
        let is_next = client.epoch == 0 || epoch >= client.epoch;
        assert!(is_next, "MonotonicEpochs: seed {seed}: from {} to {line}", client.epoch);
        (client.epoch, client.is_in, client.heard_ms) = (epoch, true, now);
        if let Some(held) = held {
            client.told_ms = if client.owned == client.told { now } else { client.told_ms };
            client.told = parted(held);
        }
        self.check_owned(at);
    }

    /// Who is served has what nobody else may think to have.
    fn check_owned(&self, at: usize) {
        let (owned, now) = (&self.clients[at].owned, self.stage.now_ms());
        let others = self.clients.iter().enumerate().filter(|(other, client)| *other != at && client.is_fresh(now));
        for (other, client) in others {
            let shared: Vec<_> = client.owned.intersection(owned).collect();
            assert!(shared.is_empty(), "NoDoubleAssignment: seed {}: m{at} and m{other} have {shared:?}", self.seed);
        }
    }

    /// With everybody well again the group comes to rest, and all of it is given out: though one never gives anything
    /// back by itself, and another may be gone without a word.
    fn settle(&mut self) {
        let (seed, last) = (self.seed, self.clients.len() - 1);
        let present = if seed.is_multiple_of(3) { last } else { last + 1 };
        for _ in 0..150 {
            (0..present).for_each(|at| self.beat(at, at > 0 || seed.is_multiple_of(2), ""));
            self.stage.act("wait 1000");
        }
        let told = self.stage.act("group").pop().unwrap_or_default();
        assert!(told.starts_with("Stable"), "EventualConvergence: seed {seed}: {told}");
        let held: usize = self.clients[..present].iter().map(|client| client.told.len()).sum();
        let wanted = self.stage.partitions_wanted();
        assert!(wanted == held, "EventualConvergence: seed {seed}: {held} of {wanted} are held");
    }
}

/// `t:0+1 u:0` as `t:0`, `t:1` and `u:0`, and back.
fn parted(held: &str) -> BTreeSet<String> {
    let topics = held.split_whitespace().filter_map(|topic| topic.split_once(':'));
    topics.flat_map(|(name, indexes)| indexes.split('+').map(move |index| format!("{name}:{index}"))).collect()
}

fn joined(owned: &BTreeSet<String>) -> String {
    owned.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

#[test]
fn a_consumer_group_comes_to_rest_whatever_its_members_did() {
    for seed in 0..seeds() {
        let (mut dice, mut world) = (Dice(seed), World::new(seed));
        for _ in 0..80 {
            world.step(&mut dice);
        }
        world.settle();
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
    // Who is in a generation, as its leader was told.
    let mut generations = BTreeMap::new();
    for _ in 0..60 {
        let name = ["a", "b", "c"][dice.below(3) as usize];
        let command = match dice.below(10) {
            0 => format!("leave {name}"),
            1 => format!("join {name} fresh v=3 session=3000 rebalance=2000"),
            2 => format!("sync {name} assign=a:x,b:y,c:z"),
            3 => format!("heartbeat {name}"),
            4 => format!("wait {}", dice.below(4000)),
            5 => format!("join s as=i session=3000 rebalance=2000{}", if dice.below(2) == 0 { " fresh" } else { "" }),
            6 => "restart".into(),
            7 => format!("commit {name}"),
            8 => format!("{} {name} gen=99", if dice.below(2) == 0 { "heartbeat" } else { "commit" }),
            _ => format!("join {name} session=3000 rebalance=2000"),
        };
        // A group that was forgotten begins anew, and so may one that had not been recorded.
        if command == "restart" || stage.act("group")[0] == "no group" {
            generations.clear();
        }
        for line in stage.act(&command) {
            let is_served = command.ends_with("gen=99") && line.contains("NONE");
            assert!(!is_served, "seed {seed}: {command} is let through: {line}");
            let Some((_, told)) = line.split_once("generation=").filter(|(_, told)| told.contains("members=")) else {
                continue;
            };
            let (generation, members) = (told.split(' ').next(), told.split("members=").nth(1));
            let (generation, members) = (generation.map(str::to_owned), members.map(str::to_owned));
            let before = generations.insert(generation, members.clone());
            assert!(before.is_none_or(|before| before == members), "seed {seed}: one generation, others: {line}");
        }
    }
    stage.act("wait 400000");
    assert_eq!(stage.waiting(), 0, "seed {seed}: a request has no answer");
    assert!(stage.act("group")[0].starts_with("Empty") || stage.act("group")[0] == "no group", "seed {seed}");
}
