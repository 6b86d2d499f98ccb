//! DescribeConfigs, versions 1-4: settings of topics, groups, subscriptions to metrics and this broker, and where each
//! came from. v3 adds types and documentation.

use super::answer::Call;
use super::context::Context;
use super::topic_name;
use crate::config::{ConfigEntry, ConfigSynonym, describe};
use crate::metadata::ResourceType;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_configs_request::DescribeConfigsResource;
use odradek_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use odradek_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use std::rc::Rc;
use tracing::level_filters::LevelFilter;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let DescribeConfigsRequest { resources, include_synonyms, include_documentation } = request;
    let shown = Shown { synonyms: include_synonyms, documentation: include_documentation };
    let results = resources.iter().map(|resource| match entries(context, resource) {
        Ok(entries) => shown.result(resource, entries),
        Err(refusal) => DescribeConfigsResult {
            error_code: refusal.error.code(),
            error_message: Some(refusal.message.into()),
            ..base(resource)
        },
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

struct Refusal {
    error: ErrorCode,
    message: String,
}

fn refuse<T>(error: ErrorCode, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { error, message: message.into() })
}

fn entries(context: &Context, resource: &DescribeConfigsResource) -> Result<Vec<ConfigEntry>, Refusal> {
    let name = &*resource.resource_name;
    match ResourceType::from_code(resource.resource_type) {
        Some(ResourceType::Topic) => topic(context, name),
        Some(ResourceType::Broker) if name.is_empty() => Ok(describe::cluster(&context.config())),
        Some(ResourceType::Broker) => {
            check_broker(context, name, " or empty string,")?;
            Ok(describe::broker(&context.config()))
        }
        Some(ResourceType::BrokerLogger) if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Broker id must not be empty")
        }
        Some(ResourceType::BrokerLogger) => {
            check_broker(context, name, "").map(|()| describe::loggers(&LevelFilter::current().to_string()))
        }
        Some(ResourceType::ClientMetrics) if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Client metrics subscription name must not be empty")
        }
        Some(ResourceType::Group) if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Group name must not be empty")
        }
        Some(kind @ ResourceType::ClientMetrics) => {
            Ok(describe::client_metrics(context.look().configs().of(kind, name)))
        }
        Some(kind @ ResourceType::Group) => {
            Ok(describe::group(context.look().configs().of(kind, name), &context.config()))
        }
        None => refuse(ErrorCode::InvalidRequest, format!("Unsupported resource type: {}", resource.resource_type)),
    }
}

fn topic(context: &Context, name: &str) -> Result<Vec<ConfigEntry>, Refusal> {
    if !topic_name::is_valid(name) {
        return refuse(ErrorCode::InvalidTopicException, format!("Topic name {name:?} is not legal"));
    }
    let image = context.look();
    if image.topics().by_name(name).is_none() {
        return refuse(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.");
    }
    Ok(describe::topic(image.configs().of(ResourceType::Topic, name), &context.config()))
}

/// `or_else` is what may stand there beside this broker's id.
fn check_broker(context: &Context, name: &str, or_else: &str) -> Result<(), Refusal> {
    let me = context.identity.node;
    match name.parse::<i32>() {
        Ok(id) if id == me.0 => Ok(()),
        Ok(_) => refuse(
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {me}{or_else} but received {name}"),
        ),
        Err(_) => refuse(ErrorCode::InvalidRequest, format!("Broker id must be an integer, but it is: {name}")),
    }
}

/// What the request wants to see of each setting.
struct Shown {
    synonyms: bool,
    documentation: bool,
}

impl Shown {
    fn result(&self, resource: &DescribeConfigsResource, entries: Vec<ConfigEntry>) -> DescribeConfigsResult {
        let keys = resource.configuration_keys.as_deref().unwrap_or_default();
        let wanted = |entry: &ConfigEntry| keys.is_empty() || keys.iter().any(|key| **key == *entry.name);
        let configs = entries.into_iter().filter(wanted).map(|entry| self.entry(entry)).collect();
        DescribeConfigsResult { configs, ..base(resource) }
    }

    fn entry(&self, entry: ConfigEntry) -> DescribeConfigsResourceResult {
        let documentation = self.documentation.then(|| entry.documentation.into());
        let synonyms = if self.synonyms { entry.synonyms.iter().map(synonym).collect() } else { Vec::new() };
        DescribeConfigsResourceResult {
            config_source: entry.source.code(),
            config_type: entry.kind_code(),
            name: entry.name.into(),
            value: entry.value.map(Into::into),
            read_only: entry.is_read_only,
            is_sensitive: entry.is_sensitive,
            synonyms,
            documentation,
        }
    }
}

fn base(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        error_message: None,
        ..Default::default()
    }
}

fn synonym(synonym: &ConfigSynonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: (&synonym.name).into(),
        value: synonym.value.as_ref().map(Into::into),
        source: synonym.source.code(),
    }
}
