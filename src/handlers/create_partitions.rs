//! CreatePartitions, versions 0-3: the controller decides.

use super::answer::Call;
use super::context::Context;
use crate::controller::{ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use odradek_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    match context.controller.call(ControllerRequest::CreatePartitions(request)).await {
        ControllerReply::CreatePartitions(response) => response,
        _ => {
            let error_code = ErrorCode::NotController.code();
            let refused = |name| CreatePartitionsTopicResult { name, error_code, ..Default::default() };
            CreatePartitionsResponse { results: names.into_iter().map(refused).collect(), ..Default::default() }
        }
    }
}
