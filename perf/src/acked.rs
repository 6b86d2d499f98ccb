//! How far each partition was acknowledged, told at the end of a run, of one that lost its broker too.

use crate::failure::Failure;
use odradek_protocol::messages::ProduceResponse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The offset after the last acknowledged record, by partition. Its clones count together.
#[derive(Clone, Default)]
pub struct Acked(Arc<Mutex<BTreeMap<i32, i64>>>);

impl Acked {
    /// Takes an answer to a request whose partitions got `records` each.
    pub fn take(&self, answer: &ProduceResponse, records: u32) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
        for partition in partitions.filter(|partition| partition.error_code == 0) {
            let end = ends.entry(partition.index).or_default();
            *end = (*end).max(partition.base_offset + i64::from(records));
        }
    }

    /// A line a partition: index, a space, offset.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = String::new();
        for (partition, end) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(text, "{partition} {end}").expect("writing to a String does not fail");
        }
        let told = |error| Failure::Arguments(format!("{}: {error}", path.display()));
        std::fs::write(path, text).map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};

    fn answer(index: i32, base_offset: i64, error_code: i16) -> ProduceResponse {
        let partition = PartitionProduceResponse { index, base_offset, error_code, ..Default::default() };
        let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
        ProduceResponse { responses: vec![topic], ..Default::default() }
    }

    #[test]
    fn only_what_was_acknowledged_counts() {
        let acked = Acked::default();
        acked.take(&answer(0, 10, 0), 5);
        acked.clone().take(&answer(0, 15, 56), 5);
        acked.take(&answer(3, 0, 0), 1);
        let path = std::env::temp_dir().join(format!("acked-{}", std::process::id()));
        acked.write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0 15\n3 1\n");
        std::fs::remove_file(path).unwrap();
    }
}
