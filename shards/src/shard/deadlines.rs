//! Parked fetches: how a wait begins and ends, and the one timer of a shard, asleep when there are none.

use super::Shard;
use super::responder::Responder;
use super::waits::Finished;
use crate::limits::PARKED_FETCHES_MAX;
use crate::message::{AwaitId, AwaitRequest, Awaited, Reply};
use crate::partition::{Input, WaitId};
use crate::runtime;
use crate::types::{Offset, TopicPartition};
use futures_util::future::select;
use std::pin::pin;
use std::rc::Rc;

/// Expires waits as their deadlines pass, until the shard stops.
pub(super) async fn run(shard: Rc<Shard>) {
    while !shard.stopping.get() {
        shard.expire_waits();
        let next = shard.waits.borrow().next_deadline();
        let earlier = shard.deadline.notified();
        match next {
            None => earlier.await,
            Some(until) => drop(select(pin!(runtime::sleep_until(until)), earlier).await),
        }
    }
}

impl Shard {
    pub(super) fn await_data(&self, request: AwaitRequest, responder: Responder) {
        match self.bytes_missing(&request) {
            Err(outcome) => responder.reply(Reply::AwaitData(outcome)),
            Ok(bytes_missing) => self.park(request, bytes_missing, responder),
        }
    }

    /// What a fetch still lacks, or why it need not be parked.
    fn bytes_missing(&self, request: &AwaitRequest) -> Result<u64, Awaited> {
        let mut missing = (request.min_bytes as u64).max(1);
        for (partition, from) in &request.parts {
            // Whatever is wrong, the next read will say it.
            let replica = self.replica(*partition).map_err(|_| Awaited::Ready)?;
            let available = replica.bytes_readable(*from, missing, request.isolation).map_err(|_| Awaited::Ready)?;
            missing = missing.checked_sub(available).filter(|left| *left > 0).ok_or(Awaited::Ready)?;
        }
        let full = self.waits.borrow().len() >= PARKED_FETCHES_MAX;
        if full || request.until <= runtime::now() { Err(Awaited::Expired) } else { Ok(missing) }
    }

    fn park(&self, request: AwaitRequest, bytes_missing: u64, responder: Responder) {
        let AwaitRequest { id, parts, until, .. } = request;
        let partitions = parts.iter().map(|(partition, _)| *partition).collect();
        let wait = {
            let mut waits = self.waits.borrow_mut();
            let before = waits.next_deadline();
            let wait = waits.park(id, partitions, bytes_missing, until, responder);
            if before.is_none_or(|before| until < before) {
                self.deadline.notify_one();
            }
            wait
        };
        for (partition, from) in parts {
            self.park_at(partition, wait, from);
        }
    }

    fn park_at(&self, partition: TopicPartition, wait: WaitId, from: Offset) {
        if let Ok(replica) = self.replica(partition) {
            replica.step(&self.host(), Input::Await { wait, from });
        }
    }

    pub(super) fn cancel_await(&self, id: AwaitId) {
        let finished = self.waits.borrow_mut().cancel(id);
        self.finish_wait(finished);
    }

    fn expire_waits(&self) {
        let now = runtime::now();
        loop {
            let expired = self.waits.borrow_mut().expire(now);
            if expired.is_none() {
                return;
            }
            self.finish_wait(expired);
        }
    }

    pub(super) fn cancel_all_waits(&self) {
        loop {
            let cancelled = self.waits.borrow_mut().cancel_any();
            if cancelled.is_none() {
                return;
            }
            self.finish_wait(cancelled);
        }
    }

    pub(super) fn finish_wait(&self, finished: Option<Finished<Responder>>) {
        let Some(Finished { wait, partitions, responder, outcome }) = finished else { return };
        for partition in partitions {
            if let Ok(replica) = self.replica(partition) {
                replica.step(&self.host(), Input::CancelAwait { wait });
            }
        }
        responder.reply(Reply::AwaitData(outcome));
    }
}
