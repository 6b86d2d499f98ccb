//! Owns which task is next: a queue of ready tasks for each class, sharing the core by weight.

use crate::runtime::Class;
use std::collections::VecDeque;
use std::time::Duration;

/// The ready tasks. A class that has used less of the core, by its weight, goes first; one that was idle does not get the
/// time back.
pub(super) struct Tasks<T> {
    queues: [Queue<T>; CLASSES.len()],
    /// What the class that ran last had used.
    level: u64,
}

struct Queue<T> {
    ready: VecDeque<T>,
    weight: u64,
    /// Nanoseconds by weight.
    used: u64,
}

const CLASSES: [(Class, u64); 3] = [(Class::Data, 1000), (Class::Control, 500), (Class::Background, 100)];

impl<T> Tasks<T> {
    pub fn new() -> Self {
        Self { queues: CLASSES.map(|(_, weight)| Queue { ready: VecDeque::new(), weight, used: 0 }), level: 0 }
    }

    pub fn push(&mut self, class: Class, task: T) {
        let level = self.level;
        let queue = self.queue(class);
        if queue.ready.is_empty() {
            queue.used = queue.used.max(level);
        }
        queue.ready.push_back(task);
    }

    /// The class whose turn it is, and how many of its tasks are ready.
    pub fn next(&mut self) -> Option<(Class, usize)> {
        let ready = CLASSES.iter().zip(&self.queues).filter(|(_, queue)| !queue.ready.is_empty());
        let ((class, _), queue) = ready.min_by_key(|(_, queue)| queue.used)?;
        self.level = queue.used;
        Some((*class, queue.ready.len()))
    }

    pub fn pop(&mut self, class: Class) -> Option<T> {
        self.queue(class).ready.pop_front()
    }

    /// Tasks of the class have run this long.
    pub fn charge(&mut self, class: Class, ran: Duration) {
        let queue = self.queue(class);
        let nanos = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
        queue.used = queue.used.saturating_add(nanos.saturating_mul(1000) / queue.weight);
    }

    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.ready.is_empty())
    }

    fn queue(&mut self, class: Class) -> &mut Queue<T> {
        &mut self.queues[match class {
            Class::Data => 0,
            Class::Control => 1,
            Class::Background => 2,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `turns` tasks of 1 ms while every class of `busy` always has one, and counts how many each ran.
    fn run(tasks: &mut Tasks<()>, busy: &[Class], turns: usize) -> Vec<usize> {
        let mut ran = vec![0; busy.len()];
        busy.iter().for_each(|class| tasks.push(*class, ()));
        for _ in 0..turns {
            let (class, _) = tasks.next().unwrap();
            tasks.pop(class).unwrap();
            tasks.charge(class, Duration::from_millis(1));
            tasks.push(class, ());
            ran[busy.iter().position(|other| *other == class).unwrap()] += 1;
        }
        busy.iter().for_each(|class| assert!(tasks.pop(*class).is_some()));
        ran
    }

    #[test]
    fn tasks_of_a_class_run_in_the_order_they_became_ready() {
        let mut tasks = Tasks::new();
        (1..=3).for_each(|n| tasks.push(Class::Control, n));
        assert_eq!(tasks.next(), Some((Class::Control, 3)));
        assert_eq!([(); 3].map(|()| tasks.pop(Class::Control)), [Some(1), Some(2), Some(3)]);
        assert!(tasks.is_empty() && tasks.next().is_none());
    }

    #[test]
    fn a_full_core_is_shared_by_weight() {
        let ran = run(&mut Tasks::new(), &[Class::Data, Class::Control, Class::Background], 1600);
        assert!((995..=1005).contains(&ran[0]) && (495..=505).contains(&ran[1]), "{ran:?}");
    }

    #[test]
    fn a_class_that_was_idle_has_no_claim_to_the_past() {
        let mut tasks = Tasks::new();
        run(&mut tasks, &[Class::Data], 1000);
        let ran = run(&mut tasks, &[Class::Data, Class::Background], 110);
        assert!((98..=102).contains(&ran[0]), "{ran:?}");
    }
}
