use super::*;
use bytes::Bytes;
use odradek_protocol::messages::fetch_request::FetchPartition;

const START: Instant = Instant::from_nanos(1);

fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
    let partitions = partitions.iter().map(|partition| FetchPartition { partition: *partition, ..Default::default() });
    let topic = FetchTopic { topic: "t".into(), partitions: partitions.collect(), ..Default::default() };
    FetchRequest { session_id, session_epoch, topics: vec![topic], ..Default::default() }
}

fn told(asked: Vec<Asked>, high_watermark: i64) -> Vec<(Asked, PartitionData)> {
    let data = PartitionData { high_watermark, ..Default::default() };
    asked.into_iter().map(|asked| (asked, data.clone())).collect()
}

/// Opens session `id` over the partitions, all told a high watermark of 10.
fn open(sessions: &mut FetchSessions, id: i32, partitions: &[i32], now: Instant) -> i32 {
    let (opening, asked) = sessions.admit(&request(0, 0, partitions), false, now).expect("opening");
    assert_eq!(opening, Use::Open);
    sessions.open(id, &told(asked, 10), false, now)
}

fn indexes(asked: &[Asked]) -> Vec<i32> {
    asked.iter().map(|asked| asked.partition).collect()
}

#[test]
fn an_incremental_request_names_nothing_and_fetches_everything() {
    let mut sessions = FetchSessions::new(10);
    assert_eq!(open(&mut sessions, 7, &[0, 1, 2], START), 7);
    let (going, asked) = sessions.admit(&request(7, 1, &[]), false, START).expect("in sequence");
    assert_eq!(going, Use::Incremental { id: 7, epoch: 2 });
    assert_eq!(indexes(&asked), [0, 1, 2]);
}

#[test]
fn only_what_changed_is_told_again() {
    let mut sessions = FetchSessions::new(10);
    open(&mut sessions, 7, &[0, 1], START);
    let (_, asked) = sessions.admit(&request(7, 1, &[]), false, START).expect("in sequence");
    let mut fetched = told(asked, 10);
    fetched[1].1.high_watermark = 11;
    assert_eq!(sessions.news(7, 2, &fetched), Ok(vec![false, true]));
    assert_eq!(sessions.news(7, 2, &fetched), Ok(vec![false, false]));
}

#[test]
fn after_an_error_a_partition_is_told_again() {
    let mut sessions = FetchSessions::new(10);
    open(&mut sessions, 7, &[0], START);
    let (_, asked) = sessions.admit(&request(7, 1, &[]), false, START).expect("in sequence");
    let mut fetched = told(asked, 10);
    fetched[0].1.error_code = 3;
    assert_eq!(sessions.news(7, 2, &fetched), Ok(vec![true]));
    fetched[0].1.error_code = 0;
    assert_eq!(sessions.news(7, 2, &fetched), Ok(vec![true]));
}

#[test]
fn a_partition_that_had_records_goes_to_the_end() {
    let mut sessions = FetchSessions::new(10);
    open(&mut sessions, 7, &[0, 1, 2], START);
    let (_, asked) = sessions.admit(&request(7, 1, &[]), false, START).expect("in sequence");
    let mut fetched = told(asked, 10);
    fetched[0].1.records = Some(Bytes::from_static(b"batch").into());
    assert_eq!(sessions.news(7, 2, &fetched), Ok(vec![true, false, false]));
    let (_, asked) = sessions.admit(&request(7, 2, &[]), false, START).expect("in sequence");
    assert_eq!(indexes(&asked), [1, 2, 0]);
}

#[test]
fn partitions_are_added_and_forgotten() {
    let mut sessions = FetchSessions::new(10);
    open(&mut sessions, 7, &[0, 1], START);
    let mut change = request(7, 1, &[5]);
    let forgotten = odradek_protocol::messages::fetch_request::ForgottenTopic {
        topic: "t".into(),
        partitions: vec![0],
        ..Default::default()
    };
    change.forgotten_topics_data = vec![forgotten];
    let (_, asked) = sessions.admit(&change, false, START).expect("in sequence");
    assert_eq!(indexes(&asked), [1, 5]);
}

#[test]
fn an_epoch_out_of_sequence_is_refused() {
    let mut sessions = FetchSessions::new(10);
    open(&mut sessions, 7, &[0], START);
    let refused = sessions.admit(&request(7, 2, &[]), false, START);
    assert_eq!(refused, Err(ErrorCode::InvalidFetchSessionEpoch));
    let unknown = sessions.admit(&request(8, 1, &[]), false, START);
    assert_eq!(unknown, Err(ErrorCode::FetchSessionIdNotFound));
    let by_id = sessions.admit(&request(7, 1, &[]), true, START);
    assert_eq!(by_id, Err(ErrorCode::FetchSessionTopicIdError));
}

#[test]
fn a_final_epoch_ends_the_session() {
    let mut sessions = FetchSessions::new(10);
    open(&mut sessions, 7, &[0], START);
    let (going, _) = sessions.admit(&request(7, -1, &[0]), false, START).expect("always allowed");
    assert_eq!(going, Use::Sessionless);
    assert_eq!(sessions.len(), 0);
}

#[test]
fn a_full_cache_gives_no_session_until_one_is_stale() {
    let mut sessions = FetchSessions::new(1);
    open(&mut sessions, 7, &[0], START);
    assert_eq!(open(&mut sessions, 8, &[0], START), 0);
    assert_eq!(open(&mut sessions, 8, &[0], START + EVICTION_AGE + Duration::from_secs(1)), 8);
    assert_eq!(sessions.len(), 1);
}

#[test]
fn an_old_session_gives_way_to_a_larger_one() {
    let mut sessions = FetchSessions::new(1);
    open(&mut sessions, 7, &[0], START);
    let later = START + EVICTION_AGE + Duration::from_secs(1);
    sessions.admit(&request(7, 1, &[]), false, later).expect("in sequence");
    assert_eq!(open(&mut sessions, 8, &[0], later), 0);
    assert_eq!(open(&mut sessions, 8, &[0, 1], later), 8);
}
