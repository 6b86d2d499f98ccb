//! Writing the checkpoint files and the sign of a clean stop, on a shard.

use super::clean_shutdown;
use odradek_shards::log::{
    CLEANED, HIGH_WATERMARKS, LOG_STARTS, PartitionOffset, RECOVERY_POINTS, StorageError, replace_offsets,
};
use odradek_shards::runtime::Directory;
use odradek_shards::types::{Offset, PartitionIndex};
use std::io;

/// What the files are to say of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Index in `LogDirs::dirs`.
    pub log_dir: usize,
    pub topic: String,
    pub partition: PartitionIndex,
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// Of a compacted topic.
    pub cleaned: Option<Offset>,
}

/// Replaces the four files of the directory with this index in `LogDirs::dirs`. Kafka lists a log's start only where
/// records were deleted.
pub async fn write_checkpoints(dir: &Directory, index: usize, checkpoints: &[Checkpoint]) -> Result<(), StorageError> {
    let here = || checkpoints.iter().filter(|checkpoint| checkpoint.log_dir == index);
    let rows: Vec<_> = here().map(|checkpoint| row(checkpoint, checkpoint.recovery_point)).collect();
    replace_offsets(dir, RECOVERY_POINTS, &rows).await?;
    let deleted = here().filter(|checkpoint| checkpoint.log_start > Offset::ZERO);
    let rows: Vec<_> = deleted.map(|checkpoint| row(checkpoint, checkpoint.log_start)).collect();
    replace_offsets(dir, LOG_STARTS, &rows).await?;
    let rows: Vec<_> = here().map(|checkpoint| row(checkpoint, checkpoint.high_watermark)).collect();
    replace_offsets(dir, HIGH_WATERMARKS, &rows).await?;
    let rows: Vec<_> = here().filter_map(|checkpoint| Some(row(checkpoint, checkpoint.cleaned?))).collect();
    replace_offsets(dir, CLEANED, &rows).await
}

/// The last write of a clean stop: every log of `dir` is closed and its checkpoints are written.
pub async fn mark_clean(dir: &Directory, broker_epoch: i64) -> io::Result<()> {
    dir.write_whole(clean_shutdown::FILE, clean_shutdown::text(broker_epoch).as_bytes()).await
}

fn row(checkpoint: &Checkpoint, offset: Offset) -> PartitionOffset {
    PartitionOffset { topic: checkpoint.topic.clone(), partition: checkpoint.partition, offset }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_shards::runtime::memory::Disk;
    use odradek_shards::runtime::simulation::simulate;

    fn checkpoint(log_dir: usize, topic: &str, log_start: i64) -> Checkpoint {
        let (recovery_point, high_watermark) = (Offset(5), Offset(7));
        Checkpoint {
            log_dir,
            topic: topic.into(),
            partition: PartitionIndex(0),
            recovery_point,
            log_start: Offset(log_start),
            high_watermark,
            cleaned: (log_dir == 1).then_some(Offset(4)),
        }
    }

    async fn text(dir: &Directory, name: &str) -> String {
        String::from_utf8(dir.read_whole(name, 1000).await.unwrap()).unwrap()
    }

    #[test]
    fn each_directory_lists_its_own_partitions() {
        simulate(1, async {
            let dirs = [Directory::memory(&Disk::new(1)), Directory::memory(&Disk::new(2))];
            for (index, dir) in dirs.iter().enumerate() {
                let all = [checkpoint(0, "a", 0), checkpoint(1, "b", 3)];
                write_checkpoints(dir, index, &all).await.unwrap();
            }
            assert_eq!(text(&dirs[0], RECOVERY_POINTS).await, "0\n1\na 0 5\n");
            assert_eq!(text(&dirs[0], LOG_STARTS).await, "0\n0\n");
            assert_eq!(text(&dirs[1], LOG_STARTS).await, "0\n1\nb 0 3\n");
            assert_eq!(text(&dirs[1], HIGH_WATERMARKS).await, "0\n1\nb 0 7\n");
            assert_eq!(text(&dirs[0], CLEANED).await, "0\n0\n");
            assert_eq!(text(&dirs[1], CLEANED).await, "0\n1\nb 0 4\n");
        });
    }

    #[test]
    fn the_sign_of_a_clean_stop_is_read_at_the_next_start() {
        simulate(1, async {
            let dir = Directory::memory(&Disk::new(1));
            mark_clean(&dir, 12).await.unwrap();
            assert_eq!(clean_shutdown::parse(text(&dir, clean_shutdown::FILE).await.as_bytes()), Some(12));
        });
    }
}
