//! Groups go over from one protocol to the other while they have members, as `group.consumer.migration.policy` has it.

use super::classic::ClassicGroup;
use super::classic::{join, sync};
use super::consumer::{ConsumerGroup, Refusal, cancel_timers};
use super::kind::Group;
use super::machine::GroupMachine;
use super::record::GroupRecord;
use super::settings::Migration;
use crate::coordinator::{Draft, Turn};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use std::time::Duration;

impl GroupMachine {
    /// The classic group as a consumer of KIP-848 finds it; nothing changes yet.
    pub(super) fn upgraded(&self, turn: &Turn<'_, Self>, group: &ClassicGroup) -> Result<Box<ConsumerGroup>, Refusal> {
        let config = self.config();
        let upgraded = match () {
            () if !Migration::of(config).upgrades => Err("online upgrade is disabled"),
            () if !group.is_of_consumers() => Err("the group does not use the consumer embedded protocol"),
            () if group.members().len() > config.groups.group_consumer_max_size => {
                Err("the group size exceeds the consumer group maximum size")
            }
            () => ConsumerGroup::from_classic(group, &self.scene().image),
        };
        let refusal = |why: &str| {
            let id = group.id();
            let message = format!("Cannot upgrade classic group {id} to consumer group because {why}.");
            Refusal::new(ErrorCode::GroupIdNotFound, message)
        };
        let upgraded = upgraded.map(Box::new).map_err(refusal)?;
        if !turn.fits(&mut drafts(upgraded.records())) {
            let message = "What the members of the classic group bring with them does not fit into a batch.";
            return Err(Refusal::new(ErrorCode::UnknownServerError, message));
        }
        Ok(upgraded)
    }

    /// Who waits for a rebalance is told to join again: it joins a consumer group then.
    pub(super) fn upgrade(&mut self, turn: &mut Turn<'_, Self>, id: &Str, upgraded: Box<ConsumerGroup>) {
        const ERROR: ErrorCode = ErrorCode::RebalanceInProgress;
        let group = self.classic_mut(id).expect("a classic group is upgraded");
        let (joins, syncs) = group.take_waiting();
        group.cancel_timers(turn);
        joins.into_iter().for_each(|(member, ticket)| turn.reply(ticket, join::refusal(member, ERROR)));
        syncs.into_iter().for_each(|ticket| turn.reply(ticket, sync::refusal(ERROR)));
        turn.keep(GroupRecord::Classic(id.clone(), None));
        upgraded.records().into_iter().for_each(|record| turn.keep(record));
        turn.may_tear();
        let members: Vec<Str> = upgraded.members().map(|member| member.id.clone()).collect();
        self.groups.insert(id.clone(), Group::Consumer(upgraded));
        members.iter().for_each(|member| self.expect_heartbeat(turn, id, member));
    }

    /// Whether the group, all of whose members speak the classic protocol now, may become a classic one.
    pub(super) fn may_downgrade(&self, turn: &Turn<'_, Self>, id: &str) -> bool {
        let Some(group) = self.consumer(id) else { return false };
        let fits = group.members().len() <= self.config().groups.group_max_size;
        let is_wanted = Migration::of(self.config()).downgrades && fits && !group.is_empty();
        let into = |rebalances| {
            let generation = (group.epoch(), rebalances);
            ClassicGroup::from_consumer(group, generation, turn.moment.wall, &self.scene().image).to_record()
        };
        let mut tombstones = drafts(group.tombstones());
        let mut fits = |rebalances| turn.fits(tombstones.iter_mut().chain([&mut into(rebalances).into()]));
        is_wanted && fits(true) && fits(false)
    }

    /// The members of a consumer group go on as a classic one, which begins a rebalance if `rebalances`.
    pub(super) fn downgrade(&mut self, turn: &mut Turn<'_, Self>, id: &Str, generation: i32, rebalances: bool) {
        let Some(Group::Consumer(group)) = self.groups.remove(id) else {
            unreachable!("a consumer group is downgraded")
        };
        group.members().for_each(|member| cancel_timers(turn, id, &member.id));
        turn.may_tear();
        group.tombstones().into_iter().for_each(|record| turn.keep(record));
        let mut downgraded =
            ClassicGroup::from_consumer(&group, (generation, rebalances), turn.moment.wall, &self.scene().image);
        turn.keep(downgraded.to_record());
        turn.may_tear();
        downgraded.expect_heartbeats(turn);
        if rebalances {
            downgraded.prepare_rebalance(turn, Duration::ZERO);
        }
        self.groups.insert(id.clone(), Group::Classic(Box::new(downgraded)));
    }
}

fn drafts(records: Vec<GroupRecord>) -> Vec<Draft<GroupRecord>> {
    records.into_iter().map(Draft::from).collect()
}
