//! Records of `__consumer_offsets`: kinds and their bytes.

use crate::coordinator::RawRecord;
use bytes::Bytes;
use odradek_protocol::codec::{DecodeError, Message, Reader};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey,
    OffsetCommitValue,
};
use odradek_protocol::records::{Keyed, decode_key_type, decode_value, encode_key, encode_value};

/// A key with its value; without one the key is deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    Offset(OffsetCommitKey, Option<OffsetCommitValue>),
    Classic(Str, Option<GroupMetadataValue>),
    ConsumerEpoch(Str, Option<ConsumerGroupMetadataValue>),
    ConsumerMember(Member, Option<ConsumerGroupMemberMetadataValue>),
    TargetEpoch(Str, Option<ConsumerGroupTargetAssignmentMetadataValue>),
    TargetMember(Member, Option<ConsumerGroupTargetAssignmentMemberValue>),
    CurrentMember(Member, Option<ConsumerGroupCurrentMemberAssignmentValue>),
    RegularExpression { group: Str, expression: Str, resolved: Option<ConsumerGroupRegularExpressionValue> },
}

/// A member in its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    pub group: Str,
    pub member: Str,
}

/// Version of a commit without an expiry of its own, and of one with (OffsetCommit 2-4).
const OFFSET_COMMIT_VERSION: i16 = 4;
const EXPIRING_OFFSET_COMMIT_VERSION: i16 = 1;
const GROUP_METADATA_VERSION: i16 = 3;

impl GroupRecord {
    pub fn encode(&self) -> RawRecord {
        match self {
            Self::Offset(key, value) => {
                let expires = value.as_ref().is_some_and(|value| value.expire_timestamp >= 0);
                let version = if expires { EXPIRING_OFFSET_COMMIT_VERSION } else { OFFSET_COMMIT_VERSION };
                raw(key, value.as_ref(), version)
            }
            Self::Classic(group, value) => {
                raw(&GroupMetadataKey { group: group.clone() }, value.as_ref(), GROUP_METADATA_VERSION)
            }
            Self::ConsumerEpoch(group, value) => {
                raw(&ConsumerGroupMetadataKey { group_id: group.clone() }, value.as_ref(), 0)
            }
            Self::TargetEpoch(group, value) => {
                raw(&ConsumerGroupTargetAssignmentMetadataKey { group_id: group.clone() }, value.as_ref(), 0)
            }
            Self::RegularExpression { group, expression, resolved } => {
                let key = ConsumerGroupRegularExpressionKey {
                    group_id: group.clone(),
                    regular_expression: expression.clone(),
                };
                raw(&key, resolved.as_ref(), 0)
            }
            Self::ConsumerMember(at, value) => {
                let Member { group: group_id, member: member_id } = at.clone();
                raw(&ConsumerGroupMemberMetadataKey { group_id, member_id }, value.as_ref(), 0)
            }
            Self::TargetMember(at, value) => {
                let Member { group: group_id, member: member_id } = at.clone();
                raw(&ConsumerGroupTargetAssignmentMemberKey { group_id, member_id }, value.as_ref(), 0)
            }
            Self::CurrentMember(at, value) => {
                let Member { group: group_id, member: member_id } = at.clone();
                raw(&ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id }, value.as_ref(), 0)
            }
        }
    }

    /// None for other kinds of groups, and for what later releases bring.
    pub fn decode(record: RawRecord) -> Result<Option<Self>, DecodeError> {
        let RawRecord { key, value } = record;
        let mut key = Reader::new(key);
        Ok(Some(match decode_key_type(&mut key)? {
            LEGACY_OFFSET_COMMIT | OffsetCommitKey::API_KEY => Self::Offset(body(&mut key)?, parse(value)?),
            GroupMetadataKey::API_KEY => Self::Classic(body::<GroupMetadataKey>(&mut key)?.group, parse(value)?),
            ConsumerGroupMetadataKey::API_KEY => {
                Self::ConsumerEpoch(body::<ConsumerGroupMetadataKey>(&mut key)?.group_id, parse(value)?)
            }
            ConsumerGroupMemberMetadataKey::API_KEY => {
                let ConsumerGroupMemberMetadataKey { group_id, member_id } = body(&mut key)?;
                Self::ConsumerMember(Member { group: group_id, member: member_id }, parse(value)?)
            }
            ConsumerGroupTargetAssignmentMetadataKey::API_KEY => {
                Self::TargetEpoch(body::<ConsumerGroupTargetAssignmentMetadataKey>(&mut key)?.group_id, parse(value)?)
            }
            ConsumerGroupTargetAssignmentMemberKey::API_KEY => {
                let ConsumerGroupTargetAssignmentMemberKey { group_id, member_id } = body(&mut key)?;
                Self::TargetMember(Member { group: group_id, member: member_id }, parse(value)?)
            }
            ConsumerGroupCurrentMemberAssignmentKey::API_KEY => {
                let ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id } = body(&mut key)?;
                Self::CurrentMember(Member { group: group_id, member: member_id }, parse(value)?)
            }
            ConsumerGroupRegularExpressionKey::API_KEY => {
                let ConsumerGroupRegularExpressionKey { group_id, regular_expression } = body(&mut key)?;
                Self::RegularExpression { group: group_id, expression: regular_expression, resolved: parse(value)? }
            }
            _ => return Ok(None),
        }))
    }
}

/// Type of a commit's key before 0.9; its layout is that of the present one.
const LEGACY_OFFSET_COMMIT: i16 = 0;

fn raw<K: Keyed, V: Message>(key: &K, value: Option<&V>, version: i16) -> RawRecord {
    const WHY: &str = "strings of requests are measured before they come into records";
    RawRecord { key: encode_key(key).expect(WHY), value: value.map(|value| encode_value(value, version).expect(WHY)) }
}

fn body<K: Message>(key: &mut Reader) -> Result<K, DecodeError> {
    let body = K::decode(key, 0)?;
    key.finish()?;
    Ok(body)
}

fn parse<V: Message>(value: Option<Bytes>) -> Result<Option<V>, DecodeError> {
    value.map(decode_value).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(record: GroupRecord) {
        assert_eq!(GroupRecord::decode(record.encode()), Ok(Some(record)));
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let at = Member { group: "g".into(), member: "m".into() };
        round_trip(GroupRecord::Classic("g".into(), Some(GroupMetadataValue::default())));
        round_trip(GroupRecord::ConsumerEpoch("g".into(), Some(ConsumerGroupMetadataValue::default())));
        round_trip(GroupRecord::ConsumerMember(at.clone(), Some(ConsumerGroupMemberMetadataValue::default())));
        round_trip(GroupRecord::CurrentMember(at.clone(), None));
        round_trip(GroupRecord::TargetMember(at, None));
        round_trip(GroupRecord::Offset(OffsetCommitKey::default(), None));
    }

    #[test]
    fn a_commit_with_its_own_expiry_is_of_the_version_that_has_one() {
        let value = OffsetCommitValue { offset: 3, expire_timestamp: 7, ..Default::default() };
        let bytes = GroupRecord::Offset(OffsetCommitKey::default(), Some(value)).encode();
        assert_eq!(bytes.value.unwrap()[..2], [0, 1]);
    }

    #[test]
    fn kinds_of_later_releases_are_passed_over() {
        let key = Bytes::from_static(&[0, 99, 1, 2, 3]);
        assert_eq!(GroupRecord::decode(RawRecord { key, value: None }), Ok(None));
    }
}
