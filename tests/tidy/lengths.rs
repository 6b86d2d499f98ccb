//! The ratchet on lengths: what is short stays short, what is long may only shrink.

use super::source::{Source, closing};

pub struct Lengths {
    pub file_lines_max: usize,
    pub function_lines_max: usize,
    /// Path, or path::function, and its lines.
    pub longer: &'static [(&'static str, usize)],
}

/// Lines are counted without tests; a function from its `fn` to its closing bracket.
pub fn check(sources: &[Source], lengths: &Lengths) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = file_lines(source);
        let advice = "look for its second noun";
        findings.extend(lengths.verdict(&source.path, lines, lengths.file_lines_max, advice));
        seen.push(source.path.clone());
        for (name, lines) in functions(source) {
            let path = format!("{}::{name}", source.path);
            let advice = "look for a step in it that has a name of its own";
            findings.extend(lengths.verdict(&path, lines, lengths.function_lines_max, advice));
            seen.push(path);
        }
    }
    let gone = lengths.longer.iter().filter(|(path, _)| !seen.iter().any(|seen| seen == path));
    findings.extend(gone.map(|(path, _)| format!("{path}: it is gone; take it off the list in tests/tidy.rs")));
    findings
}

impl Lengths {
    fn verdict(&self, path: &str, lines: usize, lines_max: usize, advice: &str) -> Option<String> {
        let listed = self.longer.iter().find(|(listed, _)| *listed == path).map(|(_, lines)| *lines);
        match listed {
            None if lines > lines_max => Some(format!("{path}: {lines} lines, more than {lines_max}: {advice}")),
            Some(listed) if lines > listed => Some(format!("{path}: grew from {listed} to {lines} lines: {advice}")),
            Some(_) if lines <= lines_max => Some(format!("{path}: short now; take it off the list in tests/tidy.rs")),
            Some(listed) if lines < listed => Some(format!("{path}: shrank to {lines}; write that in tests/tidy.rs")),
            _ => None,
        }
    }
}

/// Lines outside of tests.
fn file_lines(source: &Source) -> usize {
    let in_tests = |(text, code): &(&str, &str)| code.trim().is_empty() && !text.trim().is_empty() && !is_comment(text);
    let lines = source.text.lines().zip(source.code.lines());
    lines.filter(|line| !in_tests(line)).count()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Name and lines of every function with a body.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let code = &source.code;
    let mut functions = Vec::new();
    for at in source.words("fn ") {
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let Some(open) = body(code, at).filter(|_| !name.is_empty()) {
            functions.push((name, code[at..closing(code, open)].matches('\n').count() + 1));
        }
    }
    functions
}

/// Where the body opens; none for a signature alone.
fn body(code: &str, function: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(function) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' | b'}' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Lengths = Lengths { file_lines_max: 5, function_lines_max: 3, longer: &[("b.rs", 7), ("c.rs::f", 5)] };

    fn findings(sources: &[(&str, String)]) -> Vec<String> {
        let all = [("b.rs", "\n".repeat(7)), ("c.rs", function(5))];
        let is_given = |path: &str| sources.iter().any(|(given, _)| *given == path);
        let others = all.into_iter().filter(|(path, _)| !is_given(path));
        let sources: Vec<_> =
            sources.iter().cloned().chain(others).map(|(path, text)| Source::new(path, &text)).collect();
        check(&sources, &SHORT)
    }

    fn function(lines: usize) -> String {
        format!("fn f(x: [u8; 2]) {{{}}}", "\n".repeat(lines - 1))
    }

    #[test]
    fn a_long_file_and_a_long_function_are_found() {
        assert_eq!(findings(&[("a.rs", "\n".repeat(6))]), ["a.rs: 6 lines, more than 5: look for its second noun"]);
        let found = findings(&[("a.rs", function(4))]);
        assert_eq!(found, ["a.rs::f: 4 lines, more than 3: look for a step in it that has a name of its own"]);
        assert!(findings(&[("a.rs", function(3))]).is_empty());
    }

    #[test]
    fn a_listed_length_may_only_shrink_and_says_so() {
        assert!(findings(&[]).is_empty());
        assert_eq!(findings(&[("b.rs", "\n".repeat(8))]).len(), 1);
        assert_eq!(findings(&[("b.rs", "\n".repeat(6))]), ["b.rs: shrank to 6; write that in tests/tidy.rs"]);
        assert_eq!(findings(&[("c.rs", function(2))]), ["c.rs::f: short now; take it off the list in tests/tidy.rs"]);
        assert_eq!(
            findings(&[("c.rs", String::new())]),
            ["c.rs::f: it is gone; take it off the list in tests/tidy.rs"]
        );
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}", "fn g() {}\n".repeat(9));
        assert!(findings(&[("a.rs", text)]).is_empty());
    }

    #[test]
    fn a_signature_has_no_length() {
        assert_eq!(
            functions(&Source::new("a.rs", "trait T { fn f(); fn g() where A: B { } } type X = fn(u8);")).len(),
            1
        );
    }
}
