use super::*;
use crate::log::CleanupPolicy;
use crate::message::CleanerSettings;

#[test]
fn offsets_are_listed_by_time_and_place() {
    simulate(14, async {
        let shard = shard_with(&Disk::new(14), 1).await;
        for timestamp in [100, 300, 200] {
            let mut builder = BatchBuilder::new();
            builder.append(&NewRecord { timestamp: Timestamp(timestamp), key: None, value: None, headers: &[] });
            append_all(&shard, vec![part(0, builder.build())]).await.remove(0).unwrap();
        }
        let queries = [
            (OffsetQuery::Earliest, Some(0)),
            (OffsetQuery::Latest, Some(3)),
            (OffsetQuery::MaxTimestamp, Some(1)),
            (OffsetQuery::At(Timestamp(150)), Some(1)),
            (OffsetQuery::At(Timestamp(301)), None),
            (OffsetQuery::LatestTiered, None),
        ];
        let ask = |query| ListOffsetsPart {
            partition: partition(0),
            query,
            current_leader_epoch: None,
            isolation: Isolation::ReadUncommitted,
        };
        let parts = queries.iter().map(|(query, _)| ask(*query)).collect();
        let Reply::ListOffsets(results) = shard.submit_local(Request::ListOffsets(parts)).await else {
            panic!("no list")
        };
        let found: Vec<_> = results.into_iter().map(|result| result.unwrap().offset).collect();
        assert_eq!(found, queries.map(|(_, offset)| offset.map(Offset)));
    });
}

#[test]
fn a_search_by_time_finds_what_is_there_while_segments_are_replaced() {
    for seed in 60..66 {
        simulate(seed, async move {
            let disk = Disk::new(seed);
            let cleaner = CleanerSettings { backoff: Duration::from_millis(50), ..CleanerSettings::default() };
            let settings = Settings { cleaner, ..Settings::new(ShardId(0), vec![Directory::memory(&disk)]) };
            let shard = Shard::new(settings);
            let config = LogConfig {
                segment_bytes: 400,
                cleanup_policy: CleanupPolicy::COMPACT,
                min_cleanable_dirty_ratio: 0.01,
                ..LogConfig::default()
            };
            open(&shard, OpenPartition { config: Arc::new(config), ..open_partition(partition(0)) }).await.unwrap();
            for number in 0..200i64 {
                let mut builder = BatchBuilder::new();
                let key = (number % 7).to_be_bytes();
                let timestamp = Timestamp(1_000 + number);
                builder.append(&NewRecord { timestamp, key: Some(&key), value: Some(b"v"), headers: &[] });
                append_all(&shard, vec![part(0, builder.build())]).await.remove(0).unwrap();
                let part = ListOffsetsPart {
                    partition: partition(0),
                    query: OffsetQuery::At(timestamp),
                    current_leader_epoch: None,
                    isolation: Isolation::ReadUncommitted,
                };
                sleep(Duration::from_millis(3)).await;
                // It is the last of all, and the last of its key: no cleaning takes it.
                shard.replica(partition(0)).unwrap().log_mut().shrink_tail(0);
                let reply = shard.submit_local(Request::ListOffsets(vec![part])).await;
                let Reply::ListOffsets(mut found) = reply else { panic!("no list") };
                assert_eq!(found.remove(0).unwrap().offset, Some(Offset(number)), "seed {seed}");
            }
            assert!(shard.checkpoints()[0].cleaned.unwrap() > Offset(100), "it was cleaned meanwhile");
        });
    }
}
