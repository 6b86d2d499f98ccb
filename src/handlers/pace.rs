//! Work that grows with a request gives way to others of its shard now and then.

use odradek_shards::runtime::yield_now;

/// Small steps between two pauses: a fraction of a millisecond.
const STEPS_PER_TURN: usize = 1000;

/// Of one request.
pub struct Pace {
    done: usize,
    steps_per_turn: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self::of(STEPS_PER_TURN)
    }
}

impl Pace {
    /// With another number of steps between two pauses.
    pub fn of(steps_per_turn: usize) -> Self {
        Self { done: 0, steps_per_turn }
    }

    /// Another `steps` are done. Completes at once while a request is a small one, so that it stays in order.
    pub async fn step(&mut self, steps: usize) {
        self.done += steps;
        if self.done >= self.steps_per_turn {
            self.done = 0;
            yield_now().await;
        }
    }
}

/// In pieces that are done between two pauses.
pub fn pieces<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    all.chunks(STEPS_PER_TURN)
}
