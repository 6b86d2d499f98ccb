use super::fixture::*;
use crate::log::{Log, OpenError, Opening, close};
use crate::types::{LeaderEpoch, Offset};

const LOG: &str = "00000000000000000000.log";

#[test]
fn an_empty_directory_is_an_empty_log() {
    test(|fixture| async move {
        let how =
            Opening { clean: false, recovery_point: Offset(0), log_start: Offset(17), synced_later: false, now: NOW };
        let log = fixture.open_how(how).await;
        assert_eq!((log.borrow().start_offset(), log.borrow().end_offset()), (Offset(17), Offset(17)));
        close(&log).await.unwrap();
    });
}

#[test]
fn a_clean_stop_leaves_exact_files() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 2000;
        let log = fixture.open().await;
        append_values(&log, 0, 60).await;
        let size = log.borrow().size();
        close(&log).await.unwrap();
        let files = fixture.files().await;
        assert_eq!(files.iter().filter(|(name, _)| name.ends_with(".log")).map(|(_, len)| len).sum::<u64>(), size);
        assert!(files.contains_key("00000000000000000060.snapshot"));
        let log = fixture.open().await;
        assert_eq!(read_all(&log).await, values(60));
    });
}

#[test]
fn a_crash_leaves_every_written_batch() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 2000;
        let log = fixture.open().await;
        append_values(&log, 0, 60).await;
        let before = log.borrow().epochs().clone();
        let log = fixture.open_unclean().await;
        assert_eq!(read_all(&log).await, values(60));
        assert_eq!(log.borrow().epochs().entries(), before.entries());
        append_values(&log, 60, 70).await;
        assert_eq!(read_all_from_disk(&log).await, values(70));
    });
}

#[test]
fn the_recovery_point_spares_what_lies_before_it() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 2000;
        let log = fixture.open().await;
        append_values(&log, 0, 200).await;
        let point = log.borrow().recovery_point().0;
        assert!(point > 150);
        use crate::runtime::memory::Operation::Read;
        let before = fixture.disk.operations(Read);
        let log = fixture.open_as(false, point).await;
        assert!(fixture.disk.operations(Read) - before < 10, "one segment is read");
        assert_eq!(read_all(&log).await, values(200));
    });
}

#[test]
fn a_torn_tail_is_cut_at_the_last_good_batch() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 3).await;
        let good = log.borrow().size() as usize;
        append_values(&log, 3, 4).await;
        let whole = log.borrow().size() as usize;
        close(&log).await.unwrap();
        let bytes = fixture.read_file(LOG).await;
        for cut in good..whole {
            for padding in [0, 1, 5000] {
                let torn = [&bytes[..cut], &vec![0; padding]].concat();
                if torn.starts_with(&bytes) {
                    continue; // the bytes cut off were zeros
                }
                fixture.write_file(LOG, &torn).await;
                let log = fixture.open_unclean().await;
                assert_eq!(log.borrow().end_offset(), Offset(3), "cut at {cut}, {padding} zeros");
                assert_eq!(fixture.files().await[LOG], good as u64);
            }
        }
        let log = fixture.open_unclean().await;
        append_values(&log, 3, 5).await;
        assert_eq!(fixture.reopened(log).await.borrow().end_offset(), Offset(5));
    });
}

#[test]
fn a_flipped_bit_ends_the_log_before_it() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 4).await;
        close(&log).await.unwrap();
        let bytes = fixture.read_file(LOG).await;
        let size = bytes.len() / 4;
        // Past the leader epoch, which nothing protects; the length and the base offset are checked otherwise.
        for at in (2 * size..3 * size).filter(|at| !(12..16).contains(&(at - 2 * size))) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            fixture.write_file(LOG, &damaged).await;
            let log = fixture.open_unclean().await;
            let end = log.borrow().end_offset().0;
            // A larger base offset looks like a gap of compaction.
            assert!(end == 2 || (at - 2 * size < 8 && end > 3), "byte {at}: {end}");
        }
    });
}

#[test]
fn batches_of_an_earlier_life_are_not_believed() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 4).await;
        close(&log).await.unwrap();
        let bytes = fixture.read_file(LOG).await;
        let size = bytes.len() / 4;
        let stale = [&bytes[..3 * size], &bytes[size..2 * size]].concat();
        fixture.write_file(LOG, &stale).await;
        assert_eq!(fixture.open_unclean().await.borrow().end_offset(), Offset(3));
    });
}

#[test]
fn what_follows_a_damaged_segment_goes() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        close(&log).await.unwrap();
        let mut bytes = fixture.read_file(LOG).await;
        let (at, size) = (bytes.len() - 1, bytes.len() / 10);
        bytes[at] ^= 1;
        fixture.write_file(LOG, &bytes).await;
        let log = fixture.open_unclean().await;
        assert_eq!(log.borrow().segment_count(), 1);
        let end = log.borrow().end_offset().0 as usize;
        assert!(end > 0 && end <= bytes.len() / size);
        assert_eq!(read_all(&log).await, values(end));
        let logs: Vec<_> = fixture.files().await.into_keys().filter(|name| name.ends_with(".log")).collect();
        assert_eq!(logs, [LOG]);
    });
}

#[test]
fn lost_indexes_are_rebuilt_as_they_were() {
    test(|mut fixture| async move {
        (fixture.config.segment_bytes, fixture.config.index_interval_bytes) = (4000, 200);
        let log = fixture.open().await;
        append_values(&log, 0, 200).await;
        close(&log).await.unwrap();
        let files = fixture.files().await;
        let is_index = |name: &&String| name.ends_with("index");
        let mut before = Vec::new();
        for name in files.keys().filter(is_index) {
            before.push((name.clone(), fixture.read_file(name).await));
            fixture.dir().await.remove_file(name).await.unwrap();
        }
        let log = fixture.open().await;
        assert_eq!(read_all(&log).await, values(200));
        close(&log).await.unwrap();
        for (name, bytes) in before {
            assert_eq!(fixture.read_file(&name).await, bytes, "{name}");
        }
    });
}

#[test]
fn indexes_sized_ahead_by_kafka_are_understood() {
    for clean in [true, false] {
        test(|mut fixture| async move {
            fixture.config.index_interval_bytes = 200;
            let log = fixture.open().await;
            append_values(&log, 0, 100).await;
            close(&log).await.unwrap();
            for (name, width) in [("00000000000000000000.index", 8), ("00000000000000000000.timeindex", 12)] {
                let mut bytes = fixture.read_file(name).await;
                assert!(bytes.len() > 10 * width);
                bytes.resize((1 << 20) / width * width, 0);
                fixture.write_file(name, &bytes).await;
            }
            let log = fixture.open_as(clean, 0).await;
            append_values(&log, 100, 110).await;
            log.borrow_mut().shrink_tail(0);
            for from in [0, 5, 50, 99, 100, 109] {
                assert_eq!(offsets(read(&log, from, 1, true).await), [from]);
            }
            close(&log).await.unwrap();
            assert!(fixture.files().await["00000000000000000000.index"] < 1000);
        });
    }
}

#[test]
fn lost_epochs_are_read_from_the_batches() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 400;
        let log = fixture.open().await;
        for epoch in [1, 1, 4, 4, 4, 4, 9] {
            log.borrow_mut().append(&batch(&["v"]), LeaderEpoch(epoch), NOW).unwrap();
        }
        let before = log.borrow().epochs().entries().to_vec();
        close(&log).await.unwrap();
        for text in [&b"garbage"[..], b"0\n0\n"] {
            fixture.write_file("leader-epoch-checkpoint", text).await;
            let log = fixture.open_as(text.len() != 7, 0).await;
            assert_eq!(log.borrow().epochs().entries() == before, text.len() == 7, "an empty checkpoint is believed");
        }
        fixture.dir().await.remove_file("leader-epoch-checkpoint").await.unwrap();
        assert_eq!(fixture.open().await.borrow().epochs().entries(), before);
    });
}

#[test]
fn leftovers_of_a_crash_are_cleared_away() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        close(&log).await.unwrap();
        for name in [
            "00000000000000000009.log.deleted",
            "00000000000000000000.log.cleaned",
            "00000000000000000000.log.swap",
            "00000000000000000077.index",
            "leader-epoch-checkpoint.tmp",
            "00000000000000000044.snapshot",
        ] {
            fixture.write_file(name, b"whatever").await;
        }
        let log = fixture.open().await;
        assert_eq!(read_all(&log).await, values(5));
        let found = log.borrow_mut().take_found().unwrap();
        found.remove().await.unwrap();
        let names: Vec<_> = fixture.files().await.into_keys().collect();
        let expected = ["00000000000000000000.index", LOG, "00000000000000000000.timeindex"];
        assert_eq!(names[..3], expected);
        assert_eq!(names[3..], ["00000000000000000005.snapshot", "leader-epoch-checkpoint"]);
    });
}

#[test]
fn a_complete_replacement_takes_the_place_of_what_it_covers() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        close(&log).await.unwrap();
        let bases: Vec<_> = fixture.files().await.into_keys().filter(|name| name.ends_with(".log")).collect();
        let merged = [fixture.read_file(&bases[0]).await, fixture.read_file(&bases[1]).await].concat();
        fixture.write_file(&format!("{LOG}.swap"), &merged).await;
        let log = fixture.open().await;
        assert_eq!(log.borrow().segment_count(), bases.len() - 1);
        assert_eq!(fixture.files().await[LOG], merged.len() as u64);
        assert_eq!(read_all(&log).await, values(50));
    });
}

#[test]
fn a_log_that_ends_below_its_start_begins_anew() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        close(&log).await.unwrap();
        let how =
            Opening { clean: true, recovery_point: Offset(0), log_start: Offset(100), synced_later: false, now: NOW };
        let log = fixture.open_how(how).await;
        assert_eq!((log.borrow().start_offset(), log.borrow().end_offset()), (Offset(100), Offset(100)));
        append(&log, &batch(&["a"])).await;
        assert_eq!(fixture.reopened(log).await.borrow().end_offset(), Offset(101));
    });
}

#[test]
fn a_hole_before_a_later_segment_ends_the_log() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        close(&log).await.unwrap();
        let bytes = fixture.read_file(LOG).await;
        let count = crate::record::batches(&bytes.clone().into()).count();
        let size = bytes.len() / count;
        let mut lost = bytes.clone();
        lost[(count - 1) * size..].fill(0);
        fixture.write_file(LOG, &lost).await;
        assert_eq!(fixture.open_unclean().await.borrow().end_offset(), Offset(count as i64 - 1));
    });
}

#[test]
fn messages_of_an_old_format_are_refused_and_not_cut_off() {
    test(|fixture| async move {
        let body = [&[1u8, 0][..], &NOW.0.to_be_bytes(), &[0xff; 4], &3u32.to_be_bytes(), b"old"].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let size = body.len() as u32 + 4;
        let message = [&0u64.to_be_bytes()[..], &size.to_be_bytes(), &crc.sum().to_be_bytes(), &body].concat();
        fixture.write_file(LOG, &message).await;
        let how =
            Opening { clean: false, recovery_point: Offset(0), log_start: Offset(0), synced_later: false, now: NOW };
        let opened = Log::open(fixture.dir().await, fixture.config.clone().into(), how).await;
        assert!(matches!(opened, Err(OpenError::OldFormat { magic: 1, .. })));
        assert_eq!(fixture.files().await[LOG], message.len() as u64);
    });
}
