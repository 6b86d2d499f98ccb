//! FindCoordinator, versions 0-6: which broker coordinates a group. v1 key types, v4 several keys at once, v6 share groups.

use super::answer::Call;
use super::context::Context;
use super::group_answers::Room;
use super::internal_topics;
use super::pace::Pace;
use crate::group;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::find_coordinator_response::Coordinator;
use odradek_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::types::NodeId;
use std::rc::Rc;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// First version with several keys.
const BATCHED_SINCE: i16 = 4;

/// Node, host and port.
type Found = Result<(NodeId, Str, u16), ErrorCode>;

pub async fn handle(context: &Rc<Context>, call: &Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if call.version < BATCHED_SINCE {
        return single(find(context, call, request.key_type, &request.key).await);
    }
    let (room, mut pace) = (Room::default(), Pace::default());
    let mut coordinators = Vec::new();
    for key in request.coordinator_keys {
        pace.step(1).await;
        let found = if room.take(size_of::<Coordinator>() + key.len()) {
            find(context, call, request.key_type, &key).await
        } else if room.refuse(&key) {
            Err(ErrorCode::CoordinatorNotAvailable)
        } else {
            break;
        };
        coordinators.push(told(key, found));
    }
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

async fn find(context: &Rc<Context>, call: &Call, key_type: i8, key: &Str) -> Found {
    match key_type {
        GROUP => find_group(context, call, key).await,
        TRANSACTION | SHARE => Err(ErrorCode::CoordinatorNotAvailable),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

async fn find_group(context: &Rc<Context>, call: &Call, key: &Str) -> Found {
    if !internal_topics::ensure(context, group::TOPIC).await {
        return Err(ErrorCode::CoordinatorNotAvailable);
    }
    let image = context.look();
    let partition = group::driver::partition_of(&image, key).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let leader = image.topics().partition(partition).map(|state| state.leader);
    let broker = leader.and_then(|leader| image.cluster().broker(leader)).filter(|broker| !broker.fenced);
    let broker = broker.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let endpoint = broker.listener(&call.peer.listener).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok((broker.id, endpoint.host.clone(), endpoint.port))
}

fn single(found: Found) -> FindCoordinatorResponse {
    let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let Coordinator { node_id, host, port, error_code, .. } = told(Str::EMPTY, found);
    let error_message = Some(error.name().into());
    FindCoordinatorResponse { error_code, error_message, node_id, host, port, ..Default::default() }
}

fn told(key: Str, found: Found) -> Coordinator {
    match found {
        Ok((node, host, port)) => {
            Coordinator { key, node_id: node.0, host, port: i32::from(port), ..Default::default() }
        }
        Err(error) => Coordinator { key, node_id: -1, port: -1, error_code: error.code(), ..Default::default() },
    }
}
