//! Transactions met while batches go by in order: whose records were aborted, and which markers have done their work.

use super::super::transaction_index::Aborted;
use crate::record::{BatchHeader, EndTransactionMarker};
use crate::types::{Offset, ProducerId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What has been met so far. Batches come in the order of their offsets, the transactions that touch them before.
#[derive(Default)]
pub(super) struct Transactions {
    /// Not reached yet, by first offset and producer.
    ahead: BTreeMap<(Offset, ProducerId), Aborted>,
    aborted: HashMap<ProducerId, Open>,
    committed: HashSet<ProducerId>,
    /// Aborted ones of which a marker stays, in the order of the markers.
    kept: Vec<Aborted>,
}

/// An aborted transaction whose marker has not come yet.
struct Open {
    aborted: Aborted,
    /// A batch of it is still in the log.
    has_batches: bool,
}

impl Transactions {
    /// Announces what the transaction indexes say of the batches to come.
    pub fn announce(&mut self, aborted: impl IntoIterator<Item = Aborted>) {
        for aborted in aborted {
            self.ahead.insert((aborted.first, aborted.producer_id), aborted);
        }
    }

    /// Whether the records of this data batch were aborted.
    pub fn batch(&mut self, header: &BatchHeader) -> bool {
        self.reach(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some(open) => {
                open.has_batches = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Whether nothing in the log needs this marker any more: no batch of its transaction has gone by. `None` stands
    /// for one that was emptied before.
    pub fn marker(&mut self, header: &BatchHeader, marker: Option<EndTransactionMarker>) -> bool {
        self.reach(header.last_offset());
        let Some(marker) = marker else { return true };
        if marker.committed {
            return !self.committed.remove(&header.producer_id);
        }
        match self.aborted.remove(&header.producer_id) {
            Some(open) if open.has_batches => {
                self.kept.push(open.aborted);
                false
            }
            _ => true,
        }
    }

    /// What the transaction index of the cleaned segment is to hold of the markers that went by.
    pub fn take_kept(&mut self) -> Vec<Aborted> {
        std::mem::take(&mut self.kept)
    }

    fn reach(&mut self, offset: Offset) {
        while let Some(next) = self.ahead.first_entry().filter(|next| next.key().0 <= offset) {
            let aborted = next.remove();
            self.aborted.entry(aborted.producer_id).or_insert(Open { aborted, has_batches: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Batch, BatchBuilder, NewRecord};
    use crate::types::{ProducerEpoch, Sequence, Timestamp};

    fn data(producer: i64, offset: i64) -> BatchHeader {
        let producer = BatchBuilder::new().producer(ProducerId(producer), ProducerEpoch(0), Sequence(0));
        let mut builder = producer.transactional().base_offset(Offset(offset));
        builder.append(&NewRecord::default());
        builder.build().header
    }

    fn end(transactions: &mut Transactions, producer: i64, offset: i64, committed: bool) -> bool {
        let marker = EndTransactionMarker { committed, coordinator_epoch: 0 };
        let mut header = Batch::from(marker.batch(ProducerId(producer), ProducerEpoch(0), Timestamp(0))).header;
        header.base_offset = Offset(offset);
        transactions.marker(&header, Some(marker))
    }

    fn aborted(producer: i64, first: i64, last: i64) -> Aborted {
        Aborted {
            producer_id: ProducerId(producer),
            first: Offset(first),
            last: Offset(last),
            last_stable: Offset(last + 1),
        }
    }

    #[test]
    fn only_batches_between_first_offset_and_marker_are_aborted() {
        let mut transactions = Transactions::default();
        transactions.announce([aborted(1, 5, 7), aborted(1, 20, 22), aborted(2, 0, 30)]);
        assert!(!transactions.batch(&data(1, 2)), "an earlier transaction of the same producer");
        assert!(!end(&mut transactions, 1, 3, true));
        assert!(transactions.batch(&data(1, 5)));
        assert!(transactions.batch(&data(2, 6)));
        assert!(!end(&mut transactions, 1, 7, false), "its batch is in the log");
        assert!(!transactions.batch(&data(1, 9)));
        assert_eq!(transactions.take_kept(), [aborted(1, 5, 7)]);
    }

    #[test]
    fn a_marker_without_batches_is_needed_no_more() {
        let mut transactions = Transactions::default();
        transactions.announce([aborted(1, 5, 7)]);
        assert!(end(&mut transactions, 1, 7, false));
        assert!(end(&mut transactions, 2, 8, true));
        assert_eq!(transactions.take_kept(), []);
    }

    #[test]
    fn a_transaction_announced_by_each_segment_it_touches_is_one() {
        let mut transactions = Transactions::default();
        transactions.announce([aborted(1, 5, 27)]);
        assert!(transactions.batch(&data(1, 5)));
        transactions.announce([aborted(1, 5, 27)]);
        assert!(transactions.batch(&data(1, 25)));
        assert!(!end(&mut transactions, 1, 27, false));
        assert!(!transactions.batch(&data(1, 28)));
    }
}
