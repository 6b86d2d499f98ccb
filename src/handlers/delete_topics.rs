//! DeleteTopics, versions 1-6: the controller decides. v6 takes topic ids.

use super::answer::Call;
use super::context::Context;
use crate::controller::{ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::delete_topics_response::DeletableTopicResult;
use odradek_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, call: &Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    if !context.config().topics.delete_topic_enable {
        let since_v3 = ErrorCode::TopicDeletionDisabled;
        return refuse(&request, if call.version < 3 { ErrorCode::InvalidRequest } else { since_v3 });
    }
    match context.controller.call(ControllerRequest::DeleteTopics(request.clone())).await {
        ControllerReply::DeleteTopics(response) => response,
        _ => refuse(&request, ErrorCode::NotController),
    }
}

fn refuse(request: &DeleteTopicsRequest, error: ErrorCode) -> DeleteTopicsResponse {
    let refused =
        |name, topic_id| DeletableTopicResult { name, topic_id, error_code: error.code(), ..Default::default() };
    let named = request.topic_names.iter().map(|name| refused(Some(name.clone()), Default::default()));
    let listed = request.topics.iter().map(|topic| refused(topic.name.clone(), topic.topic_id));
    DeleteTopicsResponse { responses: named.chain(listed).collect(), ..Default::default() }
}
