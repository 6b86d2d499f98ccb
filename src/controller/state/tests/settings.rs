use super::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn cluster() -> Cluster {
    let mut cluster = Cluster::with_broker();
    cluster.create(topic("v", 1, 1));
    cluster
}

fn value<'a>(cluster: &'a Cluster, key: &str) -> Option<&'a str> {
    cluster.state.image().configs().of(ResourceType::Topic, "v").get(key).map(String::as_str)
}

#[test]
fn operations_set_delete_append_and_subtract() {
    let mut cluster = cluster();
    assert_eq!(cluster.configure(TOPIC, "v", &[("retention.ms", SET, Some("5")), ("flush.ms", SET, Some("6"))]), FINE);
    assert_eq!(cluster.configure(TOPIC, "v", &[("retention.ms", DELETE, None), ("flush.ms", SET, Some("6"))]), FINE);
    assert_eq!(cluster.last.len(), 1, "what stays as it is, is not recorded");
    assert_eq!((value(&cluster, "retention.ms"), value(&cluster, "flush.ms")), (None, Some("6")));
    assert_eq!(cluster.configure(TOPIC, "v", &[("cleanup.policy", APPEND, Some("compact"))]), FINE);
    assert_eq!(value(&cluster, "cleanup.policy"), Some("delete,compact"), "a list grows from its default");
    assert_eq!(cluster.configure(TOPIC, "v", &[("cleanup.policy", SUBTRACT, Some("delete"))]), FINE);
    assert_eq!(value(&cluster, "cleanup.policy"), Some("compact"));
    assert_eq!(cluster.configure(TOPIC, "v", &[("nosuch", DELETE, None)]), FINE);
}

#[test]
fn topic_settings_are_refused_in_kafkas_words() {
    let mut cluster = cluster();
    let mut refusal = |name: &str, key: &str, operation: i8, value: Option<&str>| {
        cluster.configure(TOPIC, name, &[(key, operation, value)])
    };
    let config = |message: &str| refused(ErrorCode::InvalidConfig, message);
    let request = |message: &str| refused(ErrorCode::InvalidRequest, message);
    let message = "The topic 'nope' does not exist.";
    let unknown = refused(ErrorCode::UnknownTopicOrPartition, message);
    assert_eq!(refusal("nope", "retention.ms", SET, Some("1")), unknown);
    assert_eq!(refusal("v", "nosuch", SET, Some("1")), config("Unknown topic config name: nosuch"));
    let message = "Invalid value x for configuration retention.ms: Not a number of type LONG";
    assert_eq!(refusal("v", "retention.ms", SET, Some("x")), config(message));
    let message = "Can't APPEND to key retention.ms because its type is not LIST.";
    assert_eq!(refusal("v", "retention.ms", APPEND, Some("5")), config(message));
    assert_eq!(refusal("v", "cleanup.policy", APPEND, Some("bogus")).0, ErrorCode::InvalidConfig.code());
    assert_eq!(refusal("", "retention.ms", SET, Some("1")), request("Default topic resources are not allowed."));
    assert_eq!(refusal("v", "retention.ms", SET, None), request("Null value not supported for : retention.ms"));
    let twice = [("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))];
    assert_eq!(cluster.configure(TOPIC, "v", &twice), request("Error due to duplicate config keys"));
    let long = "9".repeat(40_000);
    assert_eq!(
        cluster.configure(TOPIC, "v", &[("retention.ms", SET, Some(&long))]),
        config("The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.")
    );
    assert_eq!(cluster.configure(0, "v", &[]), request("Unknown resource type 0"));
}

#[test]
fn min_insync_replicas_stays_one_number_for_the_cluster_while_elr_is_on() {
    let mut cluster = cluster();
    let key = "min.insync.replicas";
    let message = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
    let broker = cluster.configure(BROKER, "1", &[(key, SET, Some("1"))]);
    assert_eq!(broker, refused(ErrorCode::InvalidConfig, message));
    let message = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
    assert_eq!(cluster.configure(BROKER, "", &[(key, DELETE, None)]), refused(ErrorCode::InvalidConfig, message));
    assert_eq!(cluster.configure(BROKER, "", &[(key, SET, Some("2"))]), FINE);
    assert!(matches!(&cluster.last[..], [MetadataRecord::Config(_), MetadataRecord::ClearElr(_)]));
    assert_eq!(cluster.state.min_insync_replicas("v"), 2);
    assert_eq!(cluster.configure(TOPIC, "v", &[(key, SET, Some("1"))]), FINE);
    assert_eq!(cluster.state.min_insync_replicas("v"), 1);
}

#[test]
fn other_resources_have_their_own_keys_and_codes() {
    let mut cluster = cluster();
    let mut set =
        |kind: i8, name: &str, key: &str, value: &str| cluster.configure(kind, name, &[(key, SET, Some(value))]);
    let config = |message: &str| refused(ErrorCode::InvalidConfig, message);
    let request = |message: &str| refused(ErrorCode::InvalidRequest, message);
    assert_eq!(set(BROKER, "1", "log.retention.ms", "1000"), FINE);
    assert_eq!(set(BROKER, "1", "my.custom", "1000"), FINE);
    assert_eq!(set(BROKER, "x", "log.retention.ms", "1"), request("Unable to parse broker name as a base 10 number."));
    assert_eq!(set(BROKER, "1", "node.id", "3").0, ErrorCode::InvalidRequest.code());
    let message = "Invalid value zz for configuration log.retention.ms: Not a number of type LONG";
    assert_eq!(set(BROKER, "", "log.retention.ms", "zz"), request(message));
    assert_eq!(set(GROUP, "g", "consumer.session.timeout.ms", "50000"), FINE);
    assert_eq!(set(GROUP, "g", "nosuch", "1"), config("Unknown group config name: nosuch"));
    assert_eq!(set(GROUP, "", "nosuch", "1"), request("Default group resources are not allowed."));
    assert_eq!(set(CLIENT_METRICS, "m", "interval.ms", "1000"), FINE);
    let message = "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
    assert_eq!(set(CLIENT_METRICS, "m", "interval.ms", "1"), request(message));
    assert_eq!(set(CLIENT_METRICS, "", "interval.ms", "1000"), request("Subscription name can't be empty"));
}

#[test]
fn a_clusters_default_is_what_new_topics_show() {
    let mut cluster = cluster();
    assert_eq!(cluster.configure(BROKER, "", &[("log.retention.ms", SET, Some("12345"))]), FINE);
    let shown = cluster.create(topic("w", 1, 1)).configs.unwrap();
    let retention = shown.iter().find(|config| config.name == "retention.ms").unwrap();
    assert_eq!(retention.value.as_deref(), Some("12345"));
}

#[test]
fn the_old_request_replaces_everything() {
    let mut cluster = cluster();
    cluster.configure(TOPIC, "v", &[("retention.ms", SET, Some("5"))]);
    use odradek_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let configs = vec![AlterableConfig { name: "flush.ms".into(), value: Some("7".into()) }];
    let resources = vec![AlterConfigsResource { resource_type: TOPIC, resource_name: "v".into(), configs }];
    cluster.ask(ControllerRequest::AlterConfigs(wire::AlterConfigsRequest { resources, validate_only: false }));
    assert_eq!((value(&cluster, "retention.ms"), value(&cluster, "flush.ms")), (None, Some("7")));
}

#[test]
fn feature_levels_move_or_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_broker();
    let refused = |why: &str| {
        let message = format!("The update failed for all features since the following feature had an error: {why}");
        (ErrorCode::InvalidUpdateVersion.code(), message)
    };
    let why = "Invalid update version 9 for feature group.version. Local controller 1 only supports versions 0-1";
    assert_eq!(cluster.feature("group.version", 9, 1), refused(why));
    let why = "Invalid update version 1 for feature nosuch. Local controller 1 does not support this feature.";
    assert_eq!(cluster.feature("nosuch", 1, 1), refused(why));
    let why = "Invalid update version 29 for feature metadata.version. Can't downgrade the version of this feature \
               without setting the upgrade type to either safe or unsafe downgrade.";
    assert_eq!(cluster.feature("metadata.version", 29, 1), refused(why));
    let why = "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested downgrade \
               because it might delete metadata information.";
    assert_eq!(cluster.feature("metadata.version", 29, 2), refused(why));
    assert_eq!(cluster.feature("group.version", 1, 1), FINE);
    assert!(cluster.last.is_empty(), "the level it has");
    assert_eq!(cluster.feature("transaction.version", 1, 2), FINE);
    assert_eq!(cluster.state.image().features().level("transaction.version"), 1);
    assert_eq!(cluster.feature("group.version", 0, 2), FINE);
    assert_eq!(cluster.state.image().features().level("group.version"), 0);
}
