use super::play;
use super::stage::{Stage, play_with};

#[test]
fn a_new_member_is_given_an_id_and_comes_back_with_it() {
    play(
        "
        > join a
        a: MEMBER_ID_REQUIRED
        > group
        Empty generation=0 leader=- members=
        > join a
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:work
        a: assigned \"work\"
        > heartbeat a
        a: heartbeat NONE
        > group
        Stable generation=1 leader=a members=a
        ",
    );
}

#[test]
fn an_old_client_joins_at_once() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        ",
    );
}

#[test]
fn an_id_that_nobody_gave_out_is_unknown() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > leave a
        left: NONE NONE
        > join a
        a: UNKNOWN_MEMBER_ID
        > heartbeat a
        a: heartbeat UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn the_first_rebalance_waits_for_more_members_up_to_the_rebalance_timeout() {
    play(
        "
        > join a v=3 rebalance=250
        > wait 60
        > join b v=3 rebalance=250
        > wait 100
        > join c v=3 rebalance=250
        > wait 89
        > wait 1
        a: joined generation=1 range leader=a members=a,b,c
        b: joined generation=1 range leader=a
        c: joined generation=1 range leader=a
        ",
    );
}

#[test]
fn followers_wait_for_the_leaders_assignment() {
    play(
        "
        > join a v=3
        > join b v=3
        > wait 200
        a: joined generation=1 range leader=a members=a,b
        b: joined generation=1 range leader=a
        > sync b
        > group
        CompletingRebalance generation=1 leader=a members=a,b
        > sync a assign=a:x,b:y
        a: assigned \"x\"
        b: assigned \"y\"
        > sync b
        b: assigned \"y\"
        ",
    );
}

#[test]
fn a_member_that_joins_a_stable_group_makes_the_others_join_again() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > join b v=3
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        > sync a
        a: sync REBALANCE_IN_PROGRESS
        > join a
        a: joined generation=2 range leader=a members=a,b
        b: joined generation=2 range leader=a
        > heartbeat a
        a: heartbeat NONE
        > heartbeat b gen=1
        b: heartbeat ILLEGAL_GENERATION
        ",
    );
}

#[test]
fn a_member_that_does_not_join_again_in_time_is_out() {
    play(
        "
        > join a v=3 rebalance=300
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > join b v=3 rebalance=300
        > wait 300
        b: joined generation=2 range leader=b members=b
        > heartbeat a
        a: heartbeat UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_silent_member_is_out_and_the_others_share_its_work() {
    play(
        "
        > join a v=3 session=1000
        > join b v=3 session=50000
        > wait 200
        a: joined generation=1 range leader=a members=a,b
        b: joined generation=1 range leader=a
        > sync b
        > sync a assign=a:x,b:y
        a: assigned \"x\"
        b: assigned \"y\"
        > wait 999
        > heartbeat b
        b: heartbeat NONE
        > wait 1
        > heartbeat b
        b: heartbeat REBALANCE_IN_PROGRESS
        > join b
        b: joined generation=2 range leader=b members=b
        ",
    );
}

#[test]
fn a_heartbeat_puts_the_session_off() {
    play(
        "
        > join a v=3 session=1000
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > wait 900
        > heartbeat a
        a: heartbeat NONE
        > wait 999
        > group
        Stable generation=1 leader=a members=a
        > wait 1
        > group
        Empty generation=2 leader=- members=
        ",
    );
}

#[test]
fn a_group_whose_last_member_leaves_is_empty() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > leave a
        left: NONE NONE
        > group
        Empty generation=2 leader=- members=
        > delete
        deleted: NONE
        > group
        no group
        > delete
        deleted: GROUP_ID_NOT_FOUND
        ",
    );
}

#[test]
fn who_has_not_asked_for_its_assignment_in_time_is_out() {
    play(
        "
        > join a v=3 rebalance=300
        > join b v=3 rebalance=300
        > wait 200
        a: joined generation=1 range leader=a members=a,b
        b: joined generation=1 range leader=a
        > sync a assign=a:x,b:y
        a: assigned \"x\"
        > wait 300
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        > heartbeat b
        b: heartbeat UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn the_protocol_is_what_all_offer_and_most_prefer() {
    play(
        "
        > join a v=3 protocols=sticky,range
        > join b v=3 protocols=range,roundrobin
        > join c v=3 protocols=roundrobin,range,sticky
        > wait 300
        a: joined generation=1 range leader=a members=a,b,c
        b: joined generation=1 range leader=a
        c: joined generation=1 range leader=a
        > join d v=3 protocols=roundrobin
        d: INCONSISTENT_GROUP_PROTOCOL
        > join d v=3 type=connect
        d: INCONSISTENT_GROUP_PROTOCOL
        > sync a protocol=sticky
        a: sync INCONSISTENT_GROUP_PROTOCOL
        ",
    );
}

#[test]
fn a_join_that_changes_nothing_repeats_the_answer_but_a_leaders_makes_a_rebalance() {
    play(
        "
        > join a v=3
        > join b v=3
        > wait 200
        a: joined generation=1 range leader=a members=a,b
        b: joined generation=1 range leader=a
        > join b
        b: joined generation=1 range leader=a
        > join a
        a: joined generation=1 range leader=a members=a,b
        > sync b
        > sync a assign=a:x,b:y
        a: assigned \"x\"
        b: assigned \"y\"
        > join b
        b: joined generation=1 range leader=a
        > join a
        > heartbeat b
        b: heartbeat REBALANCE_IN_PROGRESS
        ",
    );
}

#[test]
fn a_static_member_that_comes_back_takes_its_place_without_a_rebalance() {
    play(
        "
        > join a as=i
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a as=i assign=a:x
        a: assigned \"x\"
        > join b as=i
        b: joined generation=1 range leader=b members=b skip
        > heartbeat a as=i
        a: heartbeat FENCED_INSTANCE_ID
        > sync b as=i
        b: assigned \"x\"
        > heartbeat b as=i
        b: heartbeat NONE
        > leave as=i
        left: NONE NONE
        > group
        Empty generation=2 leader=- members=
        ",
    );
}

#[test]
fn a_static_member_that_waits_is_fenced_by_the_one_that_comes_back() {
    play(
        "
        > join a as=i
        > join b as=i
        a: FENCED_INSTANCE_ID
        > wait 200
        b: joined generation=1 range leader=b members=b
        ",
    );
}

#[test]
fn a_static_member_may_be_late_for_a_rebalance() {
    play(
        "
        > join a as=i rebalance=300 session=1000
        > join b v=3 rebalance=300 session=1000
        > wait 200
        b: joined generation=1 range leader=a
        a: joined generation=1 range leader=a members=a,b
        > sync b
        > sync a as=i assign=a:x,b:y
        b: assigned \"y\"
        a: assigned \"x\"
        > join b data=new rebalance=300 session=1000
        > wait 300
        b: joined generation=2 range leader=b members=a,b
        ",
    );
}

#[test]
fn a_full_group_takes_nobody_more() {
    play_with(
        "group.max.size=1",
        "
        > join a v=3
        > join b v=3
        b: GROUP_MAX_SIZE_REACHED
        > wait 100
        a: joined generation=1 range leader=a members=a
        > join b v=3
        b: GROUP_MAX_SIZE_REACHED
        ",
    );
}

#[test]
fn an_id_given_out_is_forgotten_with_its_session() {
    play(
        "
        > join a session=500
        a: MEMBER_ID_REQUIRED
        > wait 500
        > join a
        a: UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_stable_group_is_there_after_a_restart_and_its_members_go_on() {
    play(
        "
        > join a v=3
        > join b v=3 session=500
        > wait 200
        a: joined generation=1 range leader=a members=a,b
        b: joined generation=1 range leader=a
        > sync b
        > sync a assign=a:x,b:y
        a: assigned \"x\"
        b: assigned \"y\"
        > restart
        > group
        Stable generation=1 leader=a members=a,b
        > heartbeat a
        a: heartbeat NONE
        > sync a
        a: assigned \"x\"
        > wait 500
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        ",
    );
}

#[test]
fn an_id_given_out_holds_a_rebalance_up_until_its_session_ends() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a assign=a:x
        a: assigned \"x\"
        > join b v=3
        > join b fresh
        b: MEMBER_ID_REQUIRED
        > join a
        > wait 10000
        a: joined generation=2 range leader=a members=a,b
        b: joined generation=2 range leader=a
        ",
    );
}

#[test]
fn an_instance_of_any_length_gets_an_id_that_can_be_recorded() {
    let mut stage = Stage::new("");
    let instance = "é".repeat(16_383);
    stage.act(&format!("join a v=9 as={instance}"));
    let told = stage.act("wait 5000");
    assert!(told.iter().any(|line| line.contains("joined generation=1")), "{}", told.len());
}
