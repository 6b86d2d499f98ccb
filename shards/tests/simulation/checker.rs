//! What clients were told, and whether a log keeps to it.

use odradek_shards::log::Records;
use odradek_shards::record::batches;
use odradek_shards::types::Offset;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A record's value: unique over a whole run.
pub type RecordId = u64;

/// The promises of one partition.
#[derive(Default)]
pub struct Checker {
    /// Acknowledged, or seen by a consumer.
    promised: BTreeMap<Offset, RecordId>,
    sent: HashSet<RecordId>,
    /// Records below were asked to be deleted: nothing is promised of them any more.
    deleted: Offset,
}

/// A promise broken.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// Two records were promised at one offset.
    Contradiction {
        offset: Offset,
        ids: [RecordId; 2],
    },
    Lost {
        offset: Offset,
        id: RecordId,
    },
    Replaced {
        offset: Offset,
        id: RecordId,
        by: RecordId,
    },
    Twice {
        id: RecordId,
        offsets: [Offset; 2],
    },
    Gap {
        expected: Offset,
        found: Offset,
    },
    /// It was never sent to this partition.
    Foreign {
        offset: Offset,
        id: RecordId,
    },
    /// Below the high watermark, and nothing to read.
    Hole {
        from: Offset,
        high_watermark: Offset,
    },
}

impl Checker {
    pub fn promise(&mut self, offset: Offset, id: RecordId) -> Result<(), Broken> {
        if offset < self.deleted {
            return Ok(());
        }
        match self.promised.insert(offset, id) {
            Some(before) if before != id => Err(Broken::Contradiction { offset, ids: [before, id] }),
            _ => Ok(()),
        }
    }

    pub fn is_deleted(&self, offset: Offset) -> bool {
        offset < self.deleted
    }

    pub fn delete(&mut self, before: Offset) {
        self.deleted = self.deleted.max(before);
        self.promised = self.promised.split_off(&self.deleted);
    }

    /// Takes note of a record that is on its way: only such ones may be found.
    pub fn send(&mut self, id: RecordId) {
        self.sent.insert(id);
    }

    /// Holds a whole log against the promises.
    pub fn check(&self, log: &[(Offset, RecordId)]) -> Result<(), Broken> {
        check_gapless(log, self.deleted)?;
        check_unique(log)?;
        if let Some(&(offset, id)) = log.iter().find(|(_, id)| !self.sent.contains(id)) {
            return Err(Broken::Foreign { offset, id });
        }
        let found: HashMap<Offset, RecordId> = log.iter().copied().collect();
        for (&offset, &id) in &self.promised {
            match found.get(&offset) {
                None => return Err(Broken::Lost { offset, id }),
                Some(&by) if by != id => return Err(Broken::Replaced { offset, id, by }),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// A power cut in the middle of a deletion may leave any of the segments.
fn check_gapless(log: &[(Offset, RecordId)], deleted: Offset) -> Result<(), Broken> {
    for pair in log.windows(2) {
        let (expected, found) = (pair[0].0 + 1, pair[1].0);
        if expected != found && found > deleted {
            return Err(Broken::Gap { expected, found });
        }
    }
    Ok(())
}

fn check_unique(log: &[(Offset, RecordId)]) -> Result<(), Broken> {
    let mut first = HashMap::new();
    for &(offset, id) in log {
        if let Some(before) = first.insert(id, offset) {
            return Err(Broken::Twice { id, offsets: [before, offset] });
        }
    }
    Ok(())
}

/// The records of a read, with their offsets; every batch whole and its checksum right.
pub fn decode(records: Records) -> Vec<(Offset, RecordId)> {
    let bytes = records.into_bytes();
    let mut decoded = Vec::new();
    for batch in batches(&bytes) {
        let batch = batch.expect("a read returns whole batches");
        batch.check_crc().expect("a read returns what was appended");
        for record in batch.records(1 << 20) {
            let record = record.expect("a batch was validated");
            let value = record.value.expect("every record has a value");
            let id = RecordId::from_be_bytes(value[..8].try_into().unwrap());
            decoded.push((record.offset, id));
        }
    }
    decoded
}
