//! What validation must know of each topic's configuration, resolved once per topic and image.

use crate::config::{BrokerConfig, TopicConfig};
use crate::metadata::ResourceType;
use crate::metadata::image::Image;
use crate::metadata::topics::TopicImage;
use odradek_shards::log::LogConfig;
use odradek_shards::record::Rules;
use odradek_shards::types::TopicId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Of the topics that were asked for since the image was swapped.
#[derive(Default)]
pub struct TopicRules {
    known: RefCell<HashMap<TopicId, (Rules, Arc<TopicConfig>)>>,
}

impl TopicRules {
    /// Rules for batches that clients send to the topic.
    pub fn of(&self, image: &Image, broker: &BrokerConfig, topic: &TopicImage) -> Rules {
        self.look(image, broker, topic).0
    }

    pub fn config(&self, image: &Image, broker: &BrokerConfig, topic: &TopicImage) -> Arc<TopicConfig> {
        self.look(image, broker, topic).1
    }

    /// Another image is in force.
    pub fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    fn look(&self, image: &Image, broker: &BrokerConfig, topic: &TopicImage) -> (Rules, Arc<TopicConfig>) {
        let mut known = self.known.borrow_mut();
        let resolve = || {
            let config = TopicConfig::resolve(image.configs().of(ResourceType::Topic, &topic.name), broker);
            (rules(&config.log_config(broker)), config)
        };
        known.entry(topic.id).or_insert_with(resolve).clone()
    }
}

fn rules(config: &LogConfig) -> Rules {
    Rules {
        max_message_bytes: config.max_message_bytes as usize,
        segment_bytes: config.segment_bytes as usize,
        timestamp_type: config.timestamp_type,
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        compression: config.compression,
        ..Rules::default()
    }
}
