//! What each kind of resource lets itself be set to, with Kafka's codes and words.

use super::super::result::Refusal;
use super::super::state::State;
use super::super::topic_name::validate_topic_name;
use super::MIN_INSYNC_REPLICAS;
use super::merge::Change;
use crate::config::definition::{self, Definition};
use crate::config::{TopicConfig, client_metrics, dynamic, group};
use crate::metadata::{ConfigResource, ResourceType};
use odradek_protocol::error::ErrorCode;
use std::collections::BTreeMap;

/// Longest value, as records and Kafka's clients hold it.
const VALUE_BYTES_MAX: usize = 32_767;

/// What there is to know of a key of this kind of resource. Kafka has no types for keys of subscriptions to metrics:
/// their lists can be set, but not added to.
pub(super) fn definition_of(kind: ResourceType, key: &str) -> Option<&'static Definition> {
    match kind {
        ResourceType::Topic => definition::topic().get(key),
        ResourceType::Broker => definition::broker().get(key),
        ResourceType::Group => definition::group().get(key),
        ResourceType::ClientMetrics | ResourceType::BrokerLogger => None,
    }
}

/// The resource exists, as far as it must.
pub(super) fn check_resource(state: &State, resource: &ConfigResource) -> Result<(), Refusal> {
    let invalid = |message: &'static str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let name = resource.name.as_str();
    match resource.kind {
        ResourceType::Topic if name.is_empty() => invalid("Default topic resources are not allowed."),
        ResourceType::Topic => {
            validate_topic_name(name).map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message))?;
            let unknown = || {
                let message = format!("The topic '{name}' does not exist.");
                Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
            };
            state.image().topics().by_name(name).map(drop).ok_or_else(unknown)
        }
        ResourceType::Broker if name.is_empty() => Ok(()),
        ResourceType::Broker => match name.parse::<i32>() {
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
            Ok(id) if id < 0 => invalid("Invalid negative broker ID."),
            Ok(_) => Ok(()),
        },
        ResourceType::Group if name.is_empty() => invalid("Default group resources are not allowed."),
        ResourceType::ClientMetrics if name.is_empty() => invalid("Subscription name can't be empty"),
        ResourceType::Group | ResourceType::ClientMetrics => Ok(()),
        // Levels of a broker's loggers are no cluster state.
        ResourceType::BrokerLogger => invalid("Unexpected resource type BROKER_LOGGER."),
    }
}

/// The changes by themselves: sizes, and what ELR forbids (KIP-966).
pub(super) fn check_changes(state: &State, resource: &ConfigResource, changes: &[Change]) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    for change in changes {
        if change.value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
            return invalid(format!(
                "The configuration value cannot be added because it exceeds the maximum value size of \
                 {VALUE_BYTES_MAX} bytes."
            ));
        }
        let of_brokers = resource.kind == ResourceType::Broker && change.key == MIN_INSYNC_REPLICAS;
        if !of_brokers || !state.is_elr_enabled() {
            continue;
        }
        if !resource.name.is_empty() {
            return invalid("Broker-level min.insync.replicas cannot be altered while ELR is enabled.".into());
        }
        if change.value.is_none() {
            return invalid("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.".into());
        }
    }
    if resource.kind == ResourceType::Broker {
        return check_dynamic(state, resource, changes);
    }
    Ok(())
}

/// Only what is being set: what was there before may come from another release.
fn check_dynamic(state: &State, resource: &ConfigResource, changes: &[Change]) -> Result<(), Refusal> {
    let set = |change: &Change| Some((change.key.clone(), change.value.clone()?));
    let set: BTreeMap<String, String> = changes.iter().filter_map(set).collect();
    let config = state.config();
    // What another broker has is not known here.
    let own = (resource.name == config.node_id.to_string()).then_some(config);
    dynamic::validate(&set, resource.name.is_empty(), own)
        .map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.to_string()))
}

/// The resource's settings as a whole.
pub(super) fn check_values(
    state: &State,
    resource: &ConfigResource,
    values: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let verdict = match resource.kind {
        ResourceType::Topic => TopicConfig::validate(values, state.config()),
        ResourceType::Group => group::validate(values, state.config()),
        ResourceType::ClientMetrics => client_metrics::validate(values),
        ResourceType::Broker | ResourceType::BrokerLogger => Ok(()),
    };
    verdict.map_err(|invalid| {
        let code = if invalid.is_of_request() { ErrorCode::InvalidRequest } else { ErrorCode::InvalidConfig };
        Refusal::new(code, invalid.to_string())
    })
}
