//! The command line.

use crate::compression::Codec;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser, Debug)]
#[command(name = "odradek-perf", version, about = "Measures any broker that speaks Kafka's protocol")]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Print the report as one line of JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write batches as fast as they are acknowledged, or at a fixed rate
    Produce(ProduceArguments),
    /// Read from the earliest offset on
    Consume(ConsumeArguments),
    /// Write at a fixed rate and read along; latency is from when a record was due to when it was received
    EndToEnd(EndToEndArguments),
    /// Commit offsets of groups as fast as they are acknowledged, or at a fixed rate
    Commits(CommitsArguments),
    /// Keep groups of idle members that only send heartbeats; latency is from when a heartbeat was due
    Groups(GroupsArguments),
}

#[derive(Args, Clone, Debug)]
pub struct Target {
    /// A broker's address
    #[arg(long, default_value = "127.0.0.1:9092", value_parser = address)]
    pub bootstrap: SocketAddr,
    /// Created when it does not exist
    #[arg(long, default_value = "perf")]
    pub topic: String,
    /// Partitions of a topic to be created
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: i32,
    /// Replicas of a topic to be created
    #[arg(long, default_value_t = 1)]
    pub replication_factor: i16,
    /// Setting of a topic to be created, as name=value
    #[arg(long = "topic-config", value_parser = name_value)]
    pub topic_configs: Vec<(String, String)>,
}

#[derive(Args, Clone, Debug)]
pub struct Run {
    /// Connections to the brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Threads the connections are spread over
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Time before counting starts, such as 500ms, 3s or 1m
    #[arg(long, value_parser = duration)]
    pub warm_up: Option<Duration>,
    /// Time to count for; without this and --count it is 10s, or everything there is to read
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Records in all, warm-up included
    #[arg(long)]
    pub count: Option<u64>,
    /// Process whose CPU time and memory are told
    #[arg(long)]
    pub broker_pid: Option<u32>,
}

#[derive(Args, Clone, Debug)]
pub struct Records {
    /// Bytes of a record's value
    #[arg(long, default_value_t = 100)]
    pub record_size: usize,
    /// Bytes a batch may have before compression; it holds one record at least
    #[arg(long, default_value_t = 16_384)]
    pub batch_bytes: usize,
    /// Records of a batch, whatever its bytes
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub records_per_batch: Option<u32>,
    /// How batches are compressed
    #[arg(long, value_enum, default_value_t = Codec::None)]
    pub compression: Codec,
    /// Different keys; 0 = records have none
    #[arg(long, default_value_t = 0)]
    pub keys: u64,
    /// Acknowledgements: 0, 1 or -1 (all)
    #[arg(long, default_value = "1", value_parser = acks, allow_hyphen_values = true)]
    pub acks: i16,
    /// Requests under way on a connection
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub depth: u32,
    /// How long a record that is due may wait for its batch to fill; means nothing without a rate
    #[arg(long, value_parser = duration, default_value = "0")]
    pub linger: Duration,
}

#[derive(Args, Debug)]
pub struct ProduceArguments {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub records: Records,
    /// Records a second over all connections; without it each connection sends as soon as it may
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// Give every record its offset as a number, for `consume --verify`; the topic must hold nothing else
    #[arg(long)]
    pub verify: bool,
    /// File for the offset after the last acknowledged record of each partition, written even when the broker is lost
    #[arg(long)]
    pub acked: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct Fetching {
    /// Bytes of a response
    #[arg(long, default_value_t = 1 << 20)]
    pub max_bytes: i32,
    /// Bytes of a partition in a response
    #[arg(long, default_value_t = 1 << 20)]
    pub partition_max_bytes: i32,
    /// Bytes a broker waits for
    #[arg(long, default_value_t = 1)]
    pub min_bytes: i32,
    /// How long a broker waits for them
    #[arg(long, value_parser = duration, default_value = "500ms")]
    pub max_wait: Duration,
}

#[derive(Args, Debug)]
pub struct ConsumeArguments {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub fetching: Fetching,
    /// Check every checksum, offset and value against what `produce --verify` wrote
    #[arg(long)]
    pub verify: bool,
    /// Check checksums, that offsets have no gap, and that each idempotent producer's records are in order, once each
    #[arg(long, conflicts_with = "verify")]
    pub verify_order: bool,
}

#[derive(Args, Debug)]
pub struct EndToEndArguments {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub records: Records,
    #[command(flatten)]
    pub fetching: Fetching,
    /// Records a second over all connections
    #[arg(long, value_parser = rate, default_value = "1000")]
    pub rate: f64,
    /// Connections that read; --connections counts those that write
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub consumers: u32,
}

#[derive(Args, Debug)]
pub struct CommitsArguments {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub run: Run,
    /// Groups that the connections commit for in turn
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// Partitions of the topic in a commit, as many as it has at most
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub per_commit: u32,
    /// Each group has a classic member that commits; without it nobody is in the groups
    #[arg(long)]
    pub members: bool,
    /// Requests under way on a connection
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub depth: u32,
    /// Commits a second over all connections; without it each connection sends as soon as it may
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum GroupProtocol {
    Classic,
    Consumer,
}

#[derive(Args, Debug)]
pub struct GroupsArguments {
    #[command(flatten)]
    pub target: Target,
    /// How members join
    #[arg(long, value_enum, default_value = "classic")]
    pub protocol: GroupProtocol,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub groups: u32,
    /// Members of a group
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub members: u32,
    /// Connections to the brokers, shared by members of different groups; as many as a group has members at least
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Time between two heartbeats of a classic member; others do as the broker says
    #[arg(long, value_parser = duration, default_value = "3s")]
    pub heartbeat: Duration,
    /// Session timeout of a classic member
    #[arg(long, value_parser = duration, default_value = "45s")]
    pub session_timeout: Duration,
    /// How long it may take until all groups are stable
    #[arg(long, value_parser = duration, default_value = "120s")]
    pub stable_within: Duration,
    /// Time between all being stable and counting
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub warm_up: Duration,
    /// Time to count for
    #[arg(long, value_parser = duration, default_value = "20s")]
    pub duration: Duration,
    /// Process whose CPU time and memory are told
    #[arg(long)]
    pub broker_pid: Option<u32>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "the name has no address".to_owned())
}

fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `250us`, `10ms`, `3s`, `2m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| "expected a time such as 500ms, 3s or 1m")?;
    let unit = match &text[digits..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err("the units are us, ms, s and m".to_owned()),
    };
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

fn acks(text: &str) -> Result<i16, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "-1" | "all" => Ok(-1),
        _ => Err("expected 0, 1, -1 or all".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number")?;
    if rate > 0.0 && rate <= 1e9 { Ok(rate) } else { Err("expected more than 0 and at most 1e9".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert!(duration("2h").is_err() && duration("ms").is_err());
    }
}
