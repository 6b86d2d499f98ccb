use super::play;
use super::stage::play_with;

#[test]
fn a_classic_group_goes_on_as_a_consumer_group_when_a_consumer_joins() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a give=a/t:0+1+2
        a: has t:0+1+2
        > beat b
        b: epoch=2 has
        > group
        Reconciling epoch=2 target=2 members=a:1,b:2
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        > join a v=3
        a: joined generation=2 range leader=-
        > sync a
        a: has t:0+1
        > heartbeat a
        a: heartbeat NONE
        > beat b
        b: epoch=2 has t:2
        ",
    );
}

#[test]
fn the_last_consumer_leaves_a_classic_group_behind() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 1000
        > join b v=3
        b: joined generation=3 range leader=-
        > sync b
        b: has
        > beat a epoch=-1
        a: epoch=-1
        > group
        PreparingRebalance generation=3 leader=b members=b
        > restart
        > group
        Stable generation=3 leader=b members=b
        > heartbeat b
        b: heartbeat NONE
        ",
    );
}

#[test]
fn a_consumer_group_of_both_kinds_comes_back_from_its_records() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a give=a/t:0+1+2
        a: has t:0+1+2
        > beat b
        b: epoch=2 has
        > restart
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        > join a v=3
        a: joined generation=2 range leader=-
        > sync a
        a: has t:0+1
        ",
    );
}

#[test]
fn a_classic_member_that_does_not_come_back_when_told_is_out() {
    play(
        "
        > join a v=3 session=40000 rebalance=5000
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a give=a/t:0+1+2
        a: has t:0+1+2
        > beat b
        b: epoch=2 has
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        > wait 4000
        > heartbeat a
        a: heartbeat REBALANCE_IN_PROGRESS
        > wait 1000
        > heartbeat a
        a: heartbeat UNKNOWN_MEMBER_ID
        > beat b
        b: epoch=3 has t:0+1+2
        ",
    );
}

#[test]
fn a_partition_that_a_leader_gave_to_two_is_taken_over_once() {
    play(
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > join b v=3
        > join a v=3
        a: joined generation=2 range leader=a members=a,b
        b: joined generation=2 range leader=a
        > sync b
        > sync a give=a/t:0+1+2,b/t:0+1+2
        a: has t:0+1+2
        b: has t:0+1+2
        > beat c
        c: epoch=3 has
        ",
    );
}

#[test]
fn a_policy_may_let_groups_go_one_way_only() {
    play_with(
        "group.consumer.migration.policy=downgrade",
        "
        > join a v=3
        > wait 100
        a: joined generation=1 range leader=a members=a
        > sync a give=a/t:0+1+2
        a: has t:0+1+2
        > beat b
        b: GROUP_ID_NOT_FOUND
        > heartbeat a
        a: heartbeat NONE
        ",
    );
    play_with(
        "group.consumer.migration.policy=UPGRADE",
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > join b v=3
        b: joined generation=2 range leader=-
        > beat a epoch=-1
        a: epoch=-1
        > group
        Assigning epoch=4 target=2 members=b:2
        ",
    );
}
