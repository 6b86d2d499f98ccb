//! A process's CPU time and memory, from /proc.

use std::fs;
use std::time::Duration;

/// The kernel tells CPU time to user space in hundredths of a second, whatever its own tick.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
}

impl Usage {
    /// What process `pid` (`None` = this one) has used so far; `None` when there is no such process.
    pub fn of(pid: Option<u32>) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", name(pid))).ok()?;
        // The command may hold spaces; after its closing bracket user and system time are 12th and 13th.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let time = |nth: usize| Some(Duration::from_secs_f64(fields.get(nth)?.parse::<f64>().ok()? / TICKS_PER_SECOND));
        Some(Self { user: time(11)?, system: time(12)? })
    }

    pub fn since(self, earlier: Self) -> Self {
        let user = self.user.saturating_sub(earlier.user);
        Self { user, system: self.system.saturating_sub(earlier.system) }
    }

    pub fn total(self) -> Duration {
        self.user + self.system
    }
}

/// Bytes of memory the process has resident.
pub fn resident_bytes(pid: Option<u32>) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", name(pid))).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

fn name(pid: Option<u32>) -> String {
    pid.map_or("self".to_owned(), |pid| pid.to_string())
}
