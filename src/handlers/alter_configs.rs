//! AlterConfigs, versions 0-2: replaces all of a resource's settings; the controller decides.

use super::answer::Call;
use super::context::Context;
use crate::controller::{ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use odradek_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let named: Vec<_> = request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    match context.controller.call(ControllerRequest::AlterConfigs(request)).await {
        ControllerReply::AlterConfigs(response) => response,
        _ => AlterConfigsResponse {
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
