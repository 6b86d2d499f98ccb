//! Where clients come in: `listeners`, `advertised.listeners` and the names of both.

use super::error::ConfigError;
use super::groups::read;
use super::settings::Settings;
use std::collections::BTreeMap;

/// A socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// In capitals, as in `listeners`.
    pub name: String,
    /// None listens on every address of the host.
    pub host: Option<String>,
    /// 0 lets the kernel choose.
    pub port: u16,
    /// Only controllers answer here.
    pub is_controller: bool,
}

/// An address that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of its listener.
    pub listener: String,
    pub host: String,
    /// 0 stands for the port its listener was given by the kernel.
    pub port: u16,
}

/// The listeners, every one of them PLAINTEXT so far.
pub(super) fn listeners(settings: &Settings) -> Result<Vec<Listener>, ConfigError> {
    let names = controller_names(settings);
    let protocols = protocols(settings)?;
    let mut listeners: Vec<Listener> = Vec::new();
    for text in read::<Vec<String>>(settings, "listeners") {
        let Some((name, host, port)) = parse(&text) else {
            let why = format!(
                "unable to parse {text}; write NAME://host:port, with nothing for the host to take every address"
            );
            return Err(settings.conflict("listeners", why));
        };
        check_protocol(settings, &protocols, &name, names.contains(&name))?;
        if let Some(other) = listeners.iter().find(|other| other.name == name) {
            return Err(settings
                .conflict("listeners", format!("each listener needs a name of its own; {} stands twice", other.name)));
        }
        if port != 0 && listeners.iter().any(|other| other.port == port && other.host == host) {
            return Err(
                settings.conflict("listeners", format!("each listener needs a port of its own; {port} stands twice"))
            );
        }
        listeners.push(Listener { is_controller: names.contains(&name), name, host, port });
    }
    if listeners.iter().all(|listener| listener.is_controller) {
        return Err(settings.conflict("listeners", "clients need a listener that is not in controller.listener.names"));
    }
    Ok(listeners)
}

/// Where metrics are told: `odradek.metrics.listener`.
pub(super) fn metrics(settings: &Settings) -> Result<Option<Listener>, ConfigError> {
    let key = "odradek.metrics.listener";
    let Some(text) = read::<Option<String>>(settings, key).filter(|text| !text.is_empty()) else { return Ok(None) };
    match parse(&format!("METRICS://{text}")) {
        Some((name, host, port)) => Ok(Some(Listener { name, host, port, is_controller: false })),
        None => Err(settings.conflict(key, format!("unable to parse {text}; write host:port, or :port"))),
    }
}

/// What clients are told: `advertised.listeners`, else the listeners with `host_name` where they name none.
pub(super) fn advertised(
    settings: &Settings,
    listeners: &[Listener],
    host_name: fn() -> String,
) -> Result<Vec<Endpoint>, ConfigError> {
    let clients = || listeners.iter().filter(|listener| !listener.is_controller);
    let Some(texts) = read::<Option<Vec<String>>>(settings, "advertised.listeners") else {
        let endpoints = clients().map(|listener| Endpoint {
            listener: listener.name.clone(),
            host: listener.host.clone().unwrap_or_else(host_name),
            port: listener.port,
        });
        let endpoints: Vec<_> = endpoints.collect();
        let remedy = "set advertised.listeners to an address clients can reach; they cannot connect to";
        return refuse_meta_addresses(settings, "listeners", remedy, endpoints);
    };
    let mut endpoints = Vec::new();
    for text in texts {
        let Some((name, host, port)) = parse(&text) else {
            return Err(
                settings.conflict("advertised.listeners", format!("unable to parse {text}; write NAME://host:port"))
            );
        };
        if !listeners.iter().any(|listener| listener.name == name) {
            return Err(settings.conflict("advertised.listeners", format!("{name} is not one of the listeners")));
        }
        if clients().any(|listener| listener.name == name) {
            endpoints.push(Endpoint { listener: name, host: host.unwrap_or_else(host_name), port });
        }
    }
    if endpoints.is_empty() {
        return Err(settings.conflict("advertised.listeners", "name at least one listener that is not a controller's"));
    }
    refuse_meta_addresses(
        settings,
        "advertised.listeners",
        "name an address clients can reach; they cannot connect to",
        endpoints,
    )
}

fn refuse_meta_addresses(
    settings: &Settings,
    key: &str,
    remedy: &str,
    endpoints: Vec<Endpoint>,
) -> Result<Vec<Endpoint>, ConfigError> {
    match endpoints.iter().find(|endpoint| matches!(endpoint.host.as_str(), "0.0.0.0" | "::")) {
        Some(endpoint) => Err(settings.conflict(key, format!("{remedy} {}", endpoint.host))),
        None => Ok(endpoints),
    }
}

/// Listener name to security protocol.
fn protocols(settings: &Settings) -> Result<BTreeMap<String, String>, ConfigError> {
    let key = "listener.security.protocol.map";
    let text: String = read(settings, key);
    let mut protocols = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((name, protocol)) = pair.split_once(':') else {
            return Err(
                settings.conflict(key, format!("unable to parse {pair}; write LISTENER:PROTOCOL,LISTENER:PROTOCOL"))
            );
        };
        if !matches!(protocol.trim(), "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL") {
            return Err(
                settings.conflict(key, format!("{protocol} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"))
            );
        }
        protocols.insert(name.trim().to_uppercase(), protocol.trim().to_string());
    }
    Ok(protocols)
}

fn check_protocol(
    settings: &Settings,
    protocols: &BTreeMap<String, String>,
    name: &str,
    is_controller: bool,
) -> Result<(), ConfigError> {
    let is_map_configured = settings.is_configured("listener.security.protocol.map");
    match protocols.get(name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol) => {
            let why = format!("listener {name} uses {protocol}, but only PLAINTEXT is supported so far");
            Err(settings.conflict("listeners", why))
        }
        None if is_controller && !is_map_configured => Ok(()),
        None => {
            let why = format!(
                "no security protocol is defined for listener {name}; add {name}:PLAINTEXT to \
                 listener.security.protocol.map, or {name} to controller.listener.names if it is the controllers'"
            );
            Err(settings.conflict("listeners", why))
        }
    }
}

fn controller_names(settings: &Settings) -> Vec<String> {
    let names: Vec<String> = read(settings, "controller.listener.names");
    names.iter().map(|name| name.to_uppercase()).collect()
}

/// `NAME://host:port`; the host may be absent or an IPv6 address in brackets.
fn parse(text: &str) -> Option<(String, Option<String>, u16)> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
    let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || "-%._:".contains(c));
    let port = port.parse().ok()?;
    if name.is_empty() || !is_host {
        return None;
    }
    Some((name.to_uppercase(), (!host.is_empty()).then(|| host.to_string()), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;

    fn resolve(text: &str) -> Result<(Vec<Listener>, Vec<Endpoint>), String> {
        let (settings, _) = Settings::new(&Properties::parse("f", text)).map_err(|e| e.to_string())?;
        let listeners = listeners(&settings).map_err(|e| e.to_string())?;
        let advertised = advertised(&settings, &listeners, || "me".into()).map_err(|e| e.to_string())?;
        Ok((listeners, advertised))
    }

    fn endpoint(listener: &str, host: &str, port: u16) -> Endpoint {
        Endpoint { listener: listener.into(), host: host.into(), port }
    }

    #[test]
    fn metrics_have_a_listener_only_when_they_are_given_one() {
        let resolve = |text: &str| metrics(&Settings::new(&Properties::parse("f", text)).unwrap().0);
        assert_eq!(resolve("").unwrap(), None);
        let listener = resolve("odradek.metrics.listener=[::1]:9404").unwrap().unwrap();
        assert_eq!((listener.host.as_deref(), listener.port), (Some("::1"), 9404));
        assert!(resolve("odradek.metrics.listener=9404").unwrap_err().to_string().contains("write host:port"));
    }

    #[test]
    fn the_default_takes_every_address_and_tells_clients_the_hosts_name() {
        let (listeners, advertised) = resolve("").unwrap();
        let expected = Listener { name: "PLAINTEXT".into(), host: None, port: 9092, is_controller: false };
        assert_eq!(listeners, [expected]);
        assert_eq!(advertised, [endpoint("PLAINTEXT", "me", 9092)]);
    }

    #[test]
    fn a_controllers_listener_is_not_advertised_to_clients() {
        let text = "listeners=PLAINTEXT://h:1,CONTROLLER://:2\ncontroller.listener.names=CONTROLLER";
        let (listeners, advertised) = resolve(text).unwrap();
        assert!(listeners[1].is_controller);
        assert_eq!(advertised, [endpoint("PLAINTEXT", "h", 1)]);
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let (listeners, _) = resolve("listeners=plaintext://[::1]:9092").unwrap();
        assert_eq!(listeners[0].host.as_deref(), Some("::1"));
        assert_eq!(listeners[0].name, "PLAINTEXT");
    }

    #[test]
    fn a_security_protocol_that_is_not_supported_is_refused_by_name() {
        let error = resolve("listeners=SSL://:9093").unwrap_err();
        assert!(error.starts_with("f:1: listeners=SSL://:9093: listener SSL uses SSL, but only PLAINTEXT"), "{error}");
    }

    #[test]
    fn malformed_and_clashing_listeners_are_refused() {
        for text in ["PLAINTEXT//:9092", "PLAINTEXT://:x", "PLAINTEXT://:99999", "FOO://:1", "", "PLAINTEXT://a b:1"] {
            assert!(resolve(&format!("listeners={text}")).is_err(), "{text}");
        }
        let map = "\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT";
        assert!(resolve(&format!("listeners=A://:1,A://:2{map}")).is_err());
        assert!(resolve(&format!("listeners=A://:1,B://:1{map}")).is_err());
        assert!(resolve(&format!("listeners=A://:0,B://:0{map}")).is_ok());
    }

    #[test]
    fn an_address_nobody_can_connect_to_is_not_advertised() {
        let error = resolve("listeners=PLAINTEXT://0.0.0.0:9092").unwrap_err();
        assert!(error.contains("set advertised.listeners"), "{error}");
        let text = "listeners=PLAINTEXT://0.0.0.0:9092\nadvertised.listeners=PLAINTEXT://localhost:9092";
        assert_eq!(resolve(text).unwrap().1, [endpoint("PLAINTEXT", "localhost", 9092)]);
        assert!(resolve("advertised.listeners=OTHER://h:1").is_err());
    }
}
