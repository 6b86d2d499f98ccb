//! ConsumerGroupHeartbeat: a member joins, says what it wants and has, and hears what it is to have.

use super::admission::{Admitted, Updated};
use super::member::Held;
use super::reconcile::Goal;
use super::regex::compile;
use super::{ConsumerGroup, JOINING, Member, MemberState, Refusal, Resolved};
use crate::coordinator::{Draft, Turn};
use crate::group::assignor::Partitions;
use crate::group::kind::Group;
use crate::group::machine::GroupMachine;
use crate::group::record::GroupRecord;
use crate::group::request::Client;
use crate::group::timer::Timer;
use crate::group::weight::Total;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use odradek_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, consumer_group_heartbeat_request as request,
};
use odradek_protocol::primitives::Str;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What lets records be larger.
const REMEDY: &str = "max.message.bytes of __consumer_offsets";

impl GroupMachine {
    pub(in crate::group) fn consumer_heartbeat(
        &mut self,
        turn: &mut Turn<'_, Self>,
        client: &Client,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let response = if request.member_epoch < JOINING {
            self.consumer_leave(turn, request)
        } else {
            self.consumer_beat(turn, client, request)
        };
        response.unwrap_or_else(|Refusal { error, message }| ConsumerGroupHeartbeatResponse {
            error_code: error.code(),
            error_message: Some(message.into()),
            ..Default::default()
        })
    }

    /// Everything that can be refused is, before anything changes.
    fn consumer_beat(
        &mut self,
        turn: &mut Turn<'_, Self>,
        client: &Client,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        self.look_past(turn, &request.group_id);
        if let Some(response) = self.idle_beat(turn, client, request) {
            return Ok(response);
        }
        let owned = request.topic_partitions.as_deref().map(all_of);
        let made = Str::from(turn.uuid().to_string());
        let id = if request.member_id.is_empty() { made } else { request.member_id.detached() };
        let upgraded = self.check_consumer_group(turn, request)?;
        let admitted = match upgraded.as_deref().or(self.consumer(&request.group_id)) {
            Some(group) => {
                group.check_room(&id, self.config().groups.group_consumer_max_size)?;
                let mut admitted = group.admitted(group.sender(request, &id, owned.as_ref())?);
                let updated = admitted.member.updated(client, request);
                admitted.check(turn, group, updated)?;
                admitted
            }
            None => {
                let mut admitted = Admitted::new(id);
                let founded = ConsumerGroup::new(request.group_id.clone(), &Total::default());
                let updated = admitted.member.updated(client, request);
                admitted.check(turn, &founded, updated)?;
                admitted
            }
        };
        if let Some(expression) = request.subscribed_topic_regex.as_ref().filter(|regex| !regex.is_empty()) {
            compile(expression)?;
            self.consumer(&request.group_id).map_or(Ok(()), |group| group.check_regex(expression))?;
        }
        let group_id = request.group_id.detached();
        self.begin_consumer_group(turn, &group_id, upgraded);
        let (before, updated) = self.admit(turn, &group_id, admitted);
        let subscribed = self.update_member(turn, &group_id, updated);
        self.advance_epoch(turn, &group_id, subscribed);
        self.advance_target(turn, &group_id);
        let after = self.advance_member(turn, &group_id, &before.id, (subscribed, owned.as_ref()));
        self.expect_heartbeat(turn, &group_id, &before.id);
        let is_full = request.member_epoch == JOINING || is_full(request);
        let is_told = is_full || !is_same(&before.assigned, &after.assigned);
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(after.id.clone()),
            member_epoch: after.epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(&group_id),
            assignment: is_told.then(|| assignment(&after)),
            ..Default::default()
        })
    }

    /// A member that has nothing to say, and for which there is nothing new.
    pub(in crate::group) fn idle_beat(
        &self,
        turn: &mut Turn<'_, Self>,
        client: &Client,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Option<ConsumerGroupHeartbeatResponse> {
        let says_nothing = request.subscribed_topic_names.is_none()
            && request.subscribed_topic_regex.is_none()
            && request.server_assignor.is_none()
            && request.rack_id.is_none()
            && request.rebalance_timeout_ms == -1;
        let group = self.consumer(&request.group_id).filter(|_| says_nothing)?;
        let member = group.members.get(&request.member_id)?;
        let is_same = member.epoch == request.member_epoch
            && member.client == *client
            && member.classic.is_none()
            && (request.instance_id.is_none() || request.instance_id == member.instance);
        let is_at_rest = group.epoch == group.assignment_epoch
            && member.is_reconciled_to(group.assignment_epoch)
            && group.seen_metadata == Some(self.metadata_version());
        if !is_same || !is_at_rest {
            return None;
        }
        turn.schedule(Timer::session(&group.id, &member.id), self.session_timeout(&group.id));
        Some(ConsumerGroupHeartbeatResponse {
            member_id: Some(member.id.clone()),
            member_epoch: member.epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(&group.id),
            ..Default::default()
        })
    }

    /// A classic group with members is given back as it goes on.
    fn check_consumer_group(
        &self,
        turn: &Turn<'_, Self>,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Option<Box<ConsumerGroup>>, Refusal> {
        let name = &request.group_id;
        let joins = request.member_epoch == JOINING;
        match self.groups.get(name) {
            Some(Group::Consumer(_)) => Ok(None),
            Some(Group::Classic(group)) if joins && group.check_delete().is_ok() => Ok(None),
            Some(Group::Classic(group)) if joins => self.upgraded(turn, group).map(Some),
            Some(Group::Classic(_)) => {
                Err(Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {name} is not a consumer group.")))
            }
            None if joins && !self.is_full(turn) => Ok(None),
            None if joins => Err(Refusal::no_room()),
            None => Err(Refusal::new(ErrorCode::GroupIdNotFound, format!("Consumer group {name} not found."))),
        }
    }

    /// A classic group without members gives way.
    fn begin_consumer_group(&mut self, turn: &mut Turn<'_, Self>, id: &Str, upgraded: Option<Box<ConsumerGroup>>) {
        if let Some(upgraded) = upgraded {
            self.upgrade(turn, id, upgraded);
        } else if let Some(Group::Classic(_)) = self.groups.get(id) {
            self.apply(turn, GroupRecord::Classic(id.clone(), None));
        }
        self.consumer_or_new(id);
    }

    /// The member as it was, and as it is to be; one that comes back takes over what it had.
    pub(super) fn admit(
        &mut self,
        turn: &mut Turn<'_, Self>,
        group_id: &Str,
        mut admitted: Admitted,
    ) -> (Member, Updated) {
        let updated = admitted.updated();
        let Admitted { member, replaced, records, .. } = admitted;
        replaced.iter().for_each(|before| super::cancel_timers(turn, group_id, before));
        turn.may_tear();
        records.into_iter().for_each(|record| self.apply(turn, record));
        turn.may_tear();
        (member, updated)
    }

    /// Whether its subscription changed.
    pub(super) fn update_member(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, updated: Updated) -> bool {
        let Updated { member, record } = updated;
        let group = self.consumer(group_id).expect("it is there");
        // Its record came into the log, and the epoch after it did not.
        let was_torn = !group.target.contains_key(&member.id) && group.epoch == group.assignment_epoch;
        let known = group.members.get(&member.id);
        if known == Some(&member) {
            return was_torn;
        }
        let is_changed = known.map_or_else(
            || !member.topics.is_empty() || member.expression().is_some(),
            |known| known.topics != member.topics || known.expression() != member.expression(),
        );
        self.apply(turn, record);
        turn.may_tear();
        is_changed || was_torn
    }

    /// A new group epoch when subscriptions or the topics themselves are others.
    pub(super) fn advance_epoch(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, mut is_changed: bool) {
        let metadata = self.metadata_version();
        let image = self.scene().image.clone();
        let group = self.consumer(group_id).expect("it is there");
        let is_stale = group.seen_metadata != Some(metadata);
        if !is_changed && !is_stale {
            return;
        }
        is_changed |= group.seen_metadata.is_none() && group.was_torn(&image);
        let changes = if is_stale { self.changed_topics(group) } else { Some(BTreeSet::new()) };
        let is_touched = changes.as_ref().is_none_or(|changes| group.is_subscribed_to_any(changes));
        let mut all_fit = true;
        for (expression, resolved) in group.look_up(&turn.moment, &image, changes.as_ref()) {
            let is_recorded = self.resolve(turn, group_id, &expression, resolved.as_ref());
            all_fit &= is_recorded || resolved.is_none();
            is_changed |= is_recorded;
        }
        let group = self.consumer(group_id).expect("it is there");
        let hash = if is_changed || is_touched { group.hash_metadata(&image) } else { group.metadata_hash };
        if is_changed || hash != group.metadata_hash {
            let record = group.epoch_record(group.epoch + 1, hash);
            self.apply(turn, record);
            turn.may_tear();
        }
        let group = self.consumer_mut(group_id).expect("it is there");
        group.seen_metadata = Some(metadata);
        if is_stale || !all_fit {
            // What did not fit is looked at anew, all of it.
            group.matched_metadata = all_fit.then_some(metadata);
        }
    }

    /// Metadata in which nothing has changed that the group subscribes to is seen.
    fn look_past(&mut self, turn: &Turn<'_, Self>, group_id: &str) {
        let metadata = self.metadata_version();
        let Some(group) = self.consumer(group_id).filter(|group| group.seen_metadata != Some(metadata)) else { return };
        let Some(changes) = self.changed_topics(group) else { return };
        let is_touched = group.is_subscribed_to_any(&changes)
            || !group.look_up(&turn.moment, &self.scene().image, Some(&changes)).is_empty();
        if let Some(group) = self.consumer_mut(group_id).filter(|_| !is_touched) {
            group.seen_metadata = Some(metadata);
            group.matched_metadata = Some(metadata);
        }
    }

    /// Topics that have come, changed or gone since the group looked at them; none when all have to be looked at.
    fn changed_topics(&self, group: &ConsumerGroup) -> Option<BTreeSet<&Str>> {
        self.topic_changes.after(group.matched_metadata?).map(Iterator::collect)
    }

    /// Whether members subscribe to other topics by that.
    fn resolve(
        &mut self,
        turn: &mut Turn<'_, Self>,
        group_id: &Str,
        expression: &Str,
        resolved: Option<&Resolved>,
    ) -> bool {
        let group = self.consumer(group_id).expect("it is there");
        let mut record = Draft::from(group.regex_record(expression, resolved));
        if !turn.fits([&mut record]) {
            let count = resolved.map_or(0, |resolved| resolved.topics.len());
            let (id, expression) = (group_id.as_str(), expression.as_str());
            turn.warn(format!(
                "group {id:.100}: the {count} topics of {expression:.100} do not fit into a record; raise {REMEDY}"
            ));
            return false;
        }
        self.apply(turn, record);
        turn.may_tear();
        resolved.is_some()
    }

    pub(super) fn advance_target(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str) {
        let now = turn.moment.wall.0;
        let interval = self.assignment_interval_ms(group_id);
        let group = self.consumer(group_id).expect("it is there");
        if !group.is_target_due(now, interval) {
            return;
        }
        let configured = &self.config().groups.group_consumer_assignors;
        let records = group.new_target(&self.scene().image, configured, now);
        let mut records: Vec<Draft<GroupRecord>> = records.into_iter().map(Draft::from).collect();
        if let Some(unfit) = records.iter_mut().find_map(|record| (!turn.fits([&mut *record])).then_some(record)) {
            let bytes = unfit.size::<Self>();
            let id = group_id.as_str();
            turn.warn(format!(
                "group {id:.100}: a member's assignment takes {bytes} bytes; let more members share it, or raise {REMEDY}"
            ));
            let group = self.consumer_mut(group_id).expect("it is there");
            group.unfit_epoch = Some(group.epoch);
            return;
        }
        for record in records {
            self.apply(turn, record);
            turn.may_tear();
        }
    }

    /// The member's next step; slow givers back have a deadline.
    pub(super) fn advance_member(
        &mut self,
        turn: &mut Turn<'_, Self>,
        group_id: &Str,
        id: &Str,
        (subscribed, owned): (bool, Option<&Partitions>),
    ) -> Member {
        let group = self.consumer(group_id).expect("it is there");
        let member = group.members[id].clone();
        if !subscribed && member.is_reconciled_to(group.assignment_epoch) {
            return member;
        }
        let image = &self.scene().image;
        let is_subscribed = |topic: Uuid| group.subscribes(&member, topic, image);
        let mut target = group.target_or_nothing(id);
        target.retain(|topic, _| is_subscribed(*topic));
        let is_free = |topic: Uuid, index: i32| !group.owners.contains_key(&(topic, index));
        let subscribed: Option<&dyn Fn(Uuid) -> bool> = if subscribed { Some(&is_subscribed) } else { None };
        let goal = Goal { epoch: group.assignment_epoch, partitions: &target, subscribed, owned, is_free: &is_free };
        let next = goal.step(&member);
        if next == member {
            return member;
        }
        let mut record = Draft::from(group.current_record(&next));
        if !turn.fits([&mut record]) {
            let id = group_id.as_str();
            turn.warn(format!("group {id:.100}: what a member has does not fit into a record; raise {REMEDY}"));
            return member;
        }
        self.apply(turn, record);
        let timer = Timer::rebalance(group_id, id);
        if next.classic.is_none() && next.state == MemberState::UnrevokedPartitions {
            turn.schedule(timer, next.rebalance_timeout());
        } else {
            turn.cancel(&timer);
        }
        next
    }
}

/// Whether they are the same partitions, whenever they were given.
fn is_same(before: &Held, after: &Held) -> bool {
    let all = |held: &Held| held.values().map(BTreeMap::len).sum::<usize>();
    let is_kept = |(topic, partitions): (&Uuid, &BTreeMap<i32, i32>)| {
        after.get(topic).is_some_and(|kept| partitions.keys().all(|index| kept.contains_key(index)))
    };
    all(before) == all(after) && before.iter().filter(|(_, partitions)| !partitions.is_empty()).all(is_kept)
}

/// A topic may come more than once.
fn all_of(topics: &[request::TopicPartitions]) -> Partitions {
    let mut all = Partitions::new();
    for topic in topics {
        all.entry(topic.topic_id).or_default().extend(&topic.partitions);
    }
    all
}

/// It says all there is to say, so it hears all.
fn is_full(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let names_topics = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    request.rebalance_timeout_ms != -1 && names_topics && request.topic_partitions.is_some()
}

fn assignment(member: &Member) -> Assignment {
    let topics = member.assigned.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
    });
    Assignment { topic_partitions: topics.collect() }
}
