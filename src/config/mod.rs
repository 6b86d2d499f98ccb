//! Settings: their names, defaults and bounds as Kafka documents them, where each value came from, and the typed result.
//!
//! `Properties` (text with origins) -> `Settings` (checked values by layer) -> `BrokerConfig` and `TopicConfig` (typed).
//! Nothing here opens a file, asks the time or the host: `cli` brings text and host facts in.

pub mod broker;
pub mod client_metrics;
pub mod definition;
pub mod describe;
pub mod duration;
pub mod dynamic;
pub mod error;
pub mod group;
pub mod groups;
pub mod listeners;
pub mod log_config;
pub mod notice;
pub mod properties;
pub mod settings;
pub mod support;
pub mod topic;
pub mod valid;
pub mod value;

pub use broker::{BrokerConfig, Host};
pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use error::{ConfigError, InvalidConfig};
pub use listeners::{Endpoint, Listener};
pub use notice::Notice;
pub use properties::{Origin, Properties, Property};
pub use settings::Settings;
pub use topic::{CleanupPolicy, Compression, TimestampType, TopicConfig};
