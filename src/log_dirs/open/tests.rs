use super::*;
use crate::log_dirs::{Home, LogDirTable, Whereabouts};
use odradek_shards::message::LogDirIndex;
use odradek_shards::types::{Offset, PartitionIndex, TopicId, TopicPartition};

/// A directory under the system's temporary one, removed when dropped.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("odradek-{}", Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn config(&self, text: &str) -> BrokerConfig {
        let root = self.0.display();
        BrokerConfig::for_tests(&format!("log.dirs={root}/a,{root}/b\n{text}").replace("$", &root.to_string()))
    }

    fn refusal(&self) -> String {
        open(&self.config("")).unwrap_err().to_string()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn meta(node_id: i32, cluster_id: &str, directory_id: &str) -> String {
    format!("version=1\nnode.id={node_id}\ncluster.id={cluster_id}\ndirectory.id={directory_id}\n")
}

const ID_1: &str = "WEnX-TmHwsvD7osp92tt5w";
const ID_2: &str = "ZcV1w0tjriqI1256jXecNg";

#[test]
fn the_first_start_makes_directories_and_ids_that_the_next_one_finds() {
    let temp = TempDir::new();
    let config = temp.config("");
    let first = open(&config).unwrap();
    assert_eq!(first.cluster_id.len(), 22);
    assert_eq!((first.dirs.len(), first.metadata), (2, 0));
    assert_ne!(first.dirs[0].directory_id, first.dirs[1].directory_id);
    assert!(!first.dirs[0].is_clean);
    let ids = |dirs: &LogDirs| dirs.dirs.iter().map(|dir| dir.directory_id).collect::<Vec<_>>();
    let (cluster_id, directory_ids) = (first.cluster_id.clone(), ids(&first));
    drop(first);
    let second = open(&config).unwrap();
    assert_eq!((&second.cluster_id, ids(&second)), (&cluster_id, directory_ids));
}

#[test]
fn a_directory_is_held_until_the_process_lets_go() {
    let temp = TempDir::new();
    let held = open(&temp.config("")).unwrap();
    assert!(temp.refusal().contains("held by another process"));
    drop(held);
    open(&temp.config("")).unwrap();
}

#[test]
fn the_metadata_log_may_have_a_directory_of_its_own() {
    let temp = TempDir::new();
    let mut dirs = open(&temp.config("metadata.log.dir=$/m")).unwrap();
    assert_eq!((dirs.dirs.len(), dirs.metadata), (3, 2));
    let table = LogDirTable::new(&dirs);
    assert_eq!([0, 1, 2, 3].map(|index| place(&mut dirs, &table, index, None)), [0, 1, 0, 1]);
}

#[test]
fn data_of_another_node_is_refused_and_left_alone() {
    let temp = TempDir::new();
    temp.write("a/.kafka_cleanshutdown", "");
    temp.write("b/meta.properties", &meta(2, "c", ID_1));
    let message = temp.refusal();
    assert!(message.contains("/b/meta.properties: node.id is 2, but this node is 1; set node.id=2"), "{message}");
    assert!(temp.0.join("a/.kafka_cleanshutdown").exists());
    assert!(!temp.0.join("a/meta.properties").exists());
}

#[test]
fn directories_of_two_clusters_and_copies_are_refused() {
    let temp = TempDir::new();
    temp.write("a/meta.properties", &meta(1, "c", ID_1));
    temp.write("b/meta.properties", &meta(1, "d", ID_2));
    assert!(temp.refusal().contains("cluster.id is d, but"));
    temp.write("b/meta.properties", &meta(1, "c", ID_1));
    assert!(temp.refusal().contains("directory.id is that of"));
}

#[test]
fn a_new_directory_joins_the_cluster_of_the_others() {
    let temp = TempDir::new();
    temp.write("b/meta.properties", &meta(1, "c", ID_1));
    assert_eq!(open(&temp.config("")).unwrap().cluster_id, "c");
    let written = fs::read_to_string(temp.0.join("a/meta.properties")).unwrap();
    assert!(written.contains("cluster.id=c\n"), "{written}");
}

#[test]
fn logs_without_an_owner_are_left_alone() {
    let temp = TempDir::new();
    temp.write("b/topic-0/x", "");
    assert_eq!(open(&temp.config("")).unwrap().offline, [temp.0.join("b")]);
    assert!(!temp.0.join("b/meta.properties").exists());
    let temp = TempDir::new();
    temp.write("a/topic-0/x", "");
    assert!(temp.refusal().contains("holds logs but no meta.properties"), "the metadata log's cannot be left alone");
}

#[test]
fn a_directory_that_cannot_be_used_is_left_out() {
    let temp = TempDir::new();
    temp.write("b", "");
    let mut dirs = open(&temp.config("")).unwrap();
    assert_eq!((dirs.dirs.len(), dirs.metadata, &dirs.offline[..]), (1, 0, &[temp.0.join("b")][..]));
    let table = LogDirTable::new(&dirs);
    assert_eq!(place(&mut dirs, &table, 0, None), 0);
    drop(dirs);
    temp.write("c/meta.properties", "nonsense");
    let dirs = open(&temp.config("log.dirs=$/c,$/a\nmetadata.log.dir=$/a")).unwrap();
    assert_eq!((&dirs.dirs[dirs.metadata].path, &dirs.offline[..]), (&temp.0.join("a"), &[temp.0.join("c")][..]));
}

#[test]
fn without_the_metadata_logs_directory_there_is_no_start() {
    let temp = TempDir::new();
    temp.write("a", "");
    let message = temp.refusal();
    assert!(message.contains("/a: ") && message.contains("holds the metadata log"), "{message}");
    let message = open(&temp.config("log.dirs=$/a/b\nmetadata.log.dir=$/m")).unwrap_err().to_string();
    assert!(message.contains("none of log.dirs can be used"), "{message}");
}

fn here(dirs: &LogDirs, topic: &str, index: i32, assigned: Option<Uuid>) -> Home {
    match dirs.locate(topic, PartitionIndex(index), assigned) {
        Whereabouts::Here(home) => home,
        other => panic!("{other:?}"),
    }
}

const FUTURE: &str = "t-0.0123456789abcdef0123456789abcdef-future";

#[test]
fn a_partition_lies_where_the_controller_says() {
    let temp = TempDir::new();
    open(&temp.config("")).unwrap();
    temp.write("a/t-0/x", "");
    temp.write("b/t-0/x", "");
    let dirs = open(&temp.config("")).unwrap();
    for at in [0, 1] {
        let home = here(&dirs, "t", 0, Some(dirs.dirs[at].directory_id));
        assert_eq!((home.log_dir, home.stale), (at, vec![(1 - at, "t-0".to_string())]));
    }
    let paths = ["a", "b"].map(|name| temp.0.join(name));
    let twice = dirs.locate("t", PartitionIndex(0), None);
    assert_eq!(twice, Whereabouts::Twice(paths[0].clone(), paths[1].clone()), "nobody says which is right");
}

#[test]
fn a_copy_on_its_way_goes_on_unless_the_controller_says_that_it_has_arrived() {
    let temp = TempDir::new();
    open(&temp.config("")).unwrap();
    temp.write("a/t-0/x", "");
    temp.write(&format!("b/{FUTURE}/x"), "");
    let dirs = open(&temp.config("")).unwrap();
    for assigned in [None, Some(dirs.dirs[0].directory_id)] {
        let home = here(&dirs, "t", 0, assigned);
        assert_eq!((home.log_dir, home.future), (0, Some((1, FUTURE.to_string()))));
    }
    let home = here(&dirs, "t", 0, Some(dirs.dirs[1].directory_id));
    assert_eq!((home.log_dir, home.promote), (1, Some(FUTURE.to_string())));
    assert_eq!((home.future, home.stale), (None, vec![(0, "t-0".to_string())]));
}

#[test]
fn what_lies_in_a_directory_that_cannot_be_used_is_not_made_anew() {
    let temp = TempDir::new();
    let first = open(&temp.config("")).unwrap();
    let [a, b] = [0, 1].map(|at: usize| first.dirs[at].directory_id);
    drop(first);
    let locate = |assigned| open(&temp.config("")).unwrap().locate("t", PartitionIndex(0), Some(assigned));
    assert_eq!(locate(b), Whereabouts::Nowhere);
    fs::rename(temp.0.join("b"), temp.0.join("away")).unwrap();
    temp.write("b", "");
    assert_eq!((locate(b), locate(a)), (Whereabouts::Offline, Whereabouts::Nowhere));
    temp.write("a/t-0/x", "");
    assert_eq!(locate(b), Whereabouts::Offline, "what is here is older than what the controller knows of");
    fs::remove_file(temp.0.join("b")).unwrap();
    assert!(matches!(locate(b), Whereabouts::Here(_)), "the other directory is gone for good");
}

#[test]
fn what_the_last_run_left_is_found_by_partition() {
    let temp = TempDir::new();
    temp.write("b/meta.properties", &meta(1, "c", ID_1));
    temp.write("b/my-topic-3/x", "");
    temp.write("b/__cluster_metadata-0/x", "");
    temp.write("b/gone-0.0123456789abcdef0123456789abcdef-delete/x", "");
    temp.write("b/.kafka_cleanshutdown", r#"{"version":0,"brokerEpoch":12}"#);
    temp.write("b/recovery-point-offset-checkpoint", "0\n1\nmy-topic 3 70\n");
    temp.write("b/log-start-offset-checkpoint", "");
    temp.write("b/replication-offset-checkpoint", "nonsense");
    let dirs = open(&temp.config("")).unwrap();
    let home = here(&dirs, "my-topic", 3, None);
    assert_eq!((home.log_dir, home.is_clean), (1, true));
    assert_eq!((home.recovery_point, home.log_start, home.high_watermark), (Offset(70), Offset(0), Offset(0)));
    assert_eq!(dirs.locate("my-topic", PartitionIndex(4), None), Whereabouts::Nowhere);
    assert_eq!(dirs.dirs[1].broker_epoch, Some(12));
    assert_eq!(dirs.dirs[1].partitions.len(), 1);
    assert_eq!(dirs.dirs[1].doomed, ["gone-0.0123456789abcdef0123456789abcdef-delete"]);
    assert!(!temp.0.join("b/.kafka_cleanshutdown").exists());
}

/// Where a partition of a topic comes to lie.
fn place(dirs: &mut LogDirs, table: &LogDirTable, index: i32, assigned: Option<Uuid>) -> usize {
    dirs.place("t", PartitionIndex(index), assigned, table).expect("there are directories").log_dir
}

#[test]
fn a_failed_directory_gets_no_partition() {
    let temp = TempDir::new();
    let mut dirs = open(&temp.config("")).unwrap();
    let table = LogDirTable::new(&dirs);
    let second = dirs.dirs[1].directory_id;
    assert!(table.row(LogDirIndex(1)).fail());
    assert_eq!([0, 1].map(|index| place(&mut dirs, &table, index, Some(second))), [0, 0]);
    assert!(table.row(LogDirIndex(0)).fail());
    assert_eq!(dirs.place("t", PartitionIndex(2), None, &table), None);
}

#[test]
fn a_cordoned_directory_gets_a_partition_only_when_it_must() {
    let temp = TempDir::new();
    let mut dirs = open(&temp.config("")).unwrap();
    let (first, second) = (dirs.dirs[0].path.clone(), dirs.dirs[1].directory_id);
    let table = LogDirTable::new(&dirs);
    assert!(table.cordon(|path| *path == *first));
    assert_eq!([0, 1, 2].map(|index| place(&mut dirs, &table, index, None)), [1, 1, 1]);
    let named = dirs.dirs[0].directory_id;
    assert_eq!(place(&mut dirs, &table, 3, Some(named)), 0, "the controller said so");
    assert!(table.cordon(|_| true));
    assert_eq!(place(&mut dirs, &table, 4, Some(second)), 1);
    assert_eq!(place(&mut dirs, &table, 5, None), 0, "the one with the fewest of all");
    assert!(table.cordon(|_| false));
    assert_eq!(place(&mut dirs, &table, 6, None), 0);
}

#[test]
fn a_partition_belongs_where_a_journal_has_something_of_it() {
    let temp = TempDir::new();
    let mut dirs = open(&temp.config("")).unwrap();
    let [first, second] = [0, 1].map(|at| dirs.dirs[at].directory_id);
    let partition = |index| TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(index) };
    dirs.dirs[1].journaled.extend([partition(0), partition(1)]);
    dirs.dirs[0].journaled.insert(partition(1));
    assert_eq!(dirs.belongs(partition(0), None), Some(second));
    assert_eq!(dirs.belongs(partition(0), Some(first)), Some(second), "what was acknowledged is there");
    assert_eq!(dirs.belongs(partition(1), Some(second)), Some(second));
    assert_eq!(dirs.belongs(partition(2), Some(first)), Some(first));
    assert_eq!(dirs.belongs(partition(2), None), None);
}
