//! This shard's share of producer ids: a block from the controller, handed out one by one.

use super::context::Context;
use crate::controller::{ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use odradek_shards::runtime;
use odradek_shards::runtime::sync::{Sender, oneshot};
use odradek_shards::types::ProducerId;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Ids not handed out are lost when the process ends: there are 2^63 of them.
#[derive(Default)]
pub struct ProducerIds {
    block: RefCell<Range<i64>>,
    /// Who waits for the next block; the first of them asked for it.
    waiting: RefCell<Vec<Sender<Result<ProducerId, ErrorCode>>>>,
}

impl ProducerIds {
    /// An id nobody else has.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS when no block can be had now: the client asks again.
    pub async fn next(&self, context: &Rc<Context>) -> Result<ProducerId, ErrorCode> {
        if let Some(id) = self.block.borrow_mut().next() {
            return Ok(ProducerId(id));
        }
        let (sender, receiver) = oneshot();
        let first = self.waiting.borrow().is_empty();
        self.waiting.borrow_mut().push(sender);
        if first {
            // A task of its own: whoever asks may hang up, those behind him still wait.
            runtime::spawn(refill(context.clone()));
        }
        receiver.await.unwrap_or(Err(ErrorCode::CoordinatorLoadInProgress))
    }
}

/// Fetches blocks until nobody waits.
async fn refill(context: Rc<Context>) {
    let ids = &context.producer_ids;
    while !ids.waiting.borrow().is_empty() {
        let block = allocate(&context).await;
        let mut waiting = ids.waiting.borrow_mut();
        match block {
            Ok(mut block) => {
                let served = waiting.len().min(usize::try_from(block.end - block.start).unwrap_or(0));
                for (sender, id) in waiting.drain(..served).zip(block.by_ref()) {
                    sender.send(Ok(ProducerId(id)));
                }
                *ids.block.borrow_mut() = block;
            }
            Err(error) => waiting.drain(..).for_each(|sender| {
                sender.send(Err(error));
            }),
        }
    }
}

async fn allocate(context: &Context) -> Result<Range<i64>, ErrorCode> {
    let node = context.identity.node;
    let broker_epoch = context.look().cluster().broker(node).map_or(-1, |broker| broker.epoch);
    let request = AllocateProducerIdsRequest { broker_id: node.0, broker_epoch };
    match context.controller.call(ControllerRequest::AllocateProducerIds(request)).await {
        ControllerReply::AllocateProducerIds(AllocateProducerIdsResponse {
            error_code: 0,
            producer_id_start,
            producer_id_len,
            ..
        }) if producer_id_len > 0 => Ok(producer_id_start..producer_id_start + i64::from(producer_id_len)),
        _ => Err(ErrorCode::CoordinatorLoadInProgress),
    }
}
