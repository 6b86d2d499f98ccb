//! The leader of an epoch: what it wrote, what it gathers, and how far each voter is.

use super::accumulator::{Accumulator, TooLarge};
use super::input::{Moment, Output};
use super::voters::{Voter, VoterSet};
use bytes::Bytes;
use odradek_protocol::codec::{Message, Writer};
use odradek_protocol::messages::{KRaftVersionRecord, LeaderChangeMessage, leader_change_message};
use odradek_shards::record::{BatchBuilder, ControlRecordType, ValidBatch};
use odradek_shards::types::{LeaderEpoch, NodeId, Offset};
use std::collections::BTreeMap;

pub struct Leader {
    pub epoch: LeaderEpoch,
    /// Offset of the record that opens the epoch; nothing is committed before it is.
    pub start: Offset,
    me: NodeId,
    accumulator: Accumulator,
    /// Below which each voter holds the log on stable storage.
    positions: BTreeMap<NodeId, Offset>,
    /// Below which records were handed out for appending.
    appended: Offset,
}

impl Leader {
    /// Opens `epoch` at the log's end with its control batch.
    pub fn new(epoch: LeaderEpoch, me: Voter, log_end: Offset, opening: &Opening<'_>, now: Moment) -> (Self, Output) {
        let batch = opening.batch(epoch, me, log_end, now);
        let next = batch.header.next_offset();
        let leader = Self {
            epoch,
            start: log_end,
            me: me.id,
            accumulator: Accumulator::new(epoch, next),
            positions: BTreeMap::from([(me.id, log_end)]),
            appended: next,
        };
        (leader, Output::Append { base_offset: log_end, epoch, batch })
    }

    pub fn next_offset(&self) -> Offset {
        self.accumulator.next_offset()
    }

    pub fn append(&mut self, values: &[Bytes], now: Moment) -> Result<Offset, TooLarge> {
        self.accumulator.append(values, now.wall_clock)
    }

    /// The local log is on stable storage below `offset`.
    pub fn synced(&mut self, offset: Offset) {
        assert!(offset <= self.appended, "nothing is synced that was not appended");
        self.positions.insert(self.me, offset);
    }

    /// What gathered leaves when no write is in flight.
    pub fn drain(&mut self, out: &mut Vec<Output>) {
        if self.positions[&self.me] < self.appended {
            return;
        }
        for (base_offset, batch) in self.accumulator.drain() {
            self.appended = batch.header.next_offset();
            out.push(Output::Append { base_offset, epoch: self.epoch, batch });
        }
    }

    /// What a majority holds, once this includes a record of this very epoch (Raft's figure 8).
    pub fn committed(&self, voters: &VoterSet) -> Option<Offset> {
        let held = voters.majority_offset(&self.positions);
        (held > self.start).then_some(held)
    }
}

/// What the first batch of an epoch says beside who leads.
pub struct Opening<'a> {
    pub voters: &'a VoterSet,
    pub kraft_version: i16,
    /// The voter set stands in no log yet, only in the snapshot the log was formatted with.
    pub record_voters: bool,
}

impl Opening<'_> {
    fn batch(&self, epoch: LeaderEpoch, me: Voter, base: Offset, now: Moment) -> ValidBatch {
        let mut batch = BatchBuilder::new().base_offset(base).leader_epoch(epoch).control();
        let mut add = |kind, value: Bytes| batch.append_control(now.wall_clock, kind, &value);
        add(ControlRecordType::LeaderChange, self.leader_change(me));
        if self.record_voters {
            add(ControlRecordType::KRaftVersion, kraft_version_record(self.kraft_version));
            add(ControlRecordType::KRaftVoters, self.voters.to_record());
        }
        batch.build()
    }

    fn leader_change(&self, me: Voter) -> Bytes {
        let voter = |id: NodeId| leader_change_message::Voter { voter_id: id.0, ..Default::default() };
        encoded(&LeaderChangeMessage {
            version: 0,
            leader_id: me.id.0,
            voters: self.voters.ids().map(voter).collect(),
            granting_voters: vec![voter(me.id)],
        })
    }
}

pub fn kraft_version_record(level: i16) -> Bytes {
    encoded(&KRaftVersionRecord { version: 0, kraft_version: level })
}

/// The value of a control record at version 0.
pub fn encoded(message: &impl Message) -> Bytes {
    let mut writer = Writer::new();
    message.encode(&mut writer, 0).expect("a control record holds only what its version carries");
    writer.into_bytes()
}
