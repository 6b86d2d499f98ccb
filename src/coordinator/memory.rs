//! What the machines of one shard hold in memory, and may hold.

/// In bytes, about: as the machines count them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    held: usize,
    limit: usize,
    /// It was spent, and since then there has been no room to speak of.
    is_short: bool,
}

impl Memory {
    pub fn limited_to(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// A machine that held `before` holds `after`.
    pub fn changed(self, before: usize, after: usize) -> Self {
        let held = self.held - before + after;
        let changed = Self { held, ..self };
        let is_nearly_full = held >= self.limit / 10 * 9;
        Self { is_short: changed.is_full() || (self.is_short && is_nearly_full), ..changed }
    }

    pub fn held(self) -> usize {
        self.held
    }

    pub fn is_full(self) -> bool {
        self.held >= self.limit
    }

    pub fn is_short(self) -> bool {
        self.is_short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_from_when_it_was_full_until_a_tenth_is_free() {
        let mut memory = Memory::default().limited_to(100).changed(0, 99);
        assert!(!memory.is_full() && !memory.is_short());
        memory = memory.changed(0, 1);
        assert!(memory.is_full() && memory.is_short());
        memory = memory.changed(99, 94);
        assert!(!memory.is_full() && memory.is_short());
        memory = memory.changed(94, 88);
        assert!(!memory.is_short() && memory.held() == 89);
    }
}
