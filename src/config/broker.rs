//! The configuration of one process, typed and checked against itself.

use super::error::{ConfigError, InvalidConfig};
use super::groups::{
    CleanerConfig, EngineConfig, FetchConfig, GroupsConfig, NetworkConfig, QuorumConfig, ReplicationConfig,
    StorageConfig, TopicsConfig, TransactionsConfig, read,
};
use super::listeners::{self, Endpoint, Listener};
use super::log_config::EVERY_LOG_DIR;
use super::notice::Notice;
use super::properties::Properties;
use super::settings::Settings;
use super::topic::{self, TopicConfig};
use odradek_shards::types::NodeId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the process was told, ready to use. Cheap to share, never changed in place: a dynamic change makes another one.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    pub node_id: NodeId,
    pub broker_rack: Option<String>,
    pub listeners: Vec<Listener>,
    pub advertised_listeners: Vec<Endpoint>,
    /// Where metrics are told, if anywhere.
    pub metrics_listener: Option<Listener>,
    /// At least one; no two are the same text.
    pub log_dirs: Vec<PathBuf>,
    /// Where `__cluster_metadata-0` is; one of `log_dirs` unless set apart.
    pub metadata_log_dir: PathBuf,
    /// At least 1.
    pub num_shards: usize,
    /// Connections allowed from an address or host name, where it differs from `max.connections.per.ip`.
    pub max_connections_per_ip_overrides: BTreeMap<String, usize>,
    pub engine: EngineConfig,
    pub network: NetworkConfig,
    pub topics: TopicsConfig,
    pub storage: StorageConfig,
    pub cleaner: CleanerConfig,
    pub fetch: FetchConfig,
    pub replication: ReplicationConfig,
    pub quorum: QuorumConfig,
    pub groups: GroupsConfig,
    pub transactions: TransactionsConfig,
    /// Of a topic that sets nothing itself.
    pub topic_defaults: Arc<TopicConfig>,
    settings: Settings,
}

/// What the configuration leaves to the host.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Cores this process may run on.
    pub cores: usize,
    /// Name under which clients can reach it; asked for only when a listener leaves it open, as the answer may take a name server.
    pub name: fn() -> String,
}

impl BrokerConfig {
    /// Types and checks `properties`; the notices are for the log.
    pub fn resolve(properties: &Properties, host: &Host) -> Result<(Self, Vec<Notice>), ConfigError> {
        let (settings, notices) = Settings::new(properties)?;
        let listeners = listeners::listeners(&settings)?;
        let advertised_listeners = listeners::advertised(&settings, &listeners, host.name)?;
        check_roles(&settings)?;
        check_times(&settings)?;
        let log_dirs = log_dirs(&settings)?;
        let metadata_log_dir = read::<Option<String>>(&settings, "metadata.log.dir");
        let config = Self {
            node_id: NodeId(read(&settings, "node.id")),
            broker_rack: read(&settings, "broker.rack"),
            listeners,
            advertised_listeners,
            metrics_listener: listeners::metrics(&settings)?,
            metadata_log_dir: metadata_log_dir.map_or_else(|| log_dirs[0].clone(), PathBuf::from),
            log_dirs,
            num_shards: read::<Option<usize>>(&settings, "num.shards").unwrap_or(host.cores).max(1),
            max_connections_per_ip_overrides: connection_overrides(&settings)?,
            engine: EngineConfig::read(&settings),
            network: NetworkConfig::read(&settings),
            topics: TopicsConfig::read(&settings),
            storage: StorageConfig::read(&settings),
            cleaner: CleanerConfig::read(&settings),
            fetch: FetchConfig::read(&settings),
            replication: ReplicationConfig::read(&settings),
            quorum: QuorumConfig::read(&settings),
            groups: GroupsConfig::read(&settings),
            transactions: TransactionsConfig::read(&settings),
            topic_defaults: Arc::new(TopicConfig::of_broker(&settings)),
            settings,
        };
        config.check_sizes()?;
        config.check_cordoned()?;
        Ok((config, notices))
    }

    /// Kafka's defaults and ours for a node alone on this machine: what tests start from.
    pub fn for_tests(text: &str) -> Self {
        let host = Host { cores: 1, name: || "localhost".into() };
        let (config, _) =
            Self::resolve(&Properties::parse("test", text), &host).expect("a test's configuration is good");
        config
    }

    /// Every key's value by layer.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same with these values in place of the dynamic ones it had. Listeners and directories stay as they are.
    pub fn with_dynamic(&self, cluster: &BTreeMap<String, String>, broker: &BTreeMap<String, String>) -> Self {
        let settings = self.settings.with_dynamic(cluster, broker);
        Self {
            network: NetworkConfig::read(&settings),
            topics: TopicsConfig::read(&settings),
            storage: StorageConfig::read(&settings),
            cleaner: CleanerConfig::read(&settings),
            replication: ReplicationConfig::read(&settings),
            groups: GroupsConfig::read(&settings),
            transactions: TransactionsConfig::read(&settings),
            topic_defaults: Arc::new(TopicConfig::of_broker(&settings)),
            settings,
            ..self.clone()
        }
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        let frame_bytes_max = self.network.socket_request_max_bytes as u64;
        if self.engine.odradek_request_memory_bytes < frame_bytes_max {
            let why = format!("it must hold one request of socket.request.max.bytes ({frame_bytes_max})");
            return Err(self.settings.conflict("odradek.request.memory.bytes", why));
        }
        if self.network.max_connections_per_ip == 0 && self.max_connections_per_ip_overrides.is_empty() {
            let why = "it may be 0 only when max.connections.per.ip.overrides lets somebody in";
            return Err(self.settings.conflict("max.connections.per.ip", why));
        }
        Ok(())
    }

    fn check_cordoned(&self) -> Result<(), ConfigError> {
        let cordoned: Vec<&str> = self.storage.cordoned_log_dirs.iter().map(String::as_str).collect();
        self.may_cordon(&cordoned).map_err(|why| self.settings.conflict("cordoned.log.dirs", why.to_string()))
    }

    /// Whether `cordoned.log.dirs` may have these entries.
    pub fn may_cordon(&self, names: &[&str]) -> Result<(), InvalidConfig> {
        let is_known = |name: &str| name == EVERY_LOG_DIR || self.log_dirs.iter().any(|dir| dir == Path::new(name));
        let unknown: Vec<&str> = names.iter().copied().filter(|name| !is_known(name)).collect();
        if !unknown.is_empty() {
            return Err(InvalidConfig::CordonedNowhere(unknown.join(", ")));
        }
        match names.len() > 1 && names.contains(&EVERY_LOG_DIR) {
            true => Err(InvalidConfig::CordonedAllAndOthers),
            false => Ok(()),
        }
    }
}

/// One process is broker and controller, and the only voter, until the quorum is built.
fn check_roles(settings: &Settings) -> Result<(), ConfigError> {
    let roles: Vec<String> = read(settings, "process.roles");
    if !["broker", "controller"].iter().all(|role| roles.iter().any(|given| given == role)) {
        return Err(settings.conflict("process.roles", "only broker,controller in one process is supported so far"));
    }
    let node_id: i32 = read(settings, "node.id");
    let voters: Vec<String> = read(settings, "controller.quorum.voters");
    let is_me = |voter: &String| voter.split_once('@').is_some_and(|(id, _)| id.parse() == Ok(node_id));
    match voters.as_slice() {
        [] => Ok(()),
        [only] if is_me(only) => Ok(()),
        [_] => {
            Err(settings.conflict("controller.quorum.voters", format!("it must name this node, {node_id}@host:port")))
        }
        _ => Err(settings.conflict("controller.quorum.voters", "only one voter, this node, is supported so far")),
    }
}

fn check_times(settings: &Settings) -> Result<(), ConfigError> {
    let retention = topic::retention_ms(settings);
    if retention.value == 0 {
        return Err(settings.conflict(retention.key, "it must be unlimited (-1) or at least 1"));
    }
    let roll = topic::segment_ms(settings);
    if roll.value < 1 {
        return Err(settings.conflict(roll.key, "it must be at least 1"));
    }
    Ok(())
}

fn log_dirs(settings: &Settings) -> Result<Vec<PathBuf>, ConfigError> {
    let configured = read::<Option<Vec<String>>>(settings, "log.dirs");
    let key = if configured.is_some() { "log.dirs" } else { "log.dir" };
    let dirs = configured.unwrap_or_else(|| read(settings, "log.dir"));
    if dirs.is_empty() {
        return Err(settings.conflict(key, "name at least one directory"));
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for dir in dirs.iter().map(PathBuf::from) {
        if !paths.contains(&dir) {
            paths.push(dir);
        }
    }
    Ok(paths)
}

/// `host:count,host:count`.
fn connection_overrides(settings: &Settings) -> Result<BTreeMap<String, usize>, ConfigError> {
    let key = "max.connections.per.ip.overrides";
    let text: String = read(settings, key);
    let mut overrides = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.rsplit_once(':').and_then(|(host, count)| Some((host, count.trim().parse().ok()?))) {
            Some((host, count)) => overrides.insert(host.trim().to_string(), count),
            None => return Err(settings.conflict(key, format!("unable to parse {pair}; write host:count,host:count"))),
        };
    }
    Ok(overrides)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<BrokerConfig, String> {
        let host = Host { cores: 3, name: || "me".into() };
        BrokerConfig::resolve(&Properties::parse("f", text), &host).map(|(config, _)| config).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_configured_is_a_broker_and_controller_on_every_core() {
        let config = resolve("").unwrap();
        assert_eq!((config.node_id, config.num_shards), (NodeId(1), 3));
        assert_eq!(config.log_dirs, [PathBuf::from("./data")]);
        assert_eq!(config.metadata_log_dir, PathBuf::from("./data"));
        assert_eq!(config.listeners[0].port, 9092);
        assert_eq!(config.topics.num_partitions, 1);
    }

    #[test]
    fn log_dirs_wins_over_log_dir_and_repetition_is_dropped() {
        let config = resolve("log.dir=/a\nlog.dirs=/b,/c,/b").unwrap();
        assert_eq!(config.log_dirs, [PathBuf::from("/b"), PathBuf::from("/c")]);
    }

    #[test]
    fn a_quorum_of_others_is_refused() {
        assert!(resolve("controller.quorum.voters=1@h:1").is_ok());
        assert!(resolve("controller.quorum.voters=2@h:1").is_err());
        assert!(resolve("controller.quorum.voters=1@h:1,2@i:1").is_err());
        assert!(resolve("process.roles=broker").is_err());
        assert!(resolve("process.roles=controller,broker").is_ok());
    }

    #[test]
    fn a_time_nobody_can_mean_is_refused_under_the_name_it_was_written() {
        assert!(resolve("log.retention.hours=0").unwrap_err().starts_with("f:1: log.retention.hours=0:"));
        assert!(resolve("log.roll.ms=0").unwrap_err().starts_with("f:1: log.roll.ms=0:"));
    }

    #[test]
    fn the_budget_holds_at_least_one_request() {
        assert!(resolve("odradek.request.memory.bytes=1048576").unwrap_err().contains("socket.request.max.bytes"));
        assert!(resolve("odradek.request.memory.bytes=1048576\nsocket.request.max.bytes=1048576").is_ok());
    }

    #[test]
    fn connection_overrides_are_hosts_and_counts() {
        let config = resolve("max.connections.per.ip.overrides=::1:5, a:6").unwrap();
        assert_eq!(config.max_connections_per_ip_overrides, BTreeMap::from([("::1".into(), 5), ("a".into(), 6)]));
        assert!(resolve("max.connections.per.ip.overrides=a:b").is_err());
        assert!(resolve("max.connections.per.ip=0").is_err());
    }

    #[test]
    fn a_dynamic_value_changes_the_view_and_goes_away_again() {
        let config = resolve("message.max.bytes=5").unwrap();
        let cluster = BTreeMap::from([("message.max.bytes".to_string(), "7".to_string())]);
        let changed = config.with_dynamic(&cluster, &BTreeMap::new());
        assert_eq!(changed.topic_defaults.max_message_bytes, 7);
        assert_eq!(changed.with_dynamic(&BTreeMap::new(), &BTreeMap::new()), config);
    }
}
