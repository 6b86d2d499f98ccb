//! A partition driven by text.
//!
//! ```text
//! > open epoch=3 start=0 end=10
//! > append t=1 n=2 bytes=100 [epoch=3] [duplicate=4..5] [sequence=gap|fenced] [large] [time=99]
//! > due | done 12 [lso=11] | journaled 12 [lso=11] | failed | broken | await w=1 from=12 | cancel w=1 | delete 5|hw
//! > epoch 4 | after 2000 (milliseconds) | sweep | close
//! ```

use odradek_shards::error::{AppendError, ReadError, Unavailable};
use odradek_shards::partition::{Arrival, Input, Output, Partition, Sequence, State, Ticket, WaitId};
use odradek_shards::runtime::Instant;
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};
use std::fmt::Write;
use std::time::Duration;

#[test]
fn a_partition_follows_its_scenarios() {
    super::run_all("partition", || {
        let mut machine = Machine { now: Instant::from_nanos(0), partition: None };
        Box::new(move |line| machine.step(line))
    });
}

struct Machine {
    now: Instant,
    partition: Option<Partition>,
}

impl Machine {
    fn step(&mut self, line: &str) -> String {
        let words = Words(line.split_whitespace().collect());
        match words.first() {
            "open" => {
                let (epoch, start, end) = (words.number("epoch"), words.offset("start"), words.offset("end"));
                let state = State::opened(LeaderEpoch(epoch), start, end, end);
                self.partition = Some(Partition::new(state));
                self.describe(Vec::new())
            }
            "after" => {
                self.now += Duration::from_millis(words.argument().parse().unwrap());
                self.describe(Vec::new())
            }
            _ => {
                let mut outputs = Vec::new();
                let partition = self.partition.as_mut().expect("a scenario begins with open");
                partition.step(self.now, words.input(), &mut outputs);
                self.describe(outputs)
            }
        }
    }

    fn describe(&self, outputs: Vec<Output>) -> String {
        let mut text = String::new();
        for output in outputs {
            writeln!(text, "{}", describe(&output)).unwrap();
        }
        let partition = self.partition.as_ref().expect("a scenario begins with open");
        let s = partition.state();
        write!(
            text,
            "  = epoch {} | start {} <= lso {} <= high {} <= stable {} <= end {} | {:?}",
            s.leader_epoch, s.log_start, s.last_stable, s.high_watermark, s.stable, s.log_end, s.io
        )
        .unwrap();
        let parked = [(partition.appends_parked(), "appends"), (partition.fetches_parked(), "fetches")];
        for (count, what) in parked.into_iter().filter(|(count, _)| *count > 0) {
            write!(text, ", {count} {what} parked").unwrap();
        }
        let flags =
            [(s.offline, "offline"), (s.closed.is_some(), "closed"), (s.untrimmed_since.is_some(), "untrimmed")];
        for (_, flag) in flags.into_iter().filter(|(set, _)| *set) {
            write!(text, ", {flag}").unwrap();
        }
        text
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Append { base, leader_epoch } => format!("append at {base} in epoch {leader_epoch}"),
        Output::Commit => "commit what is pending".into(),
        Output::StartWrite => "start a write".into(),
        Output::StartTrim => "start trimming".into(),
        Output::StartRemoval => "start removing segments".into(),
        Output::BeginEpoch(epoch) => format!("begin epoch {epoch}"),
        Output::Answer { ticket, result: Ok(ok) } if ok.log_append_time == Timestamp::NONE => {
            format!("answer t={}: offset {}, log start {}", ticket.0, ok.base_offset, ok.log_start_offset)
        }
        Output::Answer { ticket, result: Ok(ok) } => {
            let (base, time, start) = (ok.base_offset, ok.log_append_time, ok.log_start_offset);
            format!("answer t={}: offset {base}, time {time}, log start {start}", ticket.0)
        }
        Output::Answer { ticket, result: Err(error) } => format!("answer t={}: {}", ticket.0, append_error(error)),
        Output::Arrived { wait, bytes } => format!("tell w={}: {bytes} more bytes", wait.0),
        Output::Disturbed { wait } => format!("tell w={}: read again", wait.0),
        Output::AdvanceStart { to } => format!("advance the log start to {to}"),
        Output::Deleted { result: Ok(start) } => format!("deleted, log start {start}"),
        Output::Deleted { result: Err(ReadError::OffsetOutOfRange) } => "not deleted: out of range".into(),
        Output::Deleted { result: Err(ReadError::Unavailable(why)) } => format!("not deleted: {}", unavailable(why)),
        Output::WentOffline => "say that the partition is offline".into(),
        Output::Quiet => "say that the partition is quiet".into(),
    }
}

fn append_error(error: &AppendError) -> String {
    match error {
        AppendError::Unavailable(why) => unavailable(why),
        other => format!("{other:?}"),
    }
}

fn unavailable(why: &Unavailable) -> String {
    format!("{why:?}")
}

struct Words<'a>(Vec<&'a str>);

impl Words<'_> {
    fn first(&self) -> &str {
        self.0[0]
    }

    fn argument(&self) -> &str {
        self.0[1]
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> T {
        let text = self.get(name).unwrap_or_else(|| panic!("{name} is missing in {:?}", self.0));
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    }

    fn offset(&self, name: &str) -> Offset {
        Offset(self.number(name))
    }

    fn input(&self) -> Input {
        match self.first() {
            "append" => Input::Append(self.arrival()),
            "due" => Input::WriteDue,
            "done" => {
                let (stable, last_stable) = self.progress();
                Input::IoDone { stable, last_stable }
            }
            "journaled" => {
                let (stable, last_stable) = self.progress();
                Input::Stable { stable, last_stable }
            }
            "failed" => Input::IoFailed,
            "broken" => Input::StorageFailed,
            "await" => Input::Await { wait: WaitId(self.number("w")), from: self.offset("from") },
            "cancel" => Input::CancelAwait { wait: WaitId(self.number("w")) },
            "delete" => Input::DeleteRecords { before: self.argument().parse().ok().map(Offset) },
            "epoch" => Input::LeaderEpoch(LeaderEpoch(self.argument().parse().unwrap())),
            "sweep" => Input::Sweep,
            "close" => Input::Close(Unavailable::ShuttingDown),
            other => panic!("no input is called {other}"),
        }
    }

    /// How far the log is stable, and below where no transaction is open.
    fn progress(&self) -> (Offset, Offset) {
        let stable = Offset(self.argument().parse().unwrap());
        (stable, self.get("lso").map_or(stable, |lso| Offset(lso.parse().unwrap())))
    }

    fn arrival(&self) -> Arrival {
        Arrival {
            ticket: Ticket(self.number("t")),
            offsets: self.number("n"),
            bytes: self.number("bytes"),
            log_append_time: self.get("time").map_or(Timestamp::NONE, |time| Timestamp(time.parse().unwrap())),
            leader_epoch_expected: self.get("epoch").map(|epoch| LeaderEpoch(epoch.parse().unwrap())),
            sequence: self.sequence(),
            too_large: self.has("large"),
        }
    }

    fn sequence(&self) -> Sequence {
        if let Some((base, last)) = self.get("duplicate").and_then(|range| range.split_once("..")) {
            let offset = |text: &str| Offset(text.parse().unwrap());
            return Sequence::Duplicate { base: offset(base), last: offset(last), timestamp: Timestamp(7) };
        }
        match self.get("sequence") {
            None => Sequence::Follows,
            Some("gap") => Sequence::OutOfOrder,
            Some("fenced") => Sequence::Fenced,
            Some(other) => panic!("no sequence is called {other}"),
        }
    }
}
