//! InitProducerId, versions 0-5: a producer id for idempotent producers. v3 carries the id to resume, v4 fencing errors.

use super::answer::Call;
use super::context::Context;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use odradek_shards::types::{ProducerEpoch, ProducerId};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    if let Err(error) = check(&request) {
        return refuse(error);
    }
    match context.producer_ids.next(context).await {
        Ok(id) => answer(0, id, ProducerEpoch(0)),
        Err(error) => refuse(error),
    }
}

fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::InvalidRequest);
    }
    match request.transactional_id.as_deref() {
        None => Ok(()),
        Some("") => Err(ErrorCode::InvalidRequest),
        // There is no transaction coordinator here yet.
        Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

fn refuse(error: ErrorCode) -> InitProducerIdResponse {
    answer(error.code(), ProducerId::NONE, ProducerEpoch(-1))
}

fn answer(error_code: i16, id: ProducerId, epoch: ProducerEpoch) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code, producer_id: id.0, producer_epoch: epoch.0, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_with_an_epoch_or_not_at_all() {
        let request = InitProducerIdRequest { producer_id: 7, producer_epoch: -1, ..Default::default() };
        assert_eq!(check(&request), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn a_transactional_id_finds_no_coordinator() {
        let with = |id: &str| InitProducerIdRequest {
            transactional_id: Some(id.into()),
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        assert_eq!(check(&with("t")), Err(ErrorCode::CoordinatorNotAvailable));
        assert_eq!(check(&with("")), Err(ErrorCode::InvalidRequest));
    }
}
