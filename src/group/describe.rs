//! DescribeGroups: what a classic group is like; to this API any other group is dead.

use super::group::Group;
use super::machine::GroupMachine;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_groups_response::DescribedGroup;
use odradek_protocol::primitives::Str;

/// First version that says there is no such group.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 6;

impl GroupMachine {
    pub(super) fn describe_classic(&self, version: i16, id: &Str) -> DescribedGroup {
        match self.groups.get(id) {
            Some(Group::Classic(group)) => group.describe(),
            None => dead(version, id, format!("Group {id} not found.")),
        }
    }
}

fn dead(version: i16, id: &Str, message: String) -> DescribedGroup {
    let is_told = version >= GROUP_ID_NOT_FOUND_SINCE;
    DescribedGroup {
        group_id: id.clone(),
        group_state: "Dead".into(),
        error_code: if is_told { ErrorCode::GroupIdNotFound.code() } else { 0 },
        error_message: is_told.then(|| message.into()),
        ..Default::default()
    }
}
