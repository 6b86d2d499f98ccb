//! Text in Java's properties format, each pair keeping the file and line it stands on.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

/// Pairs in the order they were given; the last of a repeated key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub entries: Vec<Property>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

/// Where somebody would go to change a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File {
        name: Arc<str>,
        /// Counted from 1; of the line the pair begins on.
        line: u32,
    },
    CommandLine,
}

/// An override that is not `key=value`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("command line: --override {0}: expected key=value")]
pub struct NotAPair(String);

impl Properties {
    /// Reads `text`, which came from the file `name`. Every text is readable, as in Java.
    pub fn parse(name: &str, text: &str) -> Self {
        let name: Arc<str> = name.into();
        let entries = logical_lines(text)
            .map(|(line, text)| {
                let (key, value) = split(&text);
                Property { key, value, origin: Origin::File { name: name.clone(), line } }
            })
            .collect();
        Self { entries }
    }

    /// Adds `key=value` from the command line, stronger than all before it.
    pub fn add_override(&mut self, pair: &str) -> Result<(), NotAPair> {
        let (key, value) = pair.split_once('=').ok_or_else(|| NotAPair(pair.into()))?;
        if key.trim().is_empty() {
            return Err(NotAPair(pair.into()));
        }
        let (key, value) = (key.trim().into(), value.trim().into());
        self.entries.push(Property { key, value, origin: Origin::CommandLine });
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Lines joined over a trailing odd backslash, without comments and blank ones, each with the number it begins on.
fn logical_lines(text: &str) -> impl Iterator<Item = (u32, String)> {
    let mut lines = natural_lines(text).into_iter().zip(1u32..);
    std::iter::from_fn(move || {
        let (first, number) = lines.find(|(line, _)| !is_skipped(line))?;
        let mut whole = first.trim_start_matches(is_blank).to_string();
        while continues(&whole) {
            whole.pop();
            let Some((next, _)) = lines.next() else { break };
            whole.push_str(next.trim_start_matches(is_blank));
        }
        Some((number, whole))
    })
}

fn natural_lines(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        lines.push(&rest[..end]);
        let ends_in_two = rest[end..].starts_with("\r\n");
        rest = &rest[end + if ends_in_two { 2 } else { 1 }..];
    }
    lines.push(rest);
    lines
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn is_skipped(line: &str) -> bool {
    let line = line.trim_start_matches(is_blank);
    line.is_empty() || line.starts_with(['#', '!'])
}

fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Key and value: the key ends at the first unescaped `=`, `:` or blank; one separator and the blanks around it go.
fn split(line: &str) -> (String, String) {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(&c) = chars.peek() {
        if is_blank(c) || matches!(c, '=' | ':') {
            break;
        }
        push_unescaped(&mut chars, &mut key);
    }
    skip_blanks(&mut chars);
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while chars.peek().is_some() {
        push_unescaped(&mut chars, &mut value);
    }
    (key, value)
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| is_blank(*c)).is_some() {}
}

/// Moves one character, or the one that an escape stands for.
fn push_unescaped(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    match chars.next() {
        Some('\\') => match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => push_code_unit(chars, out),
            Some(other) => out.push(other),
            None => {}
        },
        Some(c) => out.push(c),
        None => {}
    }
}

/// `\uXXXX` is a UTF-16 unit; two may make one character. What is no character becomes U+FFFD.
fn push_code_unit(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let first = four_hex_digits(chars);
    let is_high_surrogate = first.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
    let mut ahead = chars.clone();
    if is_high_surrogate
        && ahead.next() == Some('\\')
        && ahead.next() == Some('u')
        && let (Some(high), Some(low)) = (first, four_hex_digits(&mut ahead))
        && let Some(Ok(c)) = char::decode_utf16([high, low]).next()
    {
        *chars = ahead;
        out.push(c);
        return;
    }
    out.push(first.and_then(|unit| char::from_u32(unit.into())).unwrap_or(char::REPLACEMENT_CHARACTER));
}

fn four_hex_digits(chars: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let mut unit = 0u16;
    for _ in 0..4 {
        let digit = chars.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
        unit = (unit << 4) | u16::try_from(digit).expect("a hexadecimal digit is below 16");
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, u32)> {
        let line = |p: &Property| match &p.origin {
            Origin::File { line, .. } => *line,
            Origin::CommandLine => 0,
        };
        Properties::parse("x", text).entries.iter().map(|p| (p.key.clone(), p.value.clone(), line(p))).collect()
    }

    fn pair(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{all:?}");
        let (key, value, _) = all.remove(0);
        (key, value)
    }

    fn owned(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn a_key_ends_at_equals_colon_or_blank() {
        for text in ["a.b=c d", "a.b:c d", "a.b c d", "  a.b \t= c d", "a.b : c d"] {
            assert_eq!(pair(text), owned("a.b", "c d"), "{text}");
        }
    }

    #[test]
    fn only_the_first_separator_is_taken() {
        assert_eq!(pair("listeners=PLAINTEXT://:9092"), owned("listeners", "PLAINTEXT://:9092"));
        assert_eq!(pair("a==b"), owned("a", "=b"));
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_and_counted() {
        let text = "# one\n\n  ! two\na=1\r\nb=2\r# c=3\nd=4";
        let expected = vec![("a".into(), "1".into(), 4), ("b".into(), "2".into(), 5), ("d".into(), "4".into(), 7)];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn a_comment_is_not_continued() {
        assert_eq!(pairs("# x \\\na=1"), vec![("a".into(), "1".into(), 2)]);
    }

    #[test]
    fn an_odd_backslash_continues_the_line_and_the_pair_keeps_its_first_line() {
        let text = "\nlist=a,\\\n    b,\\\n  c\nnext=1";
        assert_eq!(pairs(text), vec![("list".into(), "a,b,c".into(), 2), ("next".into(), "1".into(), 5)]);
    }

    #[test]
    fn an_even_number_of_backslashes_ends_the_line() {
        assert_eq!(pairs("a=b\\\\\nc=d"), vec![("a".into(), "b\\".into(), 1), ("c".into(), "d".into(), 2)]);
    }

    #[test]
    fn escapes_are_resolved_in_key_and_value() {
        assert_eq!(pair(r"a\ b\==\tx\ny\q"), owned("a b=", "\tx\nyq"));
        assert_eq!(pair(r"k=\u00e9\uD83D\uDE00"), owned("k", "\u{e9}\u{1f600}"));
    }

    #[test]
    fn a_broken_unicode_escape_becomes_the_replacement_character() {
        assert_eq!(pair(r"k=\u12"), owned("k", "\u{fffd}"));
        assert_eq!(pair(r"k=\ud800x"), owned("k", "\u{fffd}x"));
    }

    #[test]
    fn trailing_blanks_belong_to_the_value() {
        assert_eq!(pair("a=b  "), owned("a", "b  "));
    }

    #[test]
    fn a_key_may_stand_alone() {
        assert_eq!(pair("alone"), owned("alone", ""));
    }

    #[test]
    fn a_backslash_at_the_end_of_the_text_is_dropped() {
        assert_eq!(pair("a=b\\"), owned("a", "b"));
    }

    #[test]
    fn an_override_names_the_command_line() {
        let mut properties = Properties::default();
        properties.add_override("num.partitions = 3").unwrap();
        assert_eq!(properties.entries[0].key, "num.partitions");
        assert_eq!(properties.entries[0].value, "3");
        assert_eq!(properties.entries[0].origin.to_string(), "command line");
        assert_eq!(
            properties.add_override("x").unwrap_err().to_string(),
            "command line: --override x: expected key=value"
        );
        assert!(properties.add_override("=3").is_err());
    }
}
