//! Owns how SIGTERM and SIGINT reach a shard.

use atomic_waker::AtomicWaker;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::Poll;
use std::thread;

/// A request to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Terminate,
    Interrupt,
}

/// The process's stop requests, for one task on one shard.
pub struct Signals(Arc<Inbox>);

#[derive(Default)]
struct Inbox {
    first: AtomicI32,
    waker: AtomicWaker,
}

/// From now on the first SIGTERM or SIGINT asks for a clean stop; a second one ends the process at once.
pub fn watch() -> io::Result<Signals> {
    let inbox = Arc::new(Inbox::default());
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let sent = inbox.clone();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if sent.first.swap(signal, Ordering::AcqRel) != 0 {
                // As a shell reports a process killed by the signal.
                std::process::exit(128 + signal);
            }
            sent.waker.wake();
        }
    })?;
    Ok(Signals(inbox))
}

impl Signals {
    /// Waits for the first stop request; at once when it came before.
    pub async fn received(&self) -> Signal {
        poll_fn(|cx| {
            self.0.waker.register(cx.waker());
            match self.0.first.load(Ordering::Acquire) {
                0 => Poll::Pending,
                SIGINT => Poll::Ready(Signal::Interrupt),
                _ => Poll::Ready(Signal::Terminate),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::executors::tests::on_executor;

    #[test]
    fn a_signal_reaches_the_task_that_waits() {
        let signals = watch().unwrap();
        let received = on_executor(move || async move {
            crate::runtime::spawn(async {
                signal_hook::low_level::raise(SIGTERM).expect("a process may signal itself");
            });
            signals.received().await
        });
        assert_eq!(received, Signal::Terminate);
    }
}
