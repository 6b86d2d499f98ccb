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

    /// Expressions that members use and whose topics are not known, or not of this metadata; and those nobody uses.
    pub(super) fn look_up(&self, moment: &Moment, image: &Image, is_stale: bool) -> Vec<(Str, Option<Resolved>)> {
        let used: BTreeSet<&Str> = self.members.values().filter_map(|member| member.expression()).collect();
        let mut found = Vec::new();
        for expression in &used {
            let known = self.regexes.get(*expression);
            if known.is_some() && !is_stale {
                continue;
            }
            let resolved = resolve(expression, moment, image);
            if known.map(|known| &known.topics) != Some(&resolved.topics) {
                found.push(((*expression).clone(), Some(resolved)));
            }
        }
        let unused = self.regexes.keys().filter(|expression| !used.contains(expression));
        found.extend(unused.map(|expression| (expression.clone(), None)));
        found
    }
}

fn resolve(expression: &str, moment: &Moment, image: &Image) -> Resolved {
    let is_matched = |name: &str, regex: &Regex| regex.is_match(name) && !name.starts_with("__");
    let topics = match compile(expression) {
        Ok(regex) => image
            .topics()
            .iter()
            .filter(|topic| is_matched(&topic.name, &regex))
            .map(|topic| topic.name.clone())
            .collect(),
        // One that another broker let through matches nothing here.
        Err(_) => BTreeSet::new(),
    };
    Resolved { topics, version: image.offset().0, timestamp: moment.wall.0 }
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
}
