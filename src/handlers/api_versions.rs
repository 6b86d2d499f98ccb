//! ApiVersions, versions 0-4: what is served, printed from the table. v3 names the client's software (KIP-511), v4 lets
//! features start at 0 (KIP-1022).

use super::answer::Call;
use super::context::Context;
use super::table;
use crate::exchange::Answer;
use crate::metadata::features::SUPPORTED;
use crate::metadata::image::Image;
use odradek_protocol::api::ApiKey;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use odradek_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, call: &Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let (name, version) = (&request.client_software_name, &request.client_software_version);
    if call.version >= 3 {
        if !is_software_text(name) || !is_software_text(version) {
            return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
        }
        call.peer.set_software(name, version);
    }
    describe(&context.look(), call.version)
}

/// The answer to a version not served: in version 0, with this API's own range, so that the client can ask again.
pub fn refuse_version(call: &Call) -> Answer {
    let api_keys = table::APIS.iter().filter(|api| api.key == ApiKey::ApiVersions).map(entry).collect();
    let response =
        ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion.code(), api_keys, ..Default::default() };
    call.answer_in(&response, 0)
}

fn describe(image: &Image, version: i16) -> ApiVersionsResponse {
    // Clients before v4 fail on a feature whose minimum is 0.
    let told = |min: i16| version >= 4 || min > 0;
    let supported_features = SUPPORTED
        .iter()
        .filter(|(_, range)| told(range.min))
        .map(|(name, range)| SupportedFeatureKey {
            name: (*name).into(),
            min_version: range.min,
            max_version: range.max,
            ..Default::default()
        })
        .collect();
    let finalized_features = image
        .features()
        .finalized()
        .map(|(name, level)| FinalizedFeatureKey {
            name: name.into(),
            max_version_level: level,
            min_version_level: level,
            ..Default::default()
        })
        .collect();
    ApiVersionsResponse {
        api_keys: table::APIS.iter().map(entry).collect(),
        supported_features,
        finalized_features,
        finalized_features_epoch: image.offset().0,
        ..Default::default()
    }
}

fn entry(api: &table::Api) -> ApiVersion {
    let (min_version, max_version) = api.advertised();
    ApiVersion { api_key: api.key as i16, min_version, max_version, ..Default::default() }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_name_starts_and_ends_with_a_letter_or_digit() {
        assert!(["a", "librdkafka", "1.2.3-rc.4", "a-b"].iter().all(|text| is_software_text(text)));
        assert!(["", "-a", "a.", "a b", "a_b", "ä"].iter().all(|text| !is_software_text(text)));
    }

    #[test]
    fn clients_before_v4_see_no_feature_that_starts_at_zero() {
        let image = Image::default();
        assert!(describe(&image, 3).supported_features.iter().all(|feature| feature.min_version > 0));
        assert!(describe(&image, 4).supported_features.iter().any(|feature| feature.min_version == 0));
    }
}
