use super::stage::{Stage, play_on};

/// Small, so that little is too much for them.
const BATCH_BYTES: usize = 4000;

#[track_caller]
fn play(script: &str) {
    play_on(Stage::with_batches_of(BATCH_BYTES, ""), script);
}

#[test]
fn a_member_that_does_not_fit_into_the_groups_record_is_refused_and_the_others_go_on() {
    play(
        "
        > join a v=3 pad=1000
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > join b v=3 pad=3000
        b: GROUP_MAX_SIZE_REACHED
        > join a v=3 pad=4000
        a: GROUP_MAX_SIZE_REACHED
        > heartbeat a
        a: heartbeat NONE
        > commit a offset=7
        a: commit NONE
        > restart
        > heartbeat a
        a: heartbeat NONE
        ",
    );
}

#[test]
fn an_assignment_that_does_not_fit_into_the_groups_record_is_refused_and_all_join_again() {
    play(
        "
        > join a v=3
        > join b v=3
        > wait 200
        a: joined generation=1 range leader=a members=a,b
        b: joined generation=1 range leader=a
        > sync b
        > sync a assign=a:x pad=4000
        a: sync UNKNOWN_SERVER_ERROR
        b: sync UNKNOWN_SERVER_ERROR
        > group
        PreparingRebalance generation=1 leader=a members=a,b
        > join a
        > join b
        a: joined generation=2 range leader=a members=a,b
        b: joined generation=2 range leader=a
        > sync a assign=a:x
        a: assigned \"x\"
        ",
    );
}

#[test]
fn a_consumer_that_does_not_fit_into_a_record_is_refused_and_the_others_go_on() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > beat b pad=4000
        b: UNKNOWN_SERVER_ERROR
        > beat a topics=t pad=4000
        a: UNKNOWN_SERVER_ERROR
        > beat a
        a: epoch=2
        > group
        Stable epoch=2 target=2 members=a:2
        ",
    );
}

#[test]
fn a_classic_group_that_does_not_fit_into_a_batch_as_a_consumer_group_stays_what_it_is() {
    play(
        "
        > join a v=3 protocols=range,roundrobin,sticky pad=1300
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a give=a/t:0+1+2
        a: has t:0+1+2
        > beat m
        m: UNKNOWN_SERVER_ERROR
        > group
        Stable generation=1 leader=a members=a
        > heartbeat a
        a: heartbeat NONE
        ",
    );
}

#[test]
fn a_commit_that_does_not_fit_into_a_batch_is_refused() {
    let mut stage = Stage::with_batches_of(BATCH_BYTES, "");
    assert_eq!(stage.act("commit a pad=4000"), ["a: commit UNKNOWN_SERVER_ERROR"]);
    assert_eq!(stage.act("group"), ["no group"]);
}

/// A group with more offsets than tombstones fit into a batch.
fn with_many_offsets() -> Stage {
    let mut stage = Stage::with_batches_of(BATCH_BYTES, "");
    for partition in 0..200 {
        assert_eq!(stage.act(&format!("commit admin p={partition}")), ["admin: commit NONE"]);
    }
    stage
}

fn assert_gone(mut stage: Stage) {
    assert_eq!(stage.act("fetch"), ["fetched: NONE"]);
    assert_eq!(stage.act("group"), ["no group"]);
    stage.act("restart");
    assert_eq!(stage.act("fetch"), ["fetched: NONE"]);
    assert_eq!(stage.act("group"), ["no group"]);
}

#[test]
fn a_group_with_more_offsets_than_a_batch_holds_is_deleted() {
    let mut stage = with_many_offsets();
    assert_eq!(stage.act("delete"), ["deleted: NONE"]);
    assert_gone(stage);
}

#[test]
fn more_offsets_than_a_batch_holds_expire() {
    let mut stage = with_many_offsets();
    stage.act("wait 80000");
    assert_gone(stage);
}

#[test]
fn more_offsets_than_a_batch_holds_go_with_their_topic() {
    let mut stage = with_many_offsets();
    stage.act("drop t");
    stage.act("restart");
    assert_eq!(stage.act("fetch"), ["fetched: NONE"]);
}

#[test]
fn many_consumers_leave_at_once() {
    let mut stage = Stage::with_batches_of(BATCH_BYTES, "");
    let ids: Vec<String> = (0..8).map(|number| format!("{number}{}", "x".repeat(400))).collect();
    ids.iter().for_each(|id| drop(stage.act(&format!("beat {id}"))));
    stage.act("beat stays");
    stage.act(&format!("leave {}", ids.join(" ")));
    stage.act("restart");
    for _ in 0..3 {
        stage.act("wait 1100");
        stage.act("beat stays owned=");
    }
    assert_eq!(stage.act("beat stays epoch=0"), ["stays: epoch=11 has t:0+1+2"]);
}

#[test]
fn what_members_had_is_shared_out_though_the_end_of_their_leaving_was_lost() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 1100
        > beat b
        b: epoch=3 has
        > beat a owned=t:0+1+2
        a: epoch=2 has t:0+1
        > beat a owned=t:0+1
        a: epoch=3
        > beat b
        b: epoch=3 has t:2
        > beat b epoch=-1
        b: epoch=-1
        > lose 1
        > wait 1100
        > beat a
        a: epoch=4 has t:0+1+2
        ",
    );
}

#[test]
fn a_member_gets_its_share_though_the_end_of_its_joining_was_lost() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 1100
        > beat b
        b: epoch=3 has
        > lose 5
        > group
        Reconciling epoch=2 target=2 members=a:2,b:0
        > beat b epoch=0
        b: epoch=3 has
        ",
    );
}

#[test]
fn a_coordinator_without_memory_takes_nothing_new_and_what_is_there_goes_on() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > commit a offset=1
        a: commit NONE
        > memory full
        > join b v=3
        b: COORDINATOR_NOT_AVAILABLE
        > join a v=3 pad=100
        a: COORDINATOR_NOT_AVAILABLE
        > commit a offset=2
        a: commit NONE
        > commit a offset=2 metadata=more
        a: commit COORDINATOR_NOT_AVAILABLE
        > commit a p=1
        a: commit COORDINATOR_NOT_AVAILABLE
        > join a v=3
        a: joined generation=2 range leader=a members=a
        > sync a assign=a:more
        a: sync COORDINATOR_NOT_AVAILABLE
        > join a v=3
        a: joined generation=3 range leader=a members=a
        > memory free
        > sync a assign=a:more
        a: assigned \"more\"
        ",
    );
}

#[test]
fn a_coordinator_without_memory_takes_no_group_and_no_consumer_more() {
    play(
        "
        > memory full
        > join a
        a: COORDINATOR_NOT_AVAILABLE
        > commit a
        a: commit COORDINATOR_NOT_AVAILABLE
        > beat a
        a: COORDINATOR_NOT_AVAILABLE
        > memory free
        > beat a
        a: epoch=2 has t:0+1+2
        > memory full
        > beat b
        b: COORDINATOR_NOT_AVAILABLE
        > beat a topics=t,u
        a: COORDINATOR_NOT_AVAILABLE
        > beat a
        a: epoch=2
        ",
    );
}

#[test]
fn a_group_comes_back_empty_when_nobody_had_an_assignment_yet() {
    play(
        "
        > join a v=3
        > restart
        > group
        Empty generation=0 leader=- members=
        > join a v=3 fresh
        > wait 100
        a: joined generation=1 range leader=a members=a
        ",
    );
}

#[test]
fn a_group_has_so_many_regular_expressions() {
    let mut stage = Stage::new("");
    for number in 0..64 {
        assert!(stage.act(&format!("beat m{number} regex=t{number}"))[0].contains("epoch="));
    }
    assert_eq!(stage.act("beat more regex=more"), ["more: INVALID_REGULAR_EXPRESSION"]);
    assert!(stage.act("beat same regex=t0")[0].contains("epoch="));
}

#[test]
fn topics_that_did_not_fit_into_a_record_are_matched_again_when_there_are_fewer() {
    play_on(
        Stage::with_batches_of(110, ""),
        "
        > topics t=0
        > beat a regex=[a-z]
        a: epoch=2 has
        > wait 1000
        > topics a=0 b=0 c=0 d=0 e=0 f=0 g=0 h=0 i=0 j=0 k=0 l=0 m=0 n=0 o=0 p=0 q=0 r=0 s=0 t=0 u=0 v=0 w=0 x=0 y=0 z=0
        > beat a
        a: epoch=2
        > topics t=0 u=0
        > beat a
        a: epoch=3
        ",
    );
}
