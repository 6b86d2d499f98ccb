//! Read requests: parts in their order under one budget of bytes, from memory at once, from disk one after another.

use super::Shard;
use super::responder::Responder;
use crate::error::{ReadError, Unavailable};
use crate::limits::UNFIT_READS_MAX;
use crate::log::{Aborted, AbortedRead, ReadPlan, Records, StorageError};
use crate::message::{Isolation, LogDirIndex, ReadOk, ReadPart, ReadRequest, ReadResult, Reply};
use crate::partition::driver::Replica;
use crate::runtime;
use crate::types::Offset;
use std::rc::Rc;

/// A read request on its way through its parts.
struct Reading {
    request: ReadRequest,
    results: Vec<ReadResult>,
    bytes_left: usize,
    /// No part has had data yet: the next that has returns a whole batch however large (KIP-74).
    at_least_one: bool,
    /// Parts for whose next batch on disk too little was left: to find that out took a read each.
    unfit: usize,
}

/// A part that has to go to the disk, and its answer but for what comes from there.
struct Pending {
    answer: ReadOk,
    plan: Plan,
    log_dir: LogDirIndex,
}

/// Where a part's records are, and for `read_committed` the aborted transactions among them.
struct Plan {
    records: ReadPlan,
    from: Offset,
    aborted: Option<AbortedRead>,
}

impl Shard {
    pub(super) fn read(self: &Rc<Self>, request: ReadRequest, responder: Responder) {
        let mut reading = Reading {
            results: Vec::with_capacity(request.parts.len()),
            bytes_left: request.max_bytes,
            at_least_one: request.min_one,
            unfit: 0,
            request,
        };
        match self.read_until_disk(&mut reading) {
            None => responder.reply(Reply::Read(reading.results)),
            Some(pending) => runtime::spawn(self.clone().read_from_disk(reading, pending, responder)),
        }
    }

    async fn read_from_disk(self: Rc<Self>, mut reading: Reading, first: Pending, responder: Responder) {
        let mut next = Some(first);
        while let Some(Pending { answer, plan, log_dir }) = next {
            let _charge = match &plan.records {
                ReadPlan::Disk(disk) => Some(self.disk_reads.charge(disk.bytes_max()).await),
                ReadPlan::Ready(_) => None,
            };
            let result = match plan.run().await {
                Ok((records, aborted)) => Ok(ReadOk { records, aborted, ..answer }),
                Err(error) => {
                    self.read_failed(log_dir, &error);
                    Err(ReadError::Unavailable(Unavailable::Storage))
                }
            };
            reading.push_from_disk(result);
            next = self.read_until_disk(&mut reading);
        }
        responder.reply(Reply::Read(reading.results));
    }

    /// Answers parts until one needs the disk.
    fn read_until_disk(&self, reading: &mut Reading) -> Option<Pending> {
        while let Some(part) = reading.request.parts.get(reading.results.len()) {
            match self.plan(part, reading) {
                Err(error) => reading.push(Err(error)),
                Ok((answer, plan, log_dir)) => match plan.at_once() {
                    Ok((records, aborted)) => reading.push(Ok(ReadOk { records, aborted, ..answer })),
                    Err(_) if reading.unfit >= UNFIT_READS_MAX => reading.push(Ok(answer)),
                    Err(plan) => return Some(Pending { answer, plan, log_dir }),
                },
            }
        }
        None
    }

    fn plan(&self, part: &ReadPart, reading: &Reading) -> Result<(ReadOk, Plan, LogDirIndex), ReadError> {
        let replica = self.replica(part.partition)?;
        let max_bytes = part.max_bytes.min(reading.bytes_left);
        let (answer, plan) = plan(&replica, part, max_bytes, reading.at_least_one)?;
        Ok((answer, plan, replica.home().log_dir))
    }

    pub(super) fn read_failed(&self, log_dir: LogDirIndex, error: &StorageError) {
        if error.is_shortage() {
            return self.say_short("a read from disk", error);
        }
        tracing::warn!("a read from disk failed: {error}");
        if error.is_of_disk() {
            self.log_dir_failed(log_dir, error.to_string());
        }
    }
}

fn plan(replica: &Replica, part: &ReadPart, max_bytes: usize, at_least_one: bool) -> Result<(ReadOk, Plan), ReadError> {
    let machine = replica.machine();
    machine.check_epoch(part.current_leader_epoch)?;
    let diverging = replica.divergence(part.from, part.last_fetched_epoch)?;
    let state = machine.state();
    let answer = ReadOk {
        records: Records::default(),
        high_watermark: state.high_watermark,
        last_stable_offset: state.last_stable,
        log_start_offset: state.log_start,
        diverging,
        aborted: Vec::new(),
    };
    let below = machine.check_read(part.from, part.isolation)?;
    let nothing = diverging.is_some() || part.from >= below || (max_bytes == 0 && !at_least_one);
    if nothing {
        let records = ReadPlan::Ready(Records::default());
        return Ok((answer, Plan { records, from: part.from, aborted: None }));
    }
    let log = replica.log();
    let records = log.plan_read(part.from, max_bytes, below, at_least_one).map_err(|_| ReadError::OffsetOutOfRange)?;
    let aborted = (part.isolation == Isolation::ReadCommitted).then(|| log.plan_aborted(part.from));
    Ok((answer, Plan { records, from: part.from, aborted }))
}

impl Plan {
    /// What it finds, if the disk is not needed for it.
    fn at_once(mut self) -> Result<(Records, Vec<Aborted>), Self> {
        let ReadPlan::Ready(records) = &mut self.records else { return Err(self) };
        let end = records.end_offset().unwrap_or(self.from);
        match self.aborted.as_ref().map_or(Some(Vec::new()), |aborted| aborted.at_once(end)) {
            Some(aborted) => Ok((std::mem::take(records), aborted)),
            None => Err(self),
        }
    }

    /// Records never come without the aborted transactions among them.
    async fn run(self) -> Result<(Records, Vec<Aborted>), StorageError> {
        let records = match self.records {
            ReadPlan::Ready(records) => records,
            ReadPlan::Disk(disk) => disk.run().await?,
        };
        let Some(aborted) = self.aborted.filter(|_| !records.is_empty()) else { return Ok((records, Vec::new())) };
        let end = records.end_offset().unwrap_or(self.from);
        Ok(match aborted.run(end).await? {
            Some(aborted) => (records, aborted),
            None => (Records::default(), Vec::new()),
        })
    }
}

impl Reading {
    fn push_from_disk(&mut self, result: ReadResult) {
        let part = &self.request.parts[self.results.len()];
        let is_empty = result.as_ref().is_ok_and(|ReadOk { records, .. }| records.is_empty());
        let is_unfit = is_empty && !self.at_least_one && self.bytes_left < part.max_bytes;
        self.unfit += usize::from(is_unfit);
        self.push(result);
    }

    fn push(&mut self, result: ReadResult) {
        if let Ok(ReadOk { records, .. }) = &result {
            self.bytes_left = self.bytes_left.saturating_sub(records.len());
            self.at_least_one &= records.is_empty();
        }
        self.results.push(result);
    }
}
