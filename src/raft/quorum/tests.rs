use super::*;
use odradek_shards::record::{ControlRecord, ControlRecordType};
use odradek_shards::types::{NodeId, Timestamp};
use uuid::Uuid;

const ME: Voter = Voter { id: NodeId(1), directory: Uuid::from_u128(77) };
const NOW: Moment = Moment { wall_clock: Timestamp(1000) };
const EMPTY: LogEnd = LogEnd { offset: Offset::ZERO, epoch: LeaderEpoch::NONE };

/// What a process finds again after a crash: the last stored election and the synced part of the log.
struct Disk {
    election: ElectionState,
    log: Vec<(Offset, LeaderEpoch, i64)>,
    synced: Offset,
}

impl Disk {
    fn new() -> Self {
        Self { election: ElectionState::NEW, log: Vec::new(), synced: Offset::ZERO }
    }

    fn end(&self) -> LogEnd {
        self.log.last().map_or(EMPTY, |(base, epoch, count)| LogEnd { offset: *base + *count, epoch: *epoch })
    }

    /// Power is lost: what was not synced is gone.
    fn crash(&mut self) {
        self.log.retain(|(base, _, count)| *base + *count <= self.synced);
    }

    fn open(&self) -> Quorum {
        Quorum::new(ME, VoterSet::from_ids([ME.id]), 0, false, self.election.clone(), self.end())
    }

    /// Carries out one effect; gives what follows from it.
    fn run(&mut self, output: &Output) -> Option<Input> {
        match output {
            Output::StoreElection(state) => {
                self.election = state.clone();
                Some(Input::ElectionStored(state.clone()))
            }
            Output::Append { base_offset, epoch, batch } => {
                assert_eq!(*base_offset, self.end().offset, "appends follow each other");
                self.log.push((*base_offset, *epoch, i64::from(batch.header.record_count)));
                None
            }
            Output::Leading { .. } | Output::HighWatermark(_) | Output::Resigned { .. } => None,
        }
    }

    fn sync(&mut self) -> Input {
        self.synced = self.end().offset;
        Input::Synced(self.synced)
    }
}

fn step(quorum: &mut Quorum, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    quorum.step(NOW, input, &mut out);
    out
}

/// Runs everything that follows from `input`, syncing whenever nothing else is left; lists all effects.
fn settle(quorum: &mut Quorum, disk: &mut Disk, input: Input) -> Vec<Output> {
    let mut all = Vec::new();
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        let outputs = step(quorum, input);
        inputs.extend(outputs.iter().filter_map(|output| disk.run(output)));
        all.extend(outputs);
        if inputs.is_empty() && disk.synced < disk.end().offset {
            inputs.push(disk.sync());
        }
    }
    all
}

fn values(count: usize) -> Vec<Bytes> {
    vec![Bytes::from_static(b"record"); count]
}

fn append(quorum: &mut Quorum, count: usize) -> (Option<Offset>, Vec<Output>) {
    let mut out = Vec::new();
    let last = quorum.append(NOW, &values(count), &mut out).unwrap();
    (last, out)
}

#[test]
fn a_lone_voter_stores_its_vote_then_its_leadership_then_opens_its_epoch() {
    let mut quorum = Disk::new().open();
    let vote = ElectionState::with_vote(LeaderEpoch(1), ME);
    let elected = ElectionState::with_leader(LeaderEpoch(1), ME.id);
    assert_eq!(step(&mut quorum, Input::Tick), [Output::StoreElection(vote.clone())]);
    assert!(step(&mut quorum, Input::Tick).is_empty(), "it asks once");
    assert_eq!(quorum.leading(), None);
    assert_eq!(step(&mut quorum, Input::ElectionStored(vote)), [Output::StoreElection(elected.clone())]);
    assert_eq!(quorum.leading(), None, "leadership that is not durable is none");
    let outputs = step(&mut quorum, Input::ElectionStored(elected));
    assert_eq!(outputs[0], Output::Leading { epoch: LeaderEpoch(1), start: Offset(0) });
    let Output::Append { base_offset: Offset(0), epoch: LeaderEpoch(1), batch } = &outputs[1] else { panic!() };
    assert!(batch.header.attributes.is_control());
    assert_eq!(quorum.leading(), Some(LeaderEpoch(1)));
}

#[test]
fn the_high_watermark_follows_the_sync_and_never_precedes_it() {
    let mut disk = Disk::new();
    let mut quorum = disk.open();
    let all = settle(&mut quorum, &mut disk, Input::Tick);
    assert_eq!(all.last(), Some(&Output::HighWatermark(Offset(1))));
    let (last, outputs) = append(&mut quorum, 3);
    assert_eq!(last, Some(Offset(3)));
    assert_eq!(outputs.len(), 1);
    assert_eq!(quorum.high_watermark(), Some(Offset(1)));
    disk.run(&outputs[0]);
    assert_eq!(step(&mut quorum, disk.sync()), [Output::HighWatermark(Offset(4))]);
}

#[test]
fn records_that_arrive_during_a_write_leave_together_after_it() {
    let mut disk = Disk::new();
    let mut quorum = disk.open();
    settle(&mut quorum, &mut disk, Input::Tick);
    let (_, first) = append(&mut quorum, 1);
    disk.run(&first[0]);
    assert_eq!(append(&mut quorum, 2), (Some(Offset(3)), vec![]));
    assert_eq!(append(&mut quorum, 1), (Some(Offset(4)), vec![]));
    let outputs = step(&mut quorum, disk.sync());
    let Output::Append { base_offset: Offset(2), batch, .. } = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(batch.header.record_count, 3);
    assert_eq!(outputs[1], Output::HighWatermark(Offset(2)));
}

#[test]
fn nothing_of_earlier_epochs_is_committed_before_the_epochs_own_record() {
    let mut disk = Disk::new();
    let mut quorum = disk.open();
    settle(&mut quorum, &mut disk, Input::Tick);
    let (_, out) = append(&mut quorum, 4);
    disk.run(&out[0]);
    disk.sync();
    disk.crash();
    let mut again = disk.open();
    let vote = step(&mut again, Input::Tick);
    let elected = step(&mut again, disk.run(&vote[0]).unwrap());
    let leading = step(&mut again, disk.run(&elected[0]).unwrap());
    assert_eq!(leading[0], Output::Leading { epoch: LeaderEpoch(2), start: Offset(5) });
    assert_eq!(step(&mut again, Input::Synced(Offset(5))), []);
    assert_eq!(again.high_watermark(), None);
    disk.run(&leading[1]);
    assert_eq!(step(&mut again, disk.sync()), [Output::HighWatermark(Offset(6))]);
}

#[test]
fn a_crash_after_any_effect_never_reuses_an_epoch_or_loses_what_was_committed() {
    for effects_before_crash in 0..12 {
        let mut disk = Disk::new();
        let mut led = vec![];
        let mut committed = Offset::ZERO;
        for round in 0..4 {
            disk.crash();
            assert!(disk.synced >= committed, "committed records outlive a crash");
            let mut quorum = disk.open();
            let mut queue = std::collections::VecDeque::from([Input::Tick]);
            let mut effects = 0;
            'life: while let Some(input) = queue.pop_front() {
                let mut outputs = step(&mut quorum, input);
                if outputs.iter().any(|output| matches!(output, Output::HighWatermark(_))) && effects < 9 {
                    outputs.extend(append(&mut quorum, 2).1);
                }
                for output in outputs {
                    if effects == effects_before_crash + round {
                        break 'life;
                    }
                    effects += 1;
                    queue.extend(disk.run(&output));
                    match output {
                        Output::Leading { epoch, .. } => {
                            assert_eq!(disk.election, ElectionState::with_leader(epoch, ME.id));
                            assert!(!led.contains(&epoch), "epoch {epoch} was led before");
                            led.push(epoch);
                        }
                        Output::HighWatermark(offset) => {
                            assert!(offset <= disk.synced);
                            committed = committed.max(offset);
                        }
                        _ => {}
                    }
                }
                if queue.is_empty() && disk.synced < disk.end().offset {
                    queue.push_back(disk.sync());
                }
            }
        }
    }
}

#[test]
fn an_epoch_is_above_that_of_the_log_even_when_the_state_file_is_lost() {
    let log = LogEnd { offset: Offset(9), epoch: LeaderEpoch(6) };
    let mut quorum = Quorum::new(ME, VoterSet::from_ids([ME.id]), 0, false, ElectionState::NEW, log);
    assert_eq!(step(&mut quorum, Input::Tick), [Output::StoreElection(ElectionState::with_vote(LeaderEpoch(7), ME))]);
}

#[test]
fn one_of_several_voters_does_not_elect_itself() {
    let voters = VoterSet::from_ids([NodeId(1), NodeId(2), NodeId(3)]);
    let mut quorum = Quorum::new(ME, voters, 0, false, ElectionState::NEW, EMPTY);
    assert!(step(&mut quorum, Input::Tick).is_empty());
    assert_eq!(quorum.append(NOW, &values(1), &mut Vec::new()), Ok(None));
}

#[test]
fn a_voter_set_that_only_the_format_knows_is_recorded_once() {
    let voters = VoterSet::standalone(ME, Vec::new());
    let mut disk = Disk::new();
    let mut quorum = Quorum::new(ME, voters.clone(), 1, false, ElectionState::NEW, EMPTY);
    let all = settle(&mut quorum, &mut disk, Input::Tick);
    let opening = all.iter().find_map(|output| match output {
        Output::Append { batch, .. } => Some(batch.clone()),
        _ => None,
    });
    let batch = odradek_shards::record::Batch::from(opening.unwrap());
    let controls: Vec<_> = batch.records(1 << 20).map(|r| ControlRecord::parse(&r.unwrap()).unwrap()).collect();
    let kinds: Vec<_> = controls.iter().map(|control| control.kind).collect();
    use ControlRecordType::{KRaftVersion, KRaftVoters, LeaderChange};
    assert_eq!(kinds, [LeaderChange, KRaftVersion, KRaftVoters]);
    assert_eq!(VoterSet::from_record(controls[2].value.clone()).unwrap(), voters);
    let mut next = Quorum::new(ME, voters, 1, true, disk.election.clone(), disk.end());
    let all = settle(&mut next, &mut disk, Input::Tick);
    assert!(all.iter().any(|o| matches!(o, Output::Append { batch, .. } if batch.header.record_count == 1)));
}

#[test]
fn a_leader_that_resigned_takes_no_records_and_leads_no_more() {
    let mut disk = Disk::new();
    let mut quorum = disk.open();
    settle(&mut quorum, &mut disk, Input::Tick);
    assert_eq!(step(&mut quorum, Input::Resign), [Output::Resigned { epoch: LeaderEpoch(1) }]);
    assert_eq!(append(&mut quorum, 1), (None, vec![]));
    assert!(step(&mut quorum, Input::Tick).is_empty());
}
