use super::*;
use crate::clock::now;
use crate::runtime::{sleep, spawn, sync::oneshot, yield_now};
use std::time::Duration;

/// The order in which ten tasks with ten equal sleeps finish.
fn order(seed: u64) -> Vec<u32> {
    simulate(seed, async {
        let finished = Rc::new(RefCell::new(Vec::new()));
        for task in 0..10 {
            let finished = finished.clone();
            spawn(async move {
                sleep(Duration::from_millis(1)).await;
                finished.borrow_mut().push(task);
            });
        }
        sleep(Duration::from_millis(2)).await;
        finished.take()
    })
}

#[test]
fn a_seed_repeats_its_order_of_events() {
    assert_eq!(order(1), order(1));
}

#[test]
fn seeds_differ_in_their_order_of_events() {
    assert!((2..10).any(|seed| order(seed) != order(1)));
}

#[test]
fn sleeping_takes_virtual_time_only() {
    simulate(1, async {
        let before = now();
        sleep(Duration::from_secs(86_400 * 365)).await;
        assert_eq!(now() - before, Duration::from_secs(86_400 * 365));
    });
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    simulate(1, async {
        let fired = Rc::new(RefCell::new(Vec::new()));
        for millis in [5, 1, 3] {
            let fired = fired.clone();
            spawn(async move {
                sleep(Duration::from_millis(millis)).await;
                fired.borrow_mut().push(millis);
            });
        }
        sleep(Duration::from_millis(10)).await;
        assert_eq!(fired.take(), [1, 3, 5]);
    });
}

#[test]
#[should_panic(expected = "stuck")]
fn waiting_for_what_never_comes_panics() {
    simulate(1, async {
        let (_sender, receiver) = oneshot::<()>();
        let _ = receiver.await;
    });
}

#[test]
fn a_sleep_without_end_does_not_end_time() {
    simulate(1, async {
        spawn(crate::runtime::sleep_until(Instant::NEVER));
        sleep(Duration::from_secs(1)).await;
        assert!(now() < Instant::NEVER);
    });
}

#[test]
fn leftover_tasks_are_dropped_inside_the_simulation() {
    struct AsksTheTime(Rc<Cell<bool>>);
    impl Drop for AsksTheTime {
        fn drop(&mut self) {
            self.0.set(is_active());
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let held = AsksTheTime(dropped.clone());
    simulate(1, async {
        spawn(async move {
            sleep(Duration::from_secs(1)).await;
            drop(held);
        });
        yield_now().await;
    });
    assert!(dropped.get());
    assert!(!is_active());
}

#[test]
fn a_panic_leaves_no_simulation_behind() {
    let result = std::panic::catch_unwind(|| simulate(1, async { panic!("as planned") }));
    assert!(result.is_err());
    assert!(!is_active());
    simulate(1, async {});
}
