//! Two that claim one static membership, seed by seed: only the last one that was let in is served, and with KIP-848
//! nobody is let in before the other has gone.

use super::simulation::{Dice, seeds};
use super::stage::Stage;

/// Shorter than a session of KIP-848.
const SESSION_MS: u64 = 40_000;

#[test]
fn only_the_last_that_came_is_a_static_member_of_a_classic_group() {
    let mut replaced = 0;
    for seed in 0..seeds() {
        let (mut dice, mut stage) = (Dice(seed), Stage::new(""));
        // Nobody is known to have the place after a restart: who has come last need not be recorded yet.
        let mut owner = String::new();
        let mut has_come = [false; 2];
        for _ in 0..60 {
            let at = dice.below(2) as usize;
            let name = ["a", "b"][at];
            let command = match dice.below(8) {
                0 => format!("join {name} fresh as=i session=30000 rebalance=2000"),
                1 => format!("join {name} as=i session=30000 rebalance=2000"),
                2 => "join other v=3 session=30000 rebalance=2000".into(),
                3 => format!("sync {name} as=i assign=a:x,b:y,other:z"),
                4 if has_come[at] => format!("commit {name} as=i"),
                5 => format!("wait {}", dice.below(1000)),
                6 => "restart".into(),
                _ => format!("heartbeat {name} as=i"),
            };
            if command == "restart" {
                owner.clear();
            }
            let is_other = !owner.is_empty() && owner != name && stage.has_static_member();
            let is_fenced = command.starts_with("heartbeat") && has_come[at] && is_other;
            for line in stage.act(&command) {
                let Some((who, answer)) = line.split_once(": ").filter(|(who, _)| ["a", "b"].contains(who)) else {
                    continue;
                };
                if answer.starts_with("joined") {
                    replaced += u32::from(!owner.is_empty() && owner != who);
                    owner = who.into();
                    has_come[usize::from(who == "b")] = true;
                }
                let is_served = ["heartbeat NONE", "heartbeat REBALANCE", "commit NONE", "has", "assigned"];
                let is_served = is_served.iter().any(|served| answer.starts_with(served));
                let is_right = !is_served || owner.is_empty() || owner == who;
                assert!(is_right, "seed {seed}: {owner} has the place, but {line}");
                assert!(!is_fenced || answer == "heartbeat FENCED_INSTANCE_ID", "seed {seed}: {line}");
            }
        }
    }
    assert!(replaced > 0, "nobody took the other's place");
}

#[test]
fn a_static_consumer_is_let_in_when_the_other_has_gone() {
    let mut replaced = 0;
    for seed in 0..seeds() {
        let (mut dice, mut stage) = (Dice(seed), Stage::new(""));
        // Who has the place, whether it is away, and when it was last heard of.
        let (mut owner, mut is_away, mut heard) = (String::new(), true, 0);
        let mut epochs = [0; 2];
        for _ in 0..60 {
            let at = dice.below(2) as usize;
            let name = ["a", "b"][at];
            let command = match dice.below(8) {
                0 | 1 => format!("beat {name} as=i epoch=0"),
                2 => format!("beat {name} as=i epoch=-2"),
                3 if epochs[at] > 0 => format!("commit {name} as=i gen={}", epochs[at]),
                4 => format!("wait {}", dice.below(2000)),
                5 => "restart".into(),
                _ if epochs[at] > 0 => format!("beat {name} as=i epoch={} owned=", epochs[at]),
                _ => continue,
            };
            let is_other = !owner.is_empty() && owner != name && stage.now_ms() - heard < SESSION_MS;
            let is_fenced = command.ends_with("owned=") && is_other;
            for line in stage.act(&command) {
                let Some((who, answer)) = line.split_once(": ") else { continue };
                let told = answer.split(' ').next().and_then(|word| word.strip_prefix("epoch="));
                let told: Option<i32> = told.map(|epoch| epoch.parse().unwrap());
                let has_come = told.is_some_and(|epoch| epoch > 0) && command.ends_with("epoch=0");
                if has_come && owner != who {
                    let is_there = !owner.is_empty() && !is_away && stage.now_ms() - heard < SESSION_MS;
                    assert!(!is_there, "seed {seed}: {owner} has the place, but {line}");
                    replaced += u32::from(!owner.is_empty());
                    owner = who.into();
                }
                assert!(!is_fenced || answer == "FENCED_INSTANCE_ID", "seed {seed}: {line}");
                let is_served = told.is_some() || answer == "commit NONE";
                assert!(!is_served || owner == who, "seed {seed}: {owner} has the place, but {line}");
                if let Some(epoch) = told {
                    // One that has left may not know it, and go on.
                    (is_away, heard, epochs[at]) = (epoch < 0, stage.now_ms(), epochs[at].max(epoch));
                }
            }
        }
    }
    assert!(replaced > 0, "nobody took the other's place");
}
