use super::play;
use super::stage::{Stage, play_with};
use std::rc::Rc;

#[test]
fn the_first_member_gets_everything_at_once() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > beat a owned=t:0+1+2
        a: epoch=2
        > group
        Stable epoch=2 target=2 members=a:2
        > describe
        described: NONE Stable
        ",
    );
}

#[test]
fn a_member_gives_back_before_another_gets() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 1000
        > beat b
        b: epoch=3 has
        > group
        Reconciling epoch=3 target=3 members=a:2,b:3
        > beat b
        b: epoch=3
        > beat a owned=t:0+1+2
        a: epoch=2 has t:0+1
        > beat b
        b: epoch=3
        > beat a owned=t:0+1
        a: epoch=3
        > beat b
        b: epoch=3 has t:2
        > group
        Stable epoch=3 target=3 members=a:3,b:3
        ",
    );
}

#[test]
fn targets_are_made_once_in_an_interval() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 999
        > beat b
        b: epoch=2 has
        > group
        Assigning epoch=3 target=2 members=a:2,b:2
        > wait 1
        > beat b
        b: epoch=3
        > group
        Reconciling epoch=3 target=3 members=a:2,b:3
        ",
    );
}

#[test]
fn a_member_that_leaves_frees_its_partitions() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > beat a epoch=-1
        a: epoch=-1
        > group
        Empty epoch=3 target=2 members=
        > wait 1000
        > beat b
        b: epoch=4 has t:0+1+2
        ",
    );
}

#[test]
fn a_silent_member_is_out() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 44999
        > group
        Stable epoch=2 target=2 members=a:2
        > wait 1
        > group
        Empty epoch=3 target=2 members=
        > beat a
        a: UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn who_does_not_give_back_in_time_is_out() {
    play(
        "
        > beat a rebalance=2000
        a: epoch=2 has t:0+1+2
        > wait 1000
        > beat b
        b: epoch=3 has
        > beat a
        a: epoch=2 has t:0+1
        > wait 1000
        > beat a
        a: epoch=2
        > wait 1000
        > beat a
        a: UNKNOWN_MEMBER_ID
        > beat b
        b: epoch=4 has t:0+1+2
        ",
    );
}

#[test]
fn epochs_fence() {
    play(
        "
        > beat a epoch=1
        a: GROUP_ID_NOT_FOUND
        > beat a
        a: epoch=2 has t:0+1+2
        > beat a epoch=3
        a: FENCED_MEMBER_EPOCH
        > beat a epoch=1
        a: FENCED_MEMBER_EPOCH
        > beat a epoch=0
        a: epoch=2 has t:0+1+2
        > beat b epoch=2
        b: UNKNOWN_MEMBER_ID
        > beat b epoch=-1
        b: UNKNOWN_MEMBER_ID
        > beat b epoch=-2
        b: INVALID_REQUEST
        > beat b epoch=-3
        b: INVALID_REQUEST
        > beat b assignor=strange
        b: UNSUPPORTED_ASSIGNOR
        ",
    );
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    play(
        "
        > beat a as=i
        a: epoch=2 has t:0+1+2
        > beat b as=i
        b: UNRELEASED_INSTANCE_ID
        > beat a as=i epoch=-2
        a: epoch=-2
        > beat b as=i
        b: epoch=2 has t:0+1+2
        > beat a as=i epoch=2
        a: FENCED_INSTANCE_ID
        > group
        Stable epoch=2 target=2 members=b:2
        > beat b as=i epoch=-1
        b: epoch=-1
        > group
        Empty epoch=3 target=2 members=
        ",
    );
}

#[test]
fn a_static_member_that_stays_away_is_out() {
    play(
        "
        > beat a as=i
        a: epoch=2 has t:0+1+2
        > beat a as=i epoch=-2
        a: epoch=-2
        > wait 45000
        > group
        Empty epoch=3 target=2 members=
        ",
    );
}

#[test]
fn partitions_that_are_added_are_shared_out() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > topics t=4 u=2
        > wait 1000
        > beat a
        a: epoch=3 has t:0+1+2+3
        > topics u=2
        > wait 1000
        > beat a owned=t:0+1+2+3
        a: epoch=3 has
        > beat a owned=
        a: epoch=4
        ",
    );
}

#[test]
fn a_changed_subscription_moves_partitions() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 1000
        > beat a topics=u
        a: epoch=2 has
        > beat a topics=u owned=
        a: epoch=3 has u:0+1
        ",
    );
}

#[test]
fn an_expression_follows_the_topics_that_it_matches() {
    play(
        "
        > beat a regex=[a-t]
        a: epoch=2 has t:0+1+2
        > wait 1000
        > topics t=3 s=1
        > beat a
        a: epoch=3 has s:0 t:0+1+2
        > beat b regex=[
        b: INVALID_REGULAR_EXPRESSION
        > restart
        > group
        Stable epoch=3 target=3 members=a:3
        ",
    );
}

#[test]
fn an_expression_follows_topics_that_come_and_go_while_nobody_asks() {
    play(
        "
        > beat a regex=[s-u]
        a: epoch=2 has t:0+1+2 u:0+1
        > wait 1000
        > topics s=1 t=3 u=2
        > topics t=3 u=2
        > topics t=3 u=2 s=2 v=1
        > beat a
        a: epoch=3 has s:0+1 t:0+1+2 u:0+1
        > wait 1000
        > topics s=2 v=1
        > topics s=2 v=1 t=3
        > beat a owned=s:0+1,t:0+1+2
        a: epoch=4 has s:0+1 t:0+1+2
        ",
    );
}

#[test]
fn members_that_name_the_same_topics_share_their_names() {
    let mut stage = Stage::new("");
    stage.act("beat a topics=t,u,x");
    stage.act("beat b topics=x,u,t");
    stage.act("beat c topics=t");
    let topics = |stage: &Stage| -> Vec<_> {
        let group = stage.runtime.machine().consumer("g").expect("it has members");
        group.members().map(|member| member.topics.clone()).collect()
    };
    let named = topics(&stage);
    assert!(Rc::ptr_eq(&named[0], &named[1]) && !Rc::ptr_eq(&named[0], &named[2]));
    stage.act("restart");
    let named = topics(&stage);
    assert!(Rc::ptr_eq(&named[0], &named[1]) && !Rc::ptr_eq(&named[0], &named[2]));
}

#[test]
fn everything_is_there_after_a_restart() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > wait 1000
        > beat b
        b: epoch=3 has
        > beat a owned=t:0+1+2
        a: epoch=2 has t:0+1
        > restart
        > group
        Reconciling epoch=3 target=3 members=a:2,b:3
        > beat b
        b: epoch=3
        > beat a owned=t:0+1
        a: epoch=3
        > beat b
        b: epoch=3 has t:2
        ",
    );
}

#[test]
fn members_commit_at_their_epoch() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > commit a offset=5
        a: commit NONE
        > commit a gen=1
        a: commit STALE_MEMBER_EPOCH
        > commit a v=8
        a: commit UNSUPPORTED_VERSION
        > commit b gen=2
        b: commit UNKNOWN_MEMBER_ID
        > delete
        deleted: NON_EMPTY_GROUP
        > forget topic=t
        forgot: NONE GROUP_SUBSCRIBED_TO_TOPIC
        > beat a epoch=-1
        a: epoch=-1
        > delete
        deleted: NONE
        > group
        no group
        > restart
        > group
        no group
        ",
    );
}

#[test]
fn without_migration_only_an_empty_group_may_change_its_kind() {
    play_with(
        "group.consumer.migration.policy=disabled",
        "
        > commit admin offset=3
        admin: commit NONE
        > beat a
        a: epoch=2 has t:0+1+2
        > fetch
        fetched: NONE t-0@3
        > join b v=3
        b: INCONSISTENT_GROUP_PROTOCOL
        > beat a epoch=-1
        a: epoch=-1
        > join b v=3
        > wait 100
        b: joined generation=1 range leader=b members=b
        > beat a epoch=0
        a: GROUP_ID_NOT_FOUND
        > leave b
        left: NONE NONE
        > beat a epoch=0
        a: epoch=2 has t:0+1+2
        > fetch
        fetched: NONE t-0@3
        ",
    );
}

#[test]
fn a_full_group_takes_nobody_more() {
    play_with(
        "group.consumer.max.size=1",
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > beat b
        b: GROUP_MAX_SIZE_REACHED
        > beat a
        a: epoch=2
        ",
    );
}

#[test]
fn a_member_that_changes_its_instance_leaves_the_old_one_to_others() {
    let mut stage = Stage::new("");
    for command in ["beat a as=i", "beat a as=j epoch=0", "beat a as=j epoch=-1", "restart"] {
        stage.act(command);
    }
    let told = stage.act("beat b as=i epoch=0");
    assert!(told.iter().any(|line| line.starts_with("b: epoch=")), "{told:?}");
}

#[test]
fn a_commit_at_an_epoch_the_member_has_not_reached_is_stale() {
    play(
        "
        > beat a
        a: epoch=2 has t:0+1+2
        > commit a gen=3
        a: commit STALE_MEMBER_EPOCH
        > commit a gen=-1
        a: commit STALE_MEMBER_EPOCH
        > commit a gen=2
        a: commit NONE
        ",
    );
}
