//! CreateTopics, versions 2-7: the controller decides. v4 takes -1 for the broker's defaults, v5 tells the configuration,
//! v7 the topic id.

use super::answer::Call;
use super::context::Context;
use super::internal_topics;
use crate::controller::{ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_topics_request::CreatableTopic;
use odradek_protocol::messages::create_topics_response::CreatableTopicResult;
use odradek_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use odradek_protocol::primitives::Str;
use std::collections::HashMap;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let names: Vec<Str> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    match context.controller.call(ControllerRequest::CreateTopics(request)).await {
        ControllerReply::CreateTopics(response) => response,
        _ => CreateTopicsResponse { topics: names.into_iter().map(not_controller).collect(), ..Default::default() },
    }
}

/// Creates topics as the broker's defaults have it; answers those that are not there afterwards, and why.
pub async fn create_by_default(context: &Rc<Context>, names: Vec<Str>) -> HashMap<Str, ErrorCode> {
    let topics = names.iter().map(|name| internal_topics::creatable(context, name).unwrap_or_else(|| by_default(name)));
    let timeout_ms = context.config().network.request_timeout_ms;
    let request = CreateTopicsRequest { topics: topics.collect(), timeout_ms, ..Default::default() };
    let ControllerReply::CreateTopics(response) =
        context.controller.call(ControllerRequest::CreateTopics(request)).await
    else {
        return names.into_iter().map(|name| (name, ErrorCode::LeaderNotAvailable)).collect();
    };
    let existing = ErrorCode::TopicAlreadyExists.code();
    let failed = response.topics.into_iter().filter(|topic| topic.error_code != 0 && topic.error_code != existing);
    failed.map(|topic| (topic.name, ErrorCode::from_code(topic.error_code))).collect()
}

fn by_default(name: &Str) -> CreatableTopic {
    CreatableTopic { name: name.clone(), num_partitions: -1, replication_factor: -1, ..Default::default() }
}

fn not_controller(name: Str) -> CreatableTopicResult {
    CreatableTopicResult { name, error_code: ErrorCode::NotController.code(), ..Default::default() }
}
