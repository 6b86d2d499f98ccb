//! Which member a heartbeat is of, and whether it may be: epochs fence those who are behind, instances those replaced.

use super::{ConsumerGroup, JOINING, Member, Refusal, reconcile};
use crate::group::assignor::Partitions;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::ConsumerGroupHeartbeatRequest;
use odradek_protocol::primitives::Str;

/// Whose heartbeat it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sender {
    Known(Str),
    New(Str),
    /// A static member that comes back under another id.
    Replaces {
        before: Str,
        id: Str,
    },
}

impl ConsumerGroup {
    /// `id`: the request's, or one that was made for it.
    pub(super) fn sender(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        id: &Str,
        owned: Option<&Partitions>,
    ) -> Result<Sender, Refusal> {
        let joins = request.member_epoch == JOINING;
        let Some(instance) = &request.instance_id else { return self.dynamic(id, request.member_epoch, owned) };
        let before = self.static_members.get(instance);
        let Some(member) = before.and_then(|before| self.members.get(before)) else {
            let message = format!("Instance {instance} is not a member of group {}.", self.id);
            return if joins { Ok(Sender::New(id.clone())) } else { Err(unknown(message)) };
        };
        let before = &member.id;
        if before == id {
            check_epoch(member, request.member_epoch, owned)?;
            return Ok(Sender::Known(id.clone()));
        }
        if !joins {
            let message = format!("Static member {id} with instance id {instance} was fenced by member {before}.");
            return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
        }
        if !member.is_away() && member.classic.is_none() {
            let message = format!("Static member {id} with instance id {instance} cannot join: {before} has it.");
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Sender::Replaces { before: before.clone(), id: id.clone() })
    }

    fn dynamic(&self, id: &Str, epoch: i32, owned: Option<&Partitions>) -> Result<Sender, Refusal> {
        match self.members.get(id) {
            Some(member) => check_epoch(member, epoch, owned).map(|()| Sender::Known(id.clone())),
            None if epoch == JOINING => Ok(Sender::New(id.clone())),
            None => Err(unknown(format!("Member {id} is not a member of group {}.", self.id))),
        }
    }

    /// The member that leaves.
    pub(super) fn leaver(&self, id: &Str, instance: Option<&Str>) -> Result<&Member, Refusal> {
        let unknown_id = || unknown(format!("Member {id} is not a member of group {}.", self.id));
        let Some(instance) = instance else { return self.members.get(id).ok_or_else(unknown_id) };
        let known = self.static_members.get(instance).ok_or_else(unknown_id)?;
        if known != id {
            let message = format!("Static member {id} with instance id {instance} was fenced by member {known}.");
            return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
        }
        self.members.get(known).ok_or_else(unknown_id)
    }

    pub(super) fn check_room(&self, id: &str, size_max: usize) -> Result<(), Refusal> {
        if self.members.len() >= size_max && !self.members.contains_key(id) {
            let message = format!("The consumer group has reached its maximum capacity of {size_max} members.");
            return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message));
        }
        Ok(())
    }
}

/// Who joins again is always let in. One step behind is let through when its answer may have been lost: then it has no
/// more than it was given.
fn check_epoch(member: &Member, epoch: i32, owned: Option<&Partitions>) -> Result<(), Refusal> {
    let (current, previous) = (member.epoch, member.previous_epoch);
    let has_no_more = || owned.is_some_and(|owned| is_within(owned, &reconcile::bare(&member.assigned)));
    if epoch == JOINING || epoch == current || (epoch < current && epoch == previous && has_no_more()) {
        return Ok(());
    }
    let message = format!("The member epoch {epoch} is not the current one, {current}; the member must rejoin.");
    Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
}

fn is_within(owned: &Partitions, assigned: &Partitions) -> bool {
    owned.iter().all(|(topic, partitions)| {
        partitions.is_empty() || assigned.get(topic).is_some_and(|assigned| partitions.is_subset(assigned))
    })
}

fn unknown(message: String) -> Refusal {
    Refusal::new(ErrorCode::UnknownMemberId, message)
}
