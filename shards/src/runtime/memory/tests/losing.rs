//! What a power cut may leave of names, sizes, and what was changed while the file system was being synced.

use super::*;
use std::collections::BTreeSet;

/// Which of the names are there after a power cut, over many seeds.
fn left(names: &[&str], prepare: impl AsyncFn(&Directory), change: impl AsyncFn(&Directory)) -> BTreeSet<Vec<bool>> {
    let outcome = |seed| {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let root = Directory::memory(&disk);
            prepare(&root).await;
            root.sync().await.unwrap();
            change(&root).await;
            disk.power_cut();
            let root = Directory::memory(&disk);
            let mut left = Vec::new();
            for name in names {
                left.push(root.exists(name).await.unwrap());
            }
            left
        })
    };
    (0..200).map(outcome).collect()
}

async fn create(root: &Directory, names: &[&str]) {
    for name in names {
        root.open_file(name, PLAIN).await.unwrap();
    }
}

#[test]
fn removals_without_a_directory_sync_survive_in_any_subset() {
    let names = ["a", "b", "c"];
    let remove = async |root: &Directory| {
        for name in names {
            root.remove_file(name).await.unwrap();
        }
    };
    assert_eq!(left(&names, async |root| create(root, &names).await, remove).len(), 8);
}

#[test]
fn creations_without_a_directory_sync_survive_in_any_subset() {
    let names = ["a", "b", "c"];
    assert_eq!(left(&names, async |_| {}, async |root| create(root, &names).await).len(), 8);
}

#[test]
fn a_rename_may_survive_a_removal_before_it_that_is_undone() {
    let change = async |root: &Directory| {
        root.remove_file("old").await.unwrap();
        root.rename("new.swap", "new").await.unwrap();
    };
    let found = left(&["old", "new.swap", "new"], async |root| create(root, &["old", "new.swap"]).await, change);
    assert!(found.contains(&vec![true, false, true]), "{found:?}");
    assert!(found.iter().all(|there| there[1] != there[2]), "a file has one name: {found:?}");
}

#[test]
fn the_changes_of_one_file_keep_their_order() {
    let change = async |root: &Directory| {
        create(root, &["a"]).await;
        root.rename("a", "b").await.unwrap();
        root.rename("b", "c").await.unwrap();
    };
    let found = left(&["a", "b", "c"], async |_| {}, change);
    let expected = [[false, false, false], [false, false, true], [false, true, false], [true, false, false]];
    assert_eq!(found, expected.into_iter().map(Vec::from).collect());
}

#[test]
fn a_name_that_another_file_has_taken_is_never_without_a_file() {
    let change = async |root: &Directory| {
        root.rename("a", "a.deleted").await.unwrap();
        root.rename("a.swap", "a").await.unwrap();
    };
    let found = left(&["a", "a.deleted", "a.swap"], async |root| create(root, &["a", "a.swap"]).await, change);
    // The original gone under no name at all is the harshest of it.
    for expected in [[true, false, true], [false, true, true], [true, true, false], [true, false, false]] {
        assert!(found.contains(expected.as_slice()), "{found:?}");
    }
    assert!(found.iter().all(|there| there[0] || there[1]), "{found:?}");
}

#[test]
fn any_size_since_the_last_sync_may_be_left() {
    let mut found = BTreeSet::new();
    for seed in 0..100 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 1).await;
            file.truncate(100).await.unwrap();
            file.pre_allocate(9000).await.unwrap();
            disk.power_cut();
            found.insert(bytes_of(&disk).await.len());
        });
    }
    assert_eq!(found, BTreeSet::from([100, 4096, 9000]));
}

#[test]
fn a_synced_write_keeps_the_size_it_needs() {
    for seed in 0..50 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            drop(durable_file(&disk, 4).await);
            let file = open(&disk, SYNCED).await;
            file.truncate(100).await.unwrap();
            file.pre_allocate(16_384).await.unwrap();
            file.write_at(filled(&file, 1, 2), 8192).await.unwrap();
            disk.power_cut();
            assert!(bytes_of(&disk).await[8192..12_288].iter().all(|byte| *byte == 2));
        });
    }
}

/// Syncs the file system, lets `meanwhile` do something after the sync began, and cuts the power when it is over.
async fn synced_with(disk: &Disk, meanwhile: impl AsyncFn(&Directory)) -> Directory {
    let root = Directory::memory(disk);
    let syncing = root.clone();
    let synced = spawn_joined(async move { syncing.sync_file_system().await });
    crate::runtime::yield_now().await;
    meanwhile(&root).await;
    synced.await.unwrap();
    disk.power_cut();
    Directory::memory(disk)
}

#[test]
fn a_sync_of_the_file_system_covers_what_was_changed_before_it() {
    for seed in 0..40 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = open(&disk, PLAIN).await;
            file.write_at(filled(&file, 2, 1), 0).await.unwrap();
            synced_with(&disk, async |_| {}).await;
            assert_eq!(bytes_of(&disk).await, [1; 8192]);
        });
    }
}

#[test]
fn a_sync_of_the_file_system_covers_the_old_bytes_of_what_is_written_again_meanwhile() {
    let mut left = BTreeSet::new();
    for seed in 0..40 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 1).await;
            file.write_at(filled(&file, 1, 2), 0).await.unwrap();
            synced_with(&disk, async |_| file.write_at(filled(&file, 1, 3), 0).await.unwrap()).await;
            left.extend(bytes_of(&disk).await);
        });
    }
    assert_eq!(left, BTreeSet::from([2, 3]));
}

#[test]
fn a_sync_of_the_file_system_covers_no_names_and_sizes_that_come_meanwhile() {
    let (mut named, mut grown) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..40 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 1).await;
            let root = synced_with(&disk, async |root| {
                create(root, &["new"]).await;
                file.pre_allocate(9000).await.unwrap();
            })
            .await;
            named.insert(root.exists("new").await.unwrap());
            grown.insert(bytes_of(&disk).await.len());
        });
    }
    assert_eq!((named, grown), (BTreeSet::from([false, true]), BTreeSet::from([4096, 9000])));
}

#[test]
fn a_sync_of_the_file_system_does_not_take_back_what_was_synced_meanwhile() {
    for seed in 0..40 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 1).await;
            file.write_at(filled(&file, 1, 2), 0).await.unwrap();
            let root = synced_with(&disk, async |root| {
                create(root, &["new"]).await;
                root.sync().await.unwrap();
                file.write_at(filled(&file, 2, 3), 0).await.unwrap();
                file.sync().await.unwrap();
            })
            .await;
            assert!(root.exists("new").await.unwrap());
            assert_eq!(bytes_of(&disk).await, [3; 8192]);
        });
    }
}

#[test]
fn a_sync_of_the_file_system_that_the_power_cuts_short_promises_nothing() {
    let mut left = BTreeSet::new();
    for seed in 0..40 {
        simulate(seed, async {
            let disk = Disk::new(seed);
            let file = durable_file(&disk, 1).await;
            file.write_at(filled(&file, 1, 2), 0).await.unwrap();
            let root = Directory::memory(&disk);
            let syncing = spawn_joined(async move { root.sync_file_system().await });
            crate::runtime::yield_now().await;
            disk.power_cut();
            syncing.await.unwrap_err();
            left.extend(bytes_of(&disk).await);
        });
    }
    assert_eq!(left, BTreeSet::from([1, 2]));
}
