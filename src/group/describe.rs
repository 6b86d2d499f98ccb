//! DescribeGroups and ConsumerGroupDescribe: what a group is like; each API takes the other kind for dead.

use super::kind::Group;
use super::machine::GroupMachine;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_describe_response as told;
use odradek_protocol::messages::describe_groups_response::DescribedGroup;
use odradek_protocol::primitives::Str;

/// First version that says there is no such group.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 6;

impl GroupMachine {
    pub(super) fn describe_classic(&self, version: i16, id: &Str) -> DescribedGroup {
        match self.groups.get(id) {
            Some(Group::Classic(group)) => group.describe(),
            Some(Group::Consumer(_)) => dead(version, id, format!("Group {id} is not a classic group.")),
            None => dead(version, id, format!("Group {id} not found.")),
        }
    }
}

impl GroupMachine {
    pub(super) fn describe_consumer(&self, id: &Str) -> told::DescribedGroup {
        match self.groups.get(id) {
            Some(Group::Consumer(group)) => {
                group.describe(&self.scene().image, &self.config().groups.group_consumer_assignors)
            }
            Some(Group::Classic(_)) => not_found(id, format!("Group {id} is not a consumer group.")),
            None => not_found(id, format!("Group {id} not found.")),
        }
    }
}

fn not_found(id: &Str, message: String) -> told::DescribedGroup {
    told::DescribedGroup {
        group_id: id.clone(),
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(message.into()),
        ..Default::default()
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
