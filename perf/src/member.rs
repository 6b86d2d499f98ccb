//! A member of a group: what it sends next, and what an answer makes of it.

use crate::arguments::GroupProtocol;
use crate::client::{CLIENT_ID, Client, Versions};
use crate::failure::Failure;
use bytes::Bytes;
use odradek_protocol::api::{ApiKey, Request};
use odradek_protocol::codec::{Message, Reader, Writer};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::frame;
use odradek_protocol::messages as m;
use odradek_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use odradek_protocol::primitives::{Str, Uuid};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than a run: who commits alone sends no heartbeats.
const SESSION_ALONE: Duration = Duration::from_secs(300);

/// What members of a run have in common.
#[derive(Clone, Debug)]
pub struct Habits {
    pub protocol: GroupProtocol,
    pub topic: Str,
    pub session_timeout: Duration,
    /// Between heartbeats, unless the broker has a say in it.
    pub heartbeat: Duration,
    pub versions: Versions,
}

/// What an answer means for the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is more to send at once.
    GoesOn,
    /// It is in, at this generation or member epoch.
    IsIn(i32),
    /// A heartbeat was answered, the next is due after an interval.
    Beats,
    /// It was sent away or told to join again.
    StartsAgain(ErrorCode),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Joins,
    Syncs,
    Beats,
}

#[derive(Debug)]
pub struct Member {
    group: Str,
    id: Str,
    /// Its id is its own choice, not the broker's.
    names_itself: bool,
    state: State,
    /// Or member epoch; 0 before the first.
    generation: i32,
    /// Members to share out to; only a leader has any.
    others: Vec<Str>,
    pub interval: Duration,
    /// What was assigned last and not confirmed yet.
    unconfirmed: Option<Vec<(Uuid, Vec<i32>)>>,
}

impl Member {
    pub fn new(group: Str, habits: &Habits) -> Self {
        let names_itself = habits.protocol == GroupProtocol::Consumer;
        Self {
            group,
            id: if names_itself { new_id() } else { Str::EMPTY },
            names_itself,
            state: State::Joins,
            generation: 0,
            others: Vec::new(),
            interval: habits.heartbeat,
            unconfirmed: None,
        }
    }

    pub fn is_beating(&self) -> bool {
        self.state == State::Beats
    }

    /// The frame it sends next, and of which kind.
    pub fn next(&mut self, habits: &Habits, id: i32) -> Result<(ApiKey, Vec<Bytes>), Failure> {
        if habits.protocol == GroupProtocol::Consumer {
            return framed(&self.beat(habits), habits, id);
        }
        match self.state {
            State::Joins => framed(&join(&self.group, &self.id, &habits.topic, habits.session_timeout), habits, id),
            State::Syncs => {
                let members = std::mem::take(&mut self.others);
                framed(&sync(&self.group, &self.id, self.generation, &members), habits, id)
            }
            State::Beats => {
                let request = m::HeartbeatRequest {
                    group_id: self.group.clone(),
                    generation_id: self.generation,
                    member_id: self.id.clone(),
                    ..Default::default()
                };
                framed(&request, habits, id)
            }
        }
    }

    fn beat(&mut self, habits: &Habits) -> m::ConsumerGroupHeartbeatRequest {
        let joins = self.state == State::Joins;
        let owned = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
        let confirmed = self.unconfirmed.take().map(|topics| topics.into_iter().map(owned).collect());
        m::ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: if joins { 0 } else { self.generation },
            rebalance_timeout_ms: if joins { REBALANCE_TIMEOUT.as_millis() as i32 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![habits.topic.clone()]),
            topic_partitions: if joins { Some(Vec::new()) } else { confirmed },
            ..Default::default()
        }
    }

    /// Takes the answer to what `next` gave; `body` is past the header.
    pub fn take(&mut self, habits: &Habits, body: &mut Reader) -> Result<Step, Failure> {
        if habits.protocol == GroupProtocol::Consumer {
            return Ok(self.take_beat(&decoded::<m::ConsumerGroupHeartbeatRequest>(habits, body)?));
        }
        match self.state {
            State::Joins => Ok(self.take_join(decoded::<m::JoinGroupRequest>(habits, body)?)),
            State::Syncs => {
                let answer = decoded::<m::SyncGroupRequest>(habits, body)?;
                Ok(self.take_code(answer.error_code, Step::IsIn(self.generation)))
            }
            State::Beats => {
                let answer = decoded::<m::HeartbeatRequest>(habits, body)?;
                Ok(self.take_code(answer.error_code, Step::Beats))
            }
        }
    }

    fn take_beat(&mut self, answer: &m::ConsumerGroupHeartbeatResponse) -> Step {
        let joined = self.state == State::Joins;
        let step =
            self.take_code(answer.error_code, if joined { Step::IsIn(answer.member_epoch) } else { Step::Beats });
        if self.state == State::Beats {
            self.generation = answer.member_epoch;
            self.interval = Duration::from_millis(answer.heartbeat_interval_ms.max(1) as u64);
            let own = |topic: &m::consumer_group_heartbeat_response::TopicPartitions| {
                (topic.topic_id, topic.partitions.clone())
            };
            self.unconfirmed = answer.assignment.as_ref().map(|given| given.topic_partitions.iter().map(own).collect());
        }
        match step {
            // What it has now, or no longer has, is told at once.
            Step::Beats if self.unconfirmed.is_some() => Step::GoesOn,
            step => step,
        }
    }

    fn take_join(&mut self, answer: m::JoinGroupResponse) -> Step {
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                (self.id, self.generation, self.state) = (answer.member_id, answer.generation_id, State::Syncs);
                self.others = answer.members.into_iter().map(|member| member.member_id).collect();
                Step::GoesOn
            }
            ErrorCode::MemberIdRequired => {
                self.id = answer.member_id;
                Step::GoesOn
            }
            code => self.start_again(code),
        }
    }

    fn take_code(&mut self, code: i16, when_none: Step) -> Step {
        match ErrorCode::from_code(code) {
            ErrorCode::None => {
                self.state = State::Beats;
                when_none
            }
            code => self.start_again(code),
        }
    }

    fn start_again(&mut self, code: ErrorCode) -> Step {
        if code == ErrorCode::UnknownMemberId && !self.names_itself {
            self.id = Str::EMPTY;
        }
        (self.state, self.unconfirmed) = (State::Joins, None);
        Step::StartsAgain(code)
    }
}

/// Joins as the only member of a classic group: its id and generation.
pub fn join_alone(client: &mut Client, group: &Str, topic: &str) -> Result<(Str, i32), Failure> {
    let mut id = Str::EMPTY;
    let joined = loop {
        let answer = client.call(&join(group, &id, &topic.into(), SESSION_ALONE))?;
        if ErrorCode::from_code(answer.error_code) != ErrorCode::MemberIdRequired {
            break answer;
        }
        id = answer.member_id;
    };
    Failure::check(joined.error_code, || format!("joining {group}"))?;
    let members = [joined.member_id.clone()];
    let synced = client.call(&sync(group, &joined.member_id, joined.generation_id, &members))?;
    Failure::check(synced.error_code, || format!("joining {group}"))?;
    Ok((joined.member_id, joined.generation_id))
}

fn join(group: &Str, id: &Str, topic: &Str, session_timeout: Duration) -> m::JoinGroupRequest {
    let subscription = m::ConsumerProtocolSubscription { topics: vec![topic.clone()], ..Default::default() };
    let protocol =
        JoinGroupRequestProtocol { name: "range".into(), metadata: embedded(&subscription), ..Default::default() };
    m::JoinGroupRequest {
        group_id: group.clone(),
        session_timeout_ms: session_timeout.as_millis() as i32,
        rebalance_timeout_ms: REBALANCE_TIMEOUT.as_millis() as i32,
        member_id: id.clone(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    }
}

/// Idle members are all given nothing.
fn sync(group: &Str, id: &Str, generation: i32, members: &[Str]) -> m::SyncGroupRequest {
    let nothing = embedded(&m::ConsumerProtocolAssignment::default());
    let give = |member: &Str| SyncGroupRequestAssignment {
        member_id: member.clone(),
        assignment: nothing.clone(),
        ..Default::default()
    };
    m::SyncGroupRequest {
        group_id: group.clone(),
        generation_id: generation,
        member_id: id.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: members.iter().map(give).collect(),
        ..Default::default()
    }
}

/// As consumers put it into a group's opaque bytes.
fn embedded<M: Message>(message: &M) -> Bytes {
    const VERSION: i16 = 1;
    let mut writer = Writer::new();
    writer.i16(VERSION);
    message.encode(&mut writer, VERSION).expect("a topic or none is no long message");
    writer.into_bytes()
}

fn framed<R: Request>(request: &R, habits: &Habits, id: i32) -> Result<(ApiKey, Vec<Bytes>), Failure> {
    let version = habits.versions.of(R::KEY)?;
    Ok((R::KEY, frame::request(request, version, id, Some(Str::from_static(CLIENT_ID)))?))
}

fn decoded<R: Request>(habits: &Habits, body: &mut Reader) -> Result<R::Response, Failure> {
    Ok(R::Response::decode(body, habits.versions.of(R::KEY)?)?)
}

/// A random id, from the keys that the standard library draws for its maps.
fn new_id() -> Str {
    let draw = || RandomState::new().build_hasher().finish();
    Str::from(Uuid::from_u64_pair(draw(), draw()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(protocol: GroupProtocol) -> Member {
        let habits = Habits {
            protocol,
            topic: "t".into(),
            session_timeout: Duration::from_secs(45),
            heartbeat: Duration::from_secs(3),
            versions: Versions::default(),
        };
        Member::new("g".into(), &habits)
    }

    #[test]
    fn a_classic_member_joins_syncs_and_beats_until_told_to_join_again() {
        let mut member = member(GroupProtocol::Classic);
        let asked = m::JoinGroupResponse { error_code: 79, member_id: "m".into(), ..Default::default() };
        assert_eq!((member.take_join(asked), member.state), (Step::GoesOn, State::Joins));
        let joined = m::JoinGroupResponse { member_id: "m".into(), generation_id: 4, ..Default::default() };
        assert_eq!((member.take_join(joined), member.state), (Step::GoesOn, State::Syncs));
        assert_eq!(member.take_code(0, Step::IsIn(4)), Step::IsIn(4));
        assert!(member.is_beating());
        assert_eq!(member.take_code(27, Step::Beats), Step::StartsAgain(ErrorCode::RebalanceInProgress));
        assert_eq!((&*member.id, member.state), ("m", State::Joins));
        assert_eq!(member.take_code(25, Step::Beats), Step::StartsAgain(ErrorCode::UnknownMemberId));
        assert_eq!(&*member.id, "");
    }

    #[test]
    fn a_consumer_confirms_what_it_was_given_at_once() {
        let mut member = member(GroupProtocol::Consumer);
        let told = |epoch, assignment| m::ConsumerGroupHeartbeatResponse {
            member_epoch: epoch,
            heartbeat_interval_ms: 5_000,
            assignment,
            ..Default::default()
        };
        assert_eq!(member.take_beat(&told(1, None)), Step::IsIn(1));
        assert_eq!(member.take_beat(&told(2, Some(Default::default()))), Step::GoesOn);
        assert_eq!((member.generation, member.interval), (2, Duration::from_secs(5)));
        let name = member.id.clone();
        member.take_code(25, Step::Beats);
        assert_eq!((member.id, member.state), (name, State::Joins));
    }
}
