//! Settings of groups, of subscriptions to clients' metrics and of loggers: altered, refused, described, listed.

use crate::harness::Broker;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_configs_request::DescribeConfigsResource;
use odradek_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use odradek_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use odradek_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest};

const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

/// The error and its message, empty when all went well.
fn alter(wire: &mut Wire, resource: (i8, &str), operation: i8, key: &str, value: &str) -> (ErrorCode, String) {
    let value = (operation != DELETE).then(|| value.into());
    let config = AlterableConfig { name: key.into(), config_operation: operation, value };
    let (resource_type, name) = resource;
    let resource = AlterConfigsResource { resource_type, resource_name: name.into(), configs: vec![config] };
    let response = wire.call(1, &IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false });
    let answer = &response.responses[0];
    (ErrorCode::from_code(answer.error_code), answer.error_message.as_deref().unwrap_or_default().to_owned())
}

fn describe(wire: &mut Wire, (resource_type, name): (i8, &str)) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource { resource_type, resource_name: name.into(), configuration_keys: None };
    let resources = vec![resource];
    let request = DescribeConfigsRequest { resources, include_synonyms: true, include_documentation: true };
    wire.call(4, &request).results.swap_remove(0)
}

/// `value@source type` and the synonyms, strongest first.
fn printed(entry: &DescribeConfigsResourceResult) -> String {
    let synonyms = entry.synonyms.iter().map(|synonym| {
        let value = synonym.value.as_deref().unwrap_or("null");
        format!(" {}={value}@{}", synonym.name.as_str(), synonym.source)
    });
    let value = entry.value.as_deref().unwrap_or("null");
    format!("{value}@{} {}{}", entry.config_source, entry.config_type, synonyms.collect::<String>())
}

fn shown(result: &DescribeConfigsResult, key: &str) -> String {
    printed(result.configs.iter().find(|entry| &*entry.name == key).unwrap())
}

#[test]
fn a_group_shows_its_own_settings_over_those_of_the_broker() {
    let broker = Broker::start();
    let mut wire = broker.connect();
    let group = (GROUP, "g");
    let fine = (ErrorCode::None, String::new());
    assert_eq!(alter(&mut wire, group, SET, "consumer.session.timeout.ms", "46000"), fine);
    let described = describe(&mut wire, group);
    assert_eq!((described.error_code, described.configs.len()), (0, 17));
    let own = "46000@8 3 consumer.session.timeout.ms=46000@8 group.consumer.session.timeout.ms=45000@5";
    assert_eq!(shown(&described, "consumer.session.timeout.ms"), own);
    assert_eq!(
        shown(&described, "share.isolation.level"),
        "read_uncommitted@5 2 share.isolation.level=read_uncommitted@5"
    );
    let is_open = |entry: &DescribeConfigsResourceResult| !entry.read_only && !entry.is_sensitive;
    assert!(
        described.configs.iter().all(|entry| is_open(entry) && !entry.documentation.as_deref().unwrap().is_empty())
    );
    assert_eq!(alter(&mut wire, group, DELETE, "consumer.session.timeout.ms", ""), fine);
    let without = "45000@5 3 group.consumer.session.timeout.ms=45000@5";
    assert_eq!(shown(&describe(&mut wire, group), "consumer.session.timeout.ms"), without);
}

#[test]
fn a_groups_setting_stays_within_the_brokers_bounds() {
    let broker = Broker::start();
    let mut wire = broker.connect();
    let mut refusal = |name, key, value| alter(&mut wire, (GROUP, name), SET, key, value);
    let above = "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms";
    let expected = (ErrorCode::InvalidConfig, above.to_owned());
    assert_eq!(refusal("g", "consumer.session.timeout.ms", "60001"), expected);
    let expected = (ErrorCode::InvalidConfig, "Unknown group config name: nonsense".to_owned());
    assert_eq!(refusal("g", "nonsense", "1"), expected);
    let expected = (ErrorCode::InvalidRequest, "Default group resources are not allowed.".to_owned());
    assert_eq!(refusal("", "consumer.session.timeout.ms", "46000"), expected);
    let nameless = describe(&mut wire, (GROUP, ""));
    assert_eq!(nameless.error_code, ErrorCode::InvalidRequest.code());
    assert_eq!(nameless.error_message.as_deref(), Some("Group name must not be empty"));
}

#[test]
fn a_subscription_to_metrics_is_described_and_listed_once_it_is_set() {
    let broker = Broker::start();
    let mut wire = broker.connect();
    let metrics = (CLIENT_METRICS, "m");
    let fine = (ErrorCode::None, String::new());
    assert_eq!(alter(&mut wire, metrics, SET, "metrics", "a.,b."), fine);
    let described = describe(&mut wire, metrics);
    assert_eq!(shown(&described, "metrics"), "a.,b.@7 7 metrics=a.,b.@7");
    assert_eq!((shown(&described, "interval.ms"), shown(&described, "match")), ("300000@5 3".into(), "@5 7".into()));
    let listed = wire.call(0, &ListConfigResourcesRequest::default()).config_resources;
    assert_eq!(listed.iter().map(|resource| &*resource.resource_name).collect::<Vec<_>>(), ["m"]);
    let no_list = "Can't APPEND to key metrics because its type is not LIST.".to_owned();
    assert_eq!(alter(&mut wire, metrics, APPEND, "metrics", "c."), (ErrorCode::InvalidConfig, no_list));
    let no_match = "Illegal client matching pattern: foo=bar".to_owned();
    assert_eq!(alter(&mut wire, metrics, SET, "match", "foo=bar"), (ErrorCode::InvalidConfig, no_match));
    let too_often = "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)".to_owned();
    assert_eq!(alter(&mut wire, metrics, SET, "interval.ms", "99"), (ErrorCode::InvalidRequest, too_often));
}

#[test]
fn the_level_of_the_root_logger_is_told() {
    let broker = Broker::start();
    let described = describe(&mut broker.connect(), (BROKER_LOGGER, "1"));
    assert_eq!(described.configs.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["root"]);
    assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&described.configs[0].value.as_deref().unwrap()));
    assert_eq!((described.configs[0].config_source, described.configs[0].config_type), (6, 0));
    let other = describe(&mut broker.connect(), (BROKER_LOGGER, "2"));
    assert_eq!(other.error_message.as_deref(), Some("Unexpected broker id, expected 1 but received 2"));
}
