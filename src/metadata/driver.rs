//! Publishes: committed records in, images out to whoever makes them true on every shard.

use super::{Delta, Image, Provenance, ReplayError, Replayer};
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::types::Offset;
use std::sync::Arc;

/// Replays committed records and hands out each new image; the next only when the last is in force.
pub struct Publisher<P> {
    replayer: Replayer,
    publish: P,
    published: Offset,
}

impl<P, F> Publisher<P>
where
    P: Fn(Arc<Delta>, Arc<Image>) -> F,
    F: Future<Output = ()>,
{
    /// `publish` makes a change true: logs first, then the image everywhere. It is never called again before it is done.
    pub fn new(publish: P) -> Self {
        Self { replayer: Replayer::new(Arc::default()), publish, published: Offset(-1) }
    }

    /// With all committed records, also those not published yet.
    pub fn replayer(&self) -> &Replayer {
        &self.replayer
    }

    /// The last offset whose effects every shard sees.
    pub fn published(&self) -> Offset {
        self.published
    }

    pub fn set_kraft_version(&mut self, level: i16) {
        self.replayer.set_kraft_version(level);
    }

    /// One committed batch.
    pub fn replay(&mut self, records: &[MetadataRecord], last: Provenance) -> Result<(), ReplayError> {
        records.iter().try_for_each(|record| self.replayer.replay(record))?;
        self.replayer.end_batch(last);
        Ok(())
    }

    /// Puts in force what was replayed since, unless a metadata transaction is still open.
    pub async fn publish(&mut self) {
        if let Some((delta, image)) = self.replayer.publish() {
            let offset = image.offset();
            (self.publish)(delta, image).await;
            self.published = offset;
        }
    }
}
