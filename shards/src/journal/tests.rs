use super::names::Kind;
use super::*;
use crate::runtime::memory::{Disk, Operation};
use crate::runtime::simulation::simulate;
use crate::runtime::{Directory, sleep};
use crate::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const SETTINGS: Settings = Settings { bytes: 2 * 16_384, file_bytes: 16_384 };

/// A partition whose batches are numbers, one offset and one kibibyte each.
#[derive(Clone)]
struct Numbers(Rc<State>);

struct State {
    partition: TopicPartition,
    in_line: Cell<bool>,
    end: Cell<i64>,
    handed_over: Cell<i64>,
    stored: RefCell<Vec<i64>>,
    refused: Cell<usize>,
    failed: Cell<usize>,
}

const NUMBER: usize = 1024;

impl Numbers {
    fn new(index: i32) -> Self {
        let partition = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(index) };
        Self(Rc::new(State {
            partition,
            in_line: Cell::default(),
            end: Cell::default(),
            handed_over: Cell::default(),
            stored: RefCell::default(),
            refused: Cell::default(),
            failed: Cell::default(),
        }))
    }

    fn append(&self, journal: &Journal<Self>, count: i64) {
        self.0.end.set(self.0.end.get() + count);
        journal.offer(self.clone());
    }

    fn stored(&self) -> i64 {
        self.0.stored.borrow().last().copied().unwrap_or(0)
    }
}

impl Source for Numbers {
    fn partition(&self) -> TopicPartition {
        self.0.partition
    }

    fn in_line(&self) -> &Cell<bool> {
        &self.0.in_line
    }

    fn waiting(&self, bytes_max: usize) -> Waiting {
        let from = self.0.handed_over.get();
        let count = (self.0.end.get() - from).min((bytes_max / NUMBER).max(1) as i64);
        Waiting { from: Offset(from), next: Offset(from + count), bytes: count as usize * NUMBER }
    }

    fn hand_over(&self, waiting: Waiting, into: &mut [u8]) {
        for (number, room) in (waiting.from.0..).zip(into.chunks_mut(NUMBER)) {
            room.fill(0);
            room[..8].copy_from_slice(&number.to_be_bytes());
        }
        self.0.handed_over.set(waiting.next.0);
    }

    fn stored(&self, next: Offset) {
        self.0.stored.borrow_mut().push(next.0);
    }

    fn wrote(&self, _took: Duration) {}

    fn refused(&self) {
        self.0.refused.set(self.0.refused.get() + 1);
    }

    fn failed(&self, _error: &io::Error) {
        self.0.failed.set(self.0.failed.get() + 1);
    }
}

/// A journal with a file ready.
async fn journal(dir: &Directory) -> Journal<Numbers> {
    let journal = Journal::new(dir.clone(), SETTINGS, 1);
    assert!(!journal.has_room(), "nothing is on disk before the first use");
    while !journal.has_room() {
        sleep(Duration::from_millis(1)).await;
    }
    journal
}

async fn quiet() {
    sleep(Duration::from_secs(1)).await;
}

/// The numbers of a partition that a start would find, entry by entry.
async fn left(dir: &Directory, source: &Numbers) -> Vec<(i64, Vec<i64>)> {
    let leftovers = Arc::new(Leftovers::find(dir).await.unwrap());
    let reader = Reader::new(leftovers.clone(), dir.clone());
    let mut found = Vec::new();
    for entry in leftovers.of(source.partition()) {
        let bytes = reader.read(entry).await.unwrap();
        let number = |bytes: &[u8]| i64::from_be_bytes(*bytes.first_chunk().unwrap());
        found.push((entry.from.0, bytes.chunks(NUMBER).map(number).collect()));
    }
    found
}

fn test<F: Future<Output = ()>>(seed: u64, run: impl FnOnce(Disk, Directory) -> F) {
    let disk = Disk::new(seed);
    simulate(seed, async { run(disk.clone(), Directory::memory(&disk)).await });
}

#[test]
fn what_is_stored_survives_a_power_cut() {
    for seed in 0..100 {
        test(seed, |disk, dir| async move {
            let journal = journal(&dir).await;
            let sources: Vec<_> = (0..3).map(Numbers::new).collect();
            disk.cut_power_at(1 + seed % 10);
            for _ in 0..4 {
                sources.iter().for_each(|source| source.append(&journal, 1));
                sleep(Duration::from_micros(100)).await;
            }
            disk.power_cut();
            let dir = Directory::memory(&disk);
            for source in &sources {
                let found: Vec<i64> = left(&dir, source).await.into_iter().flat_map(|(_, numbers)| numbers).collect();
                assert!(found.is_sorted(), "seed {seed}: {found:?}");
                let whole = (0..).zip(&found).take_while(|(expected, number)| expected == *number).count() as i64;
                assert!(whole >= source.stored(), "seed {seed}: {found:?} of {}", source.stored());
            }
        });
    }
}

#[test]
fn what_arrives_meanwhile_goes_out_together() {
    test(1, |disk, dir| async move {
        let journal = journal(&dir).await;
        // With the first frame, the second and last file is made ready.
        Numbers::new(9).append(&journal, 1);
        quiet().await;
        let before = disk.operations(Operation::Write);
        let sources: Vec<_> = (0..8).map(Numbers::new).collect();
        sources.iter().for_each(|source| source.append(&journal, 1));
        quiet().await;
        assert_eq!(disk.operations(Operation::Write), before + 1, "one turn, one frame");
        assert!(sources.iter().all(|source| source.stored() == 1));
        assert_eq!(left(&dir, &sources[5]).await, [(0, vec![0])]);
    });
}

#[test]
fn frames_are_acknowledged_in_their_order() {
    for seed in 0..50 {
        test(seed, |_, dir| async move {
            let journal = journal(&dir).await;
            let source = Numbers::new(0);
            for _ in 0..8 {
                source.append(&journal, 1);
                sleep(Duration::from_micros(30)).await;
            }
            quiet().await;
            assert!(source.0.stored.borrow().is_sorted(), "seed {seed}");
            assert_eq!(source.stored(), source.0.handed_over.get());
        });
    }
}

#[test]
fn a_file_is_recycled_when_nobody_needs_it() {
    test(3, |_, dir| async move {
        let journal = journal(&dir).await;
        let source = Numbers::new(0);
        for round in 1..=100 {
            source.append(&journal, 1);
            quiet().await;
            assert_eq!((source.stored(), source.0.refused.get()), (round, 0));
            journal.release(source.partition(), Offset(round - 1));
        }
        assert_eq!(dir.list().await.unwrap().len(), 2);
        let found = left(&dir, &source).await;
        assert_eq!(found.last(), Some(&(99, vec![99])), "entries of earlier laps come first");
        assert!(found.is_sorted());
    });
}

#[test]
fn a_full_journal_refuses() {
    test(4, |_, dir| async move {
        let journal = journal(&dir).await;
        let source = Numbers::new(0);
        while source.0.refused.get() == 0 {
            source.append(&journal, 1);
            quiet().await;
        }
        assert!(!journal.has_room() && journal.is_tight());
        let holders: Vec<_> = journal.holders_of_oldest().into_iter().map(|(partition, _)| partition).collect();
        assert_eq!(holders, [source.partition()]);
        journal.release(source.partition(), Offset(source.stored()));
        assert!(journal.has_room());
        source.append(&journal, 1);
        quiet().await;
        assert_eq!(source.stored(), source.0.end.get());
    });
}

#[test]
fn a_failed_write_ends_the_journal_and_is_not_tried_again() {
    test(5, |disk, dir| async move {
        let journal = journal(&dir).await;
        let (first, second) = (Numbers::new(0), Numbers::new(1));
        first.append(&journal, 1);
        quiet().await;
        disk.fail(Operation::Write, 1);
        first.append(&journal, 1);
        second.append(&journal, 1);
        quiet().await;
        assert_eq!((first.stored(), first.0.refused.get()), (1, 1));
        assert_eq!((second.stored(), second.0.refused.get()), (0, 1));
        assert_eq!(first.0.failed.get() + second.0.failed.get(), 1, "it is said once");
        assert!(!journal.has_room());
        journal.close().await.unwrap();
        assert_eq!(left(&dir, &first).await[0], (0, vec![0]), "what was stored is still needed");
    });
}

#[test]
fn a_journal_that_nobody_needs_leaves_no_files() {
    test(6, |_, dir| async move {
        let journal = journal(&dir).await;
        let source = Numbers::new(0);
        source.append(&journal, 3);
        quiet().await;
        journal.release(source.partition(), Offset(3));
        journal.close().await.unwrap();
        assert!(dir.list().await.unwrap().is_empty());
    });
}

/// Frames put into a file by hand, each a block: sequences, and the one number of partition 0 that each holds.
async fn file(dir: &Directory, incarnation: u64, blocks: &[Option<(u64, u64, i64)>]) {
    use crate::runtime::OpenMode;
    let name = names::file(Kind::Journal, incarnation, 0);
    let file = dir.open_file(&name, OpenMode::Write { create: true, synced: true }).await.unwrap();
    for (at, block) in blocks.iter().enumerate() {
        let mut buffer = file.allocate(4096);
        buffer.zero_from(0);
        if let Some((incarnation, sequence, number)) = *block {
            let mut frame = frame::FrameWriter::new(&mut buffer);
            let room = frame.entry(Numbers::new(0).partition(), Offset(number), NUMBER);
            room.fill(0);
            room[..8].copy_from_slice(&number.to_be_bytes());
            frame.finish(frame::FrameHeader { incarnation, sequence });
        }
        file.write_at(buffer, at as u64 * 4096).await.unwrap();
    }
}

#[test]
fn frames_of_an_earlier_lap_count_by_their_sequence() {
    test(8, |_, dir| async move {
        file(&dir, 9, &[Some((9, 11, 10)), None, Some((9, 3, 2)), Some((9, 10, 9))]).await;
        assert_eq!(left(&dir, &Numbers::new(0)).await, [(2, vec![2]), (9, vec![9]), (10, vec![10])]);
    });
}

#[test]
fn a_frame_of_another_incarnation_counts_nowhere() {
    test(9, |_, dir| async move {
        file(&dir, 9, &[Some((9, 1, 0)), Some((8, 2, 1))]).await;
        assert_eq!(left(&dir, &Numbers::new(0)).await, [(0, vec![0])]);
    });
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    test(9, |disk, dir| async move {
        file(&dir, 9, &[Some((9, 1, 0))]).await;
        disk.fail(Operation::Read, 1);
        let error = Leftovers::find(&dir).await.unwrap_err().to_string();
        assert!(error.contains(&names::file(Kind::Journal, 9, 0)), "{error}");
    });
}

#[test]
fn journals_of_a_clean_directory_are_discarded() {
    test(10, |_, dir| async move {
        file(&dir, 9, &[Some((9, 1, 0))]).await;
        dir.write_whole("meta.properties", b"").await.unwrap();
        discard(&dir).await.unwrap();
        assert_eq!(dir.list().await.unwrap().len(), 1);
    });
}

async fn remove(leftovers: &Arc<Leftovers>, dir: &Directory) {
    leftovers.sync(dir).await.unwrap();
    leftovers.remove(dir).await.unwrap();
}

#[test]
fn journals_that_were_removed_do_not_come_back() {
    for seed in 0..20 {
        test(seed, |disk, dir| async move {
            let journal = journal(&dir).await;
            let source = Numbers::new(0);
            source.append(&journal, 3);
            quiet().await;
            if seed % 2 == 0 {
                journal.release(source.partition(), Offset(3));
                journal.close().await.unwrap();
            } else {
                remove(&Arc::new(Leftovers::find(&dir).await.unwrap()), &dir).await;
            }
            disk.power_cut();
            assert!(Directory::memory(&disk).list().await.unwrap().is_empty());
        });
    }
}

#[test]
fn only_what_a_log_still_needs_outlives_the_removal() {
    test(11, |_, dir| async move {
        let incarnation = names::incarnation(7, 9);
        let journal = journal(&dir).await;
        let (kept, gone) = (Numbers::new(0), Numbers::new(1));
        for _ in 0..3 {
            kept.append(&journal, 2);
            gone.append(&journal, 1);
            quiet().await;
        }
        file(&dir, incarnation, &[Some((incarnation, 1, 6))]).await;
        let leftovers = Arc::new(Leftovers::find(&dir).await.unwrap());
        assert_eq!(leftovers.next_start(), 8);
        leftovers.keep(kept.partition());
        leftovers.keep(Numbers::new(5).partition());
        let before = left(&dir, &kept).await;
        remove(&leftovers, &dir).await;
        assert_eq!(dir.list().await.unwrap().len(), 1);
        assert_eq!(left(&dir, &kept).await, before);
        assert_eq!(before.last(), Some(&(6, vec![6])), "younger starts come last");
        assert!(left(&dir, &gone).await.is_empty());
        let leftovers = Arc::new(Leftovers::find(&dir).await.unwrap());
        remove(&leftovers, &dir).await;
        assert!(dir.list().await.unwrap().is_empty());
    });
}
