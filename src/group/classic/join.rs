//! JoinGroup: who may come in, who is told to come back with an id, and when it makes a rebalance.

use super::member::{self, Member, Size};
use super::{ClassicGroup, State};
use crate::coordinator::{Ticket, Turn};
use crate::group::limits::{PENDING_MEMBERS_MAX, RANDOM_PART_BYTES, STRING_BYTES_MAX};
use crate::group::machine::GroupMachine;
use crate::group::request::{Client, Reply};
use crate::group::settings::{NEW_MEMBER_JOIN_TIMEOUT, TOPIC};
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::join_group_response::JoinGroupResponseMember;
use odradek_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use odradek_protocol::primitives::Str;
use std::time::Duration;

/// First version whose unknown members are given an id to come back with (KIP-394).
pub const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// First version whose static leader is told to leave the assignment as it is (KIP-814).
pub(super) const SKIP_ASSIGNMENT_SINCE: i16 = 9;

/// A JoinGroup with what came along.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    pub ticket: Ticket,
    pub version: i16,
    pub client: &'a Client,
    pub request: &'a JoinGroupRequest,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay: Duration,
    /// `group.max.size`.
    pub size_max: usize,
}

/// What a group's record has beside its id and members, and beside their random parts.
const RECORD_HEAD_BYTES: usize = 1024;

type Refused = Result<(), (Str, ErrorCode)>;

impl ClassicGroup {
    /// Answers now, or when the rebalance that it begins or joins is through.
    pub fn join(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: Joining<'_>) {
        if let Err((member, error)) = self.try_join(turn, &joining) {
            turn.reply(joining.ticket, refusal(member, error));
        }
    }

    fn try_join(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>) -> Refused {
        let request = joining.request;
        let id = &request.member_id;
        if !self.has_room(id, joining.size_max) {
            self.remove(id);
            return Err((Str::EMPTY, ErrorCode::GroupMaxSizeReached));
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return Err((id.clone(), ErrorCode::InconsistentGroupProtocol));
        }
        self.check_size(turn, joining).map_err(|error| (id.clone(), error))?;
        if id.is_empty() { self.join_new(turn, joining) } else { self.join_known(turn, joining) }
    }

    fn has_room(&self, id: &str, size_max: usize) -> bool {
        let member = self.members.get(id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let joined = || self.members.values().filter(|member| member.joining.is_some()).count();
                member.is_some_and(|member| member.joining.is_some()) || joined() < size_max
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < size_max,
        }
    }

    /// What the group keeps of it must fit into its record beside the others, and into memory.
    fn check_size(&self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>) -> Result<(), ErrorCode> {
        let Joining { client, request, .. } = *joining;
        let instance = request.group_instance_id.as_ref().and_then(|instance| self.static_members.get(instance));
        let known = self.members.get(&request.member_id).or_else(|| self.members.get(instance?));
        let before = known.map(Member::size).unwrap_or_default();
        let after = match known {
            Some(known) => Size::joining(&known.id, client, request),
            None if request.member_id.is_empty() => Size::joining(named_after(joining), client, request),
            None => Size::joining(&request.member_id, client, request),
        };
        if turn.moment.is_full && after.held > before.held {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let recorded = self.recorded_bytes - before.recorded + after.recorded;
        let room = turn.batch_bytes_max.saturating_sub(self.id.len() + RECORD_HEAD_BYTES);
        if recorded > room && after.recorded > before.recorded {
            let id = self.id.as_str();
            turn.warn(format!(
                "group {id:.100}: a JoinGroup is refused, {recorded} bytes of members do not fit into its record; raise \
                 max.message.bytes of {TOPIC}, or let them say less"
            ));
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        Ok(())
    }

    fn join_new(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>) -> Refused {
        let request = joining.request;
        let id = Str::from(format!("{}-{}", named_after(joining), turn.uuid()));
        if let Some(instance) = &request.group_instance_id {
            match self.static_members.get(instance).cloned() {
                Some(before) => self.replace(turn, joining, &before, id),
                None => self.add_and_rebalance(turn, joining, id),
            }
            return Ok(());
        }
        if joining.version < MEMBER_ID_REQUIRED_SINCE {
            self.add_and_rebalance(turn, joining, id);
            return Ok(());
        }
        if self.pending_members.len() >= PENDING_MEMBERS_MAX {
            return Err((Str::EMPTY, ErrorCode::GroupMaxSizeReached));
        }
        self.add_pending(id.clone());
        let timer = Timer::Heartbeat { group: self.id.clone(), member: id.clone() };
        turn.schedule(timer, crate::group::settings::milliseconds(request.session_timeout_ms));
        Err((id, ErrorCode::MemberIdRequired))
    }

    fn join_known(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>) -> Refused {
        let request = joining.request;
        let id = &request.member_id;
        if self.pending_members.contains(id) && request.group_instance_id.is_none() {
            self.add_and_rebalance(turn, joining, id.detached());
            return Ok(());
        }
        self.check_member(id, request.group_instance_id.as_deref()).map_err(|error| (id.clone(), error))?;
        let member = &self.members[id];
        let is_unchanged = member::are_same(&member.protocols, &request.protocols);
        let must_rebalance = match self.state {
            State::PreparingRebalance => true,
            State::CompletingRebalance => !is_unchanged,
            State::Stable => self.is_leader(id) || !is_unchanged,
            State::Empty => return Err((id.clone(), ErrorCode::UnknownMemberId)),
        };
        if must_rebalance {
            self.update_and_rebalance(turn, joining, id);
        } else {
            turn.reply(joining.ticket, Reply::Join(self.joined(id)));
        }
        Ok(())
    }

    fn add_and_rebalance(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>, id: Str) {
        let mut member = Member::new(id.clone(), joining.client, joining.request);
        member.joining = Some(joining.ticket);
        if let Some(initial) = self.initial_delay.as_mut() {
            initial.member_added = true;
        }
        self.add(member, &joining.request.protocol_type);
        turn.schedule(Timer::Heartbeat { group: self.id.clone(), member: id }, NEW_MEMBER_JOIN_TIMEOUT);
        self.rebalance_or_complete_join(turn, joining.initial_delay);
    }

    fn update_and_rebalance(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>, id: &str) {
        self.update(turn, joining, id);
        self.rebalance_or_complete_join(turn, joining.initial_delay);
    }

    /// The member as it joins again; a request of it that was still waiting is over.
    pub(super) fn update(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>, id: &str) {
        let member = self.members.get_mut(id).expect("only members are updated");
        let before = member.size();
        member.update(joining.request);
        if let Some(before) = member.joining.replace(joining.ticket) {
            turn.reply(before, refusal(member.id.clone(), ErrorCode::RebalanceInProgress));
        }
        let after = member.size();
        self.count(before, after);
    }

    /// What a member of this generation is told; the leader hears of all.
    pub(super) fn joined(&self, id: &str) -> JoinGroupResponse {
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.into(),
            members: if self.is_leader(id) { self.roll() } else { Vec::new() },
            ..Default::default()
        }
    }

    /// Every member with its metadata for the protocol that was chosen.
    pub(super) fn roll(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |member: &Member| JoinGroupResponseMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance.clone(),
            metadata: member.metadata(protocol),
            ..Default::default()
        };
        self.members.values().map(member).collect()
    }
}

pub fn refusal(member_id: Str, error: ErrorCode) -> Reply {
    Reply::Join(refused(member_id, error))
}

pub fn refused(member_id: Str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse { error_code: error.code(), protocol_name: None, member_id, ..Default::default() }
}

/// What the id of a new member begins with: as much of a name as there is room for beside its random part.
fn named_after<'a>(joining: &Joining<'a>) -> &'a str {
    let name = joining.request.group_instance_id.as_ref().unwrap_or(&joining.client.id);
    &name[..name.floor_char_boundary(STRING_BYTES_MAX - RANDOM_PART_BYTES)]
}
