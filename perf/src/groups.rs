//! `groups`: many groups whose members have nothing to do, and so send nothing but heartbeats.

use crate::arguments::{GroupProtocol, GroupsArguments, Run};
use crate::client::Client;
use crate::cluster::Topic;
use crate::coordinators::{self, Share};
use crate::crowd::Crowd;
use crate::event_loop::{self, Peer};
use crate::failure::Failure;
use crate::link::Link;
use crate::member::{Habits, Member, Step};
use crate::progress::Live;
use crate::recorder::Recorder;
use crate::report::Report;
use crate::workload::{Span, measure};
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::Reader;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::header::decode_response_header;
use odradek_protocol::primitives::Str;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the brokers are asked whether all groups are stable.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How soon a connection sees that the next groups may join.
const TURN: Duration = Duration::from_millis(1);
/// Before a member that was sent away joins again, and between heartbeats while others of its group join.
const PAUSE: Duration = Duration::from_millis(20);

pub fn run(arguments: &GroupsArguments) -> Result<Report, Failure> {
    let topic = Topic::open(&arguments.target)?;
    let (prefix, groups) = coordinators::names("groups", arguments.groups);
    let found = coordinators::find(&mut Client::connect(arguments.target.bootstrap)?, &groups)?;
    let shares = coordinators::shares(&found, arguments.connections)?;
    let habits = Habits {
        protocol: arguments.protocol,
        topic: topic.name.as_str().into(),
        session_timeout: arguments.session_timeout,
        heartbeat: arguments.heartbeat,
        versions: topic.versions.clone(),
    };
    let run = Run {
        connections: arguments.connections,
        threads: 1,
        warm_up: None,
        duration: None,
        count: None,
        broker_pid: arguments.broker_pid,
    };
    let span = Span { warm_up: arguments.warm_up, duration: Some(arguments.duration), count: None };
    let stable_after = std::sync::Mutex::new(Duration::ZERO);
    let measured = measure(&run, span, |_thread, recorder| {
        let are_all_in = Arc::new(AtomicBool::new(false));
        let mut peers = places(&shares, &groups, arguments, &habits, &are_all_in, recorder)?;
        let brokers = shares.iter().map(|share| share.address).collect();
        let watch = Watch { brokers, prefix: &prefix, groups: groups.len(), are_all_in };
        *stable_after.lock().expect("nobody panics with it") = watch.gather(&mut peers, arguments.stable_within)?;
        Ok(peers)
    })?;
    let mut report = Report::new("groups", &topic.name, run.connections, &measured);
    report.stable_after_seconds = Some(stable_after.into_inner().expect("nobody panics with it").as_secs_f64());
    Ok(report)
}

/// The connections with the members that each serves.
fn places(
    shares: &[Share<'_>],
    groups: &[Str],
    arguments: &GroupsArguments,
    habits: &Habits,
    are_all_in: &Arc<AtomicBool>,
    recorder: &Rc<RefCell<Recorder>>,
) -> Result<Vec<Box<dyn Peer>>, Failure> {
    let members = arguments.members as usize;
    let mut waves = vec![0; groups.len()];
    for share in shares {
        if share.connections < members {
            let message = "a coordinator needs as many connections as a group has members";
            return Err(Failure::Arguments(message.to_owned()));
        }
        let at_once = share.connections / members;
        share.groups.iter().enumerate().for_each(|(nth, group)| waves[*group] = nth / at_once);
    }
    let crowd = Rc::new(Crowd::new(members, &waves, Arc::clone(are_all_in)));
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    for share in shares {
        let mut places = Vec::with_capacity(share.connections);
        for nth in 0..share.connections {
            let link = Link::connect(share.address)?;
            places.push(Place::new(link, habits.clone(), (nth, share.connections), &crowd, recorder));
        }
        let seats = share.groups.iter().flat_map(|group| std::iter::repeat_n(*group, members));
        for (nth, group) in seats.enumerate() {
            let member = Member::new(groups[group].clone(), habits);
            places[nth % share.connections].seats.push(Seat { member, group, wave: waves[group] });
        }
        peers.extend(places.into_iter().map(|place| Box::new(place) as Box<dyn Peer>));
    }
    Ok(peers)
}

/// Sees to it that counting starts with stable groups.
struct Watch<'a> {
    brokers: Vec<SocketAddr>,
    prefix: &'a str,
    groups: usize,
    are_all_in: Arc<AtomicBool>,
}

impl Watch<'_> {
    /// Serves the peers until the brokers say that all groups are stable; how long that took.
    fn gather(&self, peers: &mut [Box<dyn Peer>], within: Duration) -> Result<Duration, Failure> {
        let (live, start) = (Live::default(), Instant::now());
        std::thread::scope(|scope| {
            let watched = scope.spawn(|| {
                let outcome = self.wait(start, within, &live);
                live.stop();
                outcome
            });
            let served = event_loop::run(peers, &live, start);
            live.stop();
            let stable_after = watched.join().map_err(|_| Failure::Protocol("a thread panicked"))??;
            served.map(|()| stable_after)
        })
    }

    fn wait(&self, start: Instant, within: Duration, live: &Live) -> Result<Duration, Failure> {
        let mut clients = Vec::new();
        for broker in &self.brokers {
            clients.push(Client::connect(*broker)?);
        }
        let mut stable = 0;
        while start.elapsed() < within && !live.is_stopping() {
            if self.are_all_in.load(Ordering::Relaxed) {
                stable = 0;
                for client in &mut clients {
                    stable += coordinators::stable(client, self.prefix)?;
                }
                if stable == self.groups {
                    return Ok(start.elapsed());
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = within.as_secs();
        Err(Failure::Arguments(format!("{stable} of {} groups were stable after {seconds} s", self.groups)))
    }
}

/// A member on a connection.
struct Seat {
    member: Member,
    group: usize,
    wave: usize,
}

/// One connection and the members that share it.
struct Place {
    link: Link,
    habits: Habits,
    /// Which of how many connections this is.
    turn: (usize, usize),
    crowd: Rc<Crowd>,
    recorder: Rc<RefCell<Recorder>>,
    /// In the order of their waves.
    seats: Vec<Seat>,
    /// Seats that have been told to join.
    called: usize,
    /// When which seat sends next. Each is here or in flight, once called.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    in_flight: VecDeque<InFlight>,
    next_id: i32,
    is_gathered: bool,
}

struct InFlight {
    id: i32,
    key: ApiKey,
    seat: usize,
    due: Instant,
    is_heartbeat: bool,
}

impl Place {
    fn new(
        link: Link,
        habits: Habits,
        turn: (usize, usize),
        crowd: &Rc<Crowd>,
        recorder: &Rc<RefCell<Recorder>>,
    ) -> Self {
        Self {
            link,
            habits,
            turn,
            crowd: Rc::clone(crowd),
            recorder: Rc::clone(recorder),
            seats: Vec::new(),
            called: 0,
            due: BinaryHeap::new(),
            in_flight: VecDeque::new(),
            next_id: 0,
            is_gathered: false,
        }
    }

    fn send(&mut self, seat: usize, due: Instant) -> Result<(), Failure> {
        let member = &mut self.seats[seat].member;
        let is_heartbeat = member.is_beating();
        let (key, pieces) = member.next(&self.habits, self.next_id)?;
        pieces.into_iter().for_each(|piece| self.link.queue(piece));
        self.in_flight.push_back(InFlight { id: self.next_id, key, seat, due, is_heartbeat });
        self.next_id = self.next_id.wrapping_add(1);
        Ok(())
    }

    /// When the seat sends again.
    fn settle(&mut self, flight: &InFlight, step: Step, now: Instant) -> Instant {
        let seat = &self.seats[flight.seat];
        match step {
            Step::IsIn(_) if self.habits.protocol == GroupProtocol::Consumer => self.crowd.is_in(seat.group),
            Step::IsIn(generation) => self.crowd.is_in_generation(seat.group, generation),
            Step::StartsAgain(code) if self.is_gathered => self.recorder.borrow_mut().error(code.code()),
            _ => {}
        }
        if flight.is_heartbeat && !matches!(step, Step::StartsAgain(_)) {
            let mut recorder = self.recorder.borrow_mut();
            recorder.request(now, 1, 0);
            recorder.latency(now, flight.due);
        }
        match step {
            Step::GoesOn | Step::StartsAgain(ErrorCode::RebalanceInProgress) => now,
            Step::StartsAgain(_) => now + PAUSE,
            // Joins of others wait until it hears of them.
            _ if !self.crowd.has_all(seat.group) && self.habits.protocol == GroupProtocol::Classic => now + PAUSE,
            Step::IsIn(_) => now + seat.member.interval,
            Step::Beats => flight.due.max(now - seat.member.interval) + seat.member.interval,
        }
    }
}

impl Peer for Place {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The first time members are to join; the second time all are in, and their heartbeats are spread evenly.
    fn begin(&mut self, start: Instant) {
        if !self.crowd.are_all_in() {
            return;
        }
        self.is_gathered = true;
        let ((turn, turns), count) = (self.turn, self.seats.len().max(1));
        let at = |(nth, seat): (usize, &Seat)| {
            let part = (nth * turns + turn) as f64 / (count * turns) as f64;
            Reverse((start + seat.member.interval.mul_f64(part), nth))
        };
        self.due = self.seats.iter().enumerate().map(at).collect();
    }

    fn advance(&mut self, now: Instant, stopping: bool) -> Result<Option<Instant>, Failure> {
        if stopping {
            return Ok(None);
        }
        while self.seats.get(self.called).is_some_and(|seat| seat.wave <= self.crowd.wave()) {
            self.due.push(Reverse((now, self.called)));
            self.called += 1;
        }
        while let Some(Reverse((due, seat))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.due.pop();
            self.send(seat, due)?;
        }
        let next = self.due.peek().map(|Reverse((due, _))| *due);
        let looks = (!self.crowd.are_all_in()).then(|| now + TURN);
        Ok(next.into_iter().chain(looks).min())
    }

    fn receive(&mut self, frame: Bytes, now: Instant) -> Result<(), Failure> {
        let flight = self.in_flight.pop_front().ok_or(Failure::Protocol("an answer to no request"))?;
        let mut reader = Reader::new(frame);
        if decode_response_header(&mut reader, flight.key, self.habits.versions.of(flight.key)?)? != flight.id {
            return Err(Failure::Protocol("answers out of order"));
        }
        let step = self.seats[flight.seat].member.take(&self.habits, &mut reader)?;
        let due = self.settle(&flight, step, now);
        self.due.push(Reverse((due, flight.seat)));
        Ok(())
    }

    fn is_done(&self, stopping: bool) -> bool {
        stopping && self.in_flight.is_empty() && self.link.is_flushed()
    }

    fn is_paced(&self) -> bool {
        true
    }
}
