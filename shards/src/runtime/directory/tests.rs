//! What must hold on either disk.

use super::*;
use crate::runtime::executors::tests::{TempDir, on_executor};
use crate::runtime::memory::Disk;
use crate::runtime::simulation::simulate;
use std::io::ErrorKind;

fn on_both<Fut: Future<Output = ()> + 'static>(body: impl Fn(Directory) -> Fut + Copy + Send + 'static) {
    simulate(1, async { body(Directory::memory(&Disk::new(1))).await });
    let dir = TempDir::new();
    let path = dir.path().to_owned();
    on_executor(move || async move { body(Directory::open(&path).await.unwrap()).await });
}

const CREATE: OpenMode = OpenMode::Write { create: true, synced: false };

fn names(entries: &[Entry]) -> Vec<(&str, bool)> {
    entries.iter().map(|entry| (entry.name.as_str(), entry.is_dir)).collect()
}

#[test]
fn names_are_listed_in_order_with_kind_and_length() {
    on_both(|root| async move {
        root.create_dir("b").await.unwrap();
        let file = root.open_file("a", CREATE).await.unwrap();
        file.truncate(5).await.unwrap();
        let entries = root.list().await.unwrap();
        assert_eq!(names(&entries), [("a", false), ("b", true)]);
        assert_eq!(entries[0].len, 5);
    });
}

#[test]
fn creating_a_directory_twice_opens_it() {
    on_both(|root| async move {
        let first = root.create_dir("d").await.unwrap();
        first.open_file("f", CREATE).await.unwrap();
        let second = root.create_dir("d").await.unwrap();
        assert_eq!(names(&second.list().await.unwrap()), [("f", false)]);
        assert!(second.path().ends_with("d"));
    });
}

#[test]
fn an_open_directory_follows_its_rename() {
    on_both(|root| async move {
        let dir = root.create_dir("topic-0").await.unwrap();
        let file = dir.open_file("f", CREATE).await.unwrap();
        root.rename("topic-0", "topic-0.deleted").await.unwrap();
        file.truncate(7).await.unwrap();
        dir.open_file("g", CREATE).await.unwrap();
        dir.rename("g", "h").await.unwrap();
        dir.sync().await.unwrap();
        let moved = root.open_dir("topic-0.deleted").await.unwrap();
        assert_eq!(names(&moved.list().await.unwrap()), [("f", false), ("h", false)]);
    });
}

#[test]
fn a_removed_file_lives_on_in_its_handles() {
    on_both(|root| async move {
        let file = root.open_file("f", CREATE).await.unwrap();
        file.pre_allocate(4096).await.unwrap();
        root.remove_file("f").await.unwrap();
        assert_eq!(file.read_at(0, 10).await.unwrap().len(), 10);
        assert!(!root.exists("f").await.unwrap());
        file.close().await.unwrap();
    });
}

#[test]
fn a_long_file_is_removed_from_its_end() {
    on_both(|root| async move {
        let file = root.open_file("f", CREATE).await.unwrap();
        file.pre_allocate(10 << 10).await.unwrap();
        let step = async || root.remove_some("f", 4 << 10).await.unwrap();
        assert_eq!(step().await, Removed { bytes: 4 << 10, is_gone: false });
        assert_eq!(file.len().await.unwrap(), 6 << 10);
        assert_eq!(step().await, Removed { bytes: 4 << 10, is_gone: false });
        assert_eq!(step().await, Removed { bytes: 2 << 10, is_gone: true });
        assert!(!root.exists("f").await.unwrap());
        assert_eq!(root.remove_some("f", 4 << 10).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_file_with_another_name_is_not_cut() {
    let dir = TempDir::new();
    let (path, kept) = (dir.path().to_owned(), dir.path().join("kept"));
    std::fs::write(path.join("f"), [7; 10_000]).unwrap();
    std::fs::hard_link(path.join("f"), &kept).unwrap();
    on_executor(move || async move {
        let root = Directory::open(&path).await.unwrap();
        assert!(root.remove_some("f", 4096).await.unwrap().is_gone);
    });
    assert_eq!(std::fs::read(kept).unwrap(), [7; 10_000]);
}

#[test]
fn a_directory_is_removed_with_all_it_holds() {
    on_both(|root| async move {
        let dir = root.create_dir("d").await.unwrap();
        dir.create_dir("e").await.unwrap().open_file("f", CREATE).await.unwrap();
        root.remove_dir_all("d").await.unwrap();
        assert!(root.list().await.unwrap().is_empty());
    });
}

#[test]
fn missing_and_misplaced_names_are_told_apart() {
    on_both(|root| async move {
        let no_create = OpenMode::Write { create: false, synced: false };
        for mode in [OpenMode::Read, no_create] {
            assert_eq!(root.open_file("none", mode).await.err().unwrap().kind(), ErrorKind::NotFound);
        }
        assert_eq!(root.open_dir("none").await.err().unwrap().kind(), ErrorKind::NotFound);
        assert_eq!(root.rename("none", "n").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(root.remove_file("none").await.unwrap_err().kind(), ErrorKind::NotFound);
        root.open_file("f", CREATE).await.unwrap();
        assert_eq!(root.open_dir("f").await.err().unwrap().kind(), ErrorKind::NotADirectory);
        assert_eq!(root.create_dir("f").await.err().unwrap().kind(), ErrorKind::NotADirectory);
    });
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    on_both(|root| async move {
        for name in ["", ".", "..", "a/b", "/etc", "a\0b"] {
            assert_eq!(root.open_file(name, CREATE).await.err().unwrap().kind(), ErrorKind::InvalidInput);
            assert_eq!(root.remove_dir_all(name).await.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(root.rename("f", name).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_whole_file_is_replaced_and_leaves_nothing_aside() {
    on_both(|root| async move {
        root.write_whole("checkpoint", b"first, and longer").await.unwrap();
        root.write_whole("checkpoint", b"second").await.unwrap();
        root.write_whole("empty", b"").await.unwrap();
        assert_eq!(root.read_whole("checkpoint", 6).await.unwrap(), b"second");
        assert_eq!(root.read_whole("checkpoint", 5).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(root.read_whole("empty", 0).await.unwrap(), b"");
        assert_eq!(names(&root.list().await.unwrap()), [("checkpoint", false), ("empty", false)]);
    });
}
