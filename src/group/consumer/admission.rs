//! A member as it comes into a consumer group: what of it has to be recorded first, and whether there is room for it.

use super::members::Sender;
use super::{ConsumerGroup, JOINING, Member, Refusal};
use crate::coordinator::{Draft, Turn};
use crate::group::machine::GroupMachine;
use crate::group::record::GroupRecord;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;

pub(super) struct Admitted {
    /// As it was before what it says now.
    pub member: Member,
    /// Whose place it takes.
    pub replaced: Option<Str>,
    /// How it takes it: they come into the log together.
    pub records: Vec<Draft<GroupRecord>>,
    /// What the group held of it so far, in bytes.
    held: usize,
    updated: Option<Updated>,
}

/// A member with what it says now, and the record of that.
pub(super) struct Updated {
    pub member: Member,
    pub record: Draft<GroupRecord>,
}

impl Admitted {
    pub fn new(id: Str) -> Self {
        Self { member: Member::new(id), replaced: None, records: Vec::new(), held: 0, updated: None }
    }

    /// `updated`: the member with what it says now.
    pub fn check(
        &mut self,
        turn: &Turn<'_, GroupMachine>,
        group: &ConsumerGroup,
        updated: Member,
    ) -> Result<(), Refusal> {
        if turn.moment.is_full && updated.bytes() > self.held {
            return Err(Refusal::no_room());
        }
        let mut record = Draft::from(group.member_record(&updated));
        if !turn.fits(&mut self.records) || !turn.fits([&mut record]) {
            let message = "What the group would remember of the member does not fit into a record.";
            return Err(Refusal::new(ErrorCode::UnknownServerError, message));
        }
        self.updated = Some(Updated { member: updated, record });
        Ok(())
    }

    pub fn updated(&mut self) -> Updated {
        self.updated.take().expect("only who was checked comes in")
    }
}

impl ConsumerGroup {
    pub(super) fn admitted(&self, sender: Sender) -> Admitted {
        match sender {
            Sender::Known(id) => {
                let member = self.members[&id].clone();
                let held = member.bytes();
                Admitted { member, replaced: None, records: Vec::new(), held, updated: None }
            }
            Sender::New(id) => Admitted::new(id),
            Sender::Replaces { before, id } => {
                let old = &self.members[&before];
                let member = Member { id: id.clone(), epoch: JOINING, previous_epoch: JOINING, ..old.clone() };
                let mut records = Vec::from(self.member_tombstones(&before));
                records.push(self.member_record(&member));
                records.push(self.target_record(&id, &self.target_or_nothing(&before)));
                records.push(self.current_record(&member));
                let records = records.into_iter().map(Draft::from).collect();
                let held = old.bytes() + id.len();
                Admitted { member, replaced: Some(before), records, held, updated: None }
            }
        }
    }
}
