//! Regular expressions over topic names: checked when a member comes with one, looked at again when topics change.
//!
//! They are RE2's syntax, but for what the linear engine here lacks; a whole name has to match.

use super::{ConsumerGroup, Refusal, Resolved};
use crate::coordinator::Moment;
use crate::group::limits::{REGEX_BYTES_MAX, REGEX_PROGRAM_BYTES_MAX, REGEXES_MAX};
use crate::metadata::Image;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;

/// The expression compiled.
pub fn compile(expression: &str) -> Result<Regex, Refusal> {
    let refusal = |why: String| {
        let message = format!("SubscribedTopicRegex `{expression}` is not a valid regular expression: {why}.");
        Refusal::new(ErrorCode::InvalidRegularExpression, message)
    };
    if expression.len() > REGEX_BYTES_MAX {
        return Err(Refusal::new(ErrorCode::InvalidRegularExpression, "SubscribedTopicRegex is too long."));
    }
    let whole = format!("^(?:{expression})$");
    let built =
        RegexBuilder::new(&whole).size_limit(REGEX_PROGRAM_BYTES_MAX).dfa_size_limit(REGEX_PROGRAM_BYTES_MAX).build();
    // By itself it must be one too: brackets that close ours are none of its own.
    let alone = RegexBuilder::new(expression).size_limit(REGEX_PROGRAM_BYTES_MAX).build();
    alone.and(built).map_err(|error| refusal(error.to_string()))
}

impl ConsumerGroup {
    /// A member comes with this one.
    pub(super) fn check_regex(&self, expression: &str) -> Result<(), Refusal> {
        if !self.regexes.contains_key(expression) && self.regexes.len() >= REGEXES_MAX {
            let message = format!("The group has {REGEXES_MAX} different regular expressions already.");
            return Err(Refusal::new(ErrorCode::InvalidRegularExpression, message));
        }
        Ok(())
    }

    /// Expressions that members use and that match other topics than is known; and those nobody uses. Known ones are
    /// matched with `changes`, or with all topics without them.
    pub(super) fn look_up(
        &self,
        moment: &Moment,
        image: &Image,
        changes: Option<&BTreeSet<&Str>>,
    ) -> Vec<(Str, Option<Resolved>)> {
        let used: BTreeSet<&Str> = self.members.values().filter_map(|member| member.expression()).collect();
        let mut found = Vec::new();
        for expression in &used {
            let known = self.regexes.get(*expression);
            let topics = match known.zip(changes) {
                Some((known, changes)) => known.changed(expression, changes, image),
                None => {
                    Some(matched_by(expression, image)).filter(|now| known.is_none_or(|known| known.topics != *now))
                }
            };
            let resolved = |topics| Resolved { topics, version: image.offset().0, timestamp: moment.wall.0 };
            found.extend(topics.map(|topics| ((*expression).clone(), Some(resolved(topics)))));
        }
        let unused = self.regexes.keys().filter(|expression| !used.contains(expression));
        found.extend(unused.map(|expression| (expression.clone(), None)));
        found
    }
}

impl Resolved {
    /// What is matched now that these have come or gone; none when that is what was matched before.
    fn changed(&self, expression: &str, changes: &BTreeSet<&Str>, image: &Image) -> Option<BTreeSet<Str>> {
        let is_there = |name: &Str| image.topics().by_name(name).is_some();
        let (known, others): (Vec<&Str>, Vec<&Str>) = changes.iter().partition(|name| self.topics.contains(**name));
        let gone: Vec<&Str> = known.into_iter().filter(|name| !is_there(name)).collect();
        let others: Vec<&Str> = others.into_iter().filter(|name| is_there(name)).collect();
        let come = if others.is_empty() { BTreeSet::new() } else { matching(expression, others.into_iter()) };
        if gone.is_empty() && come.is_empty() {
            return None;
        }
        let mut topics = self.topics.clone();
        gone.into_iter().for_each(|name| {
            topics.remove(name);
        });
        topics.extend(come);
        Some(topics)
    }
}

/// Of all topics.
pub(super) fn matched_by(expression: &str, image: &Image) -> BTreeSet<Str> {
    matching(expression, image.topics().iter().map(|topic| &topic.name))
}

/// One that another broker let through matches nothing here, if it is none.
fn matching<'a>(expression: &str, names: impl Iterator<Item = &'a Str>) -> BTreeSet<Str> {
    let Ok(regex) = compile(expression) else { return BTreeSet::new() };
    names.filter(|name| !name.starts_with("__") && regex.is_match(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_has_to_match() {
        let regex = compile("orders|pay.*").unwrap();
        assert!(regex.is_match("orders") && regex.is_match("payments"));
        assert!(!regex.is_match("orders-2") && !regex.is_match("my-payments"));
    }

    #[test]
    fn what_is_no_expression_or_too_large_a_one_is_refused() {
        for expression in ["(", "a)(b", "[", "(?<name", "a{1000}{1000}{1000}", &"a".repeat(5000), r"(a)\1"] {
            let refused = compile(expression).unwrap_err();
            assert_eq!(refused.error, ErrorCode::InvalidRegularExpression, "{expression}");
        }
    }

    #[test]
    fn names_that_neither_came_nor_went_are_not_looked_at_again() {
        let image = crate::group::tests::stage::image(1, &[("t", 1), ("u", 1)]);
        let names = |names: &[&str]| names.iter().map(|name| Str::from(*name)).collect::<BTreeSet<_>>();
        let known = Resolved { topics: names(&["other", "gone"]), version: 0, timestamp: 0 };
        let changed = |changes: &[&str]| known.changed("u|other|new", &names(changes).iter().collect(), &image);
        assert_eq!(changed(&[]), None);
        assert_eq!(changed(&["t", "new"]), None);
        assert_eq!(changed(&["u", "gone"]), Some(names(&["other", "u"])));
    }
}
