//! AlterConfigs and IncrementalAlterConfigs: what may be set on which resource, and what that records.

mod merge;
mod rules;

use self::merge::{Change, merge_all, replace_all};
use super::request::ControllerReply;
use super::result::{Decision, Refusal};
use super::state::State;
use crate::metadata::{ConfigResource, ResourceType};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as LegacyResponse;
use odradek_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use odradek_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{ClearElrRecord, ConfigRecord, MetadataRecord};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// A resource as requests name it: type and name.
type Named<'a> = (i8, &'a Str);

pub(super) fn alter_incrementally(state: &State, request: &IncrementalAlterConfigsRequest) -> Decision {
    let repeated = repeated(request.resources.iter().map(|r| (r.resource_type, &r.resource_name)));
    let mut records = Vec::new();
    let mut responses = Vec::new();
    for asked in &request.resources {
        let named = (asked.resource_type, &asked.resource_name);
        let changes = |resource: &ConfigResource| merge_all(state, resource, &asked.configs);
        let (error_code, error_message) = outcome(alter_one(state, named, &repeated, changes), &mut records);
        let (resource_type, resource_name) = (asked.resource_type, asked.resource_name.clone());
        responses.push(AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name });
    }
    if request.validate_only {
        records.clear();
    }
    let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
    Decision::new(records, ControllerReply::IncrementalAlterConfigs(response))
}

/// The old way: the request names everything that shall be set, the rest is taken away.
pub(super) fn alter(state: &State, request: &AlterConfigsRequest) -> Decision {
    let repeated = repeated(request.resources.iter().map(|r| (r.resource_type, &r.resource_name)));
    let mut records = Vec::new();
    let mut responses = Vec::new();
    for asked in &request.resources {
        let named = (asked.resource_type, &asked.resource_name);
        let changes = |resource: &ConfigResource| replace_all(state, resource, &asked.configs);
        let (error_code, error_message) = outcome(alter_one(state, named, &repeated, changes), &mut records);
        let (resource_type, resource_name) = (asked.resource_type, asked.resource_name.clone());
        responses.push(LegacyResponse { error_code, error_message, resource_type, resource_name });
    }
    if request.validate_only {
        records.clear();
    }
    let response = AlterConfigsResponse { responses, ..Default::default() };
    Decision::new(records, ControllerReply::AlterConfigs(response))
}

fn outcome(result: Result<Vec<MetadataRecord>, Refusal>, records: &mut Vec<MetadataRecord>) -> (i16, Option<Str>) {
    match result {
        Ok(new) => {
            records.extend(new);
            (ErrorCode::None.code(), None)
        }
        Err(refusal) => (refusal.code.code(), Some(refusal.message)),
    }
}

fn repeated<'a>(resources: impl Iterator<Item = Named<'a>>) -> BTreeSet<Named<'a>> {
    let mut seen = BTreeSet::new();
    resources.filter(|named| !seen.insert(*named)).collect()
}

fn alter_one(
    state: &State,
    named: Named<'_>,
    repeated: &BTreeSet<Named<'_>>,
    changes: impl FnOnce(&ConfigResource) -> Result<Vec<Change>, Refusal>,
) -> Result<Vec<MetadataRecord>, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
    if repeated.contains(&named) {
        return Err(invalid("Each resource must appear at most once.".into()));
    }
    let unknown = || invalid(format!("Unknown resource type {}", named.0));
    let kind = ResourceType::from_code(named.0).ok_or_else(unknown)?;
    let resource = ConfigResource { kind, name: named.1.clone() };
    rules::check_resource(state, &resource)?;
    let changes = changes(&resource)?;
    rules::check_changes(state, &resource, &changes)?;
    let after = after(state.image().configs().of_resource(&resource), &changes);
    rules::check_values(state, &resource, &after)?;
    Ok(records(state, &resource, changes))
}

/// All of a resource's settings once `changes` are made.
fn after(before: &BTreeMap<String, String>, changes: &[Change]) -> BTreeMap<String, String> {
    let mut after = before.clone();
    for change in changes {
        match &change.value {
            Some(value) => after.insert(change.key.clone(), value.clone()),
            None => after.remove(&change.key),
        };
    }
    after
}

fn records(state: &State, resource: &ConfigResource, changes: Vec<Change>) -> Vec<MetadataRecord> {
    let before = state.image().configs().of_resource(resource);
    let mut records = Vec::new();
    for change in changes {
        let same = before.get(&change.key) == change.value.as_ref();
        // A broker acts on a setting each time it is set: a keystore of the same path may be a new one.
        if same && (resource.kind != ResourceType::Broker || change.value.is_none()) {
            continue;
        }
        let decides_elr = change.key == MIN_INSYNC_REPLICAS && state.is_elr_enabled() && !same;
        let record = ConfigRecord {
            resource_type: resource.kind.code(),
            resource_name: resource.name.clone(),
            name: change.key.into(),
            value: change.value.map(Str::from),
        };
        records.push(record.into());
        if decides_elr {
            // Who is eligible was decided by the old number.
            let topic_name = match resource.kind {
                ResourceType::Topic => resource.name.clone(),
                _ => Str::default(),
            };
            records.push(ClearElrRecord { topic_name }.into());
        }
    }
    records
}
