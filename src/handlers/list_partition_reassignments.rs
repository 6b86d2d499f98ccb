//! ListPartitionReassignments, version 0: none is ever under way where there is one broker.

use super::answer::Call;
use super::context::Context;
use odradek_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use std::rc::Rc;

pub async fn handle(
    _context: &Rc<Context>,
    _call: &Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
