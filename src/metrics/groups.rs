//! Consumer groups: how many there are, and how far each is behind. Kafka's broker tells no lag; the names are those of
//! the exporter that most dashboards were made for.

use super::Page;
use std::collections::BTreeMap;

/// Where a group is in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupLag<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    pub partition: i32,
    pub committed: i64,
    /// Records it is behind.
    pub lag: i64,
}

/// `kinds` has the protocol and the state of each group; `is_cut` says that there are more lags than may be told.
pub fn groups<'a>(
    page: &mut Page,
    kinds: impl IntoIterator<Item = (&'a str, &'a str)>,
    lags: &[GroupLag<'_>],
    is_cut: bool,
) {
    count(page, kinds);
    let indexes: Vec<String> = lags.iter().map(|lag| lag.partition.to_string()).collect();
    let mut gauge = |name, help, value: fn(&GroupLag<'_>) -> i64| {
        let mut family = page.gauge(name, help);
        for (lag, index) in lags.iter().zip(&indexes) {
            let labels = [("consumergroup", lag.group), ("topic", lag.topic), ("partition", index)];
            family.row(&labels, value(lag));
        }
    };
    gauge("kafka_consumergroup_current_offset", "What a group has committed.", |lag| lag.committed);
    gauge("kafka_consumergroup_lag", "Records from there to the end of the partition.", |lag| lag.lag);
    let cut = page.gauge("odradek_consumergroup_lags_cut", "Whether groups have committed more than is told here.");
    { cut }.row(&[], u8::from(is_cut));
}

fn count<'a>(page: &mut Page, kinds: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let (mut by_protocol, mut by_state) = (BTreeMap::from([("classic", 0), ("consumer", 0)]), BTreeMap::new());
    for (protocol, state) in kinds {
        *by_protocol.entry(protocol).or_insert(0) += 1;
        *by_state.entry((protocol, state)).or_insert(0) += 1;
    }
    let mut family = page.gauge("kafka_server_group_coordinator_metrics_group_count", "Groups of a protocol.");
    by_protocol.iter().for_each(|(protocol, count)| family.row(&[("protocol", protocol)], count));
    let mut of_state = |wanted, name| {
        let mut family = page.gauge(name, "Groups in a state.");
        for ((_, state), count) in by_state.iter().filter(|((protocol, _), _)| *protocol == wanted) {
            family.row(&[("state", state)], count);
        }
    };
    of_state("classic", "kafka_server_group_coordinator_metrics_classic_group_count");
    of_state("consumer", "kafka_server_group_coordinator_metrics_consumer_group_count");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_by_protocol_and_state_and_lags_told_one_by_one() {
        let mut page = Page::default();
        let kinds = [("classic", "Stable"), ("consumer", "Stable"), ("consumer", "Empty"), ("consumer", "Empty")];
        let lag = GroupLag { group: "g", topic: "t", partition: 3, committed: 5, lag: 2 };
        groups(&mut page, kinds, &[lag], false);
        let text = page.into_text();
        for row in [
            "kafka_server_group_coordinator_metrics_group_count{protocol=\"consumer\"} 3\n",
            "kafka_server_group_coordinator_metrics_consumer_group_count{state=\"Empty\"} 2\n",
            "kafka_consumergroup_current_offset{consumergroup=\"g\",topic=\"t\",partition=\"3\"} 5\n",
            "kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"3\"} 2\n",
            "odradek_consumergroup_lags_cut 0\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }
}
