use super::*;
use odradek_protocol::records::metadata::NoOpRecord;
use odradek_shards::runtime::memory::Disk;
use odradek_shards::runtime::simulation::simulate;

fn settings(formatting: Formatting) -> RaftSettings {
    RaftSettings {
        node: NodeId(1),
        directory_id: Uuid::from_u128(500),
        formatting,
        bootstrap: Vec::new(),
        segment_bytes: 1 << 20,
        segment_ms: 604_800_000,
        clean: false,
    }
}

fn fixed() -> RaftSettings {
    settings(Formatting::Static(VoterSet::from_ids([NodeId(1)])))
}

fn standalone() -> RaftSettings {
    settings(Formatting::Standalone { endpoints: Vec::new() })
}

async fn open(disk: &Disk, settings: &RaftSettings) -> Raft {
    let raft = Raft::open(&Directory::memory(disk), settings).await.unwrap();
    raft.start();
    raft
}

fn no_op() -> Bytes {
    MetadataRecord::from(NoOpRecord {}).encode_value(0).unwrap()
}

/// Appends `count` records and waits for their commit; gives the last offset.
async fn commit(raft: &Raft, count: usize) -> Offset {
    raft.committed(Offset::ZERO).await.unwrap();
    let last = raft.append(&vec![no_op(); count]).unwrap();
    while raft.high_watermark() <= Some(last) {
        raft.progress().await;
    }
    last
}

async fn text(disk: &Disk, name: &str) -> String {
    let dir = Directory::memory(disk).open_dir("__cluster_metadata-0").await.unwrap();
    String::from_utf8(dir.read_whole(name, 1000).await.unwrap()).unwrap()
}

#[test]
fn a_new_quorum_leaves_the_files_that_kafka_leaves() {
    simulate(1, async {
        let disk = Disk::new(1);
        let raft = open(&disk, &standalone()).await;
        assert_eq!(commit(&raft, 2).await, Offset(4), "leader change, version and voters come first");
        let election = r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        assert_eq!(text(&disk, "quorum-state").await, election);
        assert_eq!(text(&disk, "partition.metadata").await, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
        raft.close().await.unwrap();
        let root = Directory::memory(&disk);
        assert!(root.exists("bootstrap.checkpoint").await.unwrap());
        let dir = root.open_dir("__cluster_metadata-0").await.unwrap();
        assert!(dir.exists("00000000000000000000-0000000000.checkpoint").await.unwrap());
        assert_eq!(text(&disk, "leader-epoch-checkpoint").await, "0\n1\n1 0\n");
    });
}

#[test]
fn fixed_voters_leave_no_snapshot_and_an_old_state_file() {
    simulate(2, async {
        let disk = Disk::new(2);
        let raft = open(&disk, &fixed()).await;
        assert_eq!(commit(&raft, 1).await, Offset(1));
        assert!(text(&disk, "quorum-state").await.ends_with(r#""currentVoters":[{"voterId":1}],"data_version":0}"#));
        assert!(raft.snapshot().id.is_none());
    });
}

#[test]
fn a_restart_keeps_what_was_committed_and_moves_the_epoch() {
    simulate(3, async {
        let disk = Disk::new(3);
        let first = open(&disk, &standalone()).await;
        commit(&first, 5).await;
        first.close().await.unwrap();
        assert_eq!(first.append(&[no_op()]), Err(AppendError::NotLeader));
        let second = open(&disk, &standalone()).await;
        let batches = second.committed(Offset::ZERO).await.unwrap();
        assert_eq!(second.leading(), Some((LeaderEpoch(2), Offset(8))));
        let shape: Vec<_> = batches.iter().map(|b| (b.base_offset.0, b.controls.len(), b.records.len())).collect();
        assert_eq!(shape, [(0, 3, 0), (3, 0, 5), (8, 1, 0)], "the voters are recorded once");
    });
}

#[test]
fn a_loss_of_power_never_takes_what_was_committed() {
    for seed in 0..20 {
        simulate(seed, async move {
            let disk = Disk::new(seed);
            let mut committed = Offset(-1);
            for round in 0..4 {
                let raft = open(&disk, &fixed()).await;
                raft.committed(Offset::ZERO).await.unwrap();
                assert!(raft.high_watermark() > Some(committed), "round {round} of seed {seed}");
                assert_eq!(raft.leading().unwrap().0, LeaderEpoch(round + 1));
                committed = commit(&raft, 3).await;
                raft.append(&[no_op()]).unwrap();
                disk.power_cut();
                drop(raft);
            }
        });
    }
}

#[test]
fn an_idle_log_is_tidied_and_takes_records_again() {
    simulate(6, async {
        let disk = Disk::new(6);
        let raft = open(&disk, &fixed()).await;
        let first = commit(&raft, 2).await;
        odradek_shards::runtime::sleep(IDLE * 3).await;
        let dir = Directory::memory(&disk).open_dir("__cluster_metadata-0").await.unwrap();
        let entries = dir.list().await.unwrap();
        let log = entries.iter().find(|entry| entry.name.ends_with(".log")).unwrap();
        assert_eq!(log.len, raft.inner.log.borrow().size(), "nothing lies behind the last batch");
        assert_eq!(commit(&raft, 1).await, Offset(first.0 + 1));
    });
}

#[test]
fn a_failed_write_ends_leadership_and_every_wait() {
    simulate(5, async {
        let disk = Disk::new(5);
        let raft = open(&disk, &fixed()).await;
        let last = commit(&raft, 1).await;
        disk.limit_space(Some(0));
        let values = vec![no_op(); 9000];
        let mut next = last;
        while let Ok(offset) = raft.append(&values) {
            next = offset;
            odradek_shards::runtime::sleep(Duration::from_millis(1)).await;
        }
        assert!(raft.committed(Offset(next.0 + 1)).await.is_err());
        assert_eq!(raft.leading(), None);
        assert!(raft.close().await.is_err());
    });
}
