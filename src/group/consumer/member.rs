//! A member of a consumer group: what it asks for, what it has, and what it is giving back.

use super::LEAVING;
use super::classic::ClassicMember;
use super::topic_names::TopicNames;
use crate::group::request::Client;
use crate::group::weight::{ENTRY_BYTES, MEMBER_BYTES, PARTITION_BYTES};
use odradek_protocol::messages::ConsumerGroupHeartbeatRequest;
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// Partitions with the member epoch they were given at.
pub type Held = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// How far a member is; the numbers are those of its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberState {
    Stable = 0,
    /// It has yet to give partitions back.
    UnrevokedPartitions = 1,
    /// Others have yet to give back what it is to have.
    UnreleasedPartitions = 2,
}

impl MemberState {
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Stable, Self::UnrevokedPartitions, Self::UnreleasedPartitions]
            .into_iter()
            .find(|state| *state as i8 == code)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: Str,
    pub instance: Option<Str>,
    pub rack: Option<Str>,
    pub client: Client,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<Str>,
    /// Shared by the states of a member that follow each other, and by members: there may be very many.
    pub topics: Rc<TopicNames>,
    /// Empty when it was taken back.
    pub regex: Option<Str>,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Held,
    pub revoking: Held,
    /// It speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

impl Member {
    pub fn new(id: Str) -> Self {
        Self {
            id,
            instance: None,
            rack: None,
            client: Client::default(),
            rebalance_timeout_ms: -1,
            assignor: None,
            topics: Rc::default(),
            regex: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Held::new(),
            revoking: Held::new(),
            classic: None,
        }
    }

    /// With what a heartbeat says; what it leaves out stays. Names of topics are those of the request: a record makes them
    /// its own.
    pub fn updated(&self, client: &Client, request: &ConsumerGroupHeartbeatRequest) -> Self {
        let mut member = Self { classic: None, ..self.clone() };
        let keep = |told: &Option<Str>, known: &mut Option<Str>| {
            if let Some(told) = told.as_ref().filter(|told| Some(*told) != known.as_ref()) {
                *known = Some(told.detached());
            }
        };
        keep(&request.instance_id, &mut member.instance);
        keep(&request.rack_id, &mut member.rack);
        keep(&request.server_assignor, &mut member.assignor);
        keep(&request.subscribed_topic_regex, &mut member.regex);
        if request.rebalance_timeout_ms != -1 {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(topics) = &request.subscribed_topic_names {
            member.name_topics(topics);
        }
        if member.client != *client {
            member.client = Client { id: client.id.detached(), host: client.host.detached() };
        }
        member
    }

    /// It subscribes to these, and to no others.
    fn name_topics(&mut self, names: &[Str]) {
        if !self.topics.are(names) {
            self.topics = Rc::new(names.iter().cloned().collect());
        }
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let options = [&self.instance, &self.rack, &self.assignor, &self.regex];
        let texts = options.into_iter().flatten().chain([&self.id, &self.client.id, &self.client.host]);
        let held = self.assigned.iter().chain(&self.revoking);
        let held: usize = held.map(|(_, partitions)| ENTRY_BYTES + partitions.len() * PARTITION_BYTES).sum();
        let classic = self.classic.as_ref().map_or(0, ClassicMember::bytes);
        MEMBER_BYTES + texts.map(|text| text.len()).sum::<usize>() + self.topics.bytes() + held + classic
    }

    /// The regular expression it subscribes by, if it does.
    pub fn expression(&self) -> Option<&Str> {
        self.regex.as_ref().filter(|regex| !regex.is_empty())
    }

    pub fn rebalance_timeout(&self) -> Duration {
        crate::group::settings::milliseconds(self.rebalance_timeout_ms)
    }

    pub fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }

    /// A static member that may come back.
    pub fn is_away(&self) -> bool {
        self.epoch < LEAVING
    }

    /// Every partition that nobody else may have now.
    pub fn holds(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(topic, partitions)| partitions.keys().map(move |index| (*topic, *index)))
    }
}
