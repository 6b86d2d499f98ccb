//! How many connections there are: per shard, per address, in all.

use odradek_shards::types::ShardId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

/// `max.connections`, `max.connections.per.ip` and `max.connections.per.ip.overrides`, and what the process can hold.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    pub connections_max: usize,
    /// So many descriptors may be connections, the others are for files.
    pub descriptors_max: usize,
    pub per_address_max: usize,
    pub overrides: HashMap<IpAddr, usize>,
}

/// Shared by all shards; touched when a connection opens or closes, never between.
#[derive(Debug)]
pub struct ConnectionCounts {
    limits: ConnectionLimits,
    per_shard: Vec<AtomicUsize>,
    total: AtomicUsize,
    per_address: Mutex<HashMap<IpAddr, usize>>,
}

/// What keeps the broker from taking another connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// `max.connections` are open.
    Configured,
    /// As many are open as the limit on open files has room for besides the logs' files.
    Descriptors,
}

/// One connection's place in the counts; given back on drop, on whichever shard that happens.
#[derive(Debug)]
pub struct Place {
    counts: Arc<ConnectionCounts>,
    pub shard: ShardId,
    address: IpAddr,
}

impl ConnectionCounts {
    pub fn new(limits: ConnectionLimits, shards: u16) -> Arc<Self> {
        assert!(shards > 0, "there is at least one shard");
        let per_shard = (0..shards).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { limits, per_shard, total: AtomicUsize::new(0), per_address: Mutex::default() })
    }

    /// Why no more are accepted until one closes, if that is so.
    pub fn fill(&self) -> Option<Fill> {
        let (total, limits) = (self.total(), &self.limits);
        if total >= limits.connections_max {
            return Some(Fill::Configured);
        }
        (total >= limits.descriptors_max).then_some(Fill::Descriptors)
    }

    pub fn total(&self) -> usize {
        self.total.load(Relaxed)
    }

    /// A place on the shard with the fewest connections; `None` when the address has its fill.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        {
            let mut per_address = self.addresses();
            let count = per_address.entry(address).or_default();
            if *count >= self.limit_of(address) {
                return None;
            }
            *count += 1;
        }
        let shard = self.fewest();
        self.per_shard[usize::from(shard.0)].fetch_add(1, Relaxed);
        self.total.fetch_add(1, Relaxed);
        Some(Place { counts: self.clone(), shard, address })
    }

    fn limit_of(&self, address: IpAddr) -> usize {
        self.limits.overrides.get(&address).copied().unwrap_or(self.limits.per_address_max)
    }

    fn fewest(&self) -> ShardId {
        let counts = self.per_shard.iter().map(|count| count.load(Relaxed));
        let (index, _) = counts.enumerate().min_by_key(|(_, count)| *count).expect("there is at least one shard");
        ShardId(u16::try_from(index).expect("shards are counted in 16 bits"))
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.per_address.lock().expect("nothing panics while it holds the counts")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.per_shard[usize::from(self.shard.0)].fetch_sub(1, Relaxed);
        self.counts.total.fetch_sub(1, Relaxed);
        let mut per_address = self.counts.addresses();
        let count = per_address.get_mut(&self.address).expect("an admitted address is counted");
        *count -= 1;
        if *count == 0 {
            per_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(connections_max: usize, per_address_max: usize) -> Arc<ConnectionCounts> {
        let overrides = HashMap::from([(IpAddr::from([10, 0, 0, 9]), 2)]);
        let limits = ConnectionLimits { connections_max, descriptors_max: 3, per_address_max, overrides };
        ConnectionCounts::new(limits, 3)
    }

    #[test]
    fn each_connection_goes_to_the_shard_with_the_fewest() {
        let counts = counts(100, 100);
        let address = IpAddr::from([10, 0, 0, 1]);
        let mut places: Vec<Place> = (0..3).filter_map(|_| counts.admit(address)).collect();
        assert_eq!(places.iter().map(|place| place.shard.0).collect::<Vec<_>>(), [0, 1, 2]);
        places.remove(1);
        assert_eq!(counts.admit(address).expect("room").shard, ShardId(1));
    }

    #[test]
    fn an_address_beyond_its_limit_is_refused_until_it_closes_one() {
        let counts = counts(100, 1);
        let address = IpAddr::from([10, 0, 0, 1]);
        let place = counts.admit(address).expect("the first");
        assert!(counts.admit(address).is_none());
        assert!(counts.admit(IpAddr::from([10, 0, 0, 2])).is_some());
        drop(place);
        assert!(counts.admit(address).is_some());
    }

    #[test]
    fn an_override_replaces_the_limit_of_its_address() {
        let counts = counts(100, 1);
        let address = IpAddr::from([10, 0, 0, 9]);
        let places: Vec<Place> = (0..3).filter_map(|_| counts.admit(address)).collect();
        assert_eq!(places.len(), 2);
    }

    #[test]
    fn all_connections_together_fill_the_broker() {
        let counts = counts(1, 10);
        assert_eq!(counts.fill(), None);
        let place = counts.admit(IpAddr::from([10, 0, 0, 1]));
        assert_eq!(counts.fill(), Some(Fill::Configured));
        drop(place);
        assert_eq!(counts.fill(), None);
    }

    #[test]
    fn connections_leave_descriptors_for_files() {
        let counts = counts(100, 100);
        let places: Vec<_> = (0..3).map(|_| counts.admit(IpAddr::from([10, 0, 0, 1]))).collect();
        assert_eq!(counts.fill(), Some(Fill::Descriptors));
        drop(places);
        assert_eq!(counts.fill(), None);
    }
}
