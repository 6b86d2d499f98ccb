//! What is answered, as lines of a script.

use super::{GROUP, Stage, topic_name};
use crate::group::consumer::Member;
use crate::group::embedded;
use crate::group::kind::Group;
use crate::group::request::Reply;
use bytes::Bytes;
use odradek_protocol::error::ErrorCode;
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl Stage {
    fn name(&self, id: &str) -> String {
        let known = self.ids.iter().find(|(_, known)| known.as_str() == id).map(|(name, _)| name.clone());
        known.unwrap_or_else(|| if id.is_empty() { "-".into() } else { "?".into() })
    }

    pub(super) fn tell_group(&mut self) {
        let line = match self.runtime.machine().groups.get(GROUP) {
            None => "no group".into(),
            Some(Group::Consumer(group)) => {
                let member = |member: &Member| format!("{}:{}", self.name(&member.id), member.epoch);
                let members: BTreeSet<_> = group.members().map(member).collect();
                let members: Vec<_> = members.into_iter().collect();
                let (state, epoch, target) = (group.state().name(), group.epoch(), group.assignment_epoch());
                format!("{state} epoch={epoch} target={target} members={}", members.join(","))
            }
            Some(Group::Classic(group)) => {
                let mut members: Vec<_> = group.members().map(|member| self.name(&member.id)).collect();
                members.sort();
                let leader = group.leader().map_or("-".into(), |leader| self.name(leader));
                let (state, generation) = (group.state().name(), group.generation());
                format!("{state} generation={generation} leader={leader} members={}", members.join(","))
            }
        };
        self.told.push(line);
    }

    /// The ids that are given out.
    pub(super) fn learn(&mut self, name: &str, reply: &Reply) {
        let Reply::Join(reply) = reply else { return };
        if reply.error_code == 0 || reply.error_code == ErrorCode::MemberIdRequired.code() {
            let who = name.split(' ').next().unwrap_or("").to_owned();
            self.ids.insert(who, reply.member_id.clone());
        }
    }

    pub(super) fn describe(&mut self, name: &str, reply: Reply) -> String {
        let who = name.split(' ').next().unwrap_or("").to_owned();
        let error = |code: i16| ErrorCode::from_code(code).name();
        match reply {
            Reply::Join(reply) => {
                if reply.error_code != 0 {
                    return format!("{who}: {}", error(reply.error_code));
                }
                self.generations.insert(who.clone(), reply.generation_id);
                let mut members: Vec<_> = reply.members.iter().map(|member| self.name(&member.member_id)).collect();
                members.sort();
                let skip = if reply.skip_assignment { " skip" } else { "" };
                let protocol = reply.protocol_name.unwrap_or_default();
                let leader = self.name(&reply.leader);
                let members =
                    if members.is_empty() { String::new() } else { format!(" members={}", members.join(",")) };
                format!("{who}: joined generation={} {protocol} leader={leader}{members}{skip}", reply.generation_id)
            }
            Reply::Sync(reply) if reply.error_code == 0 => match told_partitions(&reply.assignment) {
                Some(partitions) => format!("{who}: has{partitions}"),
                None => format!("{who}: assigned {:?}", String::from_utf8_lossy(&reply.assignment)),
            },
            Reply::Sync(reply) => format!("{who}: sync {}", error(reply.error_code)),
            Reply::Heartbeat(reply) => format!("{who}: heartbeat {}", error(reply.error_code)),
            Reply::Leave(reply) => {
                let members: Vec<_> = reply.members.iter().map(|member| error(member.error_code)).collect();
                format!("left: {} {}", error(reply.error_code), members.join(","))
            }
            Reply::CommitOffsets(reply) => {
                let codes = reply.topics.iter().flat_map(|topic| &topic.partitions);
                let codes: Vec<_> = codes.map(|partition| error(partition.error_code)).collect();
                format!("{who}: commit {}", codes.join(","))
            }
            Reply::FetchOffsets(reply) => {
                let mut text = format!("fetched: {}", error(reply.error_code));
                for topic in &reply.topics {
                    for partition in &topic.partitions {
                        let _ = write!(
                            text,
                            " {}-{}@{}",
                            topic.name, partition.partition_index, partition.committed_offset
                        );
                        if partition.error_code != 0 {
                            let _ = write!(text, ":{}", error(partition.error_code));
                        }
                    }
                }
                text
            }
            Reply::DeleteOffsets(reply) => {
                let codes = reply.topics.iter().flat_map(|topic| &topic.partitions);
                let codes: Vec<_> = codes.map(|partition| error(partition.error_code)).collect();
                format!("forgot: {} {}", error(reply.error_code), codes.join(","))
            }
            Reply::ConsumerHeartbeat(reply) if reply.error_code != 0 => format!("{who}: {}", error(reply.error_code)),
            Reply::ConsumerHeartbeat(reply) => {
                self.generations.insert(who.clone(), reply.member_epoch);
                let mut text = format!("{who}: epoch={}", reply.member_epoch);
                if let Some(assignment) = reply.assignment {
                    text.push_str(" has");
                    for topic in assignment.topic_partitions {
                        let indexes: Vec<_> = topic.partitions.iter().map(ToString::to_string).collect();
                        let _ = write!(text, " {}:{}", topic_name(topic.topic_id), indexes.join("+"));
                    }
                }
                text
            }
            Reply::DescribeConsumer(reply) => format!("described: {} {}", error(reply.error_code), reply.group_state),
            Reply::Delete(code) => format!("deleted: {}", code.name()),
            Reply::DescribeClassic(reply) => format!("described: {}", reply.group_state),
            Reply::Committed(offsets) => format!("committed: {}", offsets.len()),
            Reply::List(groups) => format!("listed: {}", groups.map_or(0, |groups| groups.len())),
        }
    }
}

/// ` t:0+1` for bytes that are an assignment of Kafka's consumer protocol.
fn told_partitions(bytes: &Bytes) -> Option<String> {
    let given = embedded::assignment(bytes).filter(|_| !bytes.is_empty())?;
    let topics = given.assigned_partitions.iter().filter(|topic| !topic.partitions.is_empty()).map(|topic| {
        let indexes: Vec<_> = topic.partitions.iter().map(ToString::to_string).collect();
        format!(" {}:{}", topic.topic, indexes.join("+"))
    });
    Some(topics.collect())
}
