use super::*;

#[test]
fn a_new_topic_is_recorded_as_topic_then_configs_then_partitions() {
    let mut cluster = Cluster::with_broker();
    let result =
        cluster.create(CreatableTopic { num_partitions: 2, ..configured("foo", &[("retention.ms", Some("1000"))]) });
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 2, 1));
    let shown = result.configs.unwrap();
    let retention = shown.iter().find(|config| config.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1000"), 1));
    use MetadataRecord as M;
    let [M::Topic(topic), M::Config(config), M::Partition(first), M::Partition(second)] = &cluster.last[..] else {
        panic!("{:?}", cluster.last)
    };
    assert_eq!(topic.topic_id, result.topic_id);
    assert_eq!((config.resource_type, config.resource_name.as_str()), (2, "foo"));
    assert_eq!((first.partition_id, second.partition_id), (0, 1));
    assert_eq!((first.leader, &first.isr[..], first.leader_epoch, first.partition_epoch), (1, &[1][..], 0, 0));
    assert_eq!(first.directories, [Uuid::from_u128(1001)], "the broker has one directory");
}

#[test]
fn unset_counts_take_the_brokers_defaults() {
    let mut cluster = Cluster::new("num.partitions=3\ndefault.replication.factor=1");
    cluster.register_and_unfence(1, 0);
    let result = cluster.create(topic("foo", -1, -1));
    assert_eq!((result.num_partitions, result.replication_factor), (3, 1));
}

#[test]
fn validation_alone_answers_the_same_and_records_nothing() {
    let mut cluster = Cluster::with_broker();
    let result = cluster.create_all(vec![topic("foo", 2, 1)], true).remove(0);
    assert_eq!((result.error_code, result.num_partitions), (0, 2));
    assert!(cluster.last.is_empty());
    assert!(cluster.state.image().topics().is_empty());
}

#[test]
fn names_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_broker();
    cluster.create(topic("a.b", 1, 1));
    let cases = [
        ("a.b", ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists."),
        ("a_b", ErrorCode::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"),
        (".", ErrorCode::InvalidTopicException, "Topic name is invalid: '.' is not allowed"),
        (
            "__cluster_metadata",
            ErrorCode::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
    ];
    for (name, code, message) in cases {
        assert_eq!(cluster.refusal(topic(name, 1, 1)), refused(code, message));
    }
    assert_eq!(cluster.delete(vec![named("a.b")]), [FINE]);
    assert_eq!(cluster.create(topic("a_b", 1, 1)).error_code, 0, "a deleted topic collides with nothing");
}

#[test]
fn counts_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_broker();
    let partitions = "Number of partitions was set to an invalid non-positive value.";
    let factor = "Replication factor must be larger than 0, or -1 to use the default value.";
    assert_eq!(cluster.refusal(topic("x", 0, 1)), refused(ErrorCode::InvalidPartitions, partitions));
    assert_eq!(cluster.refusal(topic("x", -2, 1)), refused(ErrorCode::InvalidPartitions, partitions));
    assert_eq!(cluster.refusal(topic("x", 1, 0)), refused(ErrorCode::InvalidReplicationFactor, factor));
    assert_eq!(
        cluster.refusal(topic("x", 1, 3)),
        refused(
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned."
        )
    );
    let excessive = "Excessively large number of partitions per request.";
    assert_eq!(cluster.refusal(topic("x", 10_001, 1)), refused(ErrorCode::PolicyViolation, excessive));
    assert_eq!(cluster.create(topic("x", 10_000, 1)).error_code, 0);
}

#[test]
fn assignments_by_hand_are_kept_or_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_broker();
    cluster.register(2, 0, -1);
    let cases: [(CreatableTopic, &str); 6] = [
        (
            by_hand("m", &[(0, &[9])]),
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (by_hand("m", &[(0, &[1, 1])]), "The manual partition assignment includes the broker 1 more than once."),
        (by_hand("m", &[(0, &[])]), "The manual partition assignment includes an empty replica list."),
        (by_hand("m", &[(1, &[1])]), "partitions should be a consecutive 0-based integer sequence"),
        (
            by_hand("m", &[(0, &[1]), (1, &[1, 2])]),
            "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with \
             previous partitions, which have 1 replica(s).",
        ),
        (
            by_hand("m", &[(0, &[2])]),
            "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled \
             shutdown.",
        ),
    ];
    for (topic, message) in cases {
        assert_eq!(cluster.refusal(topic), refused(ErrorCode::InvalidReplicaAssignment, message));
    }
    let counted = CreatableTopic { num_partitions: 1, ..by_hand("m", &[(0, &[1])]) };
    let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
    assert_eq!(cluster.refusal(counted), refused(ErrorCode::InvalidRequest, message));
    assert_eq!(cluster.create(by_hand("m", &[(0, &[2, 1])])).error_code, 0);
    let image = cluster.state.image().topics().by_name("m").unwrap().partition(PartitionIndex(0)).unwrap().clone();
    assert_eq!((image.replicas, image.isr, image.leader), (vec![NodeId(2), NodeId(1)], vec![NodeId(1)], NodeId(1)));
}

#[test]
fn configs_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_broker();
    let cases = [
        (Some("abc"), "retention.ms", "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        (Some("1"), "nosuch", "Unknown topic config name: nosuch"),
        (None, "retention.ms", "Null value not supported for topic configs: retention.ms"),
        (
            Some("foo"),
            "cleanup.policy",
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
        ),
    ];
    for (value, key, message) in cases {
        let refusal = cluster.refusal(configured("c", &[(key, value)]));
        assert_eq!(refusal, refused(ErrorCode::InvalidConfig, message));
    }
}

#[test]
fn a_name_twice_in_one_request_is_refused_once_and_the_others_are_made() {
    let mut cluster = Cluster::with_broker();
    let results = cluster.create_all(vec![topic("a", 1, 1), topic("b", 1, 1), topic("a", 2, 1)], false);
    let codes: Vec<_> = results.iter().map(|r| (r.name.as_str(), r.error_code)).collect();
    assert_eq!(codes, [("a", ErrorCode::InvalidRequest.code()), ("b", 0)]);
}

#[test]
fn deletion_goes_by_name_or_id_and_names_what_is_wrong() {
    let mut cluster = Cluster::with_broker();
    let id = cluster.create(configured("foo", &[("retention.ms", Some("1"))])).topic_id;
    let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
    let asked = vec![
        named("nope"),
        by_id(Uuid::from_u128(5)),
        by_id(Uuid::nil()),
        named("foo"),
        by_id(id),
        named("x"),
        named("x"),
    ];
    let expected = [
        refused(ErrorCode::UnknownTopicId, "This server does not host this topic ID."),
        refused(ErrorCode::InvalidRequest, "Neither topic name nor id were specified."),
        FINE,
        refused(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition."),
        refused(ErrorCode::InvalidRequest, "The provided topic name maps to an ID that was already supplied."),
        refused(ErrorCode::InvalidRequest, "Duplicate topic name."),
        refused(ErrorCode::InvalidRequest, "Duplicate topic name."),
    ];
    assert_eq!(cluster.delete(asked), expected);
    assert!(cluster.state.image().topics().is_empty());
    assert!(cluster.state.image().configs().of(ResourceType::Topic, "foo").is_empty(), "its configs go with it");
}

#[test]
fn deletion_can_be_switched_off() {
    let mut cluster = Cluster::new("delete.topic.enable=false");
    let expected = refused(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.");
    assert_eq!(cluster.delete(vec![named("foo")]), [expected]);
}

#[test]
fn partitions_are_added_or_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_broker();
    cluster.create(topic("v", 1, 1));
    let invalid = |message: &str| refused(ErrorCode::InvalidPartitions, message);
    let assignment = |message: &str| refused(ErrorCode::InvalidReplicaAssignment, message);
    assert_eq!(cluster.add_partitions("v", 1, None), invalid("Topic already has 1 partition(s)."));
    let message = "The topic v currently has 1 partition(s); -1 would not be an increase.";
    assert_eq!(cluster.add_partitions("v", -1, None), invalid(message));
    let message = "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.";
    assert_eq!(cluster.add_partitions("v", 3, Some(&[&[1]])), assignment(message));
    let message = "The manual partition assignment includes broker 8, but no such broker is registered.";
    assert_eq!(cluster.add_partitions("v", 2, Some(&[&[8]])), assignment(message));
    let message = "This server does not host this topic-partition.";
    assert_eq!(cluster.add_partitions("nope", 2, None), refused(ErrorCode::UnknownTopicOrPartition, message));
    let message = "Excessively large number of partitions per request.";
    assert_eq!(cluster.add_partitions("v", 20_000, None), refused(ErrorCode::PolicyViolation, message));
    assert_eq!(cluster.add_partitions("v", 3, None), FINE);
    assert_eq!(cluster.add_partitions("v", 4, Some(&[&[1]])), FINE);
    let image = cluster.state.image().topics().by_name("v").unwrap();
    let indexes: Vec<_> = image.partitions().map(|(index, _)| index.0).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
}
