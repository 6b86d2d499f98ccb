//! What the controller can be asked, in Kafka's own structs, and what it answers.

use odradek_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterConfigsRequest, AlterConfigsResponse,
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationRequest, BrokerRegistrationResponse, ControllerRegistrationRequest,
    ControllerRegistrationResponse, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

/// Who may ask is the caller's business: what arrives here is authorised.
#[derive(Clone, Debug, PartialEq)]
pub enum ControllerRequest {
    CreateTopics(CreateTopicsRequest),
    /// By `topics`, or by `topic_names` (versions up to 5); both are looked at.
    DeleteTopics(DeleteTopicsRequest),
    CreatePartitions(CreatePartitionsRequest),
    AlterConfigs(AlterConfigsRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    AllocateProducerIds(AllocateProducerIdsRequest),
    UpdateFeatures(UpdateFeaturesRequest),
    ControllerRegistration(ControllerRegistrationRequest),
    BrokerRegistration(BrokerRegistrationRequest),
    BrokerHeartbeat(BrokerHeartbeatRequest),
    AssignReplicasToDirs(AssignReplicasToDirsRequest),
}

/// The variant of the request, once its records are committed and published on every shard.
#[derive(Clone, Debug, PartialEq)]
pub enum ControllerReply {
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    CreatePartitions(CreatePartitionsResponse),
    AlterConfigs(AlterConfigsResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    AllocateProducerIds(AllocateProducerIdsResponse),
    UpdateFeatures(UpdateFeaturesResponse),
    ControllerRegistration(ControllerRegistrationResponse),
    BrokerRegistration(BrokerRegistrationResponse),
    BrokerHeartbeat(BrokerHeartbeatResponse),
    AssignReplicasToDirs(AssignReplicasToDirsResponse),
    /// This node does not lead the quorum, or stopped leading before the records were committed: NOT_CONTROLLER (41).
    NotController,
}
