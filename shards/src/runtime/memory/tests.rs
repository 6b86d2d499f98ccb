//! That the disk behaves when nothing is planted, and that every fault bites.

use super::*;
use crate::runtime::simulation::simulate;
use crate::runtime::{AlignedBuffer, BLOCK_BYTES, Directory, File, OpenMode, spawn_joined};
use std::io::ErrorKind;

mod losing;

const PLAIN: OpenMode = OpenMode::Write { create: true, synced: false };
const SYNCED: OpenMode = OpenMode::Write { create: true, synced: true };

fn filled(file: &File, blocks: usize, byte: u8) -> AlignedBuffer {
    let mut buffer = file.allocate(blocks * BLOCK_BYTES);
    buffer.fill(byte);
    buffer
}

async fn open(disk: &Disk, mode: OpenMode) -> File {
    Directory::memory(disk).open_file("f", mode).await.unwrap()
}

/// A file "f" of `blocks` blocks of 1s, durable with its name.
async fn durable_file(disk: &Disk, blocks: usize) -> File {
    let file = open(disk, PLAIN).await;
    file.write_at(filled(&file, blocks, 1), 0).await.unwrap();
    file.sync().await.unwrap();
    Directory::memory(disk).sync().await.unwrap();
    file
}

async fn bytes_of(disk: &Disk) -> Vec<u8> {
    let file = open(disk, OpenMode::Read).await;
    let len = file.len().await.unwrap();
    file.read_at(0, len as usize).await.unwrap().into()
}

#[test]
fn what_is_written_is_read() {
    simulate(1, async {
        let disk = Disk::new(1);
        let file = open(&disk, PLAIN).await;
        let mut buffer = filled(&file, 2, 7);
        buffer.zero_from(5000);
        file.write_at(buffer, 4096).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 12_288);
        assert_eq!(file.read_at(4095, 3).await.unwrap()[..], [0, 7, 7]);
        assert_eq!(file.read_at(9095, 3).await.unwrap()[..], [7, 0, 0]);
        assert_eq!(file.read_at(12_280, 100).await.unwrap().len(), 8);
        assert!(file.read_at(12_288, 1).await.unwrap().is_empty());
    });
}

#[test]
fn a_fresh_buffer_is_poisoned() {
    simulate(1, async {
        let file = open(&Disk::new(1), PLAIN).await;
        assert!(file.allocate(4096).iter().all(|byte| *byte != 0));
    });
}

#[test]
fn preallocated_bytes_read_as_zeros_and_never_shrink_the_file() {
    simulate(1, async {
        let file = open(&Disk::new(1), PLAIN).await;
        file.pre_allocate(10_000).await.unwrap();
        file.pre_allocate(5).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 10_000);
        file.truncate(3).await.unwrap();
        assert_eq!(file.read_at(0, 100).await.unwrap()[..], [0, 0, 0]);
    });
}

#[test]
fn a_file_opened_for_reading_refuses_writes() {
    simulate(1, async {
        let disk = Disk::new(1);
        drop(open(&disk, PLAIN).await);
        let file = open(&disk, OpenMode::Read).await;
        assert!(file.write_at(filled(&file, 1, 1), 0).await.is_err());
        assert!(file.truncate(0).await.is_err());
    });
}

#[test]
#[should_panic(expected = "in flight")]
fn two_writes_of_one_block_at_a_time_panic() {
    simulate(1, async {
        let disk = Disk::new(1);
        let (one, other) = (open(&disk, PLAIN).await, open(&disk, SYNCED).await);
        let writing = one.write_at(filled(&one, 2, 1), 0);
        let overlapping = other.write_at(filled(&other, 1, 2), 4096);
        let _ = futures_util::future::join(writing, overlapping).await;
    });
}

#[test]
fn concurrent_writes_complete_in_an_order_that_the_seed_decides() {
    let first_done = |seed| {
        simulate(seed, async move {
            let file = open(&Disk::new(seed), PLAIN).await;
            let write = |block: u64| {
                let file = file.clone();
                Box::pin(spawn_joined(async move {
                    let buffer = filled(&file, 1, 1);
                    file.write_at(buffer, block * 4096).await.unwrap();
                    block
                }))
            };
            futures_util::future::select_all((0..8).map(write)).await.0
        })
    };
    assert_eq!(first_done(1), first_done(1));
    assert!((2..10).any(|seed| first_done(seed) != first_done(1)));
}

#[test]
fn the_nth_operation_fails_and_the_next_works() {
    simulate(1, async {
        let disk = Disk::new(1);
        let file = durable_file(&disk, 4).await;
        disk.fail(Operation::Read, 2);
        assert!(file.read_at(0, 10).await.is_ok());
        assert_eq!(file.read_at(0, 10).await.unwrap_err().raw_os_error(), Some(libc::EIO));
        assert!(file.read_at(0, 10).await.is_ok());
        disk.fail(Operation::Change, 1);
        assert!(file.pre_allocate(100_000).await.is_err());
        assert_eq!(file.len().await.unwrap(), 16_384);
    });
}

#[test]
fn a_failed_write_may_have_changed_some_sectors() {
    let torn = |seed| {
        simulate(seed, async move {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 4).await;
            disk.fail(Operation::Write, 1);
            file.write_at(filled(&file, 4, 2), 0).await.unwrap_err();
            let bytes = bytes_of(&disk).await;
            bytes.contains(&1) && bytes.contains(&2)
        })
    };
    assert!((0..5).all(torn));
}

#[test]
fn a_failed_sync_saves_nothing_and_neither_does_the_next() {
    for seed in 0..20 {
        simulate(seed, async move {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 1).await;
            file.write_at(filled(&file, 1, 2), 0).await.unwrap();
            disk.fail(Operation::Sync, 1);
            file.sync().await.unwrap_err();
            file.sync().await.unwrap();
            disk.power_cut();
            assert!(bytes_of(&disk).await.iter().all(|byte| *byte == 1));
        });
    }
}

#[test]
fn a_full_disk_refuses_growth_and_still_overwrites() {
    simulate(1, async {
        let disk = Disk::new(1);
        let file = durable_file(&disk, 2).await;
        disk.limit_space(Some(8192));
        let full = file.write_at(filled(&file, 1, 2), 8192).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert_eq!(file.pre_allocate(8193).await.unwrap_err().kind(), ErrorKind::StorageFull);
        file.write_at(filled(&file, 2, 2), 0).await.unwrap();
        disk.limit_space(None);
        file.write_at(filled(&file, 1, 2), 8192).await.unwrap();
    });
}

#[test]
fn removing_a_file_makes_room() {
    simulate(1, async {
        let disk = Disk::new(1);
        let root = Directory::memory(&disk);
        durable_file(&disk, 2).await;
        disk.limit_space(Some(8192));
        let other = root.open_file("other", PLAIN).await.unwrap();
        other.pre_allocate(4096).await.unwrap_err();
        root.remove_file("f").await.unwrap();
        other.pre_allocate(4096).await.unwrap();
    });
}

#[test]
fn a_power_cut_keeps_synced_bytes_and_some_sectors_of_the_rest() {
    let (mut torn, mut tries) = (0, 0);
    for seed in 0..20 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 4).await;
            file.write_at(filled(&file, 2, 2), 4096).await.unwrap();
            disk.power_cut();
            let bytes = bytes_of(&disk).await;
            assert!(bytes[..4096].iter().chain(&bytes[12_288..]).all(|byte| *byte == 1));
            for sector in bytes.chunks(SECTOR_BYTES) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "sectors are whole");
            }
            tries += 1;
            torn += u32::from(bytes.contains(&2) && bytes[4096..12_288].contains(&1));
        });
    }
    assert_eq!(torn, tries, "sixteen sectors never all survive or all vanish by chance");
}

#[test]
fn a_synced_write_survives_a_power_cut_without_a_sync() {
    for seed in 0..20 {
        simulate(seed, async move {
            let disk = Disk::new(seed);
            drop(durable_file(&disk, 1).await);
            let file = open(&disk, SYNCED).await;
            file.pre_allocate(16_384).await.unwrap();
            file.write_at(filled(&file, 1, 2), 8192).await.unwrap();
            disk.power_cut();
            let bytes = bytes_of(&disk).await;
            assert!(bytes[8192..12_288].iter().all(|byte| *byte == 2));
            assert!(bytes[4096..8192].iter().all(|byte| *byte == 0));
        });
    }
}

#[test]
fn a_write_in_flight_is_torn_by_a_power_cut_and_reported_failed() {
    simulate(1, async {
        let disk = Disk::new(1);
        let file = durable_file(&disk, 4).await;
        let writing = file.clone();
        let written = spawn_joined(async move { writing.write_at(filled(&writing, 4, 2), 0).await });
        crate::runtime::sleep(std::time::Duration::from_micros(1)).await;
        disk.power_cut();
        written.await.unwrap_err();
        let bytes = bytes_of(&disk).await;
        assert!(bytes.contains(&1) && bytes.contains(&2));
    });
}

#[test]
fn old_handles_fail_after_a_power_cut() {
    simulate(1, async {
        let disk = Disk::new(1);
        let file = durable_file(&disk, 1).await;
        let root = Directory::memory(&disk);
        disk.power_cut();
        assert!(file.read_at(0, 1).await.is_err());
        assert!(file.sync().await.is_err());
        assert!(file.len().await.is_err());
        assert!(root.list().await.is_err());
        assert!(Directory::memory(&disk).list().await.is_ok());
    });
}

/// Whether a change that was not synced was undone by a power cut, over some seeds: (sometimes, sometimes not).
fn undone(change: impl AsyncFn(&Directory), is_undone: impl AsyncFn(&Directory) -> bool) -> (bool, bool) {
    let (mut was, mut was_not) = (false, false);
    for seed in 0..40 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let root = Directory::memory(&disk);
            durable_file(&disk, 1).await;
            change(&root).await;
            disk.power_cut();
            let undone = is_undone(&Directory::memory(&disk)).await;
            was |= undone;
            was_not |= !undone;
        });
    }
    (was, was_not)
}

#[test]
fn a_creation_without_a_directory_sync_may_be_undone_even_if_the_file_is_synced() {
    let create = async |root: &Directory| root.open_file("new", PLAIN).await.unwrap().sync().await.unwrap();
    assert_eq!(undone(create, async |root| !root.exists("new").await.unwrap()), (true, true));
}

#[test]
fn a_rename_without_a_directory_sync_may_be_undone_and_never_loses_both_names() {
    let rename = async |root: &Directory| root.rename("f", "g").await.unwrap();
    let is_undone = async |root: &Directory| {
        let (old, new) = (root.exists("f").await.unwrap(), root.exists("g").await.unwrap());
        assert_ne!(old, new);
        old
    };
    assert_eq!(undone(rename, is_undone), (true, true));
}

#[test]
fn a_removal_without_a_directory_sync_may_be_undone() {
    let remove = async |root: &Directory| root.remove_file("f").await.unwrap();
    assert_eq!(undone(remove, async |root| root.exists("f").await.unwrap()), (true, true));
}

#[test]
fn a_size_without_a_sync_may_be_undone() {
    let truncate = async |root: &Directory| root.open_file("f", PLAIN).await.unwrap().truncate(100).await.unwrap();
    let len = async |root: &Directory| root.list().await.unwrap()[0].len;
    assert_eq!(undone(truncate, async |root| len(root).await == 4096), (true, true));
}

#[test]
fn a_synced_directory_keeps_its_names() {
    let change = async |root: &Directory| {
        root.rename("f", "g").await.unwrap();
        root.create_dir("d").await.unwrap();
        root.sync().await.unwrap();
    };
    let is_undone = async |root: &Directory| !(root.exists("g").await.unwrap() && root.exists("d").await.unwrap());
    assert_eq!(undone(change, is_undone), (false, true));
}

#[test]
fn a_whole_file_is_old_or_new_at_every_point_of_a_power_cut() {
    let (mut old, mut new) = (0, 0);
    for nth in 1.. {
        let finished = simulate(nth, async {
            let disk = Disk::new(nth);
            let root = Directory::memory(&disk);
            root.write_whole("checkpoint", b"old").await.unwrap();
            disk.cut_power_at(nth);
            let written = root.write_whole("checkpoint", b"new and longer").await;
            disk.power_cut();
            match Directory::memory(&disk).read_whole("checkpoint", 100).await.unwrap().as_slice() {
                b"old" => old += 1,
                b"new and longer" => new += 1,
                other => panic!("{other:?}"),
            }
            assert!(written.is_err() || new > 0, "a write that returned is there");
            written.is_ok()
        });
        if finished {
            break;
        }
    }
    assert!(old >= 4 && new >= 1, "the sweep passed {old} points before and {new} after");
}

#[test]
fn a_whole_file_longer_than_allowed_is_refused() {
    simulate(1, async {
        let root = Directory::memory(&Disk::new(1));
        root.write_whole("big", &[1; 100]).await.unwrap();
        assert_eq!(root.read_whole("big", 99).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(root.read_whole("none", 99).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}
