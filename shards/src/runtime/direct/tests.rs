use crate::runtime;
use crate::runtime::executors::tests::{TempDir, on_executor};
use crate::runtime::sync::oneshot;
use crate::runtime::{AlignedBuffer, Directory, File, OpenMode};
use futures_util::future::{join, join_all};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::Path;

const WRITE: OpenMode = OpenMode::Write { create: true, synced: false };
const SYNCED: OpenMode = OpenMode::Write { create: true, synced: true };

/// Runs `body` on an executor with a log directory of its own.
fn in_log_dir<Fut: Future<Output = ()> + 'static>(body: impl FnOnce(Directory) -> Fut + Send + 'static) {
    let dir = TempDir::new();
    let path = dir.path().to_owned();
    on_executor(move || async move { body(Directory::open(&path).await.unwrap()).await });
}

fn counted(file: &File, len: usize) -> AlignedBuffer {
    let mut buffer = file.allocate(len);
    buffer.iter_mut().enumerate().for_each(|(at, byte)| *byte = byte_at(at));
    buffer
}

fn byte_at(at: usize) -> u8 {
    (at % 251) as u8
}

#[test]
fn what_is_written_is_read_at_any_alignment() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        assert_eq!(file.alignment() % 4096, 0);
        let len = 3 << 20;
        file.pre_allocate(len as u64).await.unwrap();
        file.write_at(counted(&file, len), 0).await.unwrap();
        for (pos, wanted) in [(0, len), (1, 1), (4095, 4098), (1_048_575, 1_048_578), (len - 10, 100), (len, 5)] {
            let read = file.read_at(pos as u64, wanted).await.unwrap();
            assert_eq!(read.len(), wanted.min(len - pos));
            assert!(read.iter().enumerate().all(|(at, byte)| *byte == byte_at(pos + at)), "{wanted} bytes at {pos}");
        }
        file.close().await.unwrap();
    });
}

#[test]
fn an_unaligned_end_is_read_to_the_byte() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        file.write_at(counted(&file, 8192), 0).await.unwrap();
        file.truncate(5000).await.unwrap();
        assert_eq!(file.read_at(4990, 100).await.unwrap().len(), 10);
        assert_eq!(file.read_at(0, 1 << 20).await.unwrap().len(), 5000);
        assert!(file.read_at(5000, 10).await.unwrap().is_empty());
        assert!(file.read_at(1 << 30, 10).await.unwrap().is_empty());
    });
}

/// Counts itself when it ends.
struct Turn<'a>(&'a Cell<usize>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.update(|ended| ended + 1);
    }
}

#[test]
fn a_read_in_turn_asks_for_a_part_only_when_it_has_its_turn() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        let len = 1 << 20;
        file.write_at(counted(&file, len), 0).await.unwrap();
        let (waiting, ended) = (RefCell::new(VecDeque::new()), Cell::new(0));
        let turn = async |size| {
            assert_eq!(size, 128 << 10);
            let (sender, receiver) = oneshot();
            waiting.borrow_mut().push_back(sender);
            receiver.await.unwrap();
            Turn(&ended)
        };
        let give_turns = async {
            for given in 0..8 {
                while ended.get() < given || waiting.borrow().is_empty() {
                    runtime::yield_now().await;
                }
                assert_eq!(waiting.borrow().len() + given, 8, "all others wait");
                waiting.borrow_mut().pop_front().unwrap().send(());
            }
        };
        let (read, ()) = join(file.read_in_turn(10, len - 10, 128 << 10, turn), give_turns).await;
        assert!(read.unwrap().iter().enumerate().all(|(at, byte)| *byte == byte_at(10 + at)));
    });
}

#[test]
fn the_size_grows_ahead_of_the_writes_and_is_cut_exactly() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", SYNCED).await.unwrap();
        file.pre_allocate(1 << 20).await.unwrap();
        file.pre_allocate(4096).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 1 << 20);
        file.write_at(counted(&file, 4096), 0).await.unwrap();
        file.sync().await.unwrap();
        file.truncate(77).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 77);
        assert_eq!(file.read_at(0, 100).await.unwrap().len(), 77);
    });
}

#[test]
fn an_empty_file_opened_first_is_readable_later() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("empty", WRITE).await.unwrap();
        assert!(file.read_at(0, 10).await.unwrap().is_empty());
        file.write_at(counted(&file, 4096), 0).await.unwrap();
        assert_eq!(file.read_at(0, 10).await.unwrap().len(), 10);
    });
}

#[test]
fn many_writes_side_by_side_all_land() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        file.pre_allocate(64 * 4096).await.unwrap();
        let writes = (0..64u64).map(|block| {
            let file = &file;
            async move {
                let mut buffer = file.allocate(4096);
                buffer.fill(block as u8);
                file.write_at(buffer, block * 4096).await.unwrap();
            }
        });
        join_all(writes).await;
        for block in 0..64u64 {
            assert_eq!(file.read_at(block * 4096 + 100, 2).await.unwrap()[..], [block as u8; 2]);
        }
    });
}

#[test]
fn a_truncated_buffer_writes_its_rest_only() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        let mut buffer = counted(&file, 3 * 4096);
        buffer.truncate(4096);
        file.write_at(buffer, 0).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 4096);
    });
}

#[test]
fn a_log_directory_is_created_and_left_clean() {
    let dir = TempDir::new();
    let path = dir.path().join("deep/er");
    on_executor(move || async move {
        let opened = Directory::open(&path).await.unwrap();
        assert!(opened.list().await.unwrap().is_empty());
        assert!(opened.path().is_absolute());
    });
}

/// The message of the error that opening `path` gives.
fn refusal(path: &Path) -> (ErrorKind, String) {
    let path = path.to_owned();
    on_executor(move || async move {
        let error = Directory::open(&path).await.err().unwrap();
        (error.kind(), error.to_string())
    })
}

#[test]
fn a_file_in_the_way_of_a_log_directory_is_named_with_the_remedy() {
    let dir = TempDir::new();
    let path = dir.path().join("file");
    std::fs::write(&path, b"").unwrap();
    let (_, message) = refusal(&path);
    assert!(message.contains(path.to_str().unwrap()) && message.contains("log.dirs"), "{message}");
}

#[test]
fn a_read_only_file_system_is_named_with_the_remedy() {
    let (_, message) = refusal(Path::new("/proc/odradek"));
    assert!(message.contains("/proc/odradek") && message.contains("log.dirs"), "{message}");
}

#[test]
fn errors_of_files_name_the_path() {
    in_log_dir(|dir| async move {
        let error = dir.open_file("none", OpenMode::Read).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(dir.path().join("none").to_str().unwrap()), "{error}");
    });
}

#[test]
fn only_what_was_read_to_be_kept_is_at_hand() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        file.write_at(counted(&file, 1 << 20), 0).await.unwrap();
        assert_eq!(file.read_at(0, 1 << 20).await.unwrap().len(), 1 << 20);
        assert_eq!(file.at_hand(0, 4096), None, "direct reads and writes leave nothing behind");
        let kept = file.read_and_keep(4095, 100_000).await.unwrap();
        assert_eq!(file.at_hand(4095, 100_000), Some(kept.clone()));
        assert!(kept.iter().enumerate().all(|(at, byte)| *byte == byte_at(4095 + at)));
        assert_eq!(file.at_hand((1 << 20) - 10, 11), None, "past the end");
    });
}

#[test]
fn a_direct_write_takes_the_place_of_what_was_kept() {
    in_log_dir(|dir| async move {
        let file = dir.open_file("f", WRITE).await.unwrap();
        file.pre_allocate(1 << 20).await.unwrap();
        file.write_at(counted(&file, 8192), 0).await.unwrap();
        file.read_and_keep(0, 1 << 20).await.unwrap();
        let mut changed = file.allocate(4096);
        changed.fill(0xAB);
        file.write_at(changed, 4096).await.unwrap();
        let after = file.read_and_keep(0, 8192).await.unwrap();
        assert!(after[..4096].iter().enumerate().all(|(at, byte)| *byte == byte_at(at)));
        assert!(after[4096..].iter().all(|byte| *byte == 0xAB));
        assert_eq!(file.at_hand(0, 8192), Some(after));
    });
}
