use super::play;
use super::simulation::{Dice, seeds};
use super::stage::{Stage, play_with};
use std::collections::BTreeMap;

#[test]
fn offsets_without_a_group_make_one_and_come_back_after_a_restart() {
    play(
        "
        > commit admin offset=7
        admin: commit NONE
        > fetch
        fetched: NONE t-0@7
        > restart
        > fetch
        fetched: NONE t-0@7
        > group
        Empty generation=0 leader=- members=
        ",
    );
}

#[test]
fn only_members_of_the_generation_commit_to_a_group_with_members() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > commit a
        a: commit REBALANCE_IN_PROGRESS
        > sync a assign=a:x
        a: assigned \"x\"
        > commit a offset=5
        a: commit NONE
        > commit a gen=0
        a: commit ILLEGAL_GENERATION
        > commit admin
        admin: commit UNKNOWN_MEMBER_ID
        > commit b gen=1
        b: commit UNKNOWN_MEMBER_ID
        > fetch
        fetched: NONE t-0@5
        ",
    );
}

#[test]
fn a_commit_to_a_generation_of_no_group_is_refused() {
    play(
        "
        > commit a gen=3
        a: commit GROUP_ID_NOT_FOUND
        > commit a gen=3 v=8
        a: commit ILLEGAL_GENERATION
        > group
        no group
        ",
    );
}

#[test]
fn metadata_longer_than_the_limit_is_refused() {
    play_with(
        "offset.metadata.max.bytes=4",
        "
        > commit a metadata=12345
        a: commit OFFSET_METADATA_TOO_LARGE
        > commit a metadata=1234
        a: commit NONE
        ",
    );
}

#[test]
fn offsets_of_topics_that_are_consumed_are_not_deleted() {
    play(
        "
        > join a v=3 topics=t
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > commit a topic=t
        a: commit NONE
        > commit a topic=u
        a: commit NONE
        > forget topic=t
        forgot: NONE GROUP_SUBSCRIBED_TO_TOPIC
        > forget topic=u
        forgot: NONE NONE
        > fetch
        fetched: NONE t-0@1
        > delete
        deleted: NON_EMPTY_GROUP
        ",
    );
}

#[test]
fn offsets_of_a_group_that_does_not_speak_of_topics_are_kept_while_it_has_members() {
    play(
        "
        > forget
        forgot: GROUP_ID_NOT_FOUND 
        > join a v=3 type=connect
        > wait 100
        a: joined generation=1 range leader=a members=a
        > forget
        forgot: NON_EMPTY_GROUP 
        ",
    );
}

#[test]
fn offsets_expire_when_nobody_consumes_and_the_group_with_them() {
    play(
        "
        > commit a offset=3
        a: commit NONE
        > wait 59000
        > fetch
        fetched: NONE t-0@3
        > wait 2000
        > fetch
        fetched: NONE
        > group
        no group
        > restart
        > group
        no group
        ",
    );
}

#[test]
fn the_age_of_offsets_counts_from_when_the_group_became_empty() {
    play(
        "
        > join a v=3 session=70000
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > commit a
        a: commit NONE
        > wait 65000
        > fetch
        fetched: NONE t-0@1
        > leave a
        left: NONE NONE
        > wait 50000
        > fetch
        fetched: NONE t-0@1
        > wait 20000
        > fetch
        fetched: NONE
        ",
    );
}

#[test]
fn a_topic_no_longer_consumed_expires_while_the_group_lives() {
    play(
        "
        > join a v=3 session=200000 topics=t
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > commit a topic=t
        a: commit NONE
        > commit a topic=u
        a: commit NONE
        > wait 70000
        > fetch
        fetched: NONE t-0@1
        ",
    );
}

#[test]
fn a_commit_may_say_how_long_it_is_kept() {
    play(
        "
        > commit a retention=15000
        a: commit NONE
        > wait 20000
        > fetch
        fetched: NONE
        ",
    );
}

#[test]
fn offsets_go_with_their_topic() {
    play(
        "
        > commit a topic=t
        a: commit NONE
        > commit a topic=u
        a: commit NONE
        > drop t
        > fetch
        fetched: NONE u-0@1
        ",
    );
}

/// How long an offset is kept at least: `offsets.retention.minutes` of the stage.
const KEPT_MS: u64 = 60_000;

/// What a fetch tells, by topic and partition.
fn fetched(stage: &mut Stage) -> BTreeMap<String, i64> {
    let told = stage.act("fetch").pop().unwrap_or_default();
    let offsets = told.split(' ').filter_map(|word| word.split_once('@'));
    offsets.map(|(at, offset)| (at.to_owned(), offset.parse().unwrap())).collect()
}

#[test]
fn offsets_are_those_committed_last_and_none_that_were_deleted() {
    for seed in 0..seeds() {
        let (mut dice, mut stage) = (Dice(seed), Stage::new(""));
        // Offset and time of each that is to be there, at least as long as it is kept.
        let mut committed: BTreeMap<String, (i64, u64)> = BTreeMap::new();
        for offset in 0..80 {
            let (topic, partition) = (["t", "u"][dice.below(2) as usize], dice.below(3));
            let key = format!("{topic}-{partition}");
            match dice.below(12) {
                0..=5 => {
                    stage.act(&format!("commit admin topic={topic} p={partition} offset={offset}"));
                    committed.insert(key, (offset, stage.now_ms()));
                }
                6 => {
                    stage.act(&format!("forget topic={topic} p={partition}"));
                    committed.remove(&key);
                }
                7 if dice.below(4) == 0 => {
                    stage.act("delete");
                    committed.clear();
                }
                8 if dice.below(4) == 0 => {
                    stage.act(&format!("drop {topic}"));
                    committed.retain(|key, _| !key.starts_with(topic));
                }
                9 => drop(stage.act(&format!("wait {}", dice.below(40_000)))),
                10 => drop(stage.act("restart")),
                _ => {}
            }
            let found = fetched(&mut stage);
            let is_due = |(_, at): &&(i64, u64)| stage.now_ms() - at < KEPT_MS;
            let due = committed.iter().filter(|(_, kept)| is_due(kept));
            let lost: Vec<_> = due.filter(|(key, kept)| found.get(*key) != Some(&kept.0)).collect();
            assert!(lost.is_empty(), "seed {seed}: {lost:?} are not in {found:?}");
            let is_known = |(key, offset): (&String, &i64)| committed.get(key).is_some_and(|kept| kept.0 == *offset);
            assert!(found.iter().all(is_known), "seed {seed}: {found:?} instead of {committed:?}");
            // What has expired stays away.
            committed.retain(|key, _| found.contains_key(key));
        }
    }
}
