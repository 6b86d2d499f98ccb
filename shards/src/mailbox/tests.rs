use super::*;
use crate::limits::MAILBOX_REQUESTS_PER_PAIR_MAX;
use crate::runtime::executors::{self, Config};
use crate::runtime::simulation::simulate;
use crate::runtime::{random_u64, sleep, spawn, yield_now};
use futures_util::future::{FutureExt, join_all};
use std::time::Duration;

const A: ShardId = ShardId(0);
const B: ShardId = ShardId(1);

type Shared<Q, R> = Rc<Port<Q, R>>;

/// The ports of shards A and B, both on this thread.
fn pair<Q: Send + 'static, R: Send + 'static>() -> (Shared<Q, R>, Shared<Q, R>) {
    let mut berths = Mesh::<Q, R>::new(2).into_iter();
    (Rc::new(berths.next().unwrap().attach()), Rc::new(berths.next().unwrap().attach()))
}

/// Answers every request with itself.
async fn echo(port: Rc<Port<u64, u64>>) {
    loop {
        let (envelope, request) = port.receive().await;
        envelope.reply(request);
    }
}

#[test]
fn a_call_brings_its_reply() {
    simulate(1, async {
        let (a, b) = pair();
        spawn(echo(b));
        assert_eq!(a.call(B, 7).await, Ok(7));
        assert_eq!(a.calls(), 0);
    });
}

#[test]
fn a_call_to_oneself_is_received_by_oneself() {
    simulate(1, async {
        let (a, _b) = pair();
        spawn(echo(a.clone()));
        assert_eq!(a.call(A, 7).await, Ok(7));
    });
}

#[test]
fn requests_arrive_in_the_order_of_the_calls_even_unpolled() {
    simulate(2, async {
        let (a, b) = pair::<usize, ()>();
        let many = 3 * MAILBOX_REQUESTS_PER_PAIR_MAX;
        let calls: Vec<_> = (0..many).map(|n| a.call(B, n)).collect();
        for n in 0..many {
            let (envelope, request) = b.receive().await;
            assert_eq!((request, envelope.from()), (n, A));
            envelope.reply(());
        }
        assert!(join_all(calls).await.iter().all(Result::is_ok));
    });
}

#[test]
fn replies_find_their_calls_in_any_order() {
    simulate(3, async {
        let (a, b) = pair::<u64, u64>();
        let calls: Vec<_> = (0..500).map(|n| a.call(B, n)).collect();
        let mut envelopes = Vec::new();
        for _ in 0..500 {
            envelopes.push(b.receive().await);
        }
        while !envelopes.is_empty() {
            let (envelope, request) = envelopes.swap_remove(random_u64() as usize % envelopes.len());
            envelope.reply(request * 2);
        }
        let replies = join_all(calls).await;
        assert!(replies.into_iter().enumerate().all(|(n, reply)| reply == Ok(2 * n as u64)));
    });
}

#[test]
fn credit_ends_when_the_lane_is_full_and_comes_back_with_room() {
    simulate(4, async {
        let (a, b) = pair::<u64, u64>();
        let mut calls = Vec::new();
        while a.has_credit(B) {
            calls.push(a.call(B, 1));
        }
        assert_eq!(calls.len(), MAILBOX_REQUESTS_PER_PAIR_MAX);
        assert!(a.credit().now_or_never().is_none());
        spawn(echo(b));
        a.credit().await;
        assert!(a.has_credit(B));
        join_all(calls).await;
    });
}

#[test]
fn parked_requests_hold_no_lane_room() {
    simulate(5, async {
        let (a, b) = pair::<u64, u64>();
        let mut parked = Vec::new();
        for _ in 0..4 * MAILBOX_REQUESTS_PER_PAIR_MAX {
            drop(a.call(B, 1));
            parked.push(b.receive().await.0);
        }
        assert!(a.has_credit(B));
        parked.into_iter().for_each(|envelope| envelope.reply(0));
    });
}

#[test]
fn floods_in_both_directions_do_not_starve_replies() {
    simulate(6, async {
        let (a, b) = pair();
        let flood = |port: &Port<u64, u64>, to| (0..5_000).map(|n| port.call(to, n)).collect::<Vec<_>>();
        let (from_a, from_b) = (flood(&a, B), flood(&b, A));
        spawn(echo(a));
        spawn(echo(b));
        assert!(join_all(from_a).await.iter().all(Result::is_ok));
        assert!(join_all(from_b).await.iter().all(Result::is_ok));
    });
}

#[test]
fn a_dropped_call_is_served_and_leaks_no_slot() {
    simulate(7, async {
        let (a, b) = pair::<u64, u64>();
        drop(a.call(B, 1));
        let answered_unread = a.call(B, 2);
        for _ in 0..2 {
            let (envelope, request) = b.receive().await;
            envelope.reply(request);
        }
        sleep(Duration::from_millis(1)).await;
        drop(answered_unread);
        assert_eq!(a.calls(), 0);
    });
}

#[test]
fn a_request_dropped_unanswered_closes_its_call() {
    simulate(8, async {
        let (a, b) = pair::<u64, u64>();
        let call = a.call(B, 1);
        drop(b.receive().await);
        assert_eq!(call.await, Err(Closed));
    });
}

#[test]
fn a_closed_mailbox_answers_old_and_new_calls() {
    simulate(9, async {
        let (a, b) = pair::<u64, u64>();
        let before: Vec<_> = (0..2 * MAILBOX_REQUESTS_PER_PAIR_MAX as u64).map(|n| a.call(B, n)).collect();
        let own = b.call(B, 3);
        let outward = b.call(A, 4);
        drop(b);
        assert_eq!(a.call(B, 1).await, Err(Closed));
        assert!(join_all(before).await.iter().all(Result::is_err));
        assert_eq!((own.await, outward.await), (Err(Closed), Err(Closed)));
        assert!(a.has_credit(B), "whoever waits for credit must learn that the shard is closed");
    });
}

#[test]
fn threads_answer_each_other_under_load() {
    const SHARDS: u16 = 3;
    const ROUNDS: u64 = 20;
    const BURST: u64 = 700;
    let berths = Mesh::<u64, u64>::new(SHARDS);
    let finished = Arc::new(std::sync::atomic::AtomicU16::new(0));
    let main = move |me: ShardId, berth: Berth<u64, u64>| {
        let finished = finished.clone();
        async move {
            let port = Rc::new(berth.attach());
            spawn(echo(port.clone()));
            for round in 0..ROUNDS {
                let to = |n: u64| ShardId((n % u64::from(SHARDS)) as u16);
                port.credit().await;
                let calls: Vec<_> = (0..BURST).map(|n| port.call(to(n), n + round)).collect();
                let replies = join_all(calls).await;
                assert!(replies.into_iter().enumerate().all(|(n, reply)| reply == Ok(n as u64 + round)), "{me}");
            }
            assert_eq!(port.calls(), 0);
            finished.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            while finished.load(std::sync::atomic::Ordering::SeqCst) < SHARDS {
                yield_now().await;
            }
        }
    };
    executors::start_each(&Config::new(SHARDS), berths, main).unwrap().join().unwrap();
}
