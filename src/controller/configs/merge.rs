//! What a request's operations leave of each key.

use super::super::result::Refusal;
use super::super::state::State;
use super::rules::definition_of;
use crate::config::value::Kind;
use crate::metadata::ConfigResource;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::alter_configs_request::AlterableConfig as LegacyConfig;
use odradek_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;

/// A key's new value; none takes the setting away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub key: String,
    pub value: Option<String>,
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) fn merge_all(
    state: &State,
    resource: &ConfigResource,
    operations: &[AlterableConfig],
) -> Result<Vec<Change>, Refusal> {
    check_distinct(operations.iter().map(|operation| &operation.name))?;
    let is_null = |operation: &&AlterableConfig| operation.value.is_none() && operation.config_operation != DELETE;
    check_nulls(operations.iter().filter(is_null).map(|operation| &operation.name))?;
    operations.iter().map(|operation| merge(state, resource, operation)).collect()
}

fn merge(state: &State, resource: &ConfigResource, operation: &AlterableConfig) -> Result<Change, Refusal> {
    let key = operation.name.to_string();
    let given = operation.value.as_ref().map(Str::to_string).unwrap_or_default();
    let value = match operation.config_operation {
        SET => Some(given),
        DELETE => None,
        APPEND | SUBTRACT => Some(merge_list(state, resource, &key, &given, operation.config_operation)?),
        unknown => {
            let message = format!("Unknown operations type {unknown}");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    };
    Ok(Change { key, value })
}

/// A list with items added (those it lacks) or taken away; it starts from what is set, else from Kafka's default.
fn merge_list(
    state: &State,
    resource: &ConfigResource,
    key: &str,
    given: &str,
    operation: i8,
) -> Result<String, Refusal> {
    let definition = definition_of(resource.kind, key).filter(|definition| definition.kind == Kind::List);
    let Some(definition) = definition else {
        let verb = if operation == APPEND { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {verb} to key {key} because its type is not LIST.");
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    };
    let current = state.image().configs().of_resource(resource).get(key).cloned();
    let current = current.unwrap_or_else(|| definition.default.text().unwrap_or_default());
    let mut items: Vec<&str> = split(&current).collect();
    for item in split(given) {
        match operation {
            APPEND if !items.contains(&item) => items.push(item),
            SUBTRACT => items.retain(|other| *other != item),
            _ => {}
        }
    }
    Ok(items.join(","))
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The changes that leave exactly `configs`.
pub(super) fn replace_all(
    state: &State,
    resource: &ConfigResource,
    configs: &[LegacyConfig],
) -> Result<Vec<Change>, Refusal> {
    check_distinct(configs.iter().map(|config| &config.name))?;
    check_nulls(configs.iter().filter(|config| config.value.is_none()).map(|config| &config.name))?;
    let set = |config: &LegacyConfig| Change {
        key: config.name.to_string(),
        value: config.value.as_ref().map(Str::to_string),
    };
    let mut changes: Vec<Change> = configs.iter().map(set).collect();
    let named: BTreeSet<String> = changes.iter().map(|change| change.key.clone()).collect();
    let before = state.image().configs().of_resource(resource);
    let rest = before.keys().filter(|key| !named.contains(*key));
    changes.extend(rest.map(|key| Change { key: key.clone(), value: None }));
    Ok(changes)
}

fn check_distinct<'a>(keys: impl Iterator<Item = &'a Str>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(Refusal::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
        }
    }
    Ok(())
}

fn check_nulls<'a>(keys: impl Iterator<Item = &'a Str>) -> Result<(), Refusal> {
    let nulls: Vec<&str> = keys.map(Str::as_str).collect();
    if nulls.is_empty() {
        return Ok(());
    }
    let message = format!("Null value not supported for : {}", nulls.join(", "));
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}
