//! IncrementalAlterConfigs, versions 0-1: sets, deletes, appends to or takes from single settings; the controller decides.

use super::answer::Call;
use super::context::Context;
use crate::controller::{ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use odradek_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let named: Vec<_> = request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    match context.controller.call(ControllerRequest::IncrementalAlterConfigs(request)).await {
        ControllerReply::IncrementalAlterConfigs(response) => response,
        _ => IncrementalAlterConfigsResponse {
            responses: named
                .into_iter()
                .map(|(resource_type, resource_name)| AlterConfigsResourceResponse {
                    error_code: ErrorCode::NotController.code(),
                    resource_type,
                    resource_name,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        },
    }
}
