//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup, led to the group they mean, of whichever kind it is.

use super::classic::join::{self, Joining};
use super::classic::leave::refuse_all;
use super::classic::sync::refusal;
use super::kind::Group;
use super::machine::GroupMachine;
use super::request::{Client, Reply};
use super::settings::milliseconds;
use crate::coordinator::{Ticket, Turn};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupResponse, SyncGroupRequest,
};
use odradek_protocol::primitives::Str;

impl GroupMachine {
    pub(super) fn join(
        &mut self,
        turn: &mut Turn<'_, Self>,
        ticket: Ticket,
        version: i16,
        client: &Client,
        request: &JoinGroupRequest,
    ) {
        let id = &request.group_id;
        if self.consumer(id).is_some_and(|group| !group.is_empty()) {
            let joined = self.classic_member_join(turn, version, client, request);
            return turn.reply(ticket, Reply::Join(joined));
        }
        self.retire_empty_consumer_group(turn, id);
        let is_new = !self.groups.contains_key(id);
        let refusal = match () {
            () if is_new && !request.member_id.is_empty() => Some(ErrorCode::UnknownMemberId),
            () if is_new && self.is_full(turn) => Some(ErrorCode::CoordinatorNotAvailable),
            () => None,
        };
        if let Some(error) = refusal {
            return turn.reply(ticket, join::refusal(request.member_id.clone(), error));
        }
        self.classic_or_new(id, turn.moment.wall.0);
        // Recorded as nobody's yet: its members are not there until they have an assignment.
        if is_new {
            turn.keep(self.classic_mut(id).expect("it has just been made").to_record());
        }
        let joining = Joining {
            ticket,
            version,
            client,
            request,
            initial_delay: milliseconds(self.config().groups.group_initial_rebalance_delay_ms),
            size_max: self.config().groups.group_max_size,
        };
        let group = self.classic_mut(id).expect("it is there or has just been made");
        group.join(turn, joining);
    }

    pub(super) fn sync(&mut self, turn: &mut Turn<'_, Self>, ticket: Ticket, request: &SyncGroupRequest) {
        if let Some(group) = self.classic_mut(&request.group_id) {
            return group.sync(turn, ticket, request);
        }
        let synced = self.classic_member_sync(turn, request);
        turn.reply(ticket, synced.map_or_else(refusal, Reply::Sync));
    }

    pub(super) fn heartbeat(&mut self, turn: &mut Turn<'_, Self>, request: &HeartbeatRequest) -> HeartbeatResponse {
        let beat = match self.classic_mut(&request.group_id) {
            Some(group) => group.heartbeat(turn, request),
            None => self.classic_member_beat(turn, request),
        };
        answer_to_heartbeat(beat)
    }

    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_, Self>,
        id: &Str,
        members: &[MemberIdentity],
    ) -> LeaveGroupResponse {
        match self.groups.get_mut(id) {
            Some(Group::Classic(group)) => group.leave(turn, members),
            Some(Group::Consumer(_)) => self.leave_consumer_group(turn, id, members),
            None => refuse_all(members, ErrorCode::UnknownMemberId),
        }
    }

    fn retire_empty_consumer_group(&mut self, turn: &mut Turn<'_, Self>, id: &Str) {
        if let Some(group) = self.consumer(id).filter(|group| group.is_empty()) {
            let records = group.tombstones();
            for record in records {
                self.apply(turn, record);
                turn.may_tear();
            }
        }
    }
}

pub fn answer_to_heartbeat(beat: Result<(), ErrorCode>) -> HeartbeatResponse {
    HeartbeatResponse { error_code: beat.err().map_or(0, ErrorCode::code), ..Default::default() }
}
