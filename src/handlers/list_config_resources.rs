//! ListConfigResources, versions 0-1: which resources have or may have settings. v0 lists client metrics only.

use super::answer::Call;
use super::context::Context;
use crate::metadata::ResourceType;
use crate::metadata::image::Image;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::list_config_resources_response::ConfigResource;
use odradek_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use odradek_protocol::primitives::Str;
use std::rc::Rc;

const ALL: [ResourceType; 5] = [
    ResourceType::Topic,
    ResourceType::Broker,
    ResourceType::BrokerLogger,
    ResourceType::ClientMetrics,
    ResourceType::Group,
];

pub async fn handle(
    context: &Rc<Context>,
    call: &Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let asked: Option<Vec<ResourceType>> = match request.resource_types.as_slice() {
        _ if call.version == 0 => Some(vec![ResourceType::ClientMetrics]),
        [] => Some(ALL.to_vec()),
        codes => codes.iter().map(|code| ResourceType::from_code(*code)).collect(),
    };
    let Some(asked) = asked else {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    };
    let image = context.look();
    let config_resources = asked.into_iter().flat_map(|kind| {
        names(&image, kind).into_iter().map(move |resource_name| ConfigResource {
            resource_name,
            resource_type: kind.code(),
            ..Default::default()
        })
    });
    ListConfigResourcesResponse { config_resources: config_resources.collect(), ..Default::default() }
}

fn names(image: &Image, kind: ResourceType) -> Vec<Str> {
    match kind {
        ResourceType::Topic => image.topics().iter().map(|topic| topic.name.clone()).collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => {
            image.cluster().unfenced_brokers().map(|broker| broker.id.to_string().into()).collect()
        }
        ResourceType::ClientMetrics | ResourceType::Group => {
            let set = image.configs().iter().filter(|(resource, _)| resource.kind == kind);
            set.map(|(resource, _)| resource.name.clone()).collect()
        }
    }
}
