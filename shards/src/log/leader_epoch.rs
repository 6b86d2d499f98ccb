//! Where each leader's term begins in this log (KIP-101), and the `leader-epoch-checkpoint` text that keeps it.

use super::checkpoint::{self, Malformed};
use crate::types::{LeaderEpoch, Offset};

/// The first offset of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// Epochs and their first offsets, both growing from entry to entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeaderEpochs {
    entries: Vec<EpochStart>,
    dirty: bool,
}

impl LeaderEpochs {
    /// Reads `leader-epoch-checkpoint`.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut epochs = Self::default();
        for [epoch, start] in checkpoint::parse_rows(text)? {
            let epoch = LeaderEpoch(epoch.parse().map_err(|_| Malformed)?);
            let start = Offset(start.parse().map_err(|_| Malformed)?);
            if epoch < LeaderEpoch(0) || start < Offset::ZERO {
                return Err(Malformed);
            }
            epochs.assign(epoch, start);
        }
        epochs.dirty = false;
        Ok(epochs)
    }

    /// The text of `leader-epoch-checkpoint`.
    pub fn text(&self) -> String {
        checkpoint::write_rows(self.entries.iter().map(|entry| format!("{} {}", entry.epoch, entry.start)))
    }

    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// The epoch of the record at `offset`; `None` below the first known epoch.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let count = self.entries.partition_point(|entry| entry.start <= offset);
        count.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// Begins `epoch` at `start`. Entries that contradict it (an equal or later start, an equal or later epoch) go, as
    /// they belong to a history that was cut off; an epoch already begun keeps its start.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch < LeaderEpoch(0) || self.latest().is_some_and(|last| last.epoch == epoch && last.start <= start) {
            return;
        }
        let kept = self.entries.partition_point(|entry| entry.epoch < epoch && entry.start < start);
        self.entries.truncate(kept);
        self.entries.push(EpochStart { epoch, start });
        self.dirty = true;
    }

    /// Where `requested` ends: the largest known epoch not above it, and the first offset of the next one, which is
    /// `log_end` for the latest. (-1, -1) when the epoch is unknown and above all known ones (Kafka's undefined).
    pub fn end_offset_for(&self, requested: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        const UNDEFINED: (LeaderEpoch, Offset) = (LeaderEpoch::NONE, Offset(-1));
        let above = self.entries.partition_point(|entry| entry.epoch <= requested);
        let floor = above.checked_sub(1).map(|at| self.entries[at].epoch);
        match (floor, self.entries.get(above)) {
            _ if requested < LeaderEpoch(0) => UNDEFINED,
            (Some(floor), None) if floor == requested => (requested, log_end),
            (_, None) => UNDEFINED,
            (floor, Some(next)) => (floor.unwrap_or(requested), next.start),
        }
    }

    /// Drops epochs that begin at or past `end`, as the log now ends there.
    pub fn truncate_from_end(&mut self, end: Offset) {
        let kept = self.entries.partition_point(|entry| entry.start < end);
        self.dirty |= kept < self.entries.len();
        self.entries.truncate(kept);
    }

    /// Drops epochs that end at or before `start`, as the log now starts there.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let Some(first) = self.entries.partition_point(|entry| entry.start <= start).checked_sub(1) else { return };
        if first == 0 && self.entries[0].start == start {
            return;
        }
        self.entries.drain(..first);
        self.entries[0].start = start;
        self.dirty = true;
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Something changed since the text was last taken to the disk.
    pub(super) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    pub(super) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for &(epoch, start) in entries {
            epochs.assign(LeaderEpoch(epoch), Offset(start));
        }
        epochs
    }

    fn end(epochs: &LeaderEpochs, requested: i32) -> (i32, i64) {
        let (epoch, offset) = epochs.end_offset_for(LeaderEpoch(requested), Offset(100));
        (epoch.0, offset.0)
    }

    #[test]
    fn the_text_is_kafkas() {
        let text = "0\n2\n0 0\n3 17\n";
        let parsed = LeaderEpochs::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed, {
            let mut e = epochs(&[(0, 0), (3, 17)]);
            e.take_dirty();
            e
        });
        assert_eq!(parsed.text(), text);
    }

    #[test]
    fn a_damaged_text_is_refused() {
        for text in
            ["", "1\n0\n", "0\n2\n0 0\n", "0\n1\n0\n", "0\n1\n-1 0\n", "0\n1\n0 -3\n", "0\n1\n0 0 0\n", "0\nx\n"]
        {
            assert!(LeaderEpochs::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_end_of_an_epoch_follows_kafkas_rules() {
        let epochs = epochs(&[(2, 10), (4, 30), (7, 60)]);
        assert_eq!(end(&epochs, 7), (7, 100), "the latest ends with the log");
        assert_eq!(end(&epochs, 8), (-1, -1), "above all known");
        assert_eq!(end(&epochs, 4), (4, 60));
        assert_eq!(end(&epochs, 5), (4, 60), "the next lower known epoch");
        assert_eq!(end(&epochs, 1), (1, 10), "below all known");
        assert_eq!(end(&epochs, -1), (-1, -1));
        assert_eq!(end(&LeaderEpochs::default(), 0), (-1, -1));
    }

    #[test]
    fn an_epoch_keeps_its_first_start() {
        let mut epochs = epochs(&[(1, 5)]);
        epochs.assign(LeaderEpoch(1), Offset(9));
        assert_eq!(epochs.entries(), [EpochStart { epoch: LeaderEpoch(1), start: Offset(5) }]);
    }

    #[test]
    fn a_contradicting_history_is_cut_off() {
        let epochs = epochs(&[(1, 5), (3, 20), (4, 40), (2, 15)]);
        let pairs: Vec<_> = epochs.entries().iter().map(|e| (e.epoch.0, e.start.0)).collect();
        assert_eq!(pairs, [(1, 5), (2, 15)]);
    }

    #[test]
    fn truncation_keeps_the_epoch_of_what_remains() {
        let mut epochs = epochs(&[(1, 0), (2, 10), (3, 20)]);
        epochs.truncate_from_end(Offset(20));
        assert_eq!(epochs.latest().unwrap().epoch, LeaderEpoch(2));
        epochs.truncate_from_start(Offset(15));
        assert_eq!(epochs.entries(), [EpochStart { epoch: LeaderEpoch(2), start: Offset(15) }]);
        assert_eq!(epochs.epoch_at(Offset(14)), None);
        assert_eq!(epochs.epoch_at(Offset(15)), Some(LeaderEpoch(2)));
    }
}
