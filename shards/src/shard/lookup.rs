//! Questions about offsets: by time, by leader epoch, where a log starts and ends; and moving the start.

use super::Shard;
use super::responder::Responder;
use crate::error::Unavailable;
use crate::limits::{REPLACEMENT_POLL, SEARCHES_MAX};
use crate::log::{Lookup, LookupPlan, Search};
use crate::message::{
    DeleteRecordsPart, Description, EpochEndPart, EpochEndResult, ListOffsetsPart, ListOffsetsResult, ListedOffset,
    LogDirIndex, OffsetQuery, Reply,
};
use crate::partition::State;
use crate::partition::driver::Replica;
use crate::runtime;
use crate::types::{Offset, TopicPartition};
use futures_util::FutureExt;
use std::rc::Rc;

/// An answer, or the search it takes.
enum Listing {
    Known(ListedOffset),
    Search { plan: LookupPlan, log_dir: LogDirIndex, part: ListOffsetsPart },
}

impl Shard {
    pub(super) fn list_offsets(self: &Rc<Self>, parts: &[ListOffsetsPart], responder: Responder) {
        let listings: Vec<_> = parts.iter().map(|part| self.plan_listing(part)).collect();
        let at_once = !listings.iter().any(|listing| matches!(listing, Ok(Listing::Search { .. })));
        let shard = self.clone();
        let answer = async move {
            let mut results = Vec::with_capacity(listings.len());
            for listing in listings {
                results.push(shard.finish_listing(listing).await);
            }
            responder.reply(Reply::ListOffsets(results));
        };
        match at_once {
            true => answer.now_or_never().expect("no search was planned"),
            false => runtime::spawn(answer),
        }
    }

    fn plan_listing(&self, part: &ListOffsetsPart) -> Result<Listing, Unavailable> {
        let replica = self.replica(part.partition)?;
        replica.machine().check_epoch(part.current_leader_epoch)?;
        let machine = replica.machine();
        let below = machine.state().readable_end(part.isolation);
        let search = |what| {
            let (plan, log_dir) = (replica.log().plan_lookup(what, below), replica.home().log_dir);
            Ok(Listing::Search { plan, log_dir, part: *part })
        };
        match part.query {
            OffsetQuery::Latest => Ok(Listing::Known(latest(machine.state(), below))),
            OffsetQuery::Earliest | OffsetQuery::EarliestLocal => Ok(Listing::Known(earliest(&replica))),
            OffsetQuery::LatestTiered => Ok(Listing::Known(ListedOffset::default())),
            OffsetQuery::MaxTimestamp => search(Lookup::MaxTimestamp),
            OffsetQuery::At(timestamp) => search(Lookup::At(timestamp)),
        }
    }

    async fn finish_listing(&self, listing: Result<Listing, Unavailable>) -> ListOffsetsResult {
        let mut next = listing;
        for _ in 0..SEARCHES_MAX {
            let (plan, log_dir, part) = match next? {
                Listing::Known(listed) => return Ok(listed),
                Listing::Search { plan, log_dir, part } => (plan, log_dir, part),
            };
            match plan.run().await {
                Ok(Search::Nothing) => return Ok(ListedOffset::default()),
                Ok(Search::Found(found)) => {
                    return Ok(ListedOffset {
                        timestamp: Some(found.timestamp),
                        offset: Some(found.offset),
                        leader_epoch: Some(found.leader_epoch),
                    });
                }
                Ok(Search::Outdated) => {
                    // A replacement takes a moment.
                    runtime::sleep(REPLACEMENT_POLL).await;
                    next = self.plan_listing(&part);
                }
                Err(error) => {
                    self.read_failed(log_dir, &error);
                    return Err(Unavailable::Storage);
                }
            }
        }
        // The client asks again.
        Err(Unavailable::NotReady)
    }

    pub(super) fn epoch_end(&self, parts: &[EpochEndPart]) -> Reply {
        let end = |part: &EpochEndPart| -> EpochEndResult {
            let replica = self.replica(part.partition)?;
            replica.machine().check_epoch(part.current_leader_epoch)?;
            Ok(replica.epoch_end(part.leader_epoch))
        };
        Reply::EpochEnd(parts.iter().map(end).collect())
    }

    pub(super) fn delete_records(&self, parts: &[DeleteRecordsPart]) -> Reply {
        let delete = |part: &DeleteRecordsPart| {
            let replica = self.replica(part.partition)?;
            replica.delete_records(&self.host(), part.before)
        };
        Reply::DeleteRecords(parts.iter().map(delete).collect())
    }

    pub(super) fn describe(&self, which: Option<Vec<TopicPartition>>) -> Reply {
        let replicas = match which {
            None => self.replicas(),
            Some(which) => which.into_iter().filter_map(|partition| self.replica(partition).ok()).collect(),
        };
        let describe =
            |replica: &Rc<Replica>| Description { future: self.describe_future(replica), ..replica.describe() };
        Reply::Describe(replicas.iter().map(describe).collect())
    }
}

fn latest(state: &State, end: Offset) -> ListedOffset {
    ListedOffset { timestamp: None, offset: Some(end), leader_epoch: Some(state.leader_epoch) }
}

fn earliest(replica: &Replica) -> ListedOffset {
    let start = replica.machine().state().log_start;
    ListedOffset { timestamp: None, offset: Some(start), leader_epoch: replica.log().epochs().epoch_at(start) }
}
