//! What shard 0 tells the others beside the engine's requests: rooms to open, images to use, connections to serve.

use crate::config::BrokerConfig;
use crate::handlers::Identity;
use crate::metadata::Image;
use crate::network::Incoming;
use odradek_protocol::primitives::Str;
use odradek_shards::journal::Leftovers;
use odradek_shards::mailbox::Port;
use odradek_shards::types::ShardId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub enum Control {
    /// Open the log directories and own partitions.
    Open {
        log_dirs: Vec<PathBuf>,
        /// What a crash left in the journals of each.
        leftovers: Vec<Arc<Leftovers>>,
    },
    /// Serve connections from now on.
    Begin(Identity),
    Publish(Published),
    Connection(Incoming),
    /// Close all connections and take no more.
    Hush,
    /// The shard's thread may end.
    End,
}

/// The image in force and the configuration that goes with it.
#[derive(Clone)]
pub struct Published {
    pub image: Arc<Image>,
    pub config: Arc<BrokerConfig>,
    /// Topics that are new in this image, or whose partitions are not those of the one before.
    pub changed_topics: Arc<[Str]>,
    /// Topics that this image has no more and the one before had.
    pub deleted_topics: Arc<[Str]>,
    pub brokers_changed: bool,
}

/// Only [`Control::Open`] can fail.
pub type Done = io::Result<()>;

pub type ControlPort = Port<Control, Done>;

/// Tells every shard of `count`, this one included, and waits until all have done it.
///
/// # Errors
/// The first failure.
pub async fn tell_all(port: &ControlPort, count: u16, what: impl Fn() -> Control) -> Done {
    let told: Vec<_> = (0..count).map(|shard| port.call(ShardId(shard), what())).collect();
    let mut result = Ok(());
    for done in told {
        let done = done.await.unwrap_or_else(|_| Err(io::Error::other("a shard has ended")));
        result = result.and(done);
    }
    result
}
