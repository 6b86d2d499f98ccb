//! `consume`: one fetch under way on each connection, over its share of the partitions, without fetch sessions.

use crate::arguments::{ConsumeArguments, Fetching};
use crate::batch::{FetchedBatch, batches};
use crate::client::CLIENT_ID;
use crate::cluster::{End, Topic};
use crate::event_loop::Peer;
use crate::failure::Failure;
use crate::link::Link;
use crate::recorder::Recorder;
use crate::report::Report;
use crate::sequence::SequenceCheck;
use crate::verify::Verifier;
use crate::workload::{Span, measure};
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::frame;
use odradek_protocol::header::decode_response_header;
use odradek_protocol::messages::FetchResponse;
use odradek_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use odradek_protocol::messages::fetch_response::PartitionData;
use odradek_protocol::primitives::Str;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub fn run(arguments: &ConsumeArguments) -> Result<Report, Failure> {
    let topic = Topic::open(&arguments.target)?;
    let (starts, ends) = (topic.offsets(End::Earliest)?, topic.offsets(End::Latest)?);
    let spread = topic.spread(arguments.run.connections, true)?;
    let run = &arguments.run;
    let span = Span::of(run, None);
    let measured = measure(run, span, |thread, recorder| {
        let mut peers: Vec<Box<dyn Peer>> = Vec::new();
        for (_, (leader, partitions)) in spread.iter().enumerate().filter(|(n, _)| *n as u32 % run.threads == thread) {
            let positions = positions(partitions, &starts, &ends);
            let mut consumer =
                Consumer::new(Link::connect(*leader)?, &topic, positions, &arguments.fetching, recorder)?;
            consumer.goes_round = span.duration.is_some();
            consumer.budget = run.count.map(|count| count.div_ceil(u64::from(run.connections)));
            consumer.look = look(arguments);
            peers.push(Box::new(consumer));
        }
        Ok(peers)
    })?;
    let mut report = Report::new("consume", &topic.name, run.connections, &measured);
    if arguments.verify || arguments.verify_order {
        report.verified = Some(format!("{} records are what and where they should be", measured.totals.records));
    }
    report.ends = ends;
    Ok(report)
}

fn look(arguments: &ConsumeArguments) -> Look {
    match (arguments.verify, arguments.verify_order) {
        (true, _) => Look::Verify(Verifier::new()),
        (_, true) => Look::Order(SequenceCheck::default()),
        _ => Look::Count,
    }
}

fn positions(partitions: &[i32], starts: &[i64], ends: &[i64]) -> Vec<Position> {
    let at = |offsets: &[i64], index: i32| offsets[index as usize];
    let position = |index| Position { index, start: at(starts, index), next: at(starts, index), end: at(ends, index) };
    partitions.iter().map(|index| position(*index)).filter(|position| position.start < position.end).collect()
}

/// One connection that reads.
pub struct Consumer {
    link: Link,
    topic: Topic,
    positions: Vec<Position>,
    fetching: Fetching,
    recorder: Rc<RefCell<Recorder>>,
    version: i16,
    next_id: i32,
    asked_at: Option<Instant>,
    /// Starts again where it started when it has read everything.
    goes_round: bool,
    /// Records left to read.
    budget: Option<u64>,
    look: Look,
}

/// A partition being read. Offsets past `end` were written after the start and are not asked for.
#[derive(Clone, Debug)]
pub struct Position {
    pub index: i32,
    pub start: i64,
    pub next: i64,
    pub end: i64,
}

/// What is done with a batch.
pub enum Look {
    /// Its header says how many records it holds.
    Count,
    Verify(Verifier),
    Order(SequenceCheck),
    /// Every value begins with the time it was due, in nanoseconds since this instant.
    Time(Instant),
}

impl Consumer {
    pub fn new(
        link: Link,
        topic: &Topic,
        positions: Vec<Position>,
        fetching: &Fetching,
        recorder: &Rc<RefCell<Recorder>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            link,
            version: topic.versions.of(ApiKey::Fetch)?,
            topic: topic.clone(),
            positions,
            fetching: fetching.clone(),
            recorder: Rc::clone(recorder),
            next_id: 0,
            asked_at: None,
            goes_round: false,
            budget: None,
            look: Look::Count,
        })
    }

    pub fn looking(mut self, look: Look) -> Self {
        self.look = look;
        self
    }

    fn is_through(&self) -> bool {
        self.budget == Some(0) || self.positions.iter().all(|position| position.next >= position.end)
    }

    fn ask(&mut self, now: Instant) -> Result<(), Failure> {
        let wanted = self.positions.iter().filter(|position| position.next < position.end);
        let partition = |position: &Position| FetchPartition {
            partition: position.index,
            fetch_offset: position.next,
            partition_max_bytes: self.fetching.partition_max_bytes,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic: self.topic.name.as_str().into(),
            topic_id: self.topic.id,
            partitions: wanted.map(partition).collect(),
        };
        let request = FetchRequest {
            max_wait_ms: self.fetching.max_wait.as_millis() as i32,
            min_bytes: self.fetching.min_bytes,
            max_bytes: self.fetching.max_bytes,
            topics: vec![topic],
            ..Default::default()
        };
        for piece in frame::request(&request, self.version, self.next_id, Some(Str::from_static(CLIENT_ID)))? {
            self.link.queue(piece);
        }
        self.asked_at = Some(now);
        Ok(())
    }

    /// Records and bytes of one partition's answer.
    fn take(&mut self, mut answer: PartitionData, now: Instant) -> Result<(u64, u64), Failure> {
        if answer.error_code != 0 {
            self.recorder.borrow_mut().error(answer.error_code);
            return Ok((0, 0));
        }
        let place = self.positions.iter().position(|position| position.index == answer.partition_index);
        let place = place.ok_or(Failure::Protocol("a partition nobody asked for"))?;
        let (mut records, mut bytes) = (0, 0);
        for batch in batches(answer.records.take().unwrap_or_default().into_bytes()) {
            self.look(answer.partition_index, self.positions[place].next, &batch, now)?;
            records += u64::from(batch.count);
            bytes += batch.bytes.len() as u64;
            self.positions[place].next = batch.next_offset;
        }
        if records > 0 {
            // Who got something asks last the next time, so that nobody starves behind a full response.
            let position = self.positions.remove(place);
            self.positions.push(position);
        }
        Ok((records, bytes))
    }

    fn look(&self, partition: i32, expected: i64, batch: &FetchedBatch, now: Instant) -> Result<(), Failure> {
        match &self.look {
            Look::Count => Ok(()),
            Look::Verify(verifier) => verifier.check(partition, expected, batch),
            Look::Order(order) => order.check(partition, expected, batch),
            Look::Time(epoch) => {
                let mut recorder = self.recorder.borrow_mut();
                let read = batch.for_each_record(|_, value| {
                    let due = value.first_chunk().map_or(0, |stamp| u64::from_be_bytes(*stamp));
                    recorder.latency(now, *epoch + Duration::from_nanos(due));
                });
                read.ok_or(Failure::Protocol("records that cannot be read"))
            }
        }
    }
}

impl Peer for Consumer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn begin(&mut self, _start: Instant) {}

    fn advance(&mut self, now: Instant, stopping: bool) -> Result<Option<Instant>, Failure> {
        if self.asked_at.is_some() || self.is_done(stopping) {
            return Ok(None);
        }
        if self.is_through() {
            self.positions.iter_mut().for_each(|position| position.next = position.start);
        }
        self.ask(now)?;
        Ok(None)
    }

    fn receive(&mut self, frame: Bytes, now: Instant) -> Result<(), Failure> {
        let mut reader = Reader::new(frame);
        let id = decode_response_header(&mut reader, ApiKey::Fetch, self.version)?;
        let asked_at = self.asked_at.take().ok_or(Failure::Protocol("an answer to no request"))?;
        if id != self.next_id {
            return Err(Failure::Protocol("an answer to another request"));
        }
        self.next_id = self.next_id.wrapping_add(1);
        let answer = FetchResponse::decode(&mut reader, self.version)?;
        Failure::check(answer.error_code, || "fetching".to_owned())?;
        let (mut records, mut bytes) = (0, 0);
        for partition in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            let (more_records, more_bytes) = self.take(partition, now)?;
            records += more_records;
            bytes += more_bytes;
        }
        if let Some(left) = &mut self.budget {
            *left = left.saturating_sub(records);
        }
        let mut recorder = self.recorder.borrow_mut();
        recorder.request(now, records, bytes);
        if !matches!(self.look, Look::Time(_)) {
            recorder.latency(now, asked_at);
        }
        Ok(())
    }

    fn is_done(&self, stopping: bool) -> bool {
        stopping || self.positions.is_empty() || (self.is_through() && (!self.goes_round || self.budget == Some(0)))
    }

    fn is_paced(&self) -> bool {
        false
    }
}
