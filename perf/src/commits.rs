//! `commits`: offsets of groups out, acknowledgements in, at full speed or at a fixed rate.

use crate::arguments::CommitsArguments;
use crate::client::{CLIENT_ID, Client};
use crate::cluster::Topic;
use crate::coordinators;
use crate::event_loop::Peer;
use crate::failure::Failure;
use crate::link::Link;
use crate::member;
use crate::pace::Pace;
use crate::recorder::Recorder;
use crate::report::Report;
use crate::workload::{Span, measure};
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::frame;
use odradek_protocol::header::decode_response_header;
use odradek_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use odradek_protocol::messages::offset_commit_response::OffsetCommitResponse;
use odradek_protocol::primitives::Str;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// In whose name commits are made.
#[derive(Clone, Debug)]
struct Author {
    group: Str,
    member_id: Str,
    generation: i32,
}

pub fn run(arguments: &CommitsArguments) -> Result<Report, Failure> {
    let topic = Topic::open(&arguments.target)?;
    let run = &arguments.run;
    let spread = spread(arguments, &topic)?;
    let span = Span::of(run, Some(Duration::from_secs(10)));
    let measured = measure(run, span, |thread, recorder| {
        let mut peers: Vec<Box<dyn Peer>> = Vec::new();
        for (nth, (address, authors)) in spread.iter().enumerate().filter(|(n, _)| *n as u32 % run.threads == thread) {
            let nth = nth as u32;
            let mut committer = Committer::new(Link::connect(*address)?, authors.clone(), &topic, arguments, recorder)?;
            committer.rate = arguments.rate.map(|rate| (rate, nth, run.connections));
            committer.budget = run.count.map(|count| {
                let connections = u64::from(run.connections);
                count / connections + u64::from(u64::from(nth) < count % connections)
            });
            peers.push(Box::new(committer));
        }
        Ok(peers)
    })?;
    Ok(Report::new("commits", &topic.name, run.connections, &measured))
}

/// The coordinator and the authors of each connection. Connections to spare share authors.
fn spread(arguments: &CommitsArguments, topic: &Topic) -> Result<Vec<(SocketAddr, Vec<Author>)>, Failure> {
    let (_, groups) = coordinators::names("commits", arguments.groups);
    let found = coordinators::find(&mut Client::connect(arguments.target.bootstrap)?, &groups)?;
    let mut spread = Vec::new();
    for share in coordinators::shares(&found, arguments.run.connections)? {
        let mut client = Client::connect(share.address)?;
        let mut authors = Vec::with_capacity(share.groups.len());
        for group in share.groups.iter().map(|nth| groups[*nth].clone()) {
            let (member_id, generation) = match arguments.members {
                true => member::join_alone(&mut client, &group, &topic.name)?,
                false => (Str::EMPTY, -1),
            };
            authors.push(Author { group, member_id, generation });
        }
        for nth in 0..share.connections {
            let own = authors.iter().skip(nth % authors.len()).step_by(share.connections).cloned();
            spread.push((share.address, own.collect()));
        }
    }
    Ok(spread)
}

/// One connection that commits.
struct Committer {
    link: Link,
    authors: Vec<Author>,
    topic: OffsetCommitRequestTopic,
    version: i16,
    depth: usize,
    recorder: Rc<RefCell<Recorder>>,
    /// Commits left to send; `None` = until stopped.
    budget: Option<u64>,
    /// Commits a second over all connections, which of them this is, and how many there are.
    rate: Option<(f64, u32, u32)>,
    pace: Option<Pace>,
    next: u64,
    in_flight: VecDeque<(i32, Instant)>,
}

impl Committer {
    fn new(
        link: Link,
        authors: Vec<Author>,
        topic: &Topic,
        arguments: &CommitsArguments,
        recorder: &Rc<RefCell<Recorder>>,
    ) -> Result<Self, Failure> {
        let partition = |partition_index| OffsetCommitRequestPartition { partition_index, ..Default::default() };
        let indexes = topic.partitions.iter().take(arguments.per_commit as usize).map(|partition| partition.index);
        Ok(Self {
            link,
            authors,
            topic: OffsetCommitRequestTopic {
                name: topic.name.as_str().into(),
                topic_id: topic.id,
                partitions: indexes.map(partition).collect(),
            },
            version: topic.versions.of(ApiKey::OffsetCommit)?,
            depth: arguments.depth as usize,
            recorder: Rc::clone(recorder),
            budget: None,
            rate: None,
            pace: None,
            next: 0,
            in_flight: VecDeque::new(),
        })
    }

    fn send(&mut self, now: Instant) -> Result<(), Failure> {
        let author = &self.authors[self.next as usize % self.authors.len()];
        let mut topic = self.topic.clone();
        topic.partitions.iter_mut().for_each(|partition| partition.committed_offset = self.next as i64);
        let request = OffsetCommitRequest {
            group_id: author.group.clone(),
            generation_id_or_member_epoch: author.generation,
            member_id: author.member_id.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        let id = self.next as i32;
        let client_id = Some(Str::from_static(CLIENT_ID));
        frame::request(&request, self.version, id, client_id)?.into_iter().for_each(|piece| self.link.queue(piece));
        self.in_flight.push_back((id, self.pace.map_or(now, |pace| pace.due_at(self.next))));
        self.next += 1;
        if let Some(left) = &mut self.budget {
            *left -= 1;
        }
        Ok(())
    }
}

impl Peer for Committer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn begin(&mut self, start: Instant) {
        self.pace = self.rate.map(|(rate, nth, of)| Pace::new(start, rate, nth, of, Duration::ZERO));
    }

    fn advance(&mut self, now: Instant, stopping: bool) -> Result<Option<Instant>, Failure> {
        let may = |me: &Self| !stopping && me.budget != Some(0) && me.in_flight.len() < me.depth;
        while may(self) && self.pace.is_none_or(|pace| pace.ready(self.next, 1, now) > 0) {
            self.send(now)?;
        }
        Ok(self.pace.filter(|_| may(self)).map(|pace| pace.wake_at(self.next, 1)))
    }

    fn receive(&mut self, frame: Bytes, now: Instant) -> Result<(), Failure> {
        let mut reader = Reader::new(frame);
        let id = decode_response_header(&mut reader, ApiKey::OffsetCommit, self.version)?;
        let (wanted, since) = self.in_flight.pop_front().ok_or(Failure::Protocol("an answer to no request"))?;
        if id != wanted {
            return Err(Failure::Protocol("answers out of order"));
        }
        let answer = OffsetCommitResponse::decode(&mut reader, self.version)?;
        let mut recorder = self.recorder.borrow_mut();
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        match partitions.find(|partition| partition.error_code != 0) {
            Some(partition) => recorder.error(partition.error_code),
            None => {
                recorder.request(now, self.topic.partitions.len() as u64, 0);
                recorder.latency(now, since);
            }
        }
        Ok(())
    }

    fn is_done(&self, stopping: bool) -> bool {
        self.in_flight.is_empty() && (stopping || self.budget == Some(0)) && self.link.is_flushed()
    }

    fn is_paced(&self) -> bool {
        self.rate.is_some()
    }
}
