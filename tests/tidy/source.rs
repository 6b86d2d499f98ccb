//! One Rust file with its comments, strings and tests blanked, so that what is found in it is code that runs.

use std::fs;
use std::ops::Range;
use std::path::Path;

pub struct Source {
    /// From the project's root, with `/`.
    pub path: String,
    /// As it is in the file.
    pub text: String,
    /// As long as `text`; comments, strings, characters and tests are spaces.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut code = blank(text);
        for range in tests(&code) {
            let blanked: String = code[range.clone()].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
            code.replace_range(range, &blanked);
        }
        Self { path: path.into(), text: text.into(), code }
    }

    /// Test modules in files of their own.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    pub fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// A finding at a position of the code.
    pub fn finding(&self, at: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, self.line_of(at))
    }

    /// Where `word` stands in the code, whole: neither end goes on as an identifier.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            let before = self.code[..at].chars().next_back().is_some_and(is_part) && word.starts_with(is_part);
            let after = self.code[at + word.len()..].chars().next().is_some_and(is_part) && word.ends_with(is_part);
            !before && !after
        })
    }
}

/// Every Rust file under `folder`, in order.
pub fn read_folder(root: &Path, folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return sources };
    let mut names: Vec<String> = entries.map(|entry| name_of(&entry.expect("the folder was just opened"))).collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{name}");
        if root.join(&path).is_dir() {
            sources.extend(read_folder(root, &path));
        } else if name.ends_with(".rs") {
            sources.push(Source::new(&path, &read(&root.join(&path))));
        }
    }
    sources
}

pub fn name_of(entry: &fs::DirEntry) -> String {
    entry.file_name().into_string().expect("the project's files have names in UTF-8")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the project's sources can be read")
}

/// Where the bracket that opens at `open` is closed.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    code.len() - 1
}

/// Items under `#[cfg(test)]`, `#[cfg(any(test, ..))]` or `#[test]`, attribute to closing bracket.
fn tests(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        for (at, _) in code.match_indices(attribute) {
            if ranges.iter().any(|range| range.contains(&at)) {
                continue;
            }
            let Some(end) = code[at..].find(['{', ';']).map(|length| at + length) else { continue };
            let end = if code.as_bytes()[end] == b'{' { closing(code, end) } else { end };
            ranges.push(at..end + 1);
        }
    }
    ranges
}

/// `text` with a space for every byte of a comment, a string or a character; lines stay.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, is_code) = token(rest, &code);
        let (piece, after) = rest.split_at(length);
        if is_code {
            code.push_str(piece);
        } else {
            code.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

/// Length of what `rest` begins with, and whether it is code. `before` tells a raw string from a name that ends in r.
fn token(rest: &str, before: &str) -> (usize, bool) {
    let first = rest.chars().next().expect("it is not empty");
    let follows_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if !follows_name && let Some(length) = raw_string(rest) {
        return (length, false);
    }
    match first {
        '"' => (string(rest), false),
        '\'' => character(rest).map_or((1, true), |length| (length, false)),
        _ => (first.len_utf8(), true),
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().expect("it is within").len_utf8();
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let start = ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = start.bytes().take_while(|byte| *byte == b'#').count();
    let body = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first != '\\' {
        let (at, end) = chars.next()?;
        return (end == '\'').then_some(at + 1);
    }
    chars.next()?;
    chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("x.rs", text).code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_strings_are_blank() {
        assert_eq!(code("a /* b /* c */ d */ e // f\ng"), "a e g");
        assert_eq!(code(r#"a("b \" c", 'd', b"e")"#), "a( , , b )");
        assert_eq!(code("a(r#\"b \" c\"#, var\"x\")"), "a( , var )");
    }

    #[test]
    fn lifetimes_and_characters_are_told_apart() {
        assert_eq!(code("fn f<'a>(x: &'a str) { '\\'' ; '\\u{1f600}' ; '}' }"), "fn f<'a>(x: &'a str) { ; ; }");
    }

    #[test]
    fn tests_are_blank() {
        assert_eq!(code("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c } }\nfn d() {}"), "fn a() {} fn d() {}");
        assert_eq!(code("#[cfg(test)]\nmod tests;\nfn d() {}"), "fn d() {}");
    }

    #[test]
    fn lines_and_bytes_stay_where_they_are() {
        let text = "a // \u{e9}\n\"x\ny\" z";
        let source = Source::new("x.rs", text);
        assert_eq!(source.code.len(), text.len());
        assert_eq!(source.line_of(source.code.find('z').unwrap()), 3);
    }

    #[test]
    fn a_word_is_found_whole() {
        let source = Source::new("x.rs", "nix::a unix::b unsafe_code unsafe");
        assert_eq!(source.words("nix::").count(), 1);
        assert_eq!(source.words("unsafe").count(), 1);
    }
}
