//! `produce`: batches out, acknowledgements in, at full speed or at a fixed rate.

use crate::acked::Acked;
use crate::arguments::{ProduceArguments, Records};
use crate::cluster::{End, Topic};
use crate::event_loop::Peer;
use crate::failure::Failure;
use crate::link::Link;
use crate::pace::Pace;
use crate::recorder::Recorder;
use crate::report::Report;
use crate::source::Source;
use crate::workload::{Span, measure};
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::header::decode_response_header;
use odradek_protocol::messages::ProduceResponse;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub fn run(arguments: &ProduceArguments) -> Result<Report, Failure> {
    let topic = Topic::open(&arguments.target)?;
    check(arguments, &topic)?;
    let written = if arguments.verify { topic.offsets(End::Latest)? } else { Vec::new() };
    let spread = topic.spread(arguments.run.connections, arguments.verify)?;
    let run = &arguments.run;
    let span = Span::of(run, Some(Duration::from_secs(10)));
    let acked = Acked::default();
    let measured = measure(run, span, |thread, recorder| {
        let mut peers: Vec<Box<dyn Peer>> = Vec::new();
        for (nth, (leader, partitions)) in spread.iter().enumerate().filter(|(n, _)| *n as u32 % run.threads == thread)
        {
            let nth = nth as u32;
            let source = match (arguments.verify, arguments.rate) {
                (true, _) => Source::numbered(&topic, partitions, &arguments.records, &written)?,
                (false, Some(_)) => Source::plain(&topic, partitions, &arguments.records)?,
                (false, None) => Source::prepared(&topic, partitions, &arguments.records)?,
            };
            let mut producer = Producer::new(Link::connect(*leader)?, source, &arguments.records, recorder);
            producer.acked = arguments.acked.is_some().then(|| acked.clone());
            producer.budget = run.count.map(|count| share(count, nth, run.connections));
            producer.rate = arguments.rate.map(|rate| (rate, nth, run.connections));
            peers.push(Box::new(producer));
        }
        Ok(peers)
    });
    if let Some(path) = &arguments.acked {
        acked.write(path)?;
    }
    let measured = measured?;
    let mut report = Report::new("produce", &topic.name, run.connections, &measured);
    if arguments.verify {
        report.verified = Some("records are numbered by their offsets".to_owned());
    }
    Ok(report)
}

fn check(arguments: &ProduceArguments, topic: &Topic) -> Result<(), Failure> {
    if arguments.verify && arguments.records.record_size < 8 {
        return Err(Failure::Arguments("--verify needs a --record-size of 8 or more".to_owned()));
    }
    topic.versions.of(ApiKey::Produce).map(|_| ())
}

/// Part `nth` of `count` split over `parts`.
fn share(count: u64, nth: u32, parts: u32) -> u64 {
    count / u64::from(parts) + u64::from(u64::from(nth) < count % u64::from(parts))
}

/// One connection that writes.
pub struct Producer {
    link: Link,
    source: Source,
    recorder: Rc<RefCell<Recorder>>,
    version: i16,
    acks: i16,
    depth: usize,
    linger: Duration,
    /// Records left to send; `None` = until stopped.
    pub budget: Option<u64>,
    /// Records a second over all connections, which of them this is, and how many there are.
    pub rate: Option<(f64, u32, u32)>,
    pace: Option<Pace>,
    /// Nanoseconds of stamps count from here.
    epoch: Instant,
    /// Another peer counts the records when they arrive; only errors are told.
    pub counts_errors_only: bool,
    /// Told of every acknowledgement.
    pub acked: Option<Acked>,
    next_record: u64,
    next_id: i32,
    in_flight: VecDeque<InFlight>,
}

struct InFlight {
    id: i32,
    sent_at: Instant,
    first_record: u64,
    records: u32,
    bytes: u64,
}

impl Producer {
    pub fn new(link: Link, source: Source, records: &Records, recorder: &Rc<RefCell<Recorder>>) -> Self {
        Self {
            link,
            version: source.version,
            source,
            recorder: Rc::clone(recorder),
            acks: records.acks,
            depth: records.depth as usize,
            linger: records.linger,
            budget: None,
            rate: None,
            pace: None,
            epoch: Instant::now(),
            counts_errors_only: false,
            acked: None,
            next_record: 0,
            next_id: 0,
            in_flight: VecDeque::new(),
        }
    }

    /// Stamps count from `epoch` on instead of from this producer's making.
    pub fn stamped_from(mut self, epoch: Instant) -> Self {
        self.epoch = epoch;
        self
    }

    /// Records that may go out now; 0 = wait.
    fn allowance(&self, now: Instant) -> u32 {
        let room = self.budget.map_or(u32::MAX, |left| u32::try_from(left).unwrap_or(u32::MAX));
        let batch_max = self.source.records_per_batch.min(room);
        match &self.pace {
            Some(pace) if batch_max > 0 => pace.ready(self.next_record, batch_max, now),
            _ => batch_max,
        }
    }

    fn send(&mut self, records_max: u32, now: Instant) -> Result<(), Failure> {
        let pace = self.pace;
        let epoch = self.epoch;
        let due = |record| pace.map_or(0, |pace| (pace.due_at(record) - epoch).as_nanos() as u64);
        let id = self.next_id;
        let sent = self.source.queue(&mut self.link, id, self.next_record, records_max, due)?;
        let first_record = self.next_record;
        self.next_id = self.next_id.wrapping_add(1);
        self.next_record += u64::from(sent.records);
        if let Some(left) = &mut self.budget {
            *left = left.saturating_sub(u64::from(sent.records));
        }
        let flight = InFlight { id, sent_at: now, first_record, records: sent.records, bytes: sent.bytes };
        self.in_flight.push_back(flight);
        Ok(())
    }

    fn settle(&mut self, flight: &InFlight, now: Instant) {
        if self.counts_errors_only {
            return;
        }
        let mut recorder = self.recorder.borrow_mut();
        recorder.request(now, u64::from(flight.records), flight.bytes);
        match self.pace {
            Some(pace) => (0..u64::from(flight.records))
                .for_each(|nth| recorder.latency(now, pace.due_at(flight.first_record + nth))),
            None => recorder.latency(now, flight.sent_at),
        }
    }
}

impl Peer for Producer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn begin(&mut self, start: Instant) {
        self.pace = self.rate.map(|(rate, nth, of)| Pace::new(start, rate, nth, of, self.linger));
    }

    fn advance(&mut self, now: Instant, stopping: bool) -> Result<Option<Instant>, Failure> {
        while !stopping && self.in_flight.len() < self.depth {
            if self.acks == 0 {
                self.link.flush()?;
                if !self.link.is_flushed() {
                    return Ok(None);
                }
            }
            let records = self.allowance(now);
            if records == 0 {
                break;
            }
            self.send(records, now)?;
            if self.acks == 0 {
                // Nobody answers: handed to the socket is all that can be known.
                let flight = self.in_flight.pop_front().expect("just sent");
                self.settle(&flight, Instant::now());
            }
        }
        let idle = stopping || self.budget == Some(0) || self.in_flight.len() >= self.depth;
        Ok(self.pace.filter(|_| !idle).map(|pace| pace.wake_at(self.next_record, self.source.records_per_batch)))
    }

    fn receive(&mut self, frame: Bytes, now: Instant) -> Result<(), Failure> {
        let mut reader = Reader::new(frame);
        let id = decode_response_header(&mut reader, ApiKey::Produce, self.version)?;
        let flight = self.in_flight.pop_front().ok_or(Failure::Protocol("an answer to no request"))?;
        if id != flight.id {
            return Err(Failure::Protocol("answers out of order"));
        }
        let answer = ProduceResponse::decode(&mut reader, self.version)?;
        if let Some(acked) = &self.acked {
            acked.take(&answer, flight.records);
        }
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
        match partitions.find(|partition| partition.error_code != 0) {
            Some(partition) => self.recorder.borrow_mut().error(partition.error_code),
            None => self.settle(&flight, now),
        }
        Ok(())
    }

    fn is_done(&self, stopping: bool) -> bool {
        self.in_flight.is_empty() && (stopping || self.budget == Some(0)) && self.link.is_flushed()
    }

    fn is_paced(&self) -> bool {
        self.rate.is_some() || self.acks == 0
    }
}
