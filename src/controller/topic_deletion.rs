//! DeleteTopics, by name and (version 6) by id. Files go later: brokers see the topic gone and delete.

use super::request::ControllerReply;
use super::result::{Decision, Refusal};
use super::state::State;
use super::topic_creation::repeated;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::delete_topics_request::DeleteTopicState;
use odradek_protocol::messages::delete_topics_response::DeletableTopicResult;
use odradek_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::RemoveTopicRecord;
use odradek_shards::types::TopicId;
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) fn delete(state: &State, request: &DeleteTopicsRequest) -> Decision {
    let by_name = |name: &Str| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::nil() };
    let asked: Vec<_> = request.topics.iter().cloned().chain(request.topic_names.iter().map(by_name)).collect();
    let repeats = Repeats::new(&asked);
    let mut records = Vec::new();
    let mut doomed = BTreeSet::new();
    let mut responses = Vec::new();
    // Ids before names, so that a name for the same topic is the one refused.
    let (ids, names): (Vec<_>, Vec<_>) = asked.into_iter().partition(|topic| topic.name.is_none());
    for topic in ids.into_iter().chain(names) {
        let outcome = find(state, &repeats, &topic).and_then(|found| match doomed.insert(found) {
            true => Ok(found),
            false => Err(invalid("The provided topic name maps to an ID that was already supplied.")),
        });
        responses.push(match outcome {
            Ok(id) => {
                records.push(RemoveTopicRecord { topic_id: id.0 }.into());
                let name = state.image().topics().name_of(id).cloned();
                DeletableTopicResult { name, topic_id: id.0, ..Default::default() }
            }
            Err(refusal) => DeletableTopicResult {
                name: topic.name,
                topic_id: topic.topic_id,
                error_code: refusal.code.code(),
                error_message: Some(refusal.message),
            },
        });
    }
    let response = DeleteTopicsResponse { responses, ..Default::default() };
    Decision::new(records, ControllerReply::DeleteTopics(response))
}

struct Repeats {
    names: BTreeSet<Str>,
    ids: BTreeSet<Uuid>,
}

impl Repeats {
    fn new(asked: &[DeleteTopicState]) -> Self {
        let mut seen = BTreeSet::new();
        let nameless = asked.iter().filter(|topic| topic.name.is_none());
        let ids = nameless.map(|topic| topic.topic_id).filter(|id| !id.is_nil());
        Self {
            names: repeated(asked.iter().filter_map(|topic| topic.name.as_ref())),
            ids: ids.filter(|id| !seen.insert(*id)).collect(),
        }
    }
}

fn find(state: &State, repeats: &Repeats, topic: &DeleteTopicState) -> Result<TopicId, Refusal> {
    if !state.config().topics.delete_topic_enable {
        return Err(Refusal::new(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled."));
    }
    match (&topic.name, topic.topic_id) {
        (Some(_), id) if !id.is_nil() => Err(invalid("You may not specify both topic name and topic id.")),
        (None, id) if id.is_nil() => Err(invalid("Neither topic name nor id were specified.")),
        (Some(name), _) if repeats.names.contains(name) => Err(invalid("Duplicate topic name.")),
        (None, id) if repeats.ids.contains(&id) => Err(invalid("Duplicate topic id.")),
        (Some(name), _) => {
            let unknown = "This server does not host this topic-partition.";
            let topic = state.image().topics().by_name(name);
            topic.map(|topic| topic.id).ok_or_else(|| Refusal::new(ErrorCode::UnknownTopicOrPartition, unknown))
        }
        (None, id) => {
            let unknown = "This server does not host this topic ID.";
            let topic = state.image().topics().by_id(TopicId(id));
            topic.map(|topic| topic.id).ok_or_else(|| Refusal::new(ErrorCode::UnknownTopicId, unknown))
        }
    }
}

fn invalid(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}
