//! Appends that take their time and crashes in between, seed by seed: what was told outlives them.

use super::simulation::{Dice, seeds};
use super::stage::Stage;

const COMMITTERS: usize = 3;

struct World {
    seed: u64,
    stage: Stage,
    /// Of each partition: what somebody was told of, and the last that was sent.
    told: [i64; COMMITTERS],
    sent: [i64; COMMITTERS],
    /// Commits of each that wait for their answers.
    waiting: [Vec<i64>; COMMITTERS],
    /// Of the one member: what it was told, and whether it waits.
    epoch: i32,
    beats: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut stage = Stage::new("");
        stage.act("slow");
        let waiting = Default::default();
        Self { seed, stage, told: [-1; COMMITTERS], sent: [-1; COMMITTERS], waiting, epoch: 0, beats: false }
    }

    fn act(&mut self, command: &str) {
        for line in self.stage.act(command) {
            self.hear(&line);
        }
    }

    fn hear(&mut self, line: &str) {
        let Some((who, answer)) = line.split_once(": ") else { return };
        match who {
            "fetched" => {
                for (at, offset) in offsets(answer) {
                    assert!(offset <= self.sent[at], "seed {}: nobody has sent {offset}", self.seed);
                    self.told[at] = self.told[at].max(offset);
                }
            }
            "m" => {
                let epoch = answer.split(' ').find_map(|word| word.strip_prefix("epoch="));
                let epoch = epoch.unwrap_or_else(|| panic!("seed {}: a member is out: {line}", self.seed));
                let epoch: i32 = epoch.parse().unwrap();
                assert!(epoch >= self.epoch, "seed {}: from {} to {line}", self.seed, self.epoch);
                self.epoch = epoch;
                self.beats = false;
            }
            committer => {
                let at: usize = committer[1..].parse().unwrap();
                assert_eq!(answer, "commit NONE", "seed {}", self.seed);
                self.told[at] = self.waiting[at].remove(0);
            }
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        let at = dice.below(COMMITTERS as u64) as usize;
        // Who is no member commits to a group without members only.
        let has_member = self.seed.is_multiple_of(2);
        match dice.below(10) {
            0..=2 if !has_member => {
                self.sent[at] += 1;
                self.waiting[at].push(self.sent[at]);
                self.act(&format!("commit c{at} p={at} offset={} gen=-1 v=8", self.sent[at]));
            }
            3 => self.act("fetch"),
            0..=4 if has_member && !self.beats => self.beat(),
            5 => self.act(&format!("topics t={} u=1", 1 + dice.below(6))),
            6 if dice.below(4) == 0 => self.crash(dice.below(2) == 0),
            _ => self.act("append"),
        }
    }

    fn beat(&mut self) {
        self.beats = true;
        let owned = if self.epoch == 0 { "" } else { " owned=" };
        self.act(&format!("beat m epoch={}{owned}", self.epoch));
    }

    fn crash(&mut self, is_late: bool) {
        self.act(if is_late { "crash late" } else { "crash" });
        self.waiting = Default::default();
        // One that was not answered joins anew; the other is where it was told to be.
        self.epoch = if self.beats { 0 } else { self.epoch };
        self.settle("fetch");
        if self.epoch > 0 {
            self.beat();
            self.settle("append");
        }
        self.beats = false;
    }

    /// Until everything under way has its answer; a fetch tells no less than was told before.
    fn settle(&mut self, command: &str) {
        let known = self.told;
        for line in self.stage.act(command) {
            if let Some(answer) = line.strip_prefix("fetched: ") {
                let mut found = [-1; COMMITTERS];
                offsets(answer).into_iter().for_each(|(at, offset)| found[at] = offset);
                let is_there = found.iter().zip(known).all(|(found, known)| *found >= known);
                assert!(is_there, "seed {}: {known:?} was told, {found:?} is there", self.seed);
            }
            self.hear(&line);
        }
        for _ in 0..4 {
            self.act("append");
        }
    }
}

/// Partition and offset.
fn offsets(answer: &str) -> Vec<(usize, i64)> {
    let found = answer.split(' ').filter_map(|word| word.strip_prefix("t-")?.split_once('@'));
    found.map(|(at, offset)| (at.parse().unwrap(), offset.parse().unwrap())).collect()
}

#[test]
fn what_was_told_is_there_after_a_crash() {
    for seed in 0..seeds() {
        let mut dice = Dice(seed);
        let mut world = World::new(seed);
        for _ in 0..150 {
            world.step(&mut dice);
        }
        world.crash(false);
    }
}
