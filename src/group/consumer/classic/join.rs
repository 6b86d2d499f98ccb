//! JoinGroup of a classic member: answered at once, with the generation that its member epoch is.

use super::super::admission::Admitted;
use super::super::members::Sender;
use super::super::{ConsumerGroup, Member};
use super::ClassicMember;
use crate::coordinator::Turn;
use crate::group::classic::join::{MEMBER_ID_REQUIRED_SINCE, refused};
use crate::group::classic::{CONSUMER, protocols};
use crate::group::embedded;
use crate::group::machine::GroupMachine;
use crate::group::request::Client;
use crate::group::settings::Migration;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ConsumerProtocolSubscription, JoinGroupRequest, JoinGroupResponse};
use odradek_protocol::primitives::Str;
use std::rc::Rc;

impl GroupMachine {
    pub(in crate::group) fn classic_member_join(
        &mut self,
        turn: &mut Turn<'_, Self>,
        version: i16,
        client: &Client,
        request: &JoinGroupRequest,
    ) -> JoinGroupResponse {
        let is_unnamed = request.member_id.is_empty();
        let id = if is_unnamed { Str::from(turn.uuid().to_string()) } else { request.member_id.detached() };
        let checked = self.check_classic_join(turn, client, request, &id);
        let (admitted, subscription) = match checked {
            Ok(_) if is_unnamed && version >= MEMBER_ID_REQUIRED_SINCE && request.group_instance_id.is_none() => {
                return refused(id, ErrorCode::MemberIdRequired);
            }
            Ok(checked) => checked,
            Err(error) => return refused(Str::EMPTY, error),
        };
        self.admit_classic(turn, admitted, request, &subscription)
    }

    /// Everything that can be refused is, before anything changes.
    fn check_classic_join(
        &self,
        turn: &Turn<'_, Self>,
        client: &Client,
        request: &JoinGroupRequest,
        id: &Str,
    ) -> Result<(Admitted, ConsumerProtocolSubscription), ErrorCode> {
        if Migration::of(self.config()).is_disabled() {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let group = self.consumer(&request.group_id).ok_or(ErrorCode::UnknownMemberId)?;
        let size_max = self.config().groups.group_consumer_max_size;
        group.check_room(id, size_max).map_err(|refusal| refusal.error)?;
        let offered = &request.protocols;
        if !group.supports(&request.protocol_type, offered) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let mut admitted = group.admitted(group.classic_sender(request, id)?);
        let first = offered.first().ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let subscription = embedded::subscription(&first.metadata).ok_or(ErrorCode::UnknownServerError)?;
        let joined = admitted.member.joined(client, request, &subscription);
        admitted.check(turn, group, joined).map_err(|refusal| refusal.error)?;
        Ok((admitted, subscription))
    }

    fn admit_classic(
        &mut self,
        turn: &mut Turn<'_, Self>,
        admitted: Admitted,
        request: &JoinGroupRequest,
        subscription: &ConsumerProtocolSubscription,
    ) -> JoinGroupResponse {
        let group_id = request.group_id.detached();
        let group = self.consumer(&group_id).expect("it was checked");
        let (generation, was_last) = (group.epoch, group.would_lose_its_last_consumer(admitted.replaced.as_ref()));
        let (_, updated) = self.admit(turn, &group_id, admitted);
        let joined = updated.member.clone();
        let subscribed = self.update_member(turn, &group_id, updated);
        self.advance_epoch(turn, &group_id, subscribed);
        turn.cancel(&Timer::member_join(&group_id, &joined.id));
        let downgrades = was_last && self.may_downgrade(turn, &group_id);
        let is_stale = self.consumer(&group_id).is_some_and(|group| group.epoch > group.assignment_epoch);
        let owned = subscription.owned_partitions.iter().map(|owned| (&owned.topic, owned.partitions.as_slice()));
        let owned = embedded::by_id(owned, &self.scene().image);
        let after = if downgrades && is_stale {
            joined
        } else {
            self.advance_target(turn, &group_id);
            self.advance_member(turn, &group_id, &joined.id, (subscribed, Some(&owned)))
        };
        if downgrades {
            self.downgrade(turn, &group_id, generation, is_stale);
        } else {
            self.expect_heartbeat(turn, &group_id, &after.id);
            turn.schedule(Timer::member_sync(&group_id, &after.id), after.rebalance_timeout());
        }
        told(&after)
    }
}

impl ConsumerGroup {
    fn classic_sender(&self, request: &JoinGroupRequest, id: &Str) -> Result<Sender, ErrorCode> {
        let Some(instance) = &request.group_instance_id else {
            let is_known = self.members.contains_key(id);
            return Ok(if is_known { Sender::Known(id.clone()) } else { Sender::New(id.clone()) });
        };
        match self.static_members.get(instance) {
            Some(before) if request.member_id.is_empty() => {
                Ok(Sender::Replaces { before: before.clone(), id: id.clone() })
            }
            Some(known) if known == id => Ok(Sender::Known(id.clone())),
            Some(_) => Err(ErrorCode::FencedInstanceId),
            None if request.member_id.is_empty() => Ok(Sender::New(id.clone())),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Whom it replaces is the only one who does not speak the classic protocol.
    fn would_lose_its_last_consumer(&self, replaced: Option<&Str>) -> bool {
        let Some(before) = replaced else { return false };
        self.members.values().all(|member| member.classic.is_none() == (member.id == *before))
    }
}

impl Member {
    fn joined(&self, client: &Client, request: &JoinGroupRequest, told: &ConsumerProtocolSubscription) -> Self {
        let own = (request.rebalance_timeout_ms != -1).then_some(request.rebalance_timeout_ms);
        Self {
            instance: request.group_instance_id.as_ref().map(Str::detached).or_else(|| self.instance.clone()),
            rack: told
                .rack_id
                .as_ref()
                .filter(|rack| !rack.is_empty())
                .map(Str::detached)
                .or_else(|| self.rack.clone()),
            client: Client { id: client.id.detached(), host: client.host.detached() },
            rebalance_timeout_ms: own.unwrap_or(request.session_timeout_ms),
            topics: Rc::new(told.topics.iter().cloned().collect()),
            regex: Some(Str::EMPTY),
            classic: Some(ClassicMember {
                session_timeout_ms: request.session_timeout_ms,
                protocols: protocols(&request.protocols),
            }),
            ..self.clone()
        }
    }
}

fn told(member: &Member) -> JoinGroupResponse {
    let classic = member.classic.as_ref().expect("it has just joined as one");
    JoinGroupResponse {
        generation_id: member.epoch,
        protocol_type: Some(CONSUMER.into()),
        protocol_name: Some(classic.first().name.clone()),
        member_id: member.id.clone(),
        ..Default::default()
    }
}
