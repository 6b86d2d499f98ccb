//! A sorted map whose copies share what they have in common: a change copies one chunk and the list of chunks, never the whole.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries in a chunk before it is split; a copy after a change touches at most this many.
const CHUNK_ENTRIES_MAX: usize = 128;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// Sorted by key, cheap to clone, cheap to change after a clone: O(n / 64 + 128) copies of pointers, not of entries.
///
/// Values should be small or an `Arc`, since a changed chunk clones its neighbours.
pub struct SharedMap<K, V> {
    /// No chunk is empty; keys ascend within and across chunks.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = chunk.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Some(&chunk[at].1)
    }

    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get(key).is_some()
    }

    /// The value, made our own first if a copy shares it.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(key);
        let at = self.chunks.get(index)?.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunk = &mut Arc::make_mut(&mut self.chunks)[index];
        Some(&mut Arc::make_mut(chunk)[at].1)
    }

    /// The value that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.chunk_of(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(chunk) = chunks.get_mut(index) else {
            chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut chunk[at].1, value)),
            Err(at) => {
                chunk.insert(at, (key, value));
                if chunk.len() > CHUNK_ENTRIES_MAX {
                    let upper = chunk.split_off(CHUNK_ENTRIES_MAX / 2);
                    chunks.insert(index + 1, Arc::new(upper));
                }
                self.len += 1;
                None
            }
        }
    }

    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(key);
        let at = self.chunks.get(index)?.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let (_, value) = chunk.remove(at);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        self.len -= 1;
        Some(value)
    }

    /// In key order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(k, v)| (k, v)))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(k, _)| k)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, v)| v)
    }

    /// From the first key at or after `from`, in key order.
    pub fn range_from<Q>(&self, from: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(from);
        let skipped = self.chunks.get(index).map_or(0, |chunk| chunk.partition_point(|(k, _)| k.borrow() < from));
        self.chunks[index.min(self.chunks.len())..]
            .iter()
            .flat_map(|chunk| chunk.iter().map(|(k, v)| (k, v)))
            .skip(skipped)
    }

    pub fn last_key(&self) -> Option<&K> {
        Some(&self.chunks.last()?.last()?.0)
    }

    /// The chunk that holds `key` or would: the last one whose first key is not above it, or the first.
    fn chunk_of<Q>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key).saturating_sub(1)
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }
}

/// By entries: how they are cut into chunks depends on history and does not count.
impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && (Arc::ptr_eq(&self.chunks, &other.chunks) || self.iter().eq(other.iter()))
    }
}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A small generator, so that the test needs no seed from outside.
    fn numbers(count: usize) -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
        .take(count)
    }

    #[test]
    fn it_behaves_like_a_sorted_map() {
        let mut ours = SharedMap::new();
        let mut model = BTreeMap::new();
        for number in numbers(20_000) {
            let key = number % 1500;
            if number & (1 << 40) == 0 {
                assert_eq!(ours.insert(key, number), model.insert(key, number));
            } else {
                assert_eq!(ours.remove(&key), model.remove(&key));
            }
            assert_eq!(ours.len(), model.len());
        }
        assert!(ours.iter().eq(model.iter()));
        for from in [0, 3, 749, 1499, 5000] {
            assert!(ours.range_from(&from).eq(model.range(from..)));
        }
    }

    #[test]
    fn a_change_leaves_earlier_copies_alone_and_shares_the_rest() {
        let before: SharedMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let mut after = before.clone();
        after.insert(5, 500);
        assert_eq!(before.get(&5), Some(&5));
        assert_eq!(after.get(&5), Some(&500));
        let shared =
            before.chunks.iter().filter(|chunk| after.chunks.iter().any(|other| Arc::ptr_eq(chunk, other))).count();
        assert_eq!(shared, before.chunks.len() - 1);
    }

    #[test]
    fn equality_ignores_how_entries_are_cut_into_chunks() {
        let rising: SharedMap<u32, u32> = (0..1000).map(|n| (n, n)).collect();
        let falling: SharedMap<u32, u32> = (0..1000).rev().map(|n| (n, n)).collect();
        assert_eq!(rising, falling);
    }
}
