//! ListGroups: the groups of one partition that pass the filters.

use super::kind::Group;
use super::machine::GroupMachine;
use odradek_protocol::messages::list_groups_response::ListedGroup;
use odradek_protocol::primitives::Str;

impl GroupMachine {
    /// An empty filter lets everything through; case does not matter.
    pub(super) fn list(&self, states: &[Str], types: &[Str]) -> Vec<ListedGroup> {
        let passes = |filter: &[Str], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        let listed = self.groups.values().map(|group| match group {
            Group::Classic(group) => group.list(),
            Group::Consumer(group) => group.list(),
        });
        listed.filter(|group| passes(states, &group.group_state) && passes(types, &group.group_type)).collect()
    }
}
