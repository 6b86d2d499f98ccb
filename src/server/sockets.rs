//! The addresses to listen on, and what clients are told of them.

use crate::config::{BrokerConfig, Listener};
use crate::network::{ConnectionCounts, ConnectionLimits};
use odradek_shards::runtime::{self, checks, net};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// How long a taken port is asked for again.
const PORT_WAIT_MAX: Duration = Duration::from_secs(2);
const PORT_WAIT_STEP: Duration = Duration::from_millis(5);

/// One descriptor in so many may be a connection.
const CONNECTIONS_SHARE: u64 = 2;

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "listeners: {name}: the host {host} has no address: {source}; correct it, or leave it empty for every address"
    )]
    UnknownHost { name: String, host: String, source: io::Error },
    #[error("listener {name}: {source}")]
    Bind { name: String, source: io::Error },
}

/// Listeners with their addresses, in the order of `listeners`.
pub struct Sockets {
    pub addresses: Vec<(Listener, SocketAddr)>,
    /// Where metrics are told.
    metrics: Option<(Listener, SocketAddr)>,
    pub counts: Arc<ConnectionCounts>,
}

/// Bound listeners, and what clients are told of each: name, host, port.
pub struct Bound {
    pub listeners: Vec<(Arc<str>, net::Listener)>,
    pub endpoints: Vec<(String, String, u16)>,
    /// Bound apart from the others: what comes in there is HTTP.
    pub metrics: Option<net::Listener>,
}

/// Asks for the addresses of the hosts named. May ask a name server: call it before the shards start.
pub fn resolve(config: &BrokerConfig) -> Result<Sockets, ListenError> {
    let clients = config.listeners.iter().filter(|listener| !listener.is_controller);
    let addresses = clients.map(|listener| Ok((listener.clone(), address(listener)?))).collect::<Result<_, _>>()?;
    let metrics = config.metrics_listener.as_ref();
    let metrics = metrics.map(|listener| Ok((listener.clone(), address(listener)?))).transpose()?;
    let limits = ConnectionLimits {
        connections_max: config.network.max_connections,
        descriptors_max: descriptors_max(checks::open_files()),
        per_address_max: config.network.max_connections_per_ip,
        overrides: overrides(config),
    };
    let counts = ConnectionCounts::new(limits, super::shards(config));
    Ok(Sockets { addresses, metrics, counts })
}

impl Sockets {
    /// Binds all of them on this shard.
    pub async fn bind(&self, config: &BrokerConfig) -> Result<Bound, ListenError> {
        let mut listeners = Vec::with_capacity(self.addresses.len());
        for (listener, address) in &self.addresses {
            let bound = bind_when_free(listener, *address, config).await?;
            listeners.push((Arc::from(listener.name.as_str()), bound));
        }
        let metrics = match &self.metrics {
            Some((listener, address)) => Some(bind_when_free(listener, *address, config).await?),
            None => None,
        };
        let port_of = |name: &str| {
            let bound = listeners.iter().find(|(listener, _)| &**listener == name);
            bound.map_or(0, |(_, bound)| bound.local_address().port())
        };
        let advertised = config.advertised_listeners.iter().map(|endpoint| {
            let port = if endpoint.port == 0 { port_of(&endpoint.listener) } else { endpoint.port };
            (endpoint.listener.clone(), endpoint.host.clone(), port)
        });
        let endpoints = advertised.collect();
        Ok(Bound { listeners, endpoints, metrics })
    }
}

/// What connections may hold of the files that the process may have open: logs need the rest, segments up to a quarter of
/// all and each partition its directory.
fn descriptors_max(open_files: u64) -> usize {
    usize::try_from(open_files / CONNECTIONS_SHARE).unwrap_or(usize::MAX).max(1)
}

/// A process that has just ended, killed or not, may hold its port a moment longer: the kernel closes what its rings
/// waited on after the process is gone.
async fn bind_when_free(
    listener: &Listener,
    address: SocketAddr,
    config: &BrokerConfig,
) -> Result<net::Listener, ListenError> {
    let until = runtime::now() + PORT_WAIT_MAX;
    loop {
        match bind(listener, address, config) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && runtime::now() < until => {
                runtime::sleep(PORT_WAIT_STEP).await;
            }
            bound => return bound.map_err(|source| ListenError::Bind { name: listener.name.clone(), source }),
        }
    }
}

fn bind(listener: &Listener, address: SocketAddr, config: &BrokerConfig) -> io::Result<net::Listener> {
    let network = &config.network;
    let options = net::Options {
        backlog: u16::try_from(network.socket_listen_backlog_size).unwrap_or(u16::MAX),
        send_buffer_bytes: usize::try_from(network.socket_send_buffer_bytes).ok(),
        receive_buffer_bytes: usize::try_from(network.socket_receive_buffer_bytes).ok(),
    };
    let every_address = listener.host.is_none();
    match net::Listener::bind(address, options) {
        // A kernel without IPv6.
        Err(error) if every_address && matches!(error.raw_os_error(), Some(EAFNOSUPPORT)) => {
            net::Listener::bind((Ipv4Addr::UNSPECIFIED, address.port()).into(), options)
        }
        bound => bound,
    }
}

const EAFNOSUPPORT: i32 = 97;

fn address(listener: &Listener) -> Result<SocketAddr, ListenError> {
    let Some(host) = &listener.host else { return Ok((Ipv6Addr::UNSPECIFIED, listener.port).into()) };
    let unknown = |source| ListenError::UnknownHost { name: listener.name.clone(), host: host.clone(), source };
    let mut addresses = (host.as_str(), listener.port).to_socket_addrs().map_err(unknown)?;
    addresses.next().ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
}

/// Hosts that have no address limit nobody.
fn overrides(config: &BrokerConfig) -> HashMap<IpAddr, usize> {
    let mut overrides = HashMap::new();
    for (host, count) in &config.max_connections_per_ip_overrides {
        match (host.as_str(), 0).to_socket_addrs() {
            Ok(addresses) => overrides.extend(addresses.map(|address| (address.ip().to_canonical(), *count))),
            Err(error) => warn!("max.connections.per.ip.overrides: {host} has no address: {error}"),
        }
    }
    overrides
}
