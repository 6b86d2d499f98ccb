use super::*;
use odradek_shards::types::LeaderEpoch;

fn partition(cluster: &Cluster, name: &str) -> crate::metadata::topics::PartitionImage {
    cluster.state.image().topics().by_name(name).unwrap().partition(PartitionIndex(0)).unwrap().clone()
}

fn broker(cluster: &Cluster, id: i32) -> crate::metadata::cluster::BrokerRegistration {
    cluster.state.image().cluster().broker(NodeId(id)).unwrap().clone()
}

#[test]
fn a_new_cluster_begins_as_kafka_4_3_begins_one() {
    let cluster = Cluster::new("");
    let levels: Vec<_> = cluster.state.image().features().finalized().collect();
    assert_eq!(
        levels,
        [
            ("eligible.leader.replicas.version", 1),
            ("group.version", 1),
            ("metadata.version", 30),
            ("share.version", 1),
            ("streams.version", 1),
            ("transaction.version", 2)
        ]
    );
    let configs = cluster.state.image().configs().of(ResourceType::Broker, "");
    assert_eq!(configs.get("min.insync.replicas").map(String::as_str), Some("1"));
    assert!(cluster.state.activate(&bootstrap_features()).is_empty(), "only once");
}

#[test]
fn a_broker_registers_fenced_at_the_offset_of_its_record_and_is_unfenced_once_caught_up() {
    let mut cluster = Cluster::new("");
    let offset = cluster.next_offset.0;
    assert_eq!(cluster.register(1, 11, -1).broker_epoch, offset);
    assert!(broker(&cluster, 1).fenced);
    let request = wire::BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch: offset,
        current_metadata_offset: offset - 1,
        ..Default::default()
    };
    let ControllerReply::BrokerHeartbeat(reply) = cluster.ask(ControllerRequest::BrokerHeartbeat(request)) else {
        panic!()
    };
    assert_eq!((reply.is_caught_up, reply.is_fenced), (false, true));
    let reply = cluster.heartbeat(1, offset, false, false);
    assert_eq!((reply.is_caught_up, reply.is_fenced, reply.should_shut_down), (true, false, false));
    assert!(broker(&cluster, 1).is_active());
    cluster.heartbeat(1, offset, false, false);
    assert!(cluster.last.is_empty(), "a heartbeat that changes nothing records nothing");
}

#[test]
fn requests_of_another_incarnation_are_stale() {
    let mut cluster = Cluster::with_broker();
    let reply = cluster.heartbeat(1, 999, false, false);
    assert_eq!(reply.error_code, ErrorCode::StaleBrokerEpoch.code());
    assert_eq!(cluster.heartbeat(8, 1, false, false).error_code, ErrorCode::BrokerIdNotRegistered.code());
}

#[test]
fn an_id_in_use_is_refused_until_its_session_is_over_except_for_our_own_process() {
    let mut cluster = Cluster::new("broker.session.timeout.ms=9000");
    cluster.register_and_unfence(2, 21);
    assert_eq!(cluster.register(2, 22, -1).error_code, ErrorCode::DuplicateBrokerRegistration.code());
    cluster.now_ms = 9000;
    assert_eq!(cluster.register(2, 22, -1).error_code, 0);
    cluster.register_and_unfence(1, 11);
    assert_eq!(cluster.register(1, 12, -1).error_code, 0, "an earlier process of this node is surely dead");
}

#[test]
fn a_registration_must_fit_the_cluster() {
    let mut cluster = Cluster::new("");
    let mut request = wire::BrokerRegistrationRequest {
        broker_id: 1,
        cluster_id: Str::from_static("another"),
        log_dirs: vec![Uuid::from_u128(1)],
        ..Default::default()
    };
    let mut code = |request: &wire::BrokerRegistrationRequest| match cluster
        .ask(ControllerRequest::BrokerRegistration(request.clone()))
    {
        ControllerReply::BrokerRegistration(response) => response.error_code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&request), ErrorCode::InconsistentClusterId.code());
    request.cluster_id = Str::from_static("cluster");
    assert_eq!(code(&request), ErrorCode::InvalidRegistration.code(), "a reserved directory id");
    request.log_dirs = vec![Uuid::from_u128(1000)];
    assert_eq!(code(&request), ErrorCode::UnsupportedVersion.code(), "features it cannot run");
}

#[test]
fn a_clean_stop_and_start_keeps_the_records_and_moves_the_leader_epoch() {
    let mut cluster = Cluster::new("");
    let epoch = cluster.register_and_unfence(1, 11);
    cluster.create(topic("foo", 1, 1));
    assert!(!cluster.heartbeat(1, epoch, false, true).should_shut_down, "it still led");
    let away = partition(&cluster, "foo");
    assert_eq!((away.leader, away.isr.len(), away.elr), (NodeId(-1), 0, vec![NodeId(1)]));
    assert!(cluster.heartbeat(1, epoch, false, true).should_shut_down);
    assert!(broker(&cluster, 1).fenced);
    let next = cluster.register(1, 12, epoch).broker_epoch;
    cluster.heartbeat(1, next, false, false);
    let back = partition(&cluster, "foo");
    assert_eq!((back.leader, back.isr, back.leader_recovery_state), (NodeId(1), vec![NodeId(1)], 0));
    assert_eq!(back.leader_epoch, LeaderEpoch(2), "one for leaving, one for coming back");
    assert!(back.elr.is_empty() && back.last_known_elr.is_empty());
}

#[test]
fn a_crash_makes_the_last_replica_lead_again_as_recovering() {
    let mut cluster = Cluster::new("");
    cluster.register_and_unfence(1, 11);
    cluster.create(topic("foo", 1, 1));
    let next = cluster.register(1, 12, -1).broker_epoch;
    let away = partition(&cluster, "foo");
    assert_eq!((away.leader, away.elr.len(), away.last_known_elr), (NodeId(-1), 0, vec![NodeId(1)]));
    cluster.heartbeat(1, next, false, false);
    let back = partition(&cluster, "foo");
    assert_eq!((back.leader, back.leader_recovery_state), (NodeId(1), 1));
}

#[test]
fn a_silent_broker_is_fenced_and_its_partitions_go_to_others() {
    let mut cluster = Cluster::new("broker.session.timeout.ms=9000");
    let first = cluster.register_and_unfence(1, 11);
    cluster.register_and_unfence(2, 21);
    cluster.create(by_hand("foo", &[(0, &[2, 1])]));
    cluster.now_ms = 8000;
    cluster.heartbeat(1, first, false, false);
    cluster.now_ms = 9000;
    let at = cluster.at();
    let records = cluster.state.tick(&at);
    cluster.commit(records);
    assert!(broker(&cluster, 2).fenced && !broker(&cluster, 1).fenced);
    let foo = partition(&cluster, "foo");
    assert_eq!((foo.leader, foo.isr, foo.leader_epoch), (NodeId(1), vec![NodeId(1)], LeaderEpoch(1)));
    assert!(cluster.state.tick(&at).is_empty());
}

#[test]
fn producer_id_blocks_never_overlap() {
    let mut cluster = Cluster::new("");
    let epoch = cluster.register_and_unfence(1, 11);
    let mut allocate = |broker_epoch| {
        let request = wire::AllocateProducerIdsRequest { broker_id: 1, broker_epoch };
        match cluster.ask(ControllerRequest::AllocateProducerIds(request)) {
            ControllerReply::AllocateProducerIds(r) => (r.error_code, r.producer_id_start, r.producer_id_len),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(allocate(epoch), (0, 0, 1000));
    assert_eq!(allocate(epoch), (0, 1000, 1000));
    assert_eq!(allocate(epoch + 1).0, ErrorCode::StaleBrokerEpoch.code());
}
