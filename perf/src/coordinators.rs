//! Which broker coordinates which group.

use crate::client::Client;
use crate::failure::Failure;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::find_coordinator_response::Coordinator;
use odradek_protocol::messages::{FindCoordinatorRequest, ListGroupsRequest};
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long the brokers may take to make their internal topic.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Groups in a request.
const GROUPS_MAX: usize = 500;

/// The groups, by index into `groups`, of each coordinator. Waits for coordinators that are not there yet.
pub fn find(client: &mut Client, groups: &[Str]) -> Result<BTreeMap<SocketAddr, Vec<usize>>, Failure> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (turn, some) in groups.chunks(GROUPS_MAX).enumerate() {
        for (nth, coordinator) in find_some(client, some)?.iter().enumerate() {
            let port = u16::try_from(coordinator.port).map_err(|_| Failure::Protocol("a port out of range"))?;
            let address = (&*coordinator.host, port).to_socket_addrs()?.next();
            let address = address.ok_or(Failure::Protocol("a coordinator without an address"))?;
            found.entry(address).or_default().push(turn * GROUPS_MAX + nth);
        }
    }
    Ok(found)
}

fn find_some(client: &mut Client, groups: &[Str]) -> Result<Vec<Coordinator>, Failure> {
    let deadline = Instant::now() + FOUND_WITHIN;
    let request = FindCoordinatorRequest { coordinator_keys: groups.to_vec(), ..Default::default() };
    loop {
        let answer = client.call(&request)?.coordinators;
        if answer.len() != groups.len() || answer.iter().zip(groups).any(|(found, group)| found.key != *group) {
            return Err(Failure::Protocol("coordinators of other groups"));
        }
        match answer.iter().map(|found| ErrorCode::from_code(found.error_code)).find(|code| !code.is_none()) {
            None => return Ok(answer),
            Some(code) if code.is_retriable() && Instant::now() < deadline => std::thread::sleep(ASK_AGAIN_AFTER),
            Some(code) => return Err(Failure::Broker { what: "finding the coordinators".to_owned(), code }),
        }
    }
}

/// How many of a coordinator's groups whose names begin so are stable.
pub fn stable(client: &mut Client, prefix: &str) -> Result<usize, Failure> {
    let answer = client.call(&ListGroupsRequest { states_filter: vec!["Stable".into()], ..Default::default() })?;
    Failure::check(answer.error_code, || "listing the groups".to_owned())?;
    Ok(answer.groups.iter().filter(|group| group.group_id.starts_with(prefix)).count())
}

/// A coordinator's connections, and its groups by index.
pub struct Share<'a> {
    pub address: SocketAddr,
    pub connections: usize,
    pub groups: &'a [usize],
}

/// Spreads `connections` over the coordinators, one at least to each.
pub fn shares(coordinators: &BTreeMap<SocketAddr, Vec<usize>>, connections: u32) -> Result<Vec<Share<'_>>, Failure> {
    let (count, connections) = (coordinators.len(), connections as usize);
    if connections < count {
        return Err(Failure::Arguments(format!("{count} brokers coordinate groups: as many connections are needed")));
    }
    let share = |(turn, (address, groups)): (usize, (&SocketAddr, _))| Share {
        address: *address,
        connections: (connections - turn).div_ceil(count),
        groups,
    };
    Ok(coordinators.iter().map(|(address, groups)| (address, groups.as_slice())).enumerate().map(share).collect())
}

/// Names of groups that no earlier run has left members in.
pub fn names(workload: &str, count: u32) -> (String, Vec<Str>) {
    let prefix = format!("perf-{workload}-{}-", std::process::id());
    let names = (0..count).map(|nth| Str::from(format!("{prefix}{nth}"))).collect();
    (prefix, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coordinator_has_its_share_of_the_connections() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let coordinators = BTreeMap::from([(address(1), vec![0, 2]), (address(2), vec![1])]);
        let shares_of = |connections| {
            let shares = shares(&coordinators, connections).unwrap();
            shares
                .iter()
                .map(|share| (share.address.port(), share.connections, share.groups.to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(shares_of(5), [(1, 3, vec![0, 2]), (2, 2, vec![1])]);
        assert!(shares(&coordinators, 1).is_err(), "a coordinator nobody would talk to");
    }
}
