//! Records of subjects that nothing here serves yet (ACLs, quotas, SCRAM credentials, delegation tokens): kept whole, so that none is lost.

use super::shared_map::SharedMap;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::MetadataRecord;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptImage {
    records: SharedMap<Key, Arc<MetadataRecord>>,
}

/// What a record is about; a later record with the same key replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Acl(Uuid),
    Quota { entity: Vec<(Str, Option<Str>)>, key: Str },
    Scram { user: Str, mechanism: i8 },
    DelegationToken(Str),
}

impl KeptImage {
    pub fn iter(&self) -> impl Iterator<Item = &MetadataRecord> {
        self.records.values().map(AsRef::as_ref)
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether the record is of a kind that is kept here.
    pub(super) fn replay(&mut self, record: &MetadataRecord) -> bool {
        use MetadataRecord as M;
        let kept = Arc::new(record.clone());
        match record {
            M::AccessControlEntry(r) => self.records.insert(Key::Acl(r.id), kept),
            M::RemoveAccessControlEntry(r) => self.records.remove(&Key::Acl(r.id)),
            M::ClientQuota(r) => {
                let mut entity: Vec<_> =
                    r.entity.iter().map(|e| (e.entity_type.clone(), e.entity_name.clone())).collect();
                entity.sort();
                let key = Key::Quota { entity, key: r.key.clone() };
                if r.remove { self.records.remove(&key) } else { self.records.insert(key, kept) }
            }
            M::UserScramCredential(r) => {
                self.records.insert(Key::Scram { user: r.name.clone(), mechanism: r.mechanism }, kept)
            }
            M::RemoveUserScramCredential(r) => {
                self.records.remove(&Key::Scram { user: r.name.clone(), mechanism: r.mechanism })
            }
            M::DelegationToken(r) => self.records.insert(Key::DelegationToken(r.token_id.clone()), kept),
            M::RemoveDelegationToken(r) => self.records.remove(&Key::DelegationToken(r.token_id.clone())),
            _ => return false,
        };
        true
    }
}
