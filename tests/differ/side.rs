//! One of the two brokers: its connections, and what it named things.

use crate::wire::Wire;
use odradek_protocol::api::Request;
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::header::decode_response_header;
use odradek_protocol::messages::create_topics_request::CreatableTopic;
use odradek_protocol::messages::{CreateTopicsRequest, FindCoordinatorRequest, MetadataRequest};
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Of a UUID with its dashes.
const ID_CHARS: usize = 36;

/// How long a broker may take to find its coordinators.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Side {
    address: SocketAddr,
    wires: BTreeMap<String, Wire>,
    /// What requests wait for: who, and in which version.
    versions: BTreeMap<String, i16>,
    /// What this broker calls what the sequences call otherwise: member ids and topic ids.
    names: BTreeMap<String, String>,
    /// Member epochs and generations, by member.
    pub epochs: BTreeMap<String, i32>,
    pub topic_ids: BTreeMap<String, Uuid>,
}

impl Side {
    pub fn connect(address: &str, topics: &[(&str, i32)]) -> Self {
        let address = address.to_socket_addrs().unwrap().next().expect("an address");
        let mut side = Self {
            address,
            wires: BTreeMap::new(),
            versions: BTreeMap::new(),
            names: BTreeMap::new(),
            epochs: BTreeMap::new(),
            topic_ids: BTreeMap::new(),
        };
        side.make_topics(topics);
        side.find_coordinators();
        side
    }

    fn make_topics(&mut self, topics: &[(&str, i32)]) {
        let wanted = topics.iter().map(|(name, partitions)| CreatableTopic {
            name: (*name).into(),
            num_partitions: *partitions,
            replication_factor: 1,
            ..Default::default()
        });
        let request = CreateTopicsRequest { topics: wanted.collect(), timeout_ms: 10_000, ..Default::default() };
        let made = self.wire("").call(7, &request);
        for topic in made.topics {
            let error = ErrorCode::from_code(topic.error_code);
            assert!(matches!(error, ErrorCode::None | ErrorCode::TopicAlreadyExists), "{}: {error:?}", topic.name);
        }
        let metadata = self.wire("").call(12, &MetadataRequest { topics: None, ..Default::default() });
        for topic in metadata.topics {
            let name = topic.name.expect("topics have names").to_string();
            self.names.insert(format!("topic-{name}"), topic.topic_id.to_string());
            self.topic_ids.insert(name, topic.topic_id);
        }
    }

    fn find_coordinators(&mut self) {
        let since = Instant::now();
        let request = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        while self.wire("").call(4, &request).coordinators[0].error_code != 0 {
            assert!(since.elapsed() < PATIENCE, "there is no coordinator");
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_secs(1));
    }

    /// The connection of a member.
    fn wire(&mut self, who: &str) -> &mut Wire {
        let address = self.address;
        self.wires.entry(who.into()).or_insert_with(|| Wire::connect(address))
    }

    pub fn send<R: Request>(&mut self, who: &str, version: i16, request: &R) {
        self.wire(who).send(version, request);
        self.versions.insert(who.into(), version);
    }

    /// Words instead, when there is no answer or it does not follow its schema.
    pub fn receive<R: Request>(&mut self, who: &str) -> Result<R::Response, String> {
        let version = self.versions[who];
        let frame = self.wire(who).receive_frame().map_err(|error| format!("no answer: {:?}", error.kind()))?;
        let mut reader = Reader::new(frame.clone());
        decode_response_header(&mut reader, R::KEY, version).map_err(|error| format!("{error}: {frame:?}"))?;
        R::Response::decode(&mut reader, version).map_err(|error| format!("{error}: {frame:?}"))
    }

    /// Members and their connections belong to one sequence.
    pub fn forget_members(&mut self) {
        self.names.retain(|name, _| name.starts_with("topic-"));
        self.epochs.clear();
        self.wires.clear();
    }

    pub fn learn(&mut self, who: &str, id: &str) {
        if !id.is_empty() {
            self.names.insert(format!("member-{who}"), id.into());
        }
    }

    /// The id this broker gave the member, or its name if it has none.
    pub fn id(&self, who: &str) -> String {
        self.names.get(&format!("member-{who}")).cloned().unwrap_or_default()
    }

    /// With our names in place of its own.
    pub fn translated(&self, text: &str) -> String {
        let named = self.names.iter().filter(|(_, theirs)| theirs.len() > 8);
        without_ids(named.fold(text.to_owned(), |text, (ours, theirs)| text.replace(theirs.as_str(), ours)))
    }
}

/// Ids of members whose answer is still to come: each broker makes its own.
fn without_ids(mut text: String) -> String {
    let mut from = 0;
    while let Some(at) = text[from..].find(|c: char| c.is_ascii_hexdigit()).map(|at| from + at) {
        let is_id = text.get(at..at + ID_CHARS).is_some_and(|id| Uuid::parse_str(id).is_ok());
        if is_id {
            text.replace_range(at..at + ID_CHARS, "ID");
        }
        from = at + 1;
    }
    text
}
