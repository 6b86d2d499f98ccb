//! One thread's connections: waits on all of them and hands each its frames and its time.

use crate::failure::Failure;
use crate::link::Link;
use crate::progress::Live;
use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// A connection and what it is for.
pub trait Peer {
    fn link(&mut self) -> &mut Link;
    /// The clock starts.
    fn begin(&mut self, start: Instant);
    /// Queues what is to be sent by now; when to be asked again, if a response does not come first.
    fn advance(&mut self, now: Instant, stopping: bool) -> Result<Option<Instant>, Failure>;
    fn receive(&mut self, frame: Bytes, now: Instant) -> Result<(), Failure>;
    /// Nothing is left to send or to wait for.
    fn is_done(&self, stopping: bool) -> bool;
    /// Sends by the clock.
    fn is_paced(&self) -> bool;
}

/// The longest sleep, so that a stop is seen.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// How long responses may take to come in after the stop.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Serves the peers until all are done.
pub fn run(peers: &mut [Box<dyn Peer>], live: &Live, start: Instant) -> Result<(), Failure> {
    // The default slack would make every paced send 50 us late.
    let _ = nix::sys::prctl::set_timerslack(1);
    let alone = peers.len() == 1 && !peers[0].is_paced();
    let mut handles = Vec::with_capacity(peers.len());
    for peer in peers.iter_mut() {
        handles.push(peer.link().handle()?);
        peer.begin(start);
    }
    if alone {
        peers[0].link().block(SLEEP_MAX)?;
    }
    let mut polls: Vec<PollFd<'_>> = handles.iter().map(polled).collect();
    let mut wakes = vec![Some(start); peers.len()];
    let mut stopped_at = None;
    loop {
        let now = Instant::now();
        let stopping = live.is_stopping();
        for ((peer, poll), wake) in peers.iter_mut().zip(&mut polls).zip(&mut wakes) {
            if stopping || wake.is_some_and(|wake| wake <= now) {
                *wake = step(peer.as_mut(), poll, now, stopping)?;
            }
        }
        if peers.iter().all(|peer| peer.is_done(stopping)) {
            return Ok(());
        }
        if stopping && now > *stopped_at.get_or_insert(now) + DRAIN_MAX {
            return Err(Failure::Protocol("requests without an answer after the end"));
        }
        if !alone {
            wait(&mut polls, wakes.iter().flatten().min(), now)?;
        }
        for ((peer, poll), wake) in peers.iter_mut().zip(&mut polls).zip(&mut wakes) {
            let woken = alone || poll.any().unwrap_or(true);
            if woken && !peer.is_done(stopping) {
                take_frames(peer.as_mut())?;
                *wake = step(peer.as_mut(), poll, Instant::now(), stopping)?;
            }
        }
    }
}

fn polled(handle: &OwnedFd) -> PollFd<'_> {
    PollFd::new(handle.as_fd(), PollFlags::POLLIN)
}

fn wait(polls: &mut [PollFd<'_>], wake: Option<&Instant>, now: Instant) -> Result<(), Failure> {
    let sleep = wake.map_or(SLEEP_MAX, |wake| wake.saturating_duration_since(now).min(SLEEP_MAX));
    match ppoll(polls, Some(TimeSpec::from(sleep)), None) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(Failure::Connection(errno.into())),
    }
}

fn take_frames(peer: &mut dyn Peer) -> Result<(), Failure> {
    peer.link().fill()?;
    let now = Instant::now();
    while let Some(frame) = peer.link().next_frame()? {
        peer.receive(frame.clone(), now)?;
        peer.link().recycle(frame);
    }
    Ok(())
}

fn step(peer: &mut dyn Peer, poll: &mut PollFd<'_>, now: Instant, stopping: bool) -> Result<Option<Instant>, Failure> {
    let wake = peer.advance(now, stopping)?;
    let link = peer.link();
    link.flush()?;
    let events = if link.is_flushed() { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT };
    poll.set_events(events);
    Ok(wake)
}
