//! Heartbeat: a member is alive, and hears whether it has to join again.

use super::{ClassicGroup, State};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::HeartbeatRequest;

impl ClassicGroup {
    pub fn heartbeat(
        &mut self,
        turn: &mut Turn<'_, GroupMachine>,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.heard_of(turn, &request.member_id);
        match self.state {
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// Its session begins anew.
    pub fn heard_of(&self, turn: &mut Turn<'_, GroupMachine>, id: &str) {
        if let Some(member) = self.members.get(id) {
            let timer = Timer::Heartbeat { group: self.id.clone(), member: member.id.clone() };
            turn.schedule(timer, member.session_timeout);
        }
    }
}
