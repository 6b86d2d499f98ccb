//! ConsumerGroupHeartbeat: a member joins, says what it wants and has, and hears what it is to have.

use super::members::Sender;
use super::reconcile::{Goal, bare};
use super::regex::compile;
use super::{ConsumerGroup, JOINING, Member, MemberState, Refusal};
use crate::coordinator::Turn;
use crate::group::assignor::Partitions;
use crate::group::kind::Group;
use crate::group::machine::GroupMachine;
use crate::group::record::GroupRecord;
use crate::group::request::Client;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use odradek_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use odradek_protocol::primitives::Str;
use uuid::Uuid;

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
        let owned = request.topic_partitions.as_ref().map(|owned| {
            let topics = owned.iter();
            topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect::<Partitions>()
        });
        let made = Str::from(turn.uuid().to_string());
        let id = if request.member_id.is_empty() { made } else { request.member_id.detached() };
        let upgraded = self.check_consumer_group(request)?;
        let sender = match upgraded.as_deref().or(self.consumer(&request.group_id)) {
            Some(group) => {
                group.check_room(&id, self.config().groups.group_consumer_max_size)?;
                group.sender(request, &id, owned.as_ref())?
            }
            None => Sender::New(id.clone()),
        };
        if let Some(expression) = request.subscribed_topic_regex.as_ref().filter(|regex| !regex.is_empty()) {
            compile(expression)?;
        }
        let group_id = request.group_id.detached();
        self.begin_consumer_group(turn, &group_id, upgraded);
        let before = self.admit(turn, &group_id, sender);
        let subscribed = self.update_member(turn, &group_id, &before.updated(client, request));
        self.advance_epoch(turn, &group_id, subscribed);
        self.advance_target(turn, &group_id);
        let after = self.advance_member(turn, &group_id, &before.id, owned.as_ref());
        self.expect_heartbeat(turn, &group_id, &before.id);
        let is_full = request.member_epoch == JOINING || is_full(request);
        let is_told = is_full || bare(&before.assigned) != bare(&after.assigned);
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(after.id.clone()),
            member_epoch: after.epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(&group_id),
            assignment: is_told.then(|| assignment(&after)),
            ..Default::default()
        })
    }

    /// A classic group with members is given back as it goes on.
    fn check_consumer_group(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Option<Box<ConsumerGroup>>, Refusal> {
        let name = &request.group_id;
        let joins = request.member_epoch == JOINING;
        match self.groups.get(name) {
            Some(Group::Consumer(_)) => Ok(None),
            Some(Group::Classic(group)) if joins && group.check_delete().is_ok() => Ok(None),
            Some(Group::Classic(group)) if joins => self.upgraded(group).map(Some),
            Some(Group::Classic(_)) => {
                Err(Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {name} is not a consumer group.")))
            }
            None if joins && !self.is_full() => Ok(None),
            None if joins => Err(Refusal::new(ErrorCode::CoordinatorNotAvailable, "The coordinator has no room.")),
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
        self.groups.entry(id.clone()).or_insert_with(|| Group::Consumer(Box::new(ConsumerGroup::new(id.clone()))));
    }

    /// The member as it was; one that comes back takes over what it had.
    pub(super) fn admit(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, sender: Sender) -> Member {
        let group = self.consumer(group_id).expect("it has just been made sure of");
        match sender {
            Sender::Known(id) => group.members[&id].clone(),
            Sender::New(id) => Member::new(id),
            Sender::Replaces { before, id } => {
                let old = &group.members[&before];
                let member = Member { id: id.clone(), epoch: JOINING, previous_epoch: JOINING, ..old.clone() };
                let mut records = Vec::from(group.member_tombstones(&before));
                records.push(group.member_record(&member));
                records.push(group.target_record(&id, &group.target_or_nothing(&before)));
                records.push(group.current_record(&member));
                super::cancel_timers(turn, group_id, &before);
                records.into_iter().for_each(|record| self.apply(turn, record));
                member
            }
        }
    }

    /// Whether its subscription changed.
    pub(super) fn update_member(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, member: &Member) -> bool {
        let group = self.consumer(group_id).expect("it is there");
        let known = group.members.get(&member.id);
        let record = (known != Some(member)).then(|| group.member_record(member));
        let before = known.map(|known| (known.topics.clone(), known.expression().cloned()));
        let before = before.unwrap_or_default();
        if let Some(record) = record {
            self.apply(turn, record);
        }
        before != (member.topics.clone(), member.expression().cloned())
    }

    /// A new group epoch when subscriptions or the topics themselves are others.
    pub(super) fn advance_epoch(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, mut is_changed: bool) {
        let metadata = self.metadata_version();
        let image = self.scene().image.clone();
        let group = self.consumer(group_id).expect("it is there");
        let is_stale = group.seen_metadata != Some(metadata);
        let found = group.look_up(&turn.moment, &image, is_stale);
        let records: Vec<_> =
            found.iter().map(|(name, resolved)| group.regex_record(name, resolved.as_ref())).collect();
        is_changed |= found.iter().any(|(_, resolved)| resolved.is_some());
        records.into_iter().for_each(|record| self.apply(turn, record));
        let group = self.consumer(group_id).expect("it is there");
        if is_changed || is_stale {
            let hash = group.hash_metadata(&image);
            if is_changed || hash != group.metadata_hash {
                let record = group.epoch_record(group.epoch + 1, hash);
                self.apply(turn, record);
            }
        }
        self.consumer_mut(group_id).expect("it is there").seen_metadata = Some(metadata);
    }

    pub(super) fn advance_target(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str) {
        let now = turn.moment.wall.0;
        let interval = self.assignment_interval_ms(group_id);
        let group = self.consumer(group_id).expect("it is there");
        if group.is_target_due(now, interval) {
            let configured = &self.config().groups.group_consumer_assignors;
            let records = group.new_target(&self.scene().image, configured, now);
            records.into_iter().for_each(|record| self.apply(turn, record));
        }
    }

    /// The member's next step; slow givers back have a deadline.
    pub(super) fn advance_member(
        &mut self,
        turn: &mut Turn<'_, Self>,
        group_id: &Str,
        id: &Str,
        owned: Option<&Partitions>,
    ) -> Member {
        let group = self.consumer(group_id).expect("it is there");
        let member = group.members[id].clone();
        let target = group.target_or_nothing(id);
        let is_free = |topic: Uuid, index: i32| !group.owners.contains_key(&(topic, index));
        let goal = Goal { epoch: group.assignment_epoch, partitions: &target, owned, is_free: &is_free };
        let next = goal.step(&member);
        if next == member {
            return member;
        }
        let record = group.current_record(&next);
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
