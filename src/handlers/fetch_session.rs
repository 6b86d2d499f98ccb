//! Fetch sessions (KIP-227): what each client is fetching, so that requests and responses carry only what changed.
//!
//! ```text
//! id 0, epoch 0   opens a session          id s, epoch n   the n-th request of session s
//! id s, epoch 0   replaces session s       id s, epoch -1  ends session s, this fetch has none
//! ```

use super::fetch_plan::{Asked, TopicKey};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::fetch_request::{FetchRequest, FetchTopic};
use odradek_protocol::messages::fetch_response::PartitionData;
use odradek_shards::runtime::Instant;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A session untouched for this long may be evicted by any new one; younger ones only by larger.
const EVICTION_AGE: Duration = Duration::from_secs(120);
/// Partitions that all sessions of a shard may hold together.
const PARTITIONS_MAX: usize = 256 << 10;

const OPENING_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
const NO_SESSION: i32 = 0;

/// The sessions of one shard's connections.
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    sessions: HashMap<i32, Session>,
    partitions: usize,
}

#[derive(Debug)]
struct Session {
    /// Epoch the next request must carry.
    epoch: i32,
    by_id: bool,
    partitions: Partitions,
    created: Instant,
    used: Instant,
}

/// A session's partitions in the order they are served: those that just had data go to the end (KIP-74 fairness).
#[derive(Debug, Default)]
struct Partitions {
    places: HashMap<(TopicKey, i32), u64>,
    order: BTreeMap<u64, Cached>,
    next_place: u64,
}

#[derive(Debug)]
struct Cached {
    asked: Asked,
    /// As last told; -1 when the client must be told again.
    high_watermark: i64,
    log_start_offset: i64,
}

/// What a request has to do with sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Sessionless,
    /// Open one if there is room.
    Open,
    Incremental {
        id: i32,
        epoch: i32,
    },
}

impl FetchSessions {
    pub fn new(slots: usize) -> Self {
        Self { slots, sessions: HashMap::new(), partitions: 0 }
    }

    /// Takes a request in: what it fetches, in order, and how its session goes on.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR.
    pub fn admit(&mut self, request: &FetchRequest, by_id: bool, now: Instant) -> Result<(Use, Vec<Asked>), ErrorCode> {
        let id = request.session_id;
        if request.session_epoch == OPENING_EPOCH || request.session_epoch == FINAL_EPOCH {
            if id != NO_SESSION {
                self.remove(id);
            }
            let opening = request.session_epoch == OPENING_EPOCH;
            return Ok((if opening { Use::Open } else { Use::Sessionless }, asked(&request.topics, by_id)));
        }
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.partitions.len();
        session.change(request, by_id);
        session.epoch = next_epoch(session.epoch);
        session.used = now;
        let (after, epoch) = (session.partitions.len(), session.epoch);
        let asked = session.partitions.asked();
        self.partitions = self.partitions + after - before;
        if after == 0 {
            self.remove(id);
            return Ok((Use::Sessionless, asked));
        }
        if self.partitions > PARTITIONS_MAX {
            self.remove(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok((Use::Incremental { id, epoch }, asked))
    }

    /// Opens a session for what was fetched; 0 when there is no room. `id` is random; it is taken if free.
    pub fn open(&mut self, id: i32, fetched: &[(Asked, PartitionData)], by_id: bool, now: Instant) -> i32 {
        let partitions = Partitions::from_fetched(fetched);
        let size = partitions.len();
        let fits = id != NO_SESSION && !self.sessions.contains_key(&id) && self.partitions + size <= PARTITIONS_MAX;
        if !fits || !self.make_room(size, now) {
            return NO_SESSION;
        }
        self.partitions += size;
        self.sessions.insert(id, Session { epoch: 1, by_id, partitions, created: now, used: now });
        id
    }

    /// Which of the partitions fetched have news for the client; remembers what it is told.
    ///
    /// # Errors
    /// The session is gone or went on without this request.
    pub fn news(&mut self, id: i32, epoch: i32, fetched: &[(Asked, PartitionData)]) -> Result<Vec<bool>, ErrorCode> {
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        Ok(fetched.iter().map(|(asked, data)| session.partitions.tell(asked, data)).collect())
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.partitions.len();
        }
    }

    fn make_room(&mut self, size: usize, now: Instant) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        match self.victim(size, now) {
            Some(id) => {
                self.remove(id);
                true
            }
            None => false,
        }
    }

    /// The session longest unused, if it is stale; else the smallest old one, if it is smaller than the newcomer.
    fn victim(&self, size: usize, now: Instant) -> Option<i32> {
        let (id, oldest) = self.sessions.iter().min_by_key(|(_, session)| session.used)?;
        if now.saturating_since(oldest.used) > EVICTION_AGE {
            return Some(*id);
        }
        let old = self.sessions.iter().filter(|(_, session)| now.saturating_since(session.created) > EVICTION_AGE);
        let (id, smallest) = old.min_by_key(|(_, session)| session.partitions.len())?;
        (smallest.partitions.len() < size).then_some(*id)
    }
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

fn asked(topics: &[FetchTopic], by_id: bool) -> Vec<Asked> {
    let partitions = topics.iter().flat_map(|topic| {
        let key = TopicKey::of(&topic.topic, topic.topic_id, by_id);
        topic.partitions.iter().map(move |partition| Asked::new(key.clone(), partition))
    });
    partitions.collect()
}

impl Session {
    /// Adds, updates and forgets partitions as the request says.
    fn change(&mut self, request: &FetchRequest, by_id: bool) {
        for asked in asked(&request.topics, by_id) {
            self.partitions.put(asked);
        }
        for topic in &request.forgotten_topics_data {
            let key = TopicKey::of(&topic.topic, topic.topic_id, by_id);
            topic.partitions.iter().for_each(|partition| self.partitions.forget(&key, *partition));
        }
    }
}

impl Partitions {
    fn from_fetched(fetched: &[(Asked, PartitionData)]) -> Self {
        let mut partitions = Self::default();
        for (asked, data) in fetched {
            partitions.put(asked.clone());
            partitions.tell_quietly(asked, data);
        }
        partitions
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    fn asked(&self) -> Vec<Asked> {
        self.order.values().map(|cached| cached.asked.clone()).collect()
    }

    fn put(&mut self, asked: Asked) {
        let known = self.places.get(&(asked.topic.clone(), asked.partition)).copied();
        match known.and_then(|place| self.order.get_mut(&place)) {
            Some(cached) => cached.asked = asked,
            None => {
                let asked = Asked { topic: asked.topic.detached(), ..asked };
                self.push(Cached { asked, high_watermark: -1, log_start_offset: -1 });
            }
        }
    }

    fn push(&mut self, cached: Cached) {
        self.places.insert((cached.asked.topic.clone(), cached.asked.partition), self.next_place);
        self.order.insert(self.next_place, cached);
        self.next_place += 1;
    }

    fn forget(&mut self, topic: &TopicKey, partition: i32) {
        if let Some(place) = self.places.remove(&(topic.clone(), partition)) {
            self.order.remove(&place);
        }
    }

    fn cached(&mut self, asked: &Asked) -> Option<&mut Cached> {
        let place = self.places.get(&(asked.topic.clone(), asked.partition))?;
        self.order.get_mut(place)
    }

    /// True when the client does not know this yet. A partition with records goes to the end of the order.
    fn tell(&mut self, asked: &Asked, data: &PartitionData) -> bool {
        let Some(cached) = self.cached(asked) else { return false };
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let is_news = cached.remember(data)
            || has_records
            || data.error_code != 0
            || data.preferred_read_replica >= 0
            || data.diverging_epoch.epoch >= 0;
        if has_records {
            self.move_to_end(asked);
        }
        is_news
    }

    fn tell_quietly(&mut self, asked: &Asked, data: &PartitionData) {
        if let Some(cached) = self.cached(asked) {
            cached.remember(data);
        }
    }

    fn move_to_end(&mut self, asked: &Asked) {
        if let Some(place) = self.places.get(&(asked.topic.clone(), asked.partition))
            && let Some(cached) = self.order.remove(place)
        {
            self.push(cached);
        }
    }
}

impl Cached {
    /// True when the offsets differ from what was told before. After an error everything is told again.
    fn remember(&mut self, data: &PartitionData) -> bool {
        let told = (self.high_watermark, self.log_start_offset);
        self.high_watermark = if data.error_code == 0 { data.high_watermark } else { -1 };
        self.log_start_offset = data.log_start_offset;
        told != (data.high_watermark, data.log_start_offset)
    }
}

#[cfg(test)]
mod tests;
