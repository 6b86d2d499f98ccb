use super::*;
use crate::config::BrokerConfig;
use bytes::Bytes;
use odradek_protocol::codec::DecodeError;
use odradek_shards::record::Codec;
use odradek_shards::types::{ProducerId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Adds up what it is given; a negative number is kept and answered by a timer.
struct Sum {
    total: i64,
    kept: Option<Ticket>,
}

impl Machine for Sum {
    type Request = i64;
    type Reply = Result<i64, ErrorCode>;
    type Record = i64;
    type Timer = ();

    const TOPIC: &'static str = "__sums";

    fn new(_: &Scene) -> Self {
        Self { total: 0, kept: None }
    }

    fn codec(_: &Scene) -> Codec {
        Codec::None
    }

    fn encode(record: &i64) -> RawRecord {
        let value = Bytes::from(vec![0; usize::try_from(*record).expect("a small number")]);
        RawRecord { key: Bytes::new(), value: Some(value) }
    }

    fn decode(raw: RawRecord) -> Result<Option<i64>, DecodeError> {
        Ok(raw.value.map(|value| value.len() as i64))
    }

    fn replay(&mut self, record: i64, _: Source) {
        self.total += record;
    }

    fn end_transaction(&mut self, _: ProducerId, _: bool) {}

    fn begin(&mut self, _: &mut Turn<'_, Self>) {}

    fn handle(&mut self, turn: &mut Turn<'_, Self>, ticket: Ticket, request: i64) {
        match request {
            0 => turn.reply(ticket, Ok(self.total)),
            1.. => {
                // Hundreds are given one by one.
                let hundreds = request.checked_div(100).filter(|_| request % 100 == 77).unwrap_or(0);
                for _ in 0..hundreds {
                    turn.record(100);
                    turn.may_tear();
                }
                turn.record(request - 100 * hundreds);
                turn.reply(ticket, Ok(self.total + request));
            }
            _ => {
                self.kept = Some(ticket);
                turn.schedule((), Duration::from_nanos(5));
            }
        }
    }

    fn answer_at_once(&mut self, _: &mut Turn<'_, Self>, request: &i64) -> Option<Self::Reply> {
        (*request == 0).then_some(Ok(self.total))
    }

    fn expire(&mut self, turn: &mut Turn<'_, Self>, (): ()) {
        if let Some(ticket) = self.kept.take() {
            turn.reply(ticket, Ok(self.total));
        }
    }

    fn publish(&mut self, _: &mut Turn<'_, Self>, _: &Scene) {}

    fn resign(&mut self, turn: &mut Turn<'_, Self>) {
        if let Some(ticket) = self.kept.take() {
            turn.reply(ticket, Err(ErrorCode::NotCoordinator));
        }
    }

    fn refuse(_: &i64, error: ErrorCode) -> Self::Reply {
        Err(error)
    }

    fn undo(_: Self::Reply, error: ErrorCode) -> Self::Reply {
        Err(error)
    }

    fn held(&self) -> usize {
        0
    }

    fn memory(_: &Scene) -> (usize, &'static str) {
        (1, "")
    }
}

fn moment(nanos: u64) -> Moment {
    Moment { now: Instant::from_nanos(nanos), wall: Timestamp(0), random: 7, is_full: false }
}

fn runtime() -> Runtime<Sum> {
    let config = Arc::new(BrokerConfig::for_tests(""));
    let scene = Scene {
        image: Arc::default(),
        config,
        changed_topics: Arc::new([]),
        deleted_topics: Arc::new([]),
        brokers_changed: false,
    };
    Runtime::new(Sum::new(&scene), 0, 1000, moment(0))
}

#[test]
fn a_reply_waits_for_its_records_and_those_behind_it_wait_too() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), 5);
    sums.handle(moment(0), Ticket(2), 0);
    assert_eq!(sums.released(), []);
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(1));
    sums.handle(moment(0), Ticket(3), 0);
    assert_eq!(sums.released(), []);
    sums.appended();
    assert_eq!(sums.released(), [(Ticket(1), Ok(5)), (Ticket(2), Ok(5)), (Ticket(3), Ok(5))]);
}

#[test]
fn what_changes_nothing_is_answered_at_once_when_nothing_is_under_way() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), 0);
    assert_eq!(sums.released(), [(Ticket(1), Ok(0))]);
    assert!(sums.begin_append().is_none());
}

#[test]
fn nothing_is_answered_at_once_before_what_was_decided_is_durable() {
    let mut sums = runtime();
    assert_eq!(sums.answer_at_once(moment(0), &0), Some(Ok(0)));
    assert_eq!(sums.answer_at_once(moment(0), &5), None, "it decides something");
    sums.handle(moment(0), Ticket(1), 5);
    assert_eq!(sums.answer_at_once(moment(0), &0), None);
    assert!(sums.begin_append().is_some());
    assert_eq!(sums.answer_at_once(moment(0), &0), None);
    sums.appended();
    assert_eq!(sums.answer_at_once(moment(0), &0), Some(Ok(5)));
}

#[test]
fn turns_gather_while_an_append_is_under_way_and_none_is_torn() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), 1);
    assert!(sums.begin_append().is_some());
    for ticket in 2..6 {
        sums.handle(moment(0), Ticket(ticket), 400);
    }
    assert!(sums.begin_append().is_none());
    sums.appended();
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(2));
    sums.appended();
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(2));
}

#[test]
fn records_that_fit_into_no_batch_are_refused_and_change_nothing() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), 2000);
    assert_eq!(sums.released(), [(Ticket(1), Err(ErrorCode::UnknownServerError))]);
    assert_eq!(sums.machine().total, 0);
}

#[test]
fn a_turn_too_large_for_one_batch_is_torn_where_it_may_be_and_answered_at_its_end() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), 1577);
    assert_eq!(sums.machine().total, 1577);
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(7));
    sums.appended();
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(7));
    sums.appended();
    assert_eq!(sums.released(), []);
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(2));
    sums.appended();
    assert_eq!(sums.released(), [(Ticket(1), Ok(1577))]);
    assert!(!sums.is_broken());
}

#[test]
fn a_turn_that_fits_into_one_batch_is_not_torn() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), 477);
    sums.handle(moment(0), Ticket(2), 477);
    assert_eq!(sums.begin_append().map(|records| records.len()), Some(5));
}

#[test]
fn who_resigns_answers_everybody() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), -1);
    sums.handle(moment(0), Ticket(2), 5);
    sums.begin_append();
    sums.handle(moment(0), Ticket(3), 6);
    let answers = sums.resign(moment(0), ErrorCode::CoordinatorNotAvailable);
    let undone = Err(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(answers, [(Ticket(2), undone), (Ticket(3), undone), (Ticket(1), Err(ErrorCode::NotCoordinator))]);
}

#[test]
fn a_deadline_acts_once() {
    let mut sums = runtime();
    sums.handle(moment(0), Ticket(1), -1);
    assert!(!sums.expire(moment(4)));
    assert!(sums.expire(moment(5)));
    assert!(!sums.expire(moment(6)));
    assert_eq!(sums.released(), [(Ticket(1), Ok(0))]);
}
