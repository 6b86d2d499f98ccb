//! What shards do beside serving, and the directories they do it in: journals, compaction, scrubbing.

use super::Page;
use odradek_shards::message::{
    CleanerCounts, JournalMetrics, LogDirIndex, PartitionMetrics, ScrubCounts, ShardMetrics,
};
use std::time::Duration;

/// A log directory, and whether it can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogDirState {
    pub path: String,
    /// None when it could not be used at start.
    pub index: Option<LogDirIndex>,
    pub is_online: bool,
}

pub fn upkeep(page: &mut Page, shards: &[ShardMetrics], log_dirs: &[LogDirState]) {
    directories(page, log_dirs);
    journals(page, shards, log_dirs);
    cleaner(page, shards, log_dirs);
    scrub(page, shards);
}

fn directories(page: &mut Page, log_dirs: &[LogDirState]) {
    let offline = log_dirs.iter().filter(|dir| !dir.is_online).count();
    page.gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that failed.").row(&[], offline);
    let mut family = page.gauge("kafka_log_logmanager_logdirectoryoffline", "Whether a log directory failed.");
    log_dirs.iter().for_each(|dir| family.row(&label(dir), u8::from(!dir.is_online)));
}

fn journals(page: &mut Page, shards: &[ShardMetrics], log_dirs: &[LogDirState]) {
    let mut gauge = |name, help, value: fn(&JournalMetrics) -> u64| {
        let mut family = page.gauge(name, help);
        for (dir, LogDirIndex(index)) in usable(log_dirs) {
            let journals = shards.iter().filter_map(|shard| shard.journals.get(usize::from(index)));
            family.row(&label(dir), journals.map(value).sum::<u64>());
        }
    };
    gauge("odradek_journal_limit_bytes", "What the journals of all shards may grow to.", |journal| journal.limit);
    gauge("odradek_journal_size_bytes", "Of the journals' files.", |journal| journal.size);
    gauge("odradek_journal_held_bytes", "Of those that hold what is not synced in segments.", |journal| journal.held);
    let unwritten: u64 = shards.iter().map(|shard| shard.unwritten_bytes).sum();
    page.gauge("odradek_log_unwritten_bytes", "Bytes of batches that are in no segment yet.").row(&[], unwritten);
    let tails: u64 = shards.iter().map(|shard| shard.tail_bytes).sum();
    page.gauge("odradek_log_tail_bytes", "Bytes of newest batches kept in memory.").row(&[], tails);
}

fn cleaner(page: &mut Page, shards: &[ShardMetrics], log_dirs: &[LogDirState]) {
    let mut gauge = |name, help, value: fn(&PartitionMetrics) -> Option<u64>| {
        let mut family = page.gauge(name, help);
        for (dir, index) in usable(log_dirs) {
            let partitions = shards.iter().flat_map(|shard| &shard.partitions);
            let values = partitions.filter(|told| told.log_dir == index).filter_map(value);
            family.row(&label(dir), values.sum::<u64>());
        }
    };
    let count = "kafka_log_logcleanermanager_uncleanable_partitions_count";
    gauge(count, "Partitions that could not be compacted.", |told| told.quarantine.as_ref().map(|_| 1));
    let bytes = "kafka_log_logcleanermanager_uncleanable_bytes";
    gauge(bytes, "What waits in them to be compacted.", |told| Some(told.quarantine.as_ref()?.dirty_bytes));
    let counts = || shards.iter().map(|shard| shard.cleaner);
    if let Some(since) = counts().filter_map(|counts| counts.since_last_run).max() {
        let name = "kafka_log_logcleanermanager_time_since_last_run_ms";
        page.gauge(name, "Of the shard that looked longest ago.").row(&[], Duration::as_millis(&since));
    }
    let mut counter = |name, help, value: fn(CleanerCounts) -> u64| {
        page.counter(name, help).row(&[], counts().map(value).sum::<u64>());
    };
    counter("odradek_log_cleaner_runs_total", "Logs compacted.", |counts| counts.logs);
    counter("odradek_log_cleaner_failures_total", "Logs that could not be.", |counts| counts.failures);
    counter("odradek_log_cleaner_read_bytes_total", "Sizes before.", |counts| counts.bytes_before);
    counter("odradek_log_cleaner_written_bytes_total", "Sizes after.", |counts| counts.bytes_after);
}

fn scrub(page: &mut Page, shards: &[ShardMetrics]) {
    let mut counter = |name, help, value: fn(ScrubCounts) -> u64| {
        page.counter(name, help).row(&[], shards.iter().map(|shard| value(shard.scrub)).sum::<u64>());
    };
    counter("odradek_scrub_rounds_total", "Looks at all closed segments of a shard.", |counts| counts.rounds);
    counter("odradek_scrub_segments_total", "Segments read.", |counts| counts.segments);
    counter("odradek_scrub_bytes_total", "Bytes read.", |counts| counts.bytes);
    counter("odradek_scrub_damages_total", "Damaged batches seen, again in every look.", |counts| counts.damages);
}

fn usable(log_dirs: &[LogDirState]) -> impl Iterator<Item = (&LogDirState, LogDirIndex)> {
    log_dirs.iter().filter_map(|dir| Some((dir, dir.index?)))
}

fn label(dir: &LogDirState) -> [(&str, &str); 1] {
    [("logDirectory", &dir.path)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(path: &str, index: Option<u16>) -> LogDirState {
        LogDirState { path: path.into(), index: index.map(LogDirIndex), is_online: index.is_some() }
    }

    #[test]
    fn shards_are_told_of_together_and_log_directories_apart() {
        let journals = |held: [u64; 2]| held.map(|held| JournalMetrics { limit: 90, size: 40, held }).to_vec();
        let scrub = ScrubCounts { rounds: 1, segments: 2, bytes: 30, damages: 4 };
        let cleaner = CleanerCounts { logs: 2, since_last_run: Some(Duration::from_secs(3)), ..Default::default() };
        let shards = [
            ShardMetrics { journals: journals([1, 2]), scrub, ..Default::default() },
            ShardMetrics { journals: journals([4, 8]), scrub, cleaner, ..Default::default() },
        ];
        let mut page = Page::default();
        upkeep(&mut page, &shards, &[dir("/a", Some(0)), dir("/lost", None), dir("/b", Some(1))]);
        let text = page.into_text();
        for row in [
            "kafka_log_logmanager_offlinelogdirectorycount 1\n",
            "kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/lost\"} 1\n",
            "odradek_journal_held_bytes{logDirectory=\"/a\"} 5\n",
            "odradek_journal_held_bytes{logDirectory=\"/b\"} 10\n",
            "odradek_scrub_damages_total 8\n",
            "odradek_log_cleaner_runs_total 2\n",
            "kafka_log_logcleanermanager_time_since_last_run_ms 3000\n",
            "kafka_log_logcleanermanager_uncleanable_partitions_count{logDirectory=\"/b\"} 0\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }
}
