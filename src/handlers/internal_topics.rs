//! The topics that coordinators keep their state in: made when the first of them is looked for.

use super::context::Context;
use super::create_topics;
use crate::group;
use odradek_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use odradek_protocol::primitives::Str;
use std::rc::Rc;

/// Makes the topic unless it is there; whether it is afterwards.
pub async fn ensure(context: &Rc<Context>, name: &'static str) -> bool {
    if context.look().topics().by_name(name).is_some() {
        return true;
    }
    let failed = create_topics::create_by_default(context, vec![name.into()]).await;
    if let Some(error) = failed.get(name) {
        tracing::warn!("{name} cannot be created: {}", error.name());
    }
    context.look().topics().by_name(name).is_some()
}

/// How an internal topic is made; none for any other.
pub fn creatable(context: &Context, name: &Str) -> Option<CreatableTopic> {
    let config = context.config();
    if name.as_str() != group::TOPIC {
        return None;
    }
    let groups = &config.groups;
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", groups.offsets_topic_segment_bytes.to_string()),
    ];
    Some(CreatableTopic {
        name: name.clone(),
        num_partitions: groups.offsets_topic_num_partitions,
        replication_factor: replicas(context, groups.offsets_topic_replication_factor),
        configs: configs
            .into_iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: name.into(),
                value: Some(value.into()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    })
}

/// The default of 3 asks for more than a cluster that has begun with one broker can give: unless it was configured, as
/// many as there are.
fn replicas(context: &Context, wanted: i16) -> i16 {
    if context.config().settings().is_configured("offsets.topic.replication.factor") {
        return wanted;
    }
    let brokers = context.look().cluster().unfenced_brokers().count();
    wanted.min(i16::try_from(brokers).unwrap_or(i16::MAX)).max(1)
}
