//! Blocks of producer ids: each is given to one broker once (KIP-730).

use super::brokers::check_epoch;
use super::request::ControllerReply;
use super::result::Decision;
use super::state::State;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use odradek_protocol::records::metadata::ProducerIdsRecord;

/// Ids in a block.
const BLOCK_LEN: i32 = 1000;

pub(super) fn allocate(state: &State, request: &AllocateProducerIdsRequest) -> Decision {
    let refuse = |code: ErrorCode| {
        let response = AllocateProducerIdsResponse { error_code: code.code(), ..Default::default() };
        Decision::refuse(ControllerReply::AllocateProducerIds(response))
    };
    if let Err(code) = check_epoch(state, request.broker_id, request.broker_epoch) {
        return refuse(code);
    }
    let first = state.image().producer_ids().next().0;
    let Some(next_producer_id) = first.checked_add(BLOCK_LEN.into()) else {
        return refuse(ErrorCode::UnknownServerError);
    };
    let record =
        ProducerIdsRecord { broker_id: request.broker_id, broker_epoch: request.broker_epoch, next_producer_id };
    let response =
        AllocateProducerIdsResponse { producer_id_start: first, producer_id_len: BLOCK_LEN, ..Default::default() };
    Decision::new(vec![record.into()], ControllerReply::AllocateProducerIds(response))
}
