//! What a key's values are held to beyond their type, read from the table's notation.

use super::duration;
use super::error::Refusal;
use super::value::Value;

/// Bounds keep the text they were written in, which is how Kafka's messages print them.
#[derive(Clone, Debug, PartialEq)]
pub enum Valid {
    Any,
    Range { min: Option<Bound>, max: Option<Bound> },
    RangeOr { min: Bound, max: Bound, or: Bound },
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    NonEmpty,
    ThrottledReplicas,
    OffsetReset,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub text: &'static str,
    pub number: f64,
}

impl Valid {
    /// Reads `[0,...]`, `[1,...,9] or -1`, `[a, b]`, `(case insensitive) [a, b]` and the few words the table uses.
    /// Notation it does not know holds a value to nothing.
    pub(super) fn from_notation(text: &'static str) -> Self {
        if text.starts_with("[partitionId]") {
            return Self::ThrottledReplicas;
        }
        if let Some(rest) = text.strip_prefix("(case insensitive) ") {
            return Self::OneOfIgnoringCase(words(rest));
        }
        if text.starts_with("non-empty string") {
            return Self::NonEmpty;
        }
        if text.contains("by_duration:") {
            return Self::OffsetReset;
        }
        if !text.starts_with('[') {
            return Self::Any;
        }
        range(text).unwrap_or_else(|| Self::OneOf(words(text)))
    }

    /// Null passes: whether a key may be absent is its default's business.
    pub fn check(&self, key: &str, value: &Value) -> Result<(), Refusal> {
        if let Value::List(items) = value {
            return self.check_items(key, items);
        }
        match (self, value) {
            (Self::Range { min, max }, Value::Integer(_) | Value::Double(_)) => {
                check_range(number(value), min.as_ref(), max.as_ref())
            }
            (Self::RangeOr { min, max, or }, Value::Integer(_) | Value::Double(_)) => {
                let number = number(value);
                let is_inside = (min.number <= number && number <= max.number) || number == or.number;
                let refusal = Refusal::OutsideRangeAndException { min: min.text, max: max.text, or: or.text };
                if is_inside { Ok(()) } else { Err(refusal) }
            }
            (Self::OffsetReset, Value::Text(text)) => check_offset_reset(key, text),
            (_, Value::Text(text)) => self.check_text(text),
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), Refusal> {
        match self {
            Self::OneOf(words) if !words.contains(&text) => Err(Refusal::NotOneOf(words)),
            Self::OneOfIgnoringCase(words) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
                Err(Refusal::NotOneOfIgnoringCase(words))
            }
            Self::NonEmpty if text.is_empty() => Err(Refusal::Empty),
            _ => Ok(()),
        }
    }

    fn check_items(&self, key: &str, items: &[String]) -> Result<(), Refusal> {
        if *self == Self::ThrottledReplicas {
            return check_replicas(key, items);
        }
        for item in items {
            if item.is_empty() {
                return Err(Refusal::EmptyItem);
            }
            self.check_text(item)?;
        }
        Ok(())
    }
}

fn number(value: &Value) -> f64 {
    match value {
        // Bounds are far below 2^53, so rounding a large value never moves it across one.
        #[expect(clippy::cast_precision_loss, reason = "compared with small bounds only")]
        Value::Integer(number) => *number as f64,
        Value::Double(number) => *number,
        _ => f64::NAN,
    }
}

/// A number that is none is below every minimum.
fn check_range(number: f64, min: Option<&Bound>, max: Option<&Bound>) -> Result<(), Refusal> {
    if let Some(min) = min
        && !matches!(number.partial_cmp(&min.number), Some(std::cmp::Ordering::Greater | std::cmp::Ordering::Equal))
    {
        return Err(Refusal::BelowMinimum(min.text));
    }
    match max {
        Some(max) if number > max.number => Err(Refusal::AboveMaximum(max.text)),
        _ => Ok(()),
    }
}

fn check_replicas(key: &str, items: &[String]) -> Result<(), Refusal> {
    let is_star = matches!(items, [only] if only == "*");
    let is_pair = |item: &String| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        item.is_empty() || item.split_once(':').is_some_and(|(a, b)| is_number(a.trim()) && is_number(b.trim()))
    };
    if is_star || items.iter().all(is_pair) { Ok(()) } else { Err(Refusal::NotReplicas(key.into())) }
}

/// Either end of the log, or as long ago as a duration says.
fn check_offset_reset(key: &str, text: &str) -> Result<(), Refusal> {
    let ago = text.strip_prefix("by_duration:").and_then(duration::from_iso);
    let is_known = matches!(text, "earliest" | "latest") || ago.is_some_and(|nanoseconds| nanoseconds >= 0);
    if is_known { Ok(()) } else { Err(Refusal::NotAnOffsetReset { key: key.into(), value: text.into() }) }
}

/// `[min,...,max]`, either end absent, then perhaps ` or exception`.
fn range(text: &'static str) -> Option<Valid> {
    let (inside, exception) = text.strip_prefix('[')?.split_once(']')?;
    let (min, max) = inside.split_once("...")?;
    let (min, max) = (bound(min.trim_end_matches(',')), bound(max.trim_start_matches(',')));
    match exception.strip_prefix(" or ") {
        Some(or) => Some(Valid::RangeOr { min: min?, max: max?, or: bound(or)? }),
        None => Some(Valid::Range { min, max }),
    }
}

fn bound(text: &'static str) -> Option<Bound> {
    text.parse().ok().map(|number| Bound { text, number })
}

/// Lives as long as the table, which is read once.
fn words(text: &'static str) -> &'static [&'static str] {
    let words: Vec<_> = text.trim_matches(['[', ']']).split(", ").collect();
    Vec::leak(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Kind;

    fn refusal(notation: &'static str, kind: Kind, text: &str) -> String {
        let value = kind.parse(text).unwrap();
        match Valid::from_notation(notation).check("k", &value) {
            Ok(()) => "fine".into(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn a_range_names_the_bound_that_was_crossed() {
        assert_eq!(refusal("[0,...,1]", Kind::Double, "1.5"), "Value must be no more than 1");
        assert_eq!(refusal("[0,...,1]", Kind::Double, "-0.1"), "Value must be at least 0");
        assert_eq!(refusal("[0,...,1]", Kind::Double, "NaN"), "Value must be at least 0");
        assert_eq!(refusal("[1048576,...]", Kind::Int, "-1"), "Value must be at least 1048576");
        assert_eq!(refusal("[-131072,...,22]", Kind::Int, "-131072"), "fine");
    }

    #[test]
    fn a_range_may_have_an_exception() {
        assert_eq!(refusal("[1,...,9] or -1", Kind::Int, "-1"), "fine");
        let message = "Value must be between 1 and 9 or equal to -1";
        assert_eq!(refusal("[1,...,9] or -1", Kind::Int, "0"), message);
    }

    #[test]
    fn words_are_exact_unless_case_is_said_not_to_matter() {
        assert_eq!(refusal("[a, b]", Kind::String, "A"), "String must be one of: a, b");
        assert_eq!(refusal("(case insensitive) [A, B]", Kind::String, "a"), "fine");
    }

    #[test]
    fn every_item_of_a_list_is_checked_and_none_is_empty() {
        assert_eq!(refusal("[compact, delete]", Kind::List, "delete,compact"), "fine");
        assert_eq!(refusal("[compact, delete]", Kind::List, "delete,x"), "String must be one of: compact, delete");
        assert_eq!(refusal("[compact, delete]", Kind::List, "delete,"), "values must not be empty");
        assert_eq!(refusal("[compact, delete]", Kind::List, ""), "fine");
    }

    #[test]
    fn throttled_replicas_are_a_star_or_pairs() {
        let notation = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";
        for good in ["*", "", "0:1", "0:1 , 1:2"] {
            assert_eq!(refusal(notation, Kind::List, good), "fine", "{good}");
        }
        for bad in ["x", "none", "*,*", "1:", ":1"] {
            assert_ne!(refusal(notation, Kind::List, bad), "fine", "{bad}");
        }
    }
}
