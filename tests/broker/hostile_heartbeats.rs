//! Members that name tens of thousands of topics and ask with all of them each time: others are served meanwhile.

use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages as m;
use odradek_protocol::primitives::Str;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use uuid::Uuid;

const MEMBERS: usize = 30;
/// About what a group remembers of one member.
const NAMES: usize = 30_000;
const ROUNDS: usize = 3;
/// Heartbeats that a member sends without waiting for answers.
const AT_ONCE: usize = 2;
/// Those who attack may have to wait for each other.
const PATIENCE: Duration = Duration::from_secs(300);

/// Of four letters, as many can be remembered; no two members name the same.
fn names(member: usize) -> Vec<Str> {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    let name = |number: usize| (0..4).map(|at| char::from(LETTERS[number >> (6 * at) & 63])).collect::<String>();
    let first = member * NAMES;
    (first..first + NAMES).map(|number| name(number).into()).collect()
}

fn joining(group: &str, names: Vec<Str>) -> m::ConsumerGroupHeartbeatRequest {
    m::ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: Uuid::new_v4().to_string().into(),
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(names),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// One that is in, and what it says.
fn member(address: SocketAddr, member: usize) -> (Wire, m::ConsumerGroupHeartbeatRequest) {
    let mut wire = Wire::connect(address);
    wire.set_patience(PATIENCE);
    let mut request = joining("attacked", names(member));
    let joined = wire.call(1, &request);
    assert_eq!(ErrorCode::from_code(joined.error_code), ErrorCode::None, "{:?}", joined.error_message);
    request.member_epoch = joined.member_epoch;
    (wire, request)
}

/// Asks for something else each time.
fn attack((mut wire, mut request): (Wire, m::ConsumerGroupHeartbeatRequest)) {
    for round in 0..ROUNDS {
        for nth in 0..AT_ONCE {
            request.subscribed_topic_names.as_mut().expect("it names topics")[0] = format!("{round}-{nth}").into();
            wire.send(1, &request);
        }
        for _ in 0..AT_ONCE {
            let answer = wire.receive::<m::ConsumerGroupHeartbeatRequest>(1).1;
            // Of an epoch that is not its own any more it says so; then it asks with the new one.
            assert!(matches!(ErrorCode::from_code(answer.error_code), ErrorCode::None | ErrorCode::FencedMemberEpoch));
            request.member_epoch = request.member_epoch.max(answer.member_epoch);
        }
    }
}

/// Shared by all who attack, however they end.
type Attacking = Arc<()>;

#[test]
fn heartbeats_that_name_very_many_topics_leave_others_their_turn() {
    let overrides = ["num.shards=1", "offsets.topic.num.partitions=1", "group.consumer.max.session.timeout.ms=300000"];
    let mut broker = Broker::start_with(&[&overrides[..], &["group.consumer.session.timeout.ms=300000"]].concat());
    broker.create_topic("t", 3);
    find_coordinator(&mut broker.connect());
    let address = broker.address();
    let members: Vec<_> = (0..MEMBERS).map(|number| member(address, number)).collect();
    let attacking = Attacking::default();
    let served = thread::scope(|scope| {
        for member in members {
            let attacker = attacking.clone();
            scope.spawn(move || {
                attack(member);
                drop(attacker);
            });
        }
        // One in no need of a coordinator, one in another group of the same one.
        let stranger = scope.spawn(|| {
            let (mut wire, mut served) = (Wire::connect(address), 0);
            while Arc::strong_count(&attacking) > 1 {
                wire.call(12, &m::MetadataRequest::default());
                served += 1;
            }
            served
        });
        let neighbour = scope.spawn(|| {
            let (mut wire, mut served) = (Wire::connect(address), 0);
            let joined = wire.call(1, &joining("neighbour", vec!["t".into()]));
            let mut beating = joining("neighbour", vec!["t".into()]);
            (beating.member_id, beating.member_epoch) = (joined.member_id.expect("it is in"), joined.member_epoch);
            while Arc::strong_count(&attacking) > 1 {
                assert_eq!(ErrorCode::from_code(wire.call(1, &beating).error_code), ErrorCode::None);
                served += 1;
            }
            served
        });
        (stranger.join().expect("it is served"), neighbour.join().expect("it stays in its group"))
    });
    println!("served meanwhile: {served:?}");
    assert!(served.0 > 0 && served.1 > 0 && broker.is_alive());
}
