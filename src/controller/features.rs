//! UpdateFeatures: to which level the cluster may go, up or down (KIP-584).

use super::request::ControllerReply;
use super::result::Decision;
use super::state::State;
use crate::metadata::cluster::VersionRange;
use crate::metadata::features::{KRAFT_VERSION, METADATA_VERSION, supported};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::update_features_request::FeatureUpdateKey;
use odradek_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{FeatureLevelRecord, MetadataRecord};
use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    UpgradeOnly,
    SafeDowngrade,
    UnsafeDowngrade,
}

impl Direction {
    /// Version 0 of the request has a flag in place of the type.
    fn of(update: &FeatureUpdateKey) -> Option<Self> {
        match update.upgrade_type {
            1 if update.allow_downgrade => Some(Self::SafeDowngrade),
            1 => Some(Self::UpgradeOnly),
            2 => Some(Self::SafeDowngrade),
            3 => Some(Self::UnsafeDowngrade),
            _ => None,
        }
    }
}

pub(super) fn update(state: &State, request: &UpdateFeaturesRequest) -> Decision {
    let mut records = Vec::new();
    for update in &request.feature_updates {
        match check(state, update) {
            Ok(record) => records.extend(record),
            Err(message) => return refuse(message),
        }
    }
    if request.validate_only {
        records.clear();
    }
    let response = UpdateFeaturesResponse { error_message: None, ..Default::default() };
    Decision::new(records.into_iter().map(MetadataRecord::from).collect(), ControllerReply::UpdateFeatures(response))
}

fn refuse(message: String) -> Decision {
    let message = format!("The update failed for all features since the following feature had an error: {message}");
    let response = UpdateFeaturesResponse {
        error_code: ErrorCode::InvalidUpdateVersion.code(),
        error_message: Some(message.into()),
        ..Default::default()
    };
    Decision::refuse(ControllerReply::UpdateFeatures(response))
}

/// The record that makes the change, none when there is nothing to change.
fn check(state: &State, update: &FeatureUpdateKey) -> Result<Option<FeatureLevelRecord>, String> {
    let (name, level) = (update.feature.as_str(), update.max_version_level);
    let invalid = |why: String| format!("Invalid update version {level} for feature {name}. {why}");
    let direction = Direction::of(update);
    let direction =
        direction.ok_or_else(|| invalid("The controller does not support the given upgrade type.".into()))?;
    if level < 0 {
        return Err(invalid("A feature version cannot be less than 0.".into()));
    }
    check_nodes(state, name, level).map_err(invalid)?;
    let current = state.image().features().level(name);
    if level < current && direction == Direction::UpgradeOnly {
        let why = "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.";
        return Err(invalid(why.into()));
    }
    if level > current && direction != Direction::UpgradeOnly {
        return Err(invalid("Can't downgrade to a newer version.".into()));
    }
    if name == METADATA_VERSION && level < current {
        let why = match direction {
            Direction::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
            _ => "Refusing to perform the requested downgrade because it might delete metadata information.",
        };
        return Err(format!("Unsupported metadata.version downgrade from {current} to {level}. {why}"));
    }
    if name == KRAFT_VERSION && level != current {
        return Err(invalid("Can't change the version of this feature.".into()));
    }
    Ok((level != current).then(|| FeatureLevelRecord { name: update.feature.clone(), feature_level: level }))
}

/// This controller and every registered node can run the level.
fn check_nodes(state: &State, name: &str, level: i16) -> Result<(), String> {
    let node = state.settings().node;
    match supported(name) {
        None => return Err(format!("Local controller {node} does not support this feature.")),
        Some(range) if !range.contains(level) => {
            return Err(format!("Local controller {node} only supports versions {}-{}", range.min, range.max));
        }
        Some(_) => {}
    }
    let can_run =
        |features: &BTreeMap<Str, VersionRange>| level == 0 || features.get(name).is_some_and(|r| r.contains(level));
    let cluster = state.image().cluster();
    if let Some(broker) = cluster.brokers().find(|broker| !can_run(&broker.features)) {
        return Err(format!("Broker {} does not support this feature.", broker.id));
    }
    if let Some(controller) = cluster.controllers().find(|controller| !can_run(&controller.features)) {
        return Err(format!("Controller {} does not support this feature.", controller.id));
    }
    Ok(())
}
