//! Old offsets go, and with its last one a group that is empty; some groups at a time.

use super::{Committed, tombstone};
use crate::coordinator::Turn;
use crate::group::kind::{Aging, Group};
use crate::group::limits::EXPIRED_PER_TURN_MAX;
use crate::group::machine::GroupMachine;
use crate::group::settings::{offsets_retention_ms, retention_check_interval};
use crate::group::timer::Timer;
use odradek_protocol::primitives::Str;
use std::ops::Bound;
use std::time::Duration;

/// How far a round over all groups has come.
#[derive(Debug, Default)]
pub struct Round {
    last: Option<Str>,
}

impl GroupMachine {
    /// Goes on with the round, or begins the next in its time.
    pub(in crate::group) fn expire_offsets(&mut self, turn: &mut Turn<'_, Self>) {
        let from = self.round.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let groups: Vec<Str> = self
            .groups
            .range::<Str, _>((from, Bound::Unbounded))
            .map(|(id, _)| id.clone())
            .take(EXPIRED_PER_TURN_MAX)
            .collect();
        for (count, id) in groups.iter().enumerate() {
            self.expire_group(turn, id);
            let is_last = count + 1 == groups.len();
            if turn.records().count() >= EXPIRED_PER_TURN_MAX || (is_last && groups.len() == EXPIRED_PER_TURN_MAX) {
                self.round.last = Some(id.clone());
                return turn.schedule(Timer::Expiry, Duration::ZERO);
            }
        }
        turn.schedule(Timer::Expiry, retention_check_interval(self.config()));
    }

    fn expire_group(&self, turn: &mut Turn<'_, Self>, id: &Str) {
        let group = &self.groups[id];
        let topics = self.offsets.of(id);
        let Some(aging) = group.aging().or(topics.is_none().then_some(Aging::FromCommit)) else { return };
        let now = turn.moment.wall.0;
        let retention = offsets_retention_ms(self.config());
        let mut is_bare = !self.offsets.has_open_transactions(id);
        for (topic, partitions) in topics.into_iter().flatten() {
            let is_consumed = group.is_subscribed_to(topic);
            for (index, offset) in partitions {
                let is_due = !is_consumed && is_expired(offset, aging, now, retention);
                if is_due && !self.offsets.is_pending(id, topic, *index) {
                    turn.record(tombstone(id, topic, *index));
                    turn.may_tear();
                } else {
                    is_bare = false;
                }
            }
        }
        if is_bare && group.check_delete().is_ok() && !group.expects_members() {
            for record in group.tombstones(id) {
                turn.record(record);
                turn.may_tear();
            }
        }
    }
}

fn is_expired(offset: &Committed, aging: Aging, now: i64, retention: i64) -> bool {
    let since = match aging {
        Aging::FromCommit => offset.committed_ms,
        Aging::FromEmptiness(since) if since.0 >= 0 => since.0.max(offset.committed_ms),
        Aging::FromEmptiness(_) => offset.committed_ms,
    };
    offset.expires_ms.map_or(now.saturating_sub(since) >= retention, |expires| now >= expires)
}

impl Group {
    /// An id was given out whose member has not come yet.
    fn expects_members(&self) -> bool {
        match self {
            Self::Classic(group) => group.has_pending_members(),
            Self::Consumer(_) => false,
        }
    }
}
