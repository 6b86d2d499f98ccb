//! DescribeCluster, versions 0-2: the brokers of the cluster. v1 asks for brokers or controllers, v2 may include fenced ones.

use super::answer::Call;
use super::authorized_operations;
use super::context::Context;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use odradek_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use std::rc::Rc;

/// `endpoint_type`: 1 asks for brokers, 2 for controllers.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub async fn handle(context: &Rc<Context>, call: &Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            return refuse(
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
            );
        }
        other => {
            return refuse(ErrorCode::UnsupportedEndpointType, &format!("Unsupported endpoint type {other}"));
        }
    }
    let image = context.look();
    let shown = image.cluster().brokers().filter(|broker| request.include_fenced_brokers || !broker.fenced);
    let brokers = shown.filter_map(|broker| {
        let endpoint = broker.listener(&call.peer.listener)?;
        Some(DescribeClusterBroker {
            broker_id: broker.id.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone(),
            is_fenced: broker.fenced,
            ..Default::default()
        })
    });
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: context.identity.cluster.clone(),
        controller_id: context.identity.node.0,
        brokers: brokers.collect(),
        cluster_authorized_operations: authorized_operations::of_cluster(request.include_cluster_authorized_operations),
        ..Default::default()
    }
}

fn refuse(error: ErrorCode, message: &str) -> DescribeClusterResponse {
    DescribeClusterResponse { error_code: error.code(), error_message: Some(message.into()), ..Default::default() }
}
