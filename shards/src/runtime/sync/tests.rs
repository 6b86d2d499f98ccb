use super::*;
use crate::runtime::simulation::simulate;
use crate::runtime::{spawn, yield_now};
use futures_util::FutureExt;

#[test]
fn a_sent_value_arrives() {
    simulate(1, async {
        let (sender, receiver) = oneshot();
        spawn(async move {
            yield_now().await;
            assert_eq!(sender.send(5), None);
        });
        assert_eq!(receiver.await, Ok(5));
    });
}

#[test]
fn a_dropped_sender_is_noticed() {
    simulate(1, async {
        let (sender, receiver) = oneshot::<u8>();
        spawn(async move {
            yield_now().await;
            drop(sender);
        });
        assert_eq!(receiver.await, Err(Abandoned));
    });
}

#[test]
fn a_value_nobody_waits_for_comes_back() {
    let (sender, receiver) = oneshot();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(5), Some(5));
}

#[test]
fn a_ring_without_listeners_is_kept_once() {
    let bell = Notify::new();
    bell.notify_one();
    bell.notify_one();
    assert!(bell.notified().now_or_never().is_some());
    assert!(bell.notified().now_or_never().is_none());
}

#[test]
fn one_ring_wakes_the_longest_waiting() {
    simulate(1, async {
        let bell = Notify::new();
        let (first, second) = (bell.notified(), bell.notified());
        bell.notify_one();
        assert!(second.now_or_never().is_none());
        first.await;
    });
}

#[test]
fn a_ring_for_all_wakes_all_and_is_not_kept() {
    simulate(1, async {
        let bell = Notify::new();
        let (first, second) = (bell.notified(), bell.notified());
        bell.notify_all();
        first.await;
        second.await;
        assert!(bell.notified().now_or_never().is_none());
    });
}

#[test]
fn a_ring_heard_by_a_dropped_listener_goes_to_the_next() {
    simulate(1, async {
        let bell = Notify::new();
        let (first, second) = (bell.notified(), bell.notified());
        bell.notify_one();
        drop(first);
        second.await;
    });
}
