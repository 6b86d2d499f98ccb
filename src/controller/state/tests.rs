use super::*;
use crate::controller::ControllerReply;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use odradek_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use odradek_protocol::messages::create_topics_response::CreatableTopicResult;
use odradek_protocol::messages::delete_topics_request::DeleteTopicState;
use odradek_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use odradek_protocol::messages::update_features_request::FeatureUpdateKey;
use odradek_protocol::messages::{self as wire, broker_registration_request};
use odradek_shards::types::{Offset, PartitionIndex};
use uuid::Uuid;

/// A controller whose every decision is committed at once.
struct Cluster {
    state: State,
    next_offset: Offset,
    now_ms: u64,
    seed: u64,
    last: Vec<MetadataRecord>,
    /// Of brokers that register from now on, where it is not one each.
    log_dirs: Option<Vec<Uuid>>,
}

impl Cluster {
    /// Bootstrapped, without brokers.
    fn new(config: &str) -> Self {
        let settings = Settings {
            cluster_id: Str::from_static("cluster"),
            node: NodeId(1),
            config: Arc::new(BrokerConfig::for_tests(config)),
        };
        let at = Moment { now: Instant::from_nanos(0), next_offset: Offset(1), seed: [0, 0] };
        let state = State::new(settings, Replayer::new(Arc::default()), &at);
        let mut cluster = Self { state, next_offset: Offset(1), now_ms: 0, seed: 0, last: Vec::new(), log_dirs: None };
        let records = cluster.state.activate(&bootstrap_features());
        cluster.commit(records);
        cluster
    }

    /// With broker 1 registered and unfenced.
    fn with_broker() -> Self {
        let mut cluster = Self::new("");
        cluster.register_and_unfence(1, 0);
        cluster
    }

    fn commit(&mut self, records: Vec<MetadataRecord>) {
        for record in &records {
            let version = crate::metadata::replay::record_version(record, self.state.image().features());
            let written = record.encode_value(version).unwrap();
            self.state.replay(&MetadataRecord::decode_value(written).unwrap()).unwrap();
            self.next_offset = self.next_offset + 1;
        }
        self.last = records;
    }

    fn at(&mut self) -> Moment {
        self.seed += 1;
        let now = Instant::from_nanos(self.now_ms * 1_000_000);
        Moment { now, next_offset: self.next_offset, seed: [self.seed, 7] }
    }

    fn ask(&mut self, request: ControllerRequest) -> ControllerReply {
        let at = self.at();
        let decision = self.state.decide(&at, &request);
        self.commit(decision.records);
        decision.reply
    }

    fn register(&mut self, id: i32, incarnation: u128, previous_broker_epoch: i64) -> wire::BrokerRegistrationResponse {
        let feature = |(name, range): (&'static str, crate::metadata::cluster::VersionRange)| {
            broker_registration_request::Feature {
                name: Str::from_static(name),
                min_supported_version: range.min,
                max_supported_version: range.max,
            }
        };
        let request = wire::BrokerRegistrationRequest {
            broker_id: id,
            cluster_id: Str::from_static("cluster"),
            incarnation_id: Uuid::from_u128(incarnation),
            features: crate::metadata::features::SUPPORTED.into_iter().map(feature).collect(),
            log_dirs: self.log_dirs.clone().unwrap_or_else(|| vec![Uuid::from_u128(1000 + id as u128)]),
            previous_broker_epoch,
            ..Default::default()
        };
        match self.ask(ControllerRequest::BrokerRegistration(request)) {
            ControllerReply::BrokerRegistration(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(
        &mut self,
        id: i32,
        epoch: i64,
        want_fence: bool,
        want_shut_down: bool,
    ) -> wire::BrokerHeartbeatResponse {
        let request = wire::BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: epoch,
            current_metadata_offset: self.next_offset.0,
            want_fence,
            want_shut_down,
            ..Default::default()
        };
        match self.ask(ControllerRequest::BrokerHeartbeat(request)) {
            ControllerReply::BrokerHeartbeat(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn register_and_unfence(&mut self, id: i32, incarnation: u128) -> i64 {
        let epoch = self.register(id, incarnation, -1).broker_epoch;
        assert!(!self.heartbeat(id, epoch, false, false).is_fenced);
        epoch
    }

    fn create_all(&mut self, topics: Vec<CreatableTopic>, validate_only: bool) -> Vec<CreatableTopicResult> {
        let request = wire::CreateTopicsRequest { topics, validate_only, ..Default::default() };
        match self.ask(ControllerRequest::CreateTopics(request)) {
            ControllerReply::CreateTopics(response) => response.topics,
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        self.create_all(vec![topic], false).remove(0)
    }

    /// The refusal of a creation: code and text.
    fn refusal(&mut self, topic: CreatableTopic) -> (i16, String) {
        let before = self.state.image().digest();
        let result = self.create(topic);
        assert_eq!(self.state.image().digest(), before, "a refusal changes nothing");
        (result.error_code, result.error_message.unwrap_or_default().to_string())
    }

    fn add_partitions(&mut self, name: &str, count: i32, assignments: Option<&[&[i32]]>) -> (i16, String) {
        let assignment = |ids: &&[i32]| CreatePartitionsAssignment { broker_ids: ids.to_vec() };
        let assignments = assignments.map(|list| list.iter().map(assignment).collect());
        let topics = vec![CreatePartitionsTopic { name: name.into(), count, assignments }];
        let request = wire::CreatePartitionsRequest { topics, ..Default::default() };
        match self.ask(ControllerRequest::CreatePartitions(request)) {
            ControllerReply::CreatePartitions(response) => {
                let result = &response.results[0];
                (result.error_code, result.error_message.clone().unwrap_or_default().to_string())
            }
            other => panic!("{other:?}"),
        }
    }

    fn configure(&mut self, kind: i8, name: &str, operations: &[(&str, i8, Option<&str>)]) -> (i16, String) {
        let operation = |(key, config_operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
            name: (*key).into(),
            config_operation: *config_operation,
            value: value.map(Str::from),
        };
        let configs = operations.iter().map(operation).collect();
        let resources = vec![AlterConfigsResource { resource_type: kind, resource_name: name.into(), configs }];
        let request = wire::IncrementalAlterConfigsRequest { resources, ..Default::default() };
        match self.ask(ControllerRequest::IncrementalAlterConfigs(request)) {
            ControllerReply::IncrementalAlterConfigs(response) => {
                let result = &response.responses[0];
                (result.error_code, result.error_message.clone().unwrap_or_default().to_string())
            }
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, topics: Vec<DeleteTopicState>) -> Vec<(i16, String)> {
        let request = wire::DeleteTopicsRequest { topics, ..Default::default() };
        match self.ask(ControllerRequest::DeleteTopics(request)) {
            ControllerReply::DeleteTopics(response) => {
                let text = |message: &Option<Str>| message.clone().unwrap_or_default().to_string();
                response.responses.iter().map(|r| (r.error_code, text(&r.error_message))).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn feature(&mut self, feature: &'static str, max_version_level: i16, upgrade_type: i8) -> (i16, String) {
        let update = FeatureUpdateKey {
            feature: Str::from_static(feature),
            max_version_level,
            upgrade_type,
            ..Default::default()
        };
        let request = wire::UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
        match self.ask(ControllerRequest::UpdateFeatures(request)) {
            ControllerReply::UpdateFeatures(r) => (r.error_code, r.error_message.unwrap_or_default().to_string()),
            other => panic!("{other:?}"),
        }
    }
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor, ..Default::default() }
}

fn by_hand(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment =
        |(index, ids): &(i32, &[i32])| CreatableReplicaAssignment { partition_index: *index, broker_ids: ids.to_vec() };
    CreatableTopic { assignments: assignments.iter().map(assignment).collect(), ..topic(name, -1, -1) }
}

fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config =
        |(key, value): &(&str, Option<&str>)| CreatableTopicConfig { name: (*key).into(), value: value.map(Str::from) };
    CreatableTopic { configs: configs.iter().map(config).collect(), ..topic(name, 1, 1) }
}

fn named(name: &str) -> DeleteTopicState {
    DeleteTopicState { name: Some(name.into()), topic_id: Uuid::nil() }
}

const FINE: (i16, String) = (0, String::new());

fn refused(code: ErrorCode, message: &str) -> (i16, String) {
    (code.code(), message.to_owned())
}

mod broker_life;
mod directories;
mod settings;
mod topics;
