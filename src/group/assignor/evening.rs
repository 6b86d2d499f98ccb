//! Moves partitions from those who have more to those who have less, where subscriptions differ.
//!
//! Topic by topic, to and fro, until no single move makes two members more equal: each one lowers the sum of squares, so
//! it ends.

use super::uniform::Shares;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Few are needed: what a topic cannot even out by itself goes on with the next, and comes back in the other direction.
const ROUNDS_MAX: usize = 50;

/// What two members differ by at least, so that a move makes them more equal.
const GAP_MIN: usize = 2;

impl Shares<'_> {
    pub(super) fn even_out(&mut self) {
        let mut topics: Vec<usize> = (0..self.owners.len()).collect();
        topics.sort_by_key(|topic| self.subscriptions.subjects[*topic].subscribers);
        let mut gap = self.loads.iter().max().copied().unwrap_or(0);
        for _ in 0..ROUNDS_MAX {
            gap = (gap / 2).max(GAP_MIN);
            let moves: usize = topics.iter().map(|topic| self.even_out_topic(*topic, gap)).sum();
            if moves == 0 && gap == GAP_MIN {
                return;
            }
            topics.reverse();
        }
    }

    /// From those who have `gap` more to those who have as many less; how many of its partitions have moved.
    fn even_out_topic(&mut self, topic: usize, gap: usize) -> usize {
        let most = self.owners[topic].iter().flatten().map(|place| self.loads[*place]).max().unwrap_or(0);
        if !self.subscriptions.subscribers(topic).any(|place| self.loads[place] + gap <= most) {
            return 0;
        }
        let mut held: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, owner) in self.owners[topic].iter().enumerate() {
            if let Some(place) = owner {
                held.entry(*place).or_default().push(index);
            }
        }
        let mut givers: BinaryHeap<_> = held.keys().map(|place| (self.loads[*place], *place)).collect();
        let takers = self.subscriptions.subscribers(topic).map(|place| Reverse((self.loads[place], place)));
        let mut takers: BinaryHeap<_> = takers.collect();
        let mut moves = 0;
        // What one of them had before it last gave or got something is passed over.
        while let Some((most, from)) = givers.pop() {
            if self.loads[from] != most {
                continue;
            }
            let Some(index) = held.get_mut(&from).and_then(Vec::pop) else { continue };
            while takers.peek().is_some_and(|Reverse((least, to))| self.loads[*to] != *least) {
                takers.pop();
            }
            let Some(Reverse((least, to))) = takers.pop().filter(|Reverse((least, _))| least + gap <= most) else {
                break;
            };
            self.owners[topic][index] = Some(to);
            self.loads[from] -= 1;
            self.loads[to] += 1;
            givers.push((most - 1, from));
            takers.push(Reverse((most - 1, from)));
            takers.push(Reverse((least + 1, to)));
            moves += 1;
        }
        moves
    }
}
