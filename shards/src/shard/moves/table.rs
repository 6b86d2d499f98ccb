//! Which partitions of a shard are on their way to another log directory, and how far each has come.

use crate::log::cleaner::Pace;
use crate::message::LogDirIndex;
use crate::runtime::sync::Sender;
use crate::types::{Offset, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// The moves of a shard, by partition, and how fast all together may copy.
pub struct Moves {
    pub under_way: RefCell<HashMap<TopicPartition, Rc<Move>>>,
    pub pace: RefCell<Pace>,
}

/// One partition on its way.
pub struct Move {
    pub to: LogDirIndex,
    /// Of the copy's directory in `to`.
    pub name: String,
    pub stage: Cell<Stage>,
    /// Where the copy's end may be: what it has up to there, its original has too.
    pub sure: Cell<Offset>,
    /// Of the copy, for those who ask.
    pub end: Cell<Offset>,
    pub size: Cell<u64>,
    pub told: RefCell<Option<Sender<bool>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Copying,
    /// Asks the controller; there is no way back before it has answered.
    Committing,
    /// Not wanted any more: the copy goes.
    Cancelled,
    /// Ends for now: the copy stays for the next start.
    Suspended,
}

impl Moves {
    pub fn new(bytes_per_second: f64) -> Self {
        Self { under_way: RefCell::default(), pace: RefCell::new(Pace::new(bytes_per_second)) }
    }

    /// `replica.alter.log.dirs.io.max.bytes.per.second`.
    pub fn set_rate(&self, bytes_per_second: f64) {
        self.pace.borrow_mut().change(bytes_per_second);
    }

    pub fn get(&self, partition: TopicPartition) -> Option<Rc<Move>> {
        self.under_way.borrow().get(&partition).cloned()
    }

    pub fn contains(&self, partition: TopicPartition) -> bool {
        self.under_way.borrow().contains_key(&partition)
    }

    /// Unless another move of this partition has taken its place.
    pub fn remove(&self, partition: TopicPartition, moving: &Rc<Move>) {
        let mut moves = self.under_way.borrow_mut();
        if moves.get(&partition).is_some_and(|now| Rc::ptr_eq(now, moving)) {
            moves.remove(&partition);
        }
    }
}

impl Move {
    /// Returns whether it could be.
    pub fn cancel(&self) -> bool {
        let can = self.stage.get() != Stage::Committing;
        if can {
            self.stage.set(Stage::Cancelled);
        }
        can
    }

    pub fn suspend(&self) {
        if self.stage.get() != Stage::Cancelled {
            self.stage.set(Stage::Suspended);
            self.told.take();
        }
    }
}
