//! Owns the descriptors that doze: their news may come late. They gather in an epoll set, which wakes nobody by itself,
//! and are taken together.

use super::executor::{add_timer, current, yield_now};
use super::operation::readable;
use super::readiness::Readiness;
use crate::clock::{Instant, now};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// How late news may come: a sleeping executor is woken for them this often at most. The more there are, the later, as
/// more of them together cost less each.
const LATE_MIN: Duration = Duration::from_millis(10);
const LATE_MAX: Duration = Duration::from_millis(50);
/// Where most descriptors have news each time: then several requests of one are received, and answered, together.
const LATE_SHARED_MAX: Duration = Duration::from_millis(100);
/// News within [`LATE_MIN`] from which on they may come later than that.
const MANY: u32 = 4;
/// News taken together from which on more are awaited by the clock; fewer ring for themselves.
const CROWD: usize = 2;
/// News taken before other tasks have their turn, and the ring gets a look: who is awake does not wait for a crowd.
const NEWS_MAX: usize = 8;

/// The descriptors of one executor that doze.
pub(super) struct Dozing {
    epoll: Epoll,
    places: Slab<Rc<Readiness>>,
}

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(usize);

impl Dozing {
    /// Empty; and a handle of the set, readable when there are news.
    pub fn new() -> io::Result<(Self, Arc<OwnedFd>)> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = Arc::new(epoll.0.try_clone()?);
        Ok((Self { epoll, places: Slab::new() }, bell))
    }

    /// Tells `readiness` of its descriptor from now on, of what is there already too, until [`Dozing::remove`].
    pub fn add(&mut self, readiness: Rc<Readiness>) -> io::Result<Place> {
        let descriptor = readiness.descriptor.clone();
        let place = self.places.insert(readiness);
        let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if let Err(error) = self.epoll.add(&*descriptor, EpollEvent::new(events, place as u64)) {
            self.places.remove(place);
            return Err(error.into());
        }
        Ok(Place(place))
    }

    pub fn remove(&mut self, place: Place) {
        let readiness = self.places.remove(place.0);
        self.epoll.delete(&*readiness.descriptor).expect("what was added and is open can be removed");
    }

    /// Takes some of the news there are, and adds who waited for them to `woken`; how many they were.
    fn look(&self, woken: &mut Vec<Waker>) -> usize {
        let mut news = [EpollEvent::empty(); NEWS_MAX];
        // Without a timeout nothing interrupts it.
        let count = self.epoll.wait(&mut news, EpollTimeout::ZERO).unwrap_or(0);
        for one in &news[..count] {
            let readiness = &self.places[one.data() as usize];
            woken.extend(readiness.hear(one.events().bits()));
        }
        count
    }

    /// Lets go of all who wait.
    pub fn give_up(&self) -> Vec<Waker> {
        self.places.iter().filter_map(|(_, readiness)| readiness.take_waker()).collect()
    }
}

/// Wakes who hears of news, as long as the executor runs. The first after a silence at once, the others [`lateness`]
/// apart: many of them cost no more wakes than that.
pub(super) async fn rouse(bell: Arc<OwnedFd>) {
    let mut last = Instant::from_nanos(0);
    loop {
        // An error tells nothing: looking finds out.
        let _ = readable(&bell).await;
        add_timer(last + LATE_MIN).await;
        let mut late = LATE_MIN;
        loop {
            last = now();
            let (taken, of) = take_all().await;
            if taken < CROWD {
                break;
            }
            late = lateness(taken, of, late);
            add_timer(last + late).await;
        }
    }
}

/// How long to wait for the next news, when so many came in this time, of so many descriptors.
fn lateness(taken: usize, of: usize, within: Duration) -> Duration {
    let count = u32::try_from(taken).unwrap_or(u32::MAX);
    let per_min = LATE_MIN.saturating_mul(count).div_duration_f64(within);
    let late = LATE_MIN.mul_f64(per_min / f64::from(MANY)).clamp(LATE_MIN, LATE_MAX);
    let have_most_news = taken >= of.div_ceil(2);
    if have_most_news { late.max(within * 2).min(LATE_SHARED_MAX) } else { late }
}

/// Takes the news there are, a few at a time; how many they were, and how many descriptors doze.
async fn take_all() -> (usize, usize) {
    let mut taken = 0;
    loop {
        let (more, of) = look();
        taken += more;
        if more < NEWS_MAX || taken > of {
            return (taken, of);
        }
        yield_now().await;
    }
}

fn look() -> (usize, usize) {
    let executor = current();
    let mut woken = Vec::new();
    let told =
        executor.dozing.borrow().as_ref().map_or((0, 0), |dozing| (dozing.look(&mut woken), dozing.places.len()));
    woken.into_iter().for_each(Waker::wake);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_more_news_there_are_the_later_they_may_come() {
        assert_eq!([2, 4, 8, 40].map(|taken| lateness(taken, 1000, MS(10))), [MS(10), MS(10), MS(20), MS(50)]);
        assert_eq!(lateness(16, 1000, MS(20)), MS(20), "as many in twice the time");
        assert_eq!(lateness(usize::MAX / 2, usize::MAX, MS(10)), MS(50));
    }

    #[test]
    fn news_of_most_descriptors_each_time_may_come_later_still() {
        let mut late = MS(10);
        let steps = [(); 4].map(|()| {
            late = lateness(50, 50, late);
            late
        });
        assert_eq!(steps, [MS(50), MS(100), MS(100), MS(100)]);
        assert_eq!(lateness(24, 50, MS(100)), MS(10).max(MS(6)), "not of most of them any more");
    }
}
