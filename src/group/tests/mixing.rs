//! Members of both protocols in one group that goes from one kind to the other and back: seeds, invariants after every
//! turn, and rest at the end.

use super::simulation::{Dice, seeds};
use super::stage::Stage;
use std::collections::BTreeSet;

const CLIENTS: usize = 4;
/// A member that is silent for longer may be out without knowing.
const FRESH_MS: u64 = 15_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Out,
    MustJoin,
    Joining,
    MustSync,
    Syncing,
    In,
}

/// What one client knows; it speaks either protocol, by its place.
struct Client {
    name: String,
    is_classic: bool,
    phase: Phase,
    epoch: i32,
    /// Members to assign to, when it leads.
    roll: Vec<String>,
    held: BTreeSet<i32>,
    heard_ms: u64,
}

impl Client {
    fn forget(&mut self) {
        self.phase = Phase::Out;
        self.epoch = 0;
        self.held.clear();
        self.roll.clear();
    }
}

struct World {
    seed: u64,
    stage: Stage,
    partitions: i32,
    clients: Vec<Client>,
    epochs: (i32, i32),
    /// Generation or epoch of the group, while it has members.
    version: Option<i32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let client = |at: usize| Client {
            name: format!("{}{at}", if at.is_multiple_of(2) { "c" } else { "m" }),
            is_classic: at.is_multiple_of(2),
            phase: Phase::Out,
            epoch: 0,
            roll: Vec::new(),
            held: BTreeSet::new(),
            heard_ms: 0,
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { seed, stage: Stage::new(""), partitions: 3, clients, epochs: (0, 0), version: None }
    }

    fn act(&mut self, command: &str) {
        for line in self.stage.act(command) {
            self.hear(&line);
        }
        self.check_epochs();
    }

    /// Epochs only grow while there is a consumer group.
    fn check_epochs(&mut self) {
        let now = self.stage.epochs().unwrap_or_default();
        let grows = now == (0, 0) || (now.0 >= self.epochs.0 && now.1 >= self.epochs.1);
        assert!(grows, "seed {}: epochs went from {:?} to {now:?}", self.seed, self.epochs);
        self.epochs = now;
        let version = self.stage.version();
        let goes_on = self.version.zip(version).is_none_or(|(before, now)| now >= before);
        assert!(goes_on, "seed {}: a group with members went from {:?} to {version:?}", self.seed, self.version);
        self.version = version;
    }

    fn step(&mut self, at: usize) {
        let Client { name, is_classic, phase, epoch, roll, held, .. } = &self.clients[at];
        let command = if !is_classic {
            let owned: Vec<_> = held.iter().map(ToString::to_string).collect();
            let owned = if owned.is_empty() { String::new() } else { format!("t:{}", owned.join("+")) };
            let owned = if *epoch == 0 { " rebalance=20000".into() } else { format!(" owned={owned}") };
            format!("beat {name} epoch={epoch}{owned}")
        } else {
            match phase {
                Phase::Out => format!("join {name} fresh v=3 session=30000 rebalance=20000"),
                Phase::MustJoin => format!("join {name} v=3 session=30000 rebalance=20000"),
                Phase::MustSync => format!("sync {name} give={}", self.shares(roll)),
                Phase::In => format!("heartbeat {name}"),
                Phase::Joining | Phase::Syncing => return,
            }
        };
        let client = &mut self.clients[at];
        match (client.is_classic, client.phase) {
            (true, Phase::Out | Phase::MustJoin) => {
                client.held.clear();
                client.phase = Phase::Joining;
            }
            (true, Phase::MustSync) => client.phase = Phase::Syncing,
            _ => {}
        }
        self.act(&command);
    }

    fn shares(&self, roll: &[String]) -> String {
        let share = |(at, name): (usize, &String)| {
            let own = (0..self.partitions).filter(|index| *index as usize % roll.len() == at);
            let own: Vec<_> = own.map(|index| index.to_string()).collect();
            format!("{name}/t:{}", own.join("+"))
        };
        roll.iter().enumerate().map(share).collect::<Vec<_>>().join(",")
    }

    fn hear(&mut self, line: &str) {
        let Some((name, told)) = line.split_once(": ") else { return };
        let now = self.stage.now_ms();
        let Some(at) = self.clients.iter().position(|client| client.name == name) else { return };
        let client = &mut self.clients[at];
        if told.starts_with("epoch=-1") {
            return;
        }
        let word = |key: &str| told.split(' ').find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        if let Some(generation) = word("generation=") {
            client.epoch = generation.parse().unwrap();
            client.phase = Phase::MustSync;
            client.roll = word("members=")
                .unwrap_or_default()
                .split(',')
                .filter(|name| !name.is_empty())
                .map(Into::into)
                .collect();
        } else if let Some(epoch) = word("epoch=") {
            let epoch: i32 = epoch.parse().unwrap();
            assert!(client.epoch == 0 || epoch >= client.epoch, "seed {}: an epoch went back: {line}", self.seed);
            client.epoch = epoch;
            client.phase = Phase::In;
        } else if told == "heartbeat NONE" {
        } else if told.contains("REBALANCE_IN_PROGRESS") {
            client.phase = Phase::MustJoin;
            client.held.clear();
        } else if !told.starts_with("has") && !told.starts_with("assigned") {
            return client.forget();
        }
        client.heard_ms = now;
        if let Some((_, held)) = told.split_once("has") {
            client.phase = Phase::In;
            self.hold(at, held);
        }
    }

    /// Nobody has what another has, as far as that one may still think so.
    fn hold(&mut self, at: usize, told: &str) {
        let indexes = told.trim().strip_prefix("t:").unwrap_or("").split('+');
        let held: BTreeSet<i32> = indexes.filter_map(|index| index.parse().ok()).collect();
        let now = self.stage.now_ms();
        for other in self.clients.iter().filter(|other| other.name != self.clients[at].name) {
            let is_fresh = now - other.heard_ms < FRESH_MS;
            let shared: Vec<_> = other.held.intersection(&held).collect();
            let (seed, name) = (self.seed, &self.clients[at].name);
            assert!(!is_fresh || shared.is_empty(), "seed {seed}: {name} and {} have {shared:?}", other.name);
        }
        self.clients[at].held = held;
    }

    fn disturb(&mut self, dice: &mut Dice) {
        let at = dice.below(CLIENTS as u64) as usize;
        let name = self.clients[at].name.clone();
        let is_waiting = matches!(self.clients[at].phase, Phase::Joining | Phase::Syncing);
        match dice.below(14) {
            0 if !is_waiting && self.clients[at].phase != Phase::Out => {
                let leave =
                    if self.clients[at].is_classic { format!("leave {name}") } else { format!("beat {name} epoch=-1") };
                self.clients[at].forget();
                self.act(&leave);
                self.clients[at].forget();
            }
            // It falls silent and forgets all.
            1 if !is_waiting => self.clients[at].forget(),
            2 => {
                self.partitions = 1 + dice.below(6) as i32;
                self.act(&format!("topics t={} u=1", self.partitions));
            }
            3 => self.act(&format!("wait {}", 1000 * dice.below(30))),
            4 => {
                // A generation is recorded with its assignment: one that has none yet begins again.
                self.version = None;
                self.act("restart");
                for client in self.clients.iter_mut().filter(|client| client.is_classic) {
                    if matches!(client.phase, Phase::Joining | Phase::Syncing) {
                        client.phase = Phase::MustJoin;
                    }
                }
            }
            _ => self.step(at),
        }
        self.act(&format!("wait {}", dice.below(1500)));
    }

    /// With everybody well again all comes to rest, and each partition is with one.
    fn settle(&mut self) {
        for _ in 0..150 {
            (0..CLIENTS).for_each(|at| self.step(at));
            self.act("wait 500");
        }
        let told = self.stage.act("group").pop().unwrap_or_default();
        let held: Vec<i32> = self.clients.iter().flat_map(|client| client.held.iter().copied()).collect();
        let all: BTreeSet<i32> = held.iter().copied().collect();
        assert!(told.starts_with("Stable"), "seed {}: {told}", self.seed);
        let is_shared = all.len() == held.len() && all == (0..self.partitions).collect();
        assert!(is_shared, "seed {}: {held:?} of {} are held: {told}", self.seed, self.partitions);
    }
}

#[test]
fn a_group_of_both_protocols_comes_to_rest_whatever_its_members_did() {
    let mut moves = 0;
    for seed in 0..seeds() {
        let mut dice = Dice(seed);
        let mut world = World::new(seed);
        let mut was_classic = world.stage.is_classic();
        for _ in 0..80 {
            world.disturb(&mut dice);
            let is_classic = world.stage.is_classic();
            moves += usize::from(is_classic != was_classic);
            was_classic = is_classic;
        }
        world.settle();
    }
    assert!(moves > 0, "no group changed its kind");
}
