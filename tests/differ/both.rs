//! Kafka and odradek side by side: every request goes to both, every answer is compared.

use crate::allowed::is_allowed;
use crate::node::Node;
use crate::requests::Words;
use crate::side::Side;
use odradek_protocol::api::Request;
use odradek_protocol::codec::Message;
use odradek_protocol::messages as m;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time for a request to arrive before another one on another connection.
const ARRIVAL: Duration = Duration::from_millis(150);

/// Left out of `loosely` compared answers: among equals the order of ids decides, which are random.
const WHO_GETS_WHAT: &str = "topic_partitions";

const TOPICS: &[(&str, i32)] = &[("t", 3), ("u", 2), ("w", 1)];

pub struct Both {
    kafka: Side,
    odradek: Side,
    sequence: String,
    command: String,
    group: String,
    /// What each member waits for.
    awaited: BTreeMap<String, String>,
    findings: Vec<String>,
    compared: usize,
    is_shown: bool,
}

impl Both {
    pub fn connect(kafka: &str, odradek: &str) -> Self {
        Self {
            kafka: Side::connect(kafka, TOPICS),
            odradek: Side::connect(odradek, TOPICS),
            sequence: String::new(),
            command: String::new(),
            group: String::new(),
            awaited: BTreeMap::new(),
            findings: Vec::new(),
            compared: 0,
            is_shown: std::env::var_os("SHOW").is_some(),
        }
    }

    pub fn begin(&mut self, name: &str) {
        self.sequence = name.into();
        self.group = format!("{}-{}", name.replace(' ', "-"), std::process::id());
    }

    pub fn end(&mut self) {
        assert!(self.awaited.is_empty(), "{}: answers were not waited for: {:?}", self.sequence, self.awaited);
        self.kafka.forget_members();
        self.odradek.forget_members();
    }

    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    pub fn compared(&self) -> usize {
        self.compared
    }

    pub fn act(&mut self, command: &str) {
        command.clone_into(&mut self.command);
        let words = Words::of(command);
        let who = words.who();
        match words.verb() {
            "sleep" => std::thread::sleep(Duration::from_millis(words.number("ms", 100) as u64)),
            "await" => {
                let awaited = self.awaited.remove(who).unwrap_or_else(|| panic!("{who} waits for nothing"));
                self.receive_any(&awaited, who);
            }
            verb => {
                self.send_any(verb, who, &words);
                if words.has("later") {
                    self.awaited.insert(who.into(), verb.into());
                    std::thread::sleep(ARRIVAL);
                } else {
                    self.receive_any(verb, who);
                }
            }
        }
    }

    fn send_any(&mut self, verb: &str, who: &str, words: &Words<'_>) {
        match verb {
            "find" => self.send(who, words, Words::find),
            "join" => self.send(who, words, Words::join),
            "sync" => self.send(who, words, Words::sync),
            "heartbeat" => self.send(who, words, Words::heartbeat),
            "leave" => self.send(who, words, Words::leave),
            "commit" => self.send(who, words, Words::commit),
            "fetch" => self.send(who, words, Words::fetch),
            "forget" => self.send(who, words, Words::forget),
            "describe" => self.send(who, words, Words::describe),
            "list" => self.send(who, words, Words::list),
            "delete" => self.send(who, words, Words::delete),
            "beat" => self.send(who, words, Words::beat),
            "inspect" => self.send(who, words, Words::inspect),
            other => panic!("{}: no such command: {other}", self.sequence),
        }
    }

    fn receive_any(&mut self, verb: &str, who: &str) {
        match verb {
            "find" => self.receive::<m::FindCoordinatorRequest>(who, |_, _| {}),
            "join" => self.receive::<m::JoinGroupRequest>(who, |side, response| {
                side.learn(who, &response.member_id);
                side.epochs.insert(who.into(), response.generation_id);
            }),
            "sync" => self.receive::<m::SyncGroupRequest>(who, |_, _| {}),
            "heartbeat" => self.receive::<m::HeartbeatRequest>(who, |_, _| {}),
            "leave" => self.receive::<m::LeaveGroupRequest>(who, |_, _| {}),
            "commit" => self.receive::<m::OffsetCommitRequest>(who, |_, _| {}),
            "fetch" => self.receive::<m::OffsetFetchRequest>(who, |_, _| {}),
            "forget" => self.receive::<m::OffsetDeleteRequest>(who, |_, _| {}),
            "describe" => self.receive::<m::DescribeGroupsRequest>(who, |_, _| {}),
            "list" => {
                let group = self.group.clone();
                self.receive::<m::ListGroupsRequest>(who, |_, response| {
                    response.groups.retain(|listed| listed.group_id.as_str() == group);
                });
            }
            "delete" => self.receive::<m::DeleteGroupsRequest>(who, |_, _| {}),
            "beat" => self.receive::<m::ConsumerGroupHeartbeatRequest>(who, |side, response| {
                side.learn(who, response.member_id.as_deref().unwrap_or_default());
                if response.error_code == 0 {
                    side.epochs.insert(who.into(), response.member_epoch);
                }
            }),
            "inspect" => self.receive::<m::ConsumerGroupDescribeRequest>(who, |_, _| {}),
            other => panic!("no such command: {other}"),
        }
    }

    fn send<'w, R: Request>(
        &mut self,
        who: &str,
        words: &Words<'w>,
        make: impl Fn(&Words<'w>, &Side, &str) -> (i16, R),
    ) {
        for side in [&mut self.kafka, &mut self.odradek] {
            let (version, request) = make(words, side, &self.group);
            side.send(who, version, &request);
        }
    }

    fn receive<R: Request>(&mut self, who: &str, look: impl Fn(&mut Side, &mut R::Response)) {
        let (loosely, is_known) = (Words::of(&self.command).has("loosely"), Words::of(&self.command).has("known"));
        let [kafka, odradek] = [&mut self.kafka, &mut self.odradek].map(|side| {
            let mut response = match side.receive::<R>(who) {
                Ok(response) => response,
                Err(why) => return Node::Leaf(why),
            };
            look(side, &mut response);
            let text = side.translated(&format!("{response:?}"));
            Node::parse(&text)
                .without(&|field| is_allowed(R::Response::NAME, field) || (loosely && field == WHO_GETS_WHAT))
        });
        self.compared += 1;
        if self.is_shown {
            println!("{}: {} {kafka}", self.sequence, R::Response::NAME);
        }
        let mut found = Vec::new();
        kafka.differences(&odradek, R::Response::NAME, &mut found);
        for difference in found {
            let finding = format!("{}: {}: {difference}", self.sequence, self.command);
            if is_known {
                println!("known: {finding}");
            } else {
                println!("{finding}");
                self.findings.push(finding);
            }
        }
    }
}
