//! SyncGroup: the leader hands in the assignment, the others fetch theirs.

use super::{ClassicGroup, State};
use crate::coordinator::{Draft, Ticket, Turn};
use crate::group::machine::GroupMachine;
use crate::group::request::Reply;
use crate::group::settings::TOPIC;
use crate::group::timer::Timer;
use bytes::Bytes;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;
use std::time::Duration;

impl ClassicGroup {
    pub fn sync(&mut self, turn: &mut Turn<'_, GroupMachine>, ticket: Ticket, request: &SyncGroupRequest) {
        if let Err(error) = self.try_sync(turn, ticket, request) {
            turn.reply(ticket, refusal(error));
        }
    }

    fn try_sync(
        &mut self,
        turn: &mut Turn<'_, GroupMachine>,
        ticket: Ticket,
        request: &SyncGroupRequest,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        self.check_member(id, request.group_instance_id.as_deref())?;
        self.check_sync(request)?;
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => return Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                let member = self.members.get_mut(id).expect("it was checked");
                if let Some(before) = member.syncing.replace(ticket) {
                    turn.reply(before, refusal(ErrorCode::RebalanceInProgress));
                }
                self.synced(turn, id);
                if self.is_leader(id) {
                    self.assign(turn, request);
                }
            }
            State::Stable => {
                self.synced(turn, id);
                turn.reply(ticket, Reply::Sync(self.assigned(&self.members[id].assignment)));
            }
        }
        Ok(())
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        let differs = |told: &Option<Str>, known: &Option<Str>| told.is_some() && known.is_some() && told != known;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn synced(&mut self, turn: &mut Turn<'_, GroupMachine>, id: &str) {
        self.pending_syncs.remove(id);
        if self.pending_syncs.is_empty() {
            turn.cancel(&Timer::Sync { group: self.id.clone() });
        }
    }

    /// The leader's word: recorded, then told to all who wait.
    fn assign(&mut self, turn: &mut Turn<'_, GroupMachine>, request: &SyncGroupRequest) {
        let assignments = request.assignments.iter();
        let given: BTreeMap<&str, &Bytes> =
            assignments.map(|given| (given.member_id.as_str(), &given.assignment)).collect();
        let held: usize = self.members.values().map(|member| member.assignment.len()).sum();
        if turn.moment.is_full && given.values().map(|assignment| assignment.len()).sum::<usize>() > held {
            return self.refuse_assignment(turn, ErrorCode::CoordinatorNotAvailable);
        }
        self.reassign(|member| {
            let assignment = given.get(member.id.as_str());
            (assignment.map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default(), None)
        });
        let mut record = Draft::from(self.to_record());
        if !turn.fits([&mut record]) {
            let (id, bytes) = (self.id.as_str(), turn.batch_bytes_max);
            turn.warn(format!(
                "group {id:.100}: what its {} members bring with them and get does not fit into {bytes} bytes; raise \
                 max.message.bytes of {TOPIC}, or let them subscribe to less",
                self.members.len()
            ));
            return self.refuse_assignment(turn, ErrorCode::UnknownServerError);
        }
        self.move_to(State::Stable, turn.moment.wall);
        turn.keep(record);
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let member = self.members.get_mut(&id).expect("its id is a key");
            let Some(ticket) = member.syncing.take() else { continue };
            let (timeout, assignment) = (member.session_timeout, member.assignment.clone());
            turn.schedule(Timer::Heartbeat { group: self.id.clone(), member: id }, timeout);
            turn.reply(ticket, Reply::Sync(self.assigned(&assignment)));
        }
    }

    /// All who wait hear it, and must join again.
    fn refuse_assignment(&mut self, turn: &mut Turn<'_, GroupMachine>, error: ErrorCode) {
        self.drop_assignments(turn, error);
        self.prepare_rebalance(turn, Duration::ZERO);
    }

    fn assigned(&self, assignment: &Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: assignment.clone(),
            ..Default::default()
        }
    }

    /// Who has not asked for its assignment in time is out.
    pub fn sync_expired(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        let is_due = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !is_due || self.pending_syncs.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.pending_syncs) {
            turn.cancel(&Timer::Heartbeat { group: self.id.clone(), member: id.clone() });
            self.remove(&id);
        }
        self.prepare_rebalance(turn, Duration::ZERO);
    }
}

pub fn refusal(error: ErrorCode) -> Reply {
    Reply::Sync(SyncGroupResponse { error_code: error.code(), ..Default::default() })
}
