//! DeleteGroups: a group without members goes, with its offsets.

use super::kind::Group;
use super::machine::GroupMachine;
use super::record::GroupRecord;
use crate::coordinator::Turn;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;

impl GroupMachine {
    pub(super) fn delete(&self, turn: &mut Turn<'_, Self>, id: &Str) -> ErrorCode {
        let Some(group) = self.groups.get(id) else { return ErrorCode::GroupIdNotFound };
        if let Err(error) = group.check_delete() {
            return error;
        }
        for record in self.offsets.tombstones(id).into_iter().chain(group.tombstones(id)) {
            turn.record(record);
            turn.may_tear();
        }
        ErrorCode::None
    }
}

impl Group {
    /// Records that delete the group itself.
    pub(super) fn tombstones(&self, id: &Str) -> Vec<GroupRecord> {
        match self {
            Self::Classic(_) => vec![GroupRecord::Classic(id.clone(), None)],
            Self::Consumer(group) => group.tombstones(),
        }
    }
}
