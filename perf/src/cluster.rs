//! The topic under test: made when missing, waited for, and where its partitions and offsets are.

use crate::arguments::Target;
use crate::client::{Client, Versions};
use crate::failure::Failure;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use odradek_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use odradek_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use odradek_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use odradek_protocol::primitives::Uuid;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long a new topic may take to get its leaders.
const LEADERS_WITHIN: Duration = Duration::from_secs(120);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A topic all of whose partitions have leaders.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    /// Zero when the broker is older than topic ids.
    pub id: Uuid,
    /// By index from 0.
    pub partitions: Vec<Partition>,
    pub versions: Versions,
}

#[derive(Clone, Copy, Debug)]
pub struct Partition {
    pub index: i32,
    pub leader: SocketAddr,
}

/// Which end of a partition, as ListOffsets numbers them.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Latest = -1,
    Earliest = -2,
}

impl Topic {
    /// Finds the topic, making it first when there is none.
    pub fn open(target: &Target) -> Result<Self, Failure> {
        let mut client = Client::connect(target.bootstrap)?;
        let mut found = describe(&mut client, target)?;
        if found.topics.first().is_none_or(|topic| topic.error_code == ErrorCode::UnknownTopicOrPartition.code()) {
            create(&mut client, target)?;
        }
        let deadline = Instant::now() + LEADERS_WITHIN;
        loop {
            found = describe(&mut client, target)?;
            if let Some(partitions) = led(&found)? {
                let id = found.topics[0].topic_id;
                let versions = client.versions().clone();
                let topic = Self { name: target.topic.clone(), id, partitions, versions };
                // A leader in the metadata may not know of it yet.
                topic.offsets(End::Latest)?;
                return Ok(topic);
            }
            if Instant::now() > deadline {
                return Err(Failure::Protocol("the topic has no leaders"));
            }
            std::thread::sleep(ASK_AGAIN_AFTER);
        }
    }

    /// The offset at one end of each partition, by index. Waits for leaders that are not there yet.
    pub fn offsets(&self, end: End) -> Result<Vec<i64>, Failure> {
        let deadline = Instant::now() + LEADERS_WITHIN;
        let mut offsets = vec![0; self.partitions.len()];
        for (leader, partitions) in self.by_leader() {
            let mut client = Client::connect(leader)?;
            loop {
                match self.offsets_from(&mut client, &partitions, end, &mut offsets) {
                    Err(Failure::Broker { code, .. }) if code.is_retriable() && Instant::now() < deadline => {
                        std::thread::sleep(ASK_AGAIN_AFTER);
                    }
                    outcome => break outcome?,
                }
            }
        }
        Ok(offsets)
    }

    fn offsets_from(
        &self,
        client: &mut Client,
        partitions: &[i32],
        end: End,
        offsets: &mut [i64],
    ) -> Result<(), Failure> {
        let partition =
            |index: &i32| ListOffsetsPartition { partition_index: *index, timestamp: end as i64, ..Default::default() };
        let topic = ListOffsetsTopic {
            name: self.name.as_str().into(),
            partitions: partitions.iter().map(partition).collect(),
        };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        for partition in client.call(&request)?.topics.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            Failure::check(partition.error_code, || format!("offsets of {}-{index}", self.name))?;
            let slot = usize::try_from(index).ok().and_then(|index| offsets.get_mut(index));
            *slot.ok_or(Failure::Protocol("a partition nobody asked for"))? = partition.offset;
        }
        Ok(())
    }

    /// Spreads the partitions over `connections`, each to one leader: a connection's partitions, its leader first.
    ///
    /// With more connections than partitions several share one, unless that is `exclusive`.
    pub fn spread(&self, connections: u32, exclusive: bool) -> Result<Vec<(SocketAddr, Vec<i32>)>, Failure> {
        let leaders: Vec<_> = self.by_leader().into_iter().collect();
        let connections = connections as usize;
        if connections < leaders.len() {
            return Err(Failure::Arguments(format!(
                "{} brokers lead partitions: as many connections are needed",
                leaders.len()
            )));
        }
        let mut spread = Vec::with_capacity(connections);
        for (turn, (leader, partitions)) in leaders.iter().enumerate() {
            // This leader's share of the connections.
            let share = (connections - turn).div_ceil(leaders.len());
            if exclusive && share > partitions.len() {
                let message = "a leader has fewer partitions than connections, and each is to have its own";
                return Err(Failure::Arguments(message.to_owned()));
            }
            for nth in 0..share {
                let own: Vec<i32> = partitions.iter().copied().skip(nth % partitions.len()).step_by(share).collect();
                spread.push((*leader, own));
            }
        }
        Ok(spread)
    }

    fn by_leader(&self) -> BTreeMap<SocketAddr, Vec<i32>> {
        let mut leaders = BTreeMap::<_, Vec<_>>::new();
        for partition in &self.partitions {
            leaders.entry(partition.leader).or_default().push(partition.index);
        }
        leaders
    }
}

fn describe(client: &mut Client, target: &Target) -> Result<MetadataResponse, Failure> {
    let topic = MetadataRequestTopic { name: Some(target.topic.as_str().into()), ..Default::default() };
    client.call(&MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() })
}

fn create(client: &mut Client, target: &Target) -> Result<(), Failure> {
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.as_str().into(),
        value: Some(value.as_str().into()),
    };
    let topic = CreatableTopic {
        name: target.topic.as_str().into(),
        num_partitions: target.partitions,
        replication_factor: target.replication_factor,
        configs: target.topic_configs.iter().map(config).collect(),
        ..Default::default()
    };
    let answer = client.call(&CreateTopicsRequest { topics: vec![topic], timeout_ms: 60_000, ..Default::default() })?;
    let made = answer.topics.first().ok_or(Failure::Protocol("no topic in the answer"))?;
    Failure::check(made.error_code, || format!("creating the topic {}", target.topic))
}

/// The partitions, once each has a leader.
fn led(found: &MetadataResponse) -> Result<Option<Vec<Partition>>, Failure> {
    let Some(topic) = found.topics.first() else { return Ok(None) };
    match ErrorCode::from_code(topic.error_code) {
        ErrorCode::None => {}
        code if code.is_retriable() => return Ok(None),
        code => return Err(Failure::Broker { what: "describing the topic".to_owned(), code }),
    }
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in &topic.partitions {
        let Some(leader) = leader_address(found, topic, partition.partition_index)? else { return Ok(None) };
        partitions.push(Partition { index: partition.partition_index, leader });
    }
    partitions.sort_by_key(|partition| partition.index);
    let counted = partitions.iter().enumerate().all(|(nth, partition)| partition.index as usize == nth);
    if counted { Ok(Some(partitions)) } else { Err(Failure::Protocol("partitions that do not count up from 0")) }
}

fn leader_address(
    found: &MetadataResponse,
    topic: &MetadataResponseTopic,
    index: i32,
) -> Result<Option<SocketAddr>, Failure> {
    let partition = topic.partitions.iter().find(|partition| partition.partition_index == index);
    let leader = partition.filter(|partition| partition.error_code == 0).map(|partition| partition.leader_id);
    let Some(broker) = found.brokers.iter().find(|broker| Some(broker.node_id) == leader) else { return Ok(None) };
    let port = u16::try_from(broker.port).map_err(|_| Failure::Protocol("a port out of range"))?;
    Ok((&*broker.host, port).to_socket_addrs()?.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(leaders: &[u16]) -> Topic {
        let partition = |(index, port): (usize, &u16)| Partition {
            index: index as i32,
            leader: SocketAddr::from(([127, 0, 0, 1], *port)),
        };
        let partitions = leaders.iter().enumerate().map(partition).collect();
        Topic { name: "t".to_owned(), id: Uuid::nil(), partitions, versions: Versions::default() }
    }

    fn spread(leaders: &[u16], connections: u32, exclusive: bool) -> Vec<(u16, Vec<i32>)> {
        let spread = topic(leaders).spread(connections, exclusive).unwrap();
        spread.into_iter().map(|(leader, partitions)| (leader.port(), partitions)).collect()
    }

    #[test]
    fn each_partition_has_one_connection_while_they_last() {
        assert_eq!(spread(&[1; 5], 2, true), [(1, vec![0, 2, 4]), (1, vec![1, 3])]);
        assert_eq!(spread(&[1, 2, 1, 2], 3, false), [(1, vec![0]), (1, vec![2]), (2, vec![1, 3])]);
    }

    #[test]
    fn connections_to_spare_share_partitions() {
        assert_eq!(spread(&[1, 1], 4, false), [(1, vec![0]), (1, vec![1]), (1, vec![0]), (1, vec![1])]);
        assert!(topic(&[1, 1]).spread(3, true).is_err());
        assert!(topic(&[1, 2, 2, 2]).spread(4, true).is_err());
        assert!(topic(&[1, 2]).spread(1, false).is_err(), "a broker nobody would talk to");
    }
}
