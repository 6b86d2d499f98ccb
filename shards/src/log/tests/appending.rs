use super::fixture::*;
use crate::log::{Durability, ReadPlan, settle, trim};
use crate::record::batches;
use crate::types::{LeaderEpoch, Offset, Timestamp};

#[test]
fn offsets_and_epoch_are_given_by_the_log() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &batch(&["a", "b"])).await;
        let appended = append(&log, &batch(&["c"])).await;
        assert_eq!((appended.first, appended.last), (Offset(2), Offset(2)));
        let read = batches(&read(&log, 2, 1000, true).await.into_bytes()).next().unwrap().unwrap();
        assert_eq!((read.header.base_offset, read.header.leader_epoch), (Offset(2), EPOCH));
        read.check_crc().unwrap();
    });
}

#[test]
fn nothing_is_on_disk_before_the_first_write() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_only(&log, &batch(&["a"]));
        assert_eq!(log.borrow().end_offset(), Offset(1));
        assert_eq!(log.borrow().written_offset(), Offset(0));
        assert!(fixture.files().await.is_empty());
    });
}

#[test]
fn what_is_appended_during_a_write_goes_out_with_the_next() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_only(&log, &batch(&["v0"]));
        let write = log.borrow_mut().begin_write().unwrap();
        append_only(&log, &batch(&["v1"]));
        append_only(&log, &batch(&["v2"]));
        assert!(log.borrow_mut().begin_write().is_none(), "one write at a time");
        let written = write.run().await;
        assert_eq!(log.borrow_mut().finish_write(written).unwrap(), Offset(1));
        settle(&log).await.unwrap();
        assert_eq!(log.borrow().written_offset(), Offset(3));
        assert_eq!(read_all_from_disk(&log).await, values(3));
    });
}

#[test]
fn a_batch_larger_than_a_write_is_written_in_steps() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &batch(&["small"])).await;
        append(&log, &large_batch(3 << 20)).await;
        append(&log, &batch(&["after"])).await;
        let all = read_all_from_disk(&log).await;
        assert_eq!(all.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [5, 3 << 20, 5]);
    });
}

#[test]
fn the_file_grows_in_steps_that_double() {
    test(|fixture| async move {
        let log = fixture.open().await;
        fill(&log, 1, 100).await;
        assert_eq!(fixture.files().await["00000000000000000000.log"], 128 << 10);
        fill(&log, 3, 60 << 10).await;
        assert_eq!(fixture.files().await["00000000000000000000.log"], 384 << 10);
    });
}

#[test]
fn an_idle_log_is_trimmed_to_its_exact_size_and_goes_on_later() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 3).await;
        trim(&log).await.unwrap();
        let files = fixture.files().await;
        assert_eq!(files["00000000000000000000.log"], log.borrow().size());
        assert!(files.contains_key("00000000000000000000.index"));
        assert_eq!(files["00000000000000000000.timeindex"], 12);
        assert_eq!(log.borrow().tail_bytes(), 0);
        assert!(log.borrow_mut().begin_trim().is_none(), "it is tidy already");
        append_values(&log, 3, 5).await;
        assert_eq!(read_all_from_disk(&log).await, values(5));
        assert_eq!(fixture.reopened(log).await.borrow().end_offset(), Offset(5));
    });
}

#[test]
fn appends_during_a_trim_are_kept() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 10;
        let log = fixture.open().await;
        append_values(&log, 0, 3).await;
        let trim = log.borrow_mut().begin_trim().unwrap();
        append_only(&log, &batch(&["v3"]));
        append_only(&log, &batch(&["v4"]));
        assert!(log.borrow_mut().begin_write().is_none(), "the trim has the file");
        let trimmed = trim.run().await;
        log.borrow_mut().finish_seal(trimmed).unwrap();
        settle(&log).await.unwrap();
        let log = fixture.reopened(log).await;
        assert_eq!(read_all(&log).await, values(5));
        assert_eq!(fixture.files().await["00000000000000000000.index"], 4 * 8);
    });
}

#[test]
fn written_batches_stay_in_memory_up_to_their_share() {
    test(|fixture| async move {
        let log = fixture.open().await;
        fill(&log, 10, 1000).await;
        assert!(log.borrow().tail_bytes() > 10_000);
        log.borrow_mut().set_tail_share(3000);
        assert!(log.borrow().tail_bytes() <= 3000);
        let plan = |from: i64| log.borrow().plan_read(Offset(from), 10, Offset(10), true).unwrap();
        assert!(matches!(plan(9), ReadPlan::Ready(_)));
        assert!(matches!(plan(0), ReadPlan::Disk(_)));
        let freed = log.borrow_mut().shrink_tail(0);
        assert!(freed > 1000 && log.borrow().tail_bytes() == 0);
    });
}

#[test]
fn unwritten_batches_cannot_be_evicted() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_only(&log, &batch(&["v0"]));
        log.borrow_mut().shrink_tail(0);
        assert!(log.borrow().tail_bytes() > 0);
        settle(&log).await.unwrap();
        assert_eq!(read_all(&log).await, values(1));
    });
}

#[test]
fn the_log_append_time_is_the_batchs_own() {
    test(|fixture| async move {
        use crate::record::{BatchBuilder, NewRecord, TimestampType};
        let log = fixture.open().await;
        assert_eq!(append(&log, &batch(&["a"])).await.log_append_time, Timestamp::NONE);
        let mut stamped = BatchBuilder::new().timestamp_type(TimestampType::LogAppendTime);
        stamped.append(&NewRecord { timestamp: Timestamp(77), ..NewRecord::default() });
        assert_eq!(append(&log, &stamped.build()).await.log_append_time, Timestamp(77));
    });
}

#[test]
fn epochs_begin_where_their_first_batch_is() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 2).await;
        log.borrow_mut().append(&batch(&["v2"]), LeaderEpoch(5), NOW).unwrap();
        settle(&log).await.unwrap();
        let log = fixture.reopened(log).await;
        assert_eq!(log.borrow().end_offset_for_epoch(EPOCH), (EPOCH, Offset(2)));
        assert_eq!(log.borrow().end_offset_for_epoch(LeaderEpoch(5)), (LeaderEpoch(5), Offset(3)));
        assert_eq!(fixture.read_file("leader-epoch-checkpoint").await, b"0\n2\n3 0\n5 2\n");
    });
}

#[test]
fn a_followers_batches_keep_their_offsets() {
    test(|fixture| async move {
        let log = fixture.open().await;
        let mut fetched = batch(&["a"]);
        (fetched.header.base_offset, fetched.header.leader_epoch) = (Offset(7), LeaderEpoch(1));
        log.borrow_mut().append_as_follower(&fetched, NOW).unwrap();
        settle(&log).await.unwrap();
        assert_eq!(log.borrow().end_offset(), Offset(8));
        for log in [&log, &fixture.open_unclean().await] {
            assert_eq!(offsets(read(log, 2, 1000, true).await), [7], "a read in the gap finds the next batch");
        }
    });
}

#[test]
fn synced_files_are_durable_at_once() {
    test(|mut fixture| async move {
        fixture.config.durability = Durability::Synced;
        let log = fixture.open().await;
        append_values(&log, 0, 4).await;
        fixture.disk.power_cut();
        let log = fixture.open_unclean().await;
        assert_eq!(read_all(&log).await, values(4));
    });
}

#[test]
fn a_log_is_synced_after_so_many_messages() {
    test(|mut fixture| async move {
        use crate::runtime::memory::Operation::Sync;
        fixture.config.flush_messages = 3;
        let log = fixture.open().await;
        append(&log, &batch(&["v0"])).await;
        let before = fixture.disk.operations(Sync);
        append(&log, &batch(&["v1"])).await;
        assert_eq!(fixture.disk.operations(Sync), before);
        append(&log, &batch(&["v2"])).await;
        assert_eq!(fixture.disk.operations(Sync), before + 2, "the file and, once, its name");
        append(&log, &batch(&["v3"])).await;
        assert_eq!(fixture.disk.operations(Sync), before + 2);
        append_values(&log, 4, 6).await;
        assert_eq!(fixture.disk.operations(Sync), before + 3);
    });
}

#[test]
fn a_log_whose_durability_is_raised_is_durable_from_then_on() {
    test(|mut fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 2).await;
        fixture.config.durability = Durability::Synced;
        log.borrow_mut().reconfigure(fixture.config.clone().into());
        append_values(&log, 2, 4).await;
        fixture.disk.power_cut();
        assert_eq!(read_all(&fixture.open_unclean().await).await, values(4));
    });
}
