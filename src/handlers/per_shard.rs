//! Parts of one request gathered by the shard that must answer them: one message per shard, answers matched to their parts.

use odradek_shards::Shards;
use odradek_shards::message::{Reply, Request};
use odradek_shards::types::ShardId;

/// Parts `P`, each under a key `K` that says where its answer belongs.
#[derive(Debug)]
pub struct PerShard<K, P> {
    shards: Vec<(ShardId, Vec<K>, Vec<P>)>,
}

impl<K, P> Default for PerShard<K, P> {
    fn default() -> Self {
        Self { shards: Vec::new() }
    }
}

impl<K, P> PerShard<K, P> {
    pub fn add(&mut self, shard: ShardId, key: K, part: P) {
        match self.shards.iter_mut().find(|(known, ..)| *known == shard) {
            Some((_, keys, parts)) => {
                keys.push(key);
                parts.push(part);
            }
            None => self.shards.push((shard, vec![key], vec![part])),
        }
    }

    /// Sends at the call, one request per shard. The future brings every key with its part's answer, or with `None`
    /// when its shard has closed.
    pub fn ask<R, Ask: Fn(Vec<P>) -> Request, Take: Fn(Reply) -> Option<Vec<R>>>(
        self,
        shards: &Shards,
        request: Ask,
        take: Take,
    ) -> impl Future<Output = Vec<(K, Option<R>)>> + use<K, P, R, Ask, Take> {
        let sent: Vec<_> =
            self.shards.into_iter().map(|(shard, keys, parts)| (keys, shards.call(shard, request(parts)))).collect();
        async move {
            let mut answers = Vec::new();
            for (keys, reply) in sent {
                match take(reply.await) {
                    Some(results) => {
                        assert_eq!(results.len(), keys.len(), "a shard answers every part of a request");
                        answers.extend(keys.into_iter().zip(results.into_iter().map(Some)));
                    }
                    None => answers.extend(keys.into_iter().map(|key| (key, None))),
                }
            }
            answers
        }
    }

    /// Like [`PerShard::ask`] where a shard may answer fewer parts than it was asked for; a closed one answers none.
    pub fn ask_any<R>(
        self,
        shards: &Shards,
        request: impl Fn(Vec<P>) -> Request,
        take: impl Fn(Reply) -> Option<Vec<R>>,
    ) -> impl Future<Output = Vec<R>> {
        let sent: Vec<_> =
            self.shards.into_iter().map(|(shard, _, parts)| shards.call(shard, request(parts))).collect();
        async move {
            let mut answers = Vec::new();
            for reply in sent {
                answers.extend(take(reply.await).unwrap_or_default());
            }
            answers
        }
    }
}
