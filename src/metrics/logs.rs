//! The logs of this broker: sizes and offsets of each partition, what it promises, and what is wrong with it.

use super::Page;
use odradek_shards::log::Durability;
use odradek_shards::message::{PartitionMetrics, Quarantined};

/// A partition as its rows name it.
struct Row<'a> {
    told: &'a PartitionMetrics,
    index: String,
}

impl Row<'_> {
    fn labels(&self) -> [(&str, &str); 2] {
        [("topic", &self.told.topic), ("partition", &self.index)]
    }

    fn labels_and<'a>(&'a self, label: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
        let [topic, partition] = self.labels();
        [topic, partition, (label, value)]
    }
}

pub fn logs(page: &mut Page, partitions: &[&PartitionMetrics]) {
    let rows: Vec<Row<'_>> =
        partitions.iter().map(|told| Row { told, index: told.partition.partition.0.to_string() }).collect();
    offsets(page, &rows);
    let mut family = page.gauge(
        "odradek_log_durability",
        "What acknowledged records of a partition have reached: stable storage (synced), or the kernel (written).",
    );
    rows.iter().for_each(|row| family.row(&row.labels_and("durability", name(row.told.durability)), 1));
    let mut family =
        page.gauge("odradek_log_damaged_batches", "Batches whose checksum did not fit when a partition was last read.");
    for row in rows.iter().filter(|row| row.told.damages > 0) {
        family.row(&row.labels(), row.told.damages);
    }
    quarantine(page, &rows);
}

fn offsets(page: &mut Page, rows: &[Row<'_>]) {
    let mut gauge = |name, help, value: fn(&PartitionMetrics) -> i64| {
        let mut family = page.gauge(name, help);
        rows.iter().for_each(|row| family.row(&row.labels(), value(row.told)));
    };
    gauge("kafka_log_log_size", "Bytes of a partition's batches.", |told| number(told.size));
    gauge("kafka_log_log_numlogsegments", "Segments of a partition.", |told| number(told.segments as u64));
    gauge("kafka_log_log_logstartoffset", "First offset of a partition.", |told| told.log_start_offset.0);
    gauge("kafka_log_log_logendoffset", "Next offset of a partition.", |told| told.log_end_offset.0);
    gauge("kafka_cluster_partition_laststableoffsetlag", "Offsets that read_committed waits for.", |told| {
        told.high_watermark.0 - told.last_stable_offset.0
    });
}

/// Which logs are not compacted, why, and when they are tried again.
fn quarantine(page: &mut Page, rows: &[Row<'_>]) {
    let quarantined = || rows.iter().filter_map(|row| Some((row, row.told.quarantine.as_deref()?)));
    let mut family = page.gauge("odradek_log_cleaner_quarantined", "Partitions that could not be compacted, and why.");
    for (row, Quarantined { reason, .. }) in quarantined() {
        family.row(&row.labels_and("reason", reason), 1);
    }
    let mut family = page.gauge("odradek_log_cleaner_retry_seconds", "Until a partition in quarantine is tried again.");
    for (row, Quarantined { retry_in, .. }) in quarantined() {
        family.row(&row.labels(), retry_in.as_secs_f64());
    }
}

fn name(durability: Durability) -> &'static str {
    match durability {
        Durability::Synced => "synced",
        Durability::Written => "written",
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_shards::message::LogDirIndex;
    use odradek_shards::types::{Offset, PartitionIndex, TopicId, TopicPartition};
    use std::time::Duration;
    use uuid::Uuid;

    fn partition(index: i32) -> PartitionMetrics {
        PartitionMetrics {
            partition: TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(index) },
            topic: "t".into(),
            log_dir: LogDirIndex(0),
            size: 700,
            segments: 2,
            log_start_offset: Offset(3),
            last_stable_offset: Offset(8),
            high_watermark: Offset(9),
            log_end_offset: Offset(10),
            durability: Durability::Synced,
            damages: 0,
            quarantine: None,
        }
    }

    fn text(partitions: &[&PartitionMetrics]) -> String {
        let mut page = Page::default();
        logs(&mut page, partitions);
        page.into_text()
    }

    #[test]
    fn a_partition_has_kafkas_names() {
        let text = text(&[&partition(4)]);
        for row in [
            "kafka_log_log_size{topic=\"t\",partition=\"4\"} 700\n",
            "kafka_log_log_numlogsegments{topic=\"t\",partition=\"4\"} 2\n",
            "kafka_log_log_logstartoffset{topic=\"t\",partition=\"4\"} 3\n",
            "kafka_log_log_logendoffset{topic=\"t\",partition=\"4\"} 10\n",
            "kafka_cluster_partition_laststableoffsetlag{topic=\"t\",partition=\"4\"} 1\n",
            "odradek_log_durability{topic=\"t\",partition=\"4\",durability=\"synced\"} 1\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
        assert!(!text.contains("damaged") && !text.contains("quarantined"));
    }

    #[test]
    fn what_is_wrong_with_a_partition_is_told_with_its_reason() {
        let quarantined = Quarantined { reason: "disk".into(), retry_in: Duration::from_secs(60), dirty_bytes: 5 };
        let bad = PartitionMetrics { damages: 3, quarantine: Some(Box::new(quarantined)), ..partition(1) };
        let text = text(&[&partition(0), &bad]);
        for row in [
            "odradek_log_damaged_batches{topic=\"t\",partition=\"1\"} 3\n",
            "odradek_log_cleaner_quarantined{topic=\"t\",partition=\"1\",reason=\"disk\"} 1\n",
            "odradek_log_cleaner_retry_seconds{topic=\"t\",partition=\"1\"} 60\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
        assert_eq!(text.matches("quarantined{").count(), 1);
    }
}
