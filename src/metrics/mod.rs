//! What operators watch, as Prometheus reads it: names as the JMX exporter gives Kafka's where Kafka has the thing,
//! `odradek_...` where it has not. Turns what others tell into text; [`crate::console`] asks them and serves it.

mod cluster;
mod groups;
mod logs;
mod page;
mod upkeep;

pub use cluster::cluster;
pub use groups::{GroupLag, groups};
pub use logs::logs;
pub use page::Page;
pub use upkeep::{LogDirState, upkeep};
