use super::*;
use crate::runtime::executors::tests::on_executor;
use crate::runtime::simulation::simulate;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Both executors must keep every promise of the facade.
fn on_both<Fut: Future<Output = ()> + 'static>(body: impl Fn() -> Fut + Copy + Send + 'static) {
    simulate(1, body());
    on_executor(body);
}

#[test]
fn a_spawned_task_runs_after_its_parent_yields_and_not_before() {
    on_both(|| async {
        let ran = Rc::new(Cell::new(false));
        let seen = ran.clone();
        spawn(async move { seen.set(true) });
        assert!(!ran.get());
        while !ran.get() {
            yield_now().await;
        }
    });
}

#[test]
fn every_class_runs() {
    on_both(|| async {
        let ran = Rc::new(RefCell::new(Vec::new()));
        for class in [Class::Data, Class::Control, Class::Background] {
            let ran = ran.clone();
            spawn_in(class, async move { ran.borrow_mut().push(class) });
        }
        while ran.borrow().len() < 3 {
            yield_now().await;
        }
    });
}

#[test]
fn a_joined_task_brings_its_result() {
    on_both(|| async {
        let result = spawn_joined(async {
            yield_now().await;
            42
        });
        assert_eq!(result.await, 42);
    });
}

#[test]
fn a_joined_task_runs_on_when_nobody_waits() {
    on_both(|| async {
        let ran = Rc::new(Cell::new(false));
        let seen = ran.clone();
        drop(spawn_joined(async move { seen.set(true) }));
        while !ran.get() {
            yield_now().await;
        }
    });
}

#[test]
fn sleeping_lasts_at_least_as_long_as_asked() {
    on_both(|| async {
        let before = now();
        sleep(Duration::from_millis(3)).await;
        assert!(now() - before >= Duration::from_millis(3));
        sleep(Duration::ZERO).await;
        sleep_until(before).await;
        sleep_until(now() + Duration::from_millis(1)).await;
    });
}

#[test]
fn a_task_that_only_yields_does_not_keep_timers_from_firing() {
    on_both(|| async {
        let fired = Rc::new(Cell::new(false));
        let seen = fired.clone();
        spawn(async move {
            sleep(Duration::from_millis(1)).await;
            seen.set(true);
        });
        // The virtual clock moves only when all wait.
        while !fired.get() {
            match simulation::is_active() {
                true => sleep(Duration::from_micros(1)).await,
                false => yield_now().await,
            }
        }
    });
}

#[test]
fn blocking_work_brings_its_result() {
    on_both(|| async {
        assert_eq!(blocking(|| "done").await, "done");
    });
}
