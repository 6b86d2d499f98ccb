//! Compaction of random histories, with transactions and crashes in the middle, against what Kafka's consumer is owed.
//!
//! `SEEDS=5000 cargo test -p odradek-shards --lib random_histories_with` runs more than the few of an ordinary test run.

use super::compacting::{Sample, compact, compacted, keyed};
use super::fixture::*;
use crate::log::cleaner::{Means, Pace, clean, survey};
use crate::log::{Aborted, Log};
use crate::record::{Batch, BatchBuilder, Codec, ControlRecord, ControlRecordType, EndTransactionMarker};
use crate::runtime::{self, Instant};
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

/// `delete.retention.ms`.
const RETENTION: Duration = Duration::from_mins(1);
const PRODUCERS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// Keys, each with a value or none.
    Append(Vec<(u8, bool)>, usize),
    /// The same, in the transaction of a producer, which begins if none is open.
    Transact(usize, Vec<(u8, bool)>),
    /// Ends the producer's transaction if it has one: it commits, or aborts.
    End(usize, bool),
    Compact {
        map_keys: usize,
    },
    Wait,
    Reopen,
    /// A crash after which the producers are known from the log alone.
    ReopenWithoutSnapshots,
    /// The power goes at this operation of the next compaction.
    CutDuringCompaction {
        at: u64,
        map_keys: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    // Few keys, so that records are superseded; now and then others, so that a small map is full.
    let key = || prop_oneof![3 => 0..12u8, 1 => 12..40u8];
    let records = || prop::collection::vec((key(), prop::bool::weighted(0.75)), 1..8);
    prop_oneof![
        8 => (records(), 0..5usize).prop_map(|(records, codec)| Step::Append(records, codec)),
        4 => (0..PRODUCERS, records()).prop_map(|(producer, records)| Step::Transact(producer, records)),
        4 => (0..PRODUCERS, any::<bool>()).prop_map(|(producer, commits)| Step::End(producer, commits)),
        4 => (3..40usize).prop_map(|map_keys| Step::Compact { map_keys }),
        1 => Just(Step::Wait),
        1 => Just(Step::Reopen),
        1 => Just(Step::ReopenWithoutSnapshots),
        2 => (1..160u64, 3..40usize).prop_map(|(at, map_keys)| Step::CutDuringCompaction { at, map_keys }),
    ]
}

/// What was appended.
#[derive(Default)]
struct Model {
    /// Those of aborted transactions excepted.
    records: BTreeMap<i64, Sample>,
    /// Tombstones, and when they may first have been cleaned.
    tombstones: BTreeMap<i64, Option<Instant>>,
    /// The same of markers.
    markers: BTreeMap<i64, Option<Instant>>,
    /// Offsets of records that no consumer may see.
    aborted: BTreeSet<i64>,
    /// Of the transaction that each producer has open.
    open: [Vec<i64>; PRODUCERS],
    sequences: [i32; PRODUCERS],
    end: i64,
}

impl Model {
    fn take(&mut self, records: Vec<Sample>) -> Vec<i64> {
        let offsets: Vec<_> = (self.end..).take(records.len()).collect();
        for (offset, record) in offsets.iter().zip(records) {
            if record.1.is_none() {
                self.tombstones.insert(*offset, None);
            }
            self.records.insert(*offset, record);
        }
        self.end += offsets.len() as i64;
        offsets
    }

    fn samples(&self, records: &[(u8, bool)]) -> Vec<Sample> {
        let sample = |(offset, (key, has_value)): (i64, &(u8, bool))| {
            (format!("key {key}"), has_value.then(|| format!("value {offset} {}", "x".repeat(30))))
        };
        (self.end..).zip(records).map(sample).collect()
    }

    /// The last records of each key below the first open transaction.
    fn last_of_each(&self) -> BTreeMap<&str, (i64, &Option<String>)> {
        let decided = self.records.range(..self.first_open());
        decided.map(|(offset, (key, value))| (key.as_str(), (*offset, value))).collect()
    }

    /// A cleaning begins: from now on `delete.retention.ms` counts.
    fn date(&mut self) {
        for dated in self.tombstones.values_mut().chain(self.markers.values_mut()) {
            dated.get_or_insert_with(runtime::now);
        }
    }

    fn first_open(&self) -> i64 {
        self.open.iter().filter_map(|open| open.first().copied()).min().unwrap_or(self.end)
    }
}

async fn run(mut fixture: Fixture, steps: Vec<Step>) {
    compacted(&mut fixture, 700);
    fixture.config.delete_retention_ms = RETENTION.as_millis() as i64;
    fixture.config.index_interval_bytes = 200;
    fixture.config.durability = crate::log::Durability::Synced;
    let mut log = fixture.open().await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append(records, codec) => {
                let records = model.samples(&records);
                append(&log, &keyed(BatchBuilder::new().codec(Codec::ALL[codec], None), &records)).await;
                model.take(records);
            }
            Step::Transact(producer, records) => transact(&log, &mut model, producer, &records).await,
            Step::End(producer, commits) => end(&log, &mut model, producer, commits).await,
            Step::Compact { map_keys } => {
                model.date();
                compact(&log, map_keys * 24).await.unwrap();
            }
            Step::Wait => runtime::sleep(RETENTION + Duration::from_secs(10)).await,
            Step::Reopen => {
                let cleaned = log.borrow().cleaned();
                log = fixture.reopened(log).await;
                log.borrow_mut().set_cleaned(cleaned);
            }
            Step::ReopenWithoutSnapshots => {
                let cleaned = log.borrow().cleaned();
                crate::log::close(&log).await.unwrap();
                for name in fixture.files().await.into_keys().filter(|name| name.ends_with("snapshot")) {
                    fixture.dir().await.remove_file(&name).await.unwrap();
                }
                log = fixture.open_unclean().await;
                log.borrow_mut().set_cleaned(cleaned);
            }
            Step::CutDuringCompaction { at, map_keys } => {
                model.date();
                let (cleaned, recovery_point) = (log.borrow().cleaned(), log.borrow().recovery_point().0);
                fixture.disk.cut_power_at(at);
                let result = compact_until_cut(&log, map_keys * 24).await;
                if result {
                    fixture.disk.power_cut();
                }
                drop(log);
                log = fixture.open_as(false, recovery_point).await;
                log.borrow_mut().set_cleaned(cleaned);
            }
        }
        let end = log.borrow().written_offset();
        log.borrow_mut().advance_high_watermark(end);
        check(&log, &model).await;
    }
}

async fn transact(log: &RefCell<Log>, model: &mut Model, producer: usize, records: &[(u8, bool)]) {
    let records = model.samples(records);
    let sequence = Sequence(model.sequences[producer]);
    let builder = BatchBuilder::new().producer(id(producer), ProducerEpoch(0), sequence).transactional();
    append(log, &keyed(builder, &records)).await;
    model.sequences[producer] += records.len() as i32;
    let offsets = model.take(records);
    model.open[producer].extend(offsets);
}

async fn end(log: &RefCell<Log>, model: &mut Model, producer: usize, commits: bool) {
    let offsets = std::mem::take(&mut model.open[producer]);
    if offsets.is_empty() {
        return;
    }
    let marker = EndTransactionMarker { committed: commits, coordinator_epoch: 0 };
    append(log, &marker.batch(id(producer), ProducerEpoch(0), NOW)).await;
    model.markers.insert(model.end, None);
    model.end += 1;
    if !commits {
        model.records.retain(|offset, _| !offsets.contains(offset));
        model.tombstones.retain(|offset, _| !offsets.contains(offset));
        model.aborted.extend(offsets);
    }
}

fn id(producer: usize) -> ProducerId {
    ProducerId(producer as i64 + 5)
}

/// Producer and first offset of each transactional batch that has records.
fn data_batches(batches: &[Batch]) -> impl Iterator<Item = (ProducerId, Offset)> {
    let headers = batches.iter().map(|batch| batch.header).filter(|header| header.record_count > 0);
    let of_data = headers.filter(|header| header.attributes.is_transactional() && !header.attributes.is_control());
    of_data.map(|header| (header.producer_id, header.base_offset))
}

/// True when the power did not go meanwhile.
pub async fn compact_until_cut(log: &RefCell<Log>, map_bytes: usize) -> bool {
    let high_watermark = log.borrow().written_offset();
    let Ok(Some(dirt)) = survey(log, high_watermark, runtime::wall_clock()).await else { return false };
    let pace = RefCell::new(Pace::new(f64::MAX));
    let means = Means { map_bytes, load_factor: 0.9, pace: &pace, must_stop: &|| false, doomed: &drop };
    clean(log, &dirt, &means).await.is_ok()
}

/// Whatever it is read from, nothing that must be there is missing, and nothing is there that must not be.
async fn check(log: &RefCell<Log>, model: &Model) {
    assert_eq!(log.borrow().end_offset(), Offset(model.end));
    let stable = log.borrow().last_stable_offset(Offset(model.end));
    assert_eq!(stable, Offset(model.first_open()), "what is open is open, and nothing else");
    check_producers(log, model);
    for _ in 0..2 {
        let batches = read_batches(log, 0).await;
        check_kept(&batches, model);
        check_ended(&batches, model);
        check_cleaned(&batches, model, log.borrow().cleaned());
        let plan = log.borrow().plan_aborted(Offset(0));
        let aborted = plan.run(stable).await.unwrap().unwrap();
        let found = committed(&batches, aborted, stable);
        check_found(&found, model);
        log.borrow_mut().shrink_tail(0);
    }
}

/// Tombstones and markers stay for a while after they have done their work: a consumer may be on its way to them.
fn check_kept(batches: &[Batch], model: &Model) {
    let is_young = |cleaned: &Option<Instant>| cleaned.is_none_or(|at| runtime::now() < at + RETENTION);
    let offsets: HashSet<i64> = batches
        .iter()
        .flat_map(|batch| batch.records(1 << 20).map(|record| record.unwrap().offset.0).collect::<Vec<_>>())
        .collect();
    for (offset, at) in model.markers.iter().filter(|(_, at)| is_young(at)) {
        assert!(offsets.contains(offset), "the marker at {offset}, cleaned first at {at:?}, is gone");
    }
    for (key, (offset, _)) in model.last_of_each() {
        if model.tombstones.get(&offset).is_some_and(is_young) {
            assert!(offsets.contains(&offset), "the tombstone of {key} at {offset} is gone");
        }
    }
}

/// As long as records of a transaction are there, so is the marker that ends it.
fn check_ended(batches: &[Batch], model: &Model) {
    let headers = batches.iter().map(|batch| batch.header);
    let markers: Vec<_> = headers.filter(|header| header.attributes.is_control() && header.record_count > 0).collect();
    for (producer, offset) in data_batches(batches).filter(|(_, offset)| offset.0 < model.first_open()) {
        let mut later = model.markers.range(offset.0..).map(|(marker, _)| Offset(*marker));
        let ends =
            later.any(|at| markers.iter().any(|marker| marker.base_offset == at && marker.producer_id == producer));
        assert!(ends, "the marker of {producer:?}'s records at {offset} is gone");
    }
}

/// A producer goes on where it was, whatever became of its records.
fn check_producers(log: &RefCell<Log>, model: &Model) {
    for (producer, next) in model.sequences.iter().enumerate().filter(|(_, next)| **next > 0) {
        let log = log.borrow();
        let last = log.producers().get(id(producer)).and_then(|state| state.batches.back());
        assert_eq!(last.map(|batch| batch.last_sequence), Some(Sequence(next - 1)), "producer {producer}");
    }
}

/// Of aborted transactions nothing is left in what has been cleaned, and of every key one record.
fn check_cleaned(batches: &[Batch], model: &Model, cleaned: Offset) {
    let below = model.records.range(..cleaned.0);
    let last: BTreeMap<&str, i64> = below.map(|(offset, (key, _))| (key.as_str(), *offset)).collect();
    for batch in batches.iter().filter(|batch| batch.header.base_offset < cleaned) {
        let records = batch.records(1 << 20).map(|record| record.unwrap().offset);
        for offset in records.filter(|offset| *offset < cleaned) {
            assert!(!model.aborted.contains(&offset.0), "{offset} was aborted and outlives a cleaning");
            if let Some((key, _)) = model.records.get(&offset.0) {
                assert_eq!(last[key.as_str()], offset.0, "{key} was superseded and outlives a cleaning");
            }
        }
    }
}

/// What Kafka's consumer makes of it with `read_committed`.
fn committed(batches: &[Batch], mut aborted: Vec<Aborted>, stable: Offset) -> Vec<(i64, Sample)> {
    aborted.sort_by_key(|aborted| aborted.first);
    let mut aborted = VecDeque::from(aborted);
    let mut aborting = HashSet::new();
    let mut found = Vec::new();
    for batch in batches.iter().filter(|batch| batch.header.base_offset < stable) {
        while let Some(begun) = aborted.pop_front_if(|next| next.first <= batch.header.last_offset()) {
            aborting.insert(begun.producer_id);
        }
        let producer = batch.header.producer_id;
        if batch.header.attributes.is_control() {
            if is_abort(batch) {
                aborting.remove(&producer);
            }
        } else if !(batch.header.attributes.is_transactional() && aborting.contains(&producer)) {
            found.extend(batch.records(1 << 20).map(Result::unwrap).map(|record| {
                let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                (record.offset.0, (text(record.key.unwrap()), record.value.map(text)))
            }));
        }
    }
    found
}

/// Of what is cleaned away an empty batch may be left.
fn is_abort(batch: &Batch) -> bool {
    let record = batch.records(1 << 20).next();
    record.is_some_and(|record| ControlRecord::parse(&record.unwrap()).unwrap().kind == ControlRecordType::Abort)
}

/// A reader gets every key's last value, nothing that was not written, and nothing of a deleted key that is not older
/// than its tombstone.
fn check_found(found: &[(i64, Sample)], model: &Model) {
    for (offset, record) in found {
        assert!(!model.aborted.contains(offset), "{offset} was aborted");
        assert_eq!(model.records.get(offset), Some(record), "at {offset}");
    }
    let mut state: BTreeMap<&str, (i64, &Option<String>)> = BTreeMap::new();
    for (offset, (key, value)) in found {
        state.insert(key, (*offset, value));
    }
    for (key, (offset, value)) in model.last_of_each() {
        match value {
            Some(_) => assert_eq!(state.get(key), Some(&(offset, value)), "{key}"),
            None => assert!(state.get(key).is_none_or(|(_, value)| value.is_none()), "{key} is deleted"),
        }
    }
}

/// Seeds to run: `SEEDS`, or as many as an ordinary test run has time for.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let count = std::env::var("SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual);
    0..count
}

fn steps(seed: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), random);
    prop::collection::vec(step(), 1..60).new_tree(&mut runner).expect("nothing is filtered").current()
}

/// Says which history it was, whatever it failed with.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("history {}", self.0);
        }
    }
}

#[test]
fn random_histories_with_transactions_and_crashes_keep_every_last_value() {
    for seed in seeds(120) {
        let told = Told(seed);
        test_seeded(seed, |fixture| run(fixture, steps(seed)));
        drop(told);
    }
}
