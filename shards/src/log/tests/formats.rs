use super::fixture::*;
use crate::log::close;

#[test]
fn the_files_of_a_log_have_kafkas_bytes() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 100;
        let log = fixture.open().await;
        for timestamp in [1000, 2000, 3000] {
            append(&log, &batch_at(timestamp, &["hello", "world"])).await;
        }
        let size = log.borrow().size() as u32 / 3;
        close(&log).await.unwrap();
        let index = [&5u32.to_be_bytes()[..], &(2 * size).to_be_bytes()].concat();
        assert_eq!(fixture.read_file("00000000000000000000.index").await, index);
        let time_index = [&3001u64.to_be_bytes()[..], &5u32.to_be_bytes()].concat();
        assert_eq!(fixture.read_file("00000000000000000000.timeindex").await, time_index);
        assert_eq!(fixture.read_file("leader-epoch-checkpoint").await, b"0\n1\n3 0\n");
        assert_eq!(fixture.read_file("00000000000000000006.snapshot").await.len(), 10);
        let log = fixture.read_file("00000000000000000000.log").await;
        assert_eq!(log[..12], [&0u64.to_be_bytes()[..], &(size - 12).to_be_bytes()].concat());
        assert_eq!(log[12..17], [0, 0, 0, 3, 2], "leader epoch and magic");
    });
}
