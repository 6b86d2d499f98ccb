//! Owns whether a descriptor has something for its reader, as a poll that stays armed tells it, or a later look at those
//! that doze.

use super::dozing::Place;
use super::executor::{current, try_current};
use super::submission::Key;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A descriptor that is watched from the first time somebody waits for it until this is dropped. One task at a time may
/// wait. Its file closes soon after the last handle of it is dropped.
pub(in crate::runtime) struct Watched(Rc<Readiness>);

/// What the last news said. It may be outdated: reading finds out.
pub(super) struct Readiness {
    pub descriptor: Arc<OwnedFd>,
    readable: Cell<bool>,
    /// The peer is done, or something failed: there is always something to read, if only the end.
    over: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
    watch: Cell<Watch>,
}

/// Who tells of news.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    Nobody,
    Ring(Key),
    Dozing(Place),
}

impl Watched {
    pub fn new(descriptor: OwnedFd) -> Self {
        Self(Rc::new(Readiness {
            descriptor: Arc::new(descriptor),
            readable: Cell::new(false),
            over: Cell::new(false),
            waiting: RefCell::new(None),
            watch: Cell::new(Watch::Nobody),
        }))
    }

    pub fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.0.descriptor
    }

    /// Runs `read`, which does not wait, once there may be something to read. When `drained` says that it took all there
    /// was, the next one waits for news.
    pub fn poll_read<T>(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&OwnedFd) -> io::Result<T>,
        drained: impl Fn(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        self.watch();
        let this = &self.0;
        while this.readable.get() {
            match read(&this.descriptor) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => this.readable.set(false),
                result => {
                    let all = result.as_ref().is_ok_and(drained);
                    this.readable.set(!all || this.over.get());
                    return Poll::Ready(result);
                }
            }
        }
        match &mut *this.waiting.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Has news wake an executor that sleeps, though no task waits for them.
    pub(super) fn watch(&self) {
        if self.0.watch.get() == Watch::Nobody {
            self.0.watch.set(Watch::Ring(current().ring.borrow_mut().watch(self.0.clone())));
        }
    }

    /// Whether news may come some milliseconds late from now on, together with those of others; that saves wakes. Of what
    /// has come meanwhile the next who waits hears.
    pub fn doze(&self, dozes: bool) {
        match self.0.watch.get() {
            Watch::Ring(key) if dozes => {
                if let Some(place) = current().doze(self.0.clone()) {
                    current().ring.borrow_mut().cancel(key);
                    self.0.watch.set(Watch::Dozing(place));
                }
            }
            Watch::Dozing(place) if !dozes => {
                current().rise(place);
                self.0.watch.set(Watch::Nobody);
            }
            _ => {}
        }
    }

    /// Ends dozing, for a reader that waits already too.
    pub fn rouse(&self) {
        self.doze(false);
        self.watch();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // After its executor's end the kernel has given it up already.
        let Some(executor) = try_current() else { return };
        match self.0.watch.get() {
            Watch::Nobody => {}
            Watch::Ring(key) => executor.ring.borrow_mut().cancel(key),
            Watch::Dozing(place) => executor.rise(place),
        }
    }
}

impl Readiness {
    /// News of the poll `key`, which has to be armed again after the last one. Returns who waits for them.
    pub fn tell(&self, key: Key, result: i32, last: bool) -> Option<Waker> {
        if self.watch.get() != Watch::Ring(key) {
            // It was given up meanwhile, and who watches now knows all.
            return None;
        }
        if last {
            self.watch.set(Watch::Nobody);
        }
        // That a poll ended says nothing: reading finds out.
        self.hear(result.max(0))
    }

    /// There may be something to read. Returns who waits for it.
    pub fn hear(&self, events: i32) -> Option<Waker> {
        self.readable.set(true);
        if events & ENDS != 0 {
            self.over.set(true);
        }
        self.take_waker()
    }

    pub fn take_waker(&self) -> Option<Waker> {
        self.waiting.borrow_mut().take()
    }
}

const ENDS: i32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as i32;
