//! One replica of the metadata log as a state machine: `step(now, input)` in, effects out.

use super::accumulator::TooLarge;
use super::election_state::ElectionState;
use super::input::{Input, Moment, Output};
use super::leader::{Leader, Opening};
use super::voters::{Voter, VoterSet};
use bytes::Bytes;
use odradek_shards::types::{LeaderEpoch, Offset};

/// Where the local log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    pub offset: Offset,
    /// Of the last batch; -1 in an empty log.
    pub epoch: LeaderEpoch,
}

pub enum Role {
    /// Knows no leader of its epoch.
    Unattached,
    /// Has asked for its own vote to be stored, or the outcome.
    Candidate(ElectionState),
    Leader(Box<Leader>),
    /// Led, and will not again in this process.
    Resigned,
}

/// Invariants: high watermark <= synced <= log end; the stored epoch is never below that of a role or of the log.
pub struct Quorum {
    me: Voter,
    voters: VoterSet,
    kraft_version: i16,
    voters_recorded: bool,
    role: Role,
    /// What is on stable storage.
    stored: ElectionState,
    log: LogEnd,
    synced: Offset,
    high_watermark: Option<Offset>,
}

impl Quorum {
    /// A replica as it was found: everything in the log is on stable storage, `stored` is what `quorum-state` said.
    ///
    /// `voters_recorded`: the log itself holds the voter set (kraft.version 1).
    pub fn new(
        me: Voter,
        voters: VoterSet,
        kraft_version: i16,
        voters_recorded: bool,
        stored: ElectionState,
        log: LogEnd,
    ) -> Self {
        let synced = log.offset;
        let role = Role::Unattached;
        Self { me, voters, kraft_version, voters_recorded, role, stored, log, synced, high_watermark: None }
    }

    pub fn role(&self) -> &Role {
        &self.role
    }

    pub fn voters(&self) -> &VoterSet {
        &self.voters
    }

    pub fn kraft_version(&self) -> i16 {
        self.kraft_version
    }

    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// The epoch this replica leads, if it does.
    pub fn leading(&self) -> Option<LeaderEpoch> {
        match &self.role {
            Role::Leader(leader) => Some(leader.epoch),
            Role::Unattached | Role::Candidate(_) | Role::Resigned => None,
        }
    }

    /// The offset the next record will get, if this replica leads.
    pub fn next_offset(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => Some(leader.next_offset()),
            Role::Unattached | Role::Candidate(_) | Role::Resigned => None,
        }
    }

    /// Takes records of one request into one batch and promises their offsets; gives the last one, or `None` when not leading.
    pub fn append(&mut self, now: Moment, values: &[Bytes], out: &mut Vec<Output>) -> Result<Option<Offset>, TooLarge> {
        let Role::Leader(leader) = &mut self.role else { return Ok(None) };
        let last = leader.append(values, now)?;
        leader.drain(out);
        self.note_appends(out);
        self.check();
        Ok(Some(last))
    }

    pub fn step(&mut self, now: Moment, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Tick => self.tick(out),
            Input::ElectionStored(state) => self.election_stored(now, state, out),
            Input::Synced(offset) => self.log_synced(offset, out),
            Input::Resign => self.resign(out),
        }
        self.check();
    }

    /// An unattached replica that is the only voter needs nobody's consent but its own disk's.
    fn tick(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.role, Role::Unattached) || !self.voters.is_only(self.me) {
            return;
        }
        let newest = self.stored.epoch.max(self.log.epoch);
        let epoch = LeaderEpoch(newest.0.checked_add(1).expect("2^31 elections are never held"));
        let vote = ElectionState::with_vote(epoch, self.me);
        self.role = Role::Candidate(vote.clone());
        out.push(Output::StoreElection(vote));
    }

    fn election_stored(&mut self, now: Moment, state: ElectionState, out: &mut Vec<Output>) {
        assert!(state.epoch >= self.stored.epoch, "epochs never go back on disk");
        self.stored = state;
        let Role::Candidate(awaited) = &self.role else { return };
        if *awaited != self.stored {
            return;
        }
        if self.stored.leader.is_none() {
            // Its own vote is a majority of one.
            let elected = ElectionState::with_leader(self.stored.epoch, self.me.id);
            self.role = Role::Candidate(elected.clone());
            out.push(Output::StoreElection(elected));
        } else {
            self.lead(now, out);
        }
    }

    fn lead(&mut self, now: Moment, out: &mut Vec<Output>) {
        let epoch = self.stored.epoch;
        let record_voters = self.kraft_version >= 1 && !self.voters_recorded;
        let opening = Opening { voters: &self.voters, kraft_version: self.kraft_version, record_voters };
        let (leader, append) = Leader::new(epoch, self.me, self.log.offset, &opening, now);
        out.push(Output::Leading { epoch, start: leader.start });
        out.push(append);
        self.voters_recorded |= record_voters;
        self.role = Role::Leader(Box::new(leader));
        self.note_appends(out);
    }

    fn log_synced(&mut self, offset: Offset, out: &mut Vec<Output>) {
        assert!(offset >= self.synced && offset <= self.log.offset, "a log is synced up to where it was written");
        self.synced = offset;
        let Role::Leader(leader) = &mut self.role else { return };
        leader.synced(offset);
        let committed = leader.committed(&self.voters);
        leader.drain(out);
        self.note_appends(out);
        if committed > self.high_watermark {
            self.high_watermark = committed;
            out.extend(committed.map(Output::HighWatermark));
        }
    }

    fn resign(&mut self, out: &mut Vec<Output>) {
        let epoch = self.leading();
        self.role = Role::Resigned;
        out.extend(epoch.map(|epoch| Output::Resigned { epoch }));
    }

    /// What was handed out for appending is part of the log from now on.
    fn note_appends(&mut self, out: &[Output]) {
        for output in out {
            if let Output::Append { base_offset, epoch, batch } = output
                && *base_offset == self.log.offset
            {
                self.log = LogEnd { offset: batch.header.next_offset(), epoch: *epoch };
            }
        }
    }

    fn check(&self) {
        assert!(self.high_watermark.is_none_or(|hw| hw <= self.synced), "only what is synced is committed");
        assert!(self.synced <= self.log.offset, "only what was appended is synced");
        if let Role::Leader(leader) = &self.role {
            assert!(self.stored.epoch == leader.epoch, "a leader's epoch is on disk before it leads");
            assert!(
                leader.start <= self.log.offset && self.log.epoch == leader.epoch,
                "an epoch opens with its own record"
            );
        }
    }
}

#[cfg(test)]
mod tests;
