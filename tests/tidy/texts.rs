//! Names and words: openings of files, vague names, and what belongs to one machine.

use super::source::{Source, name_of};
use std::fs;
use std::path::Path;

/// A file opens with one sentence on what it owns.
pub fn opening(source: &Source) -> Option<String> {
    let is_exempt = source.is_test() || source.text.trim_start().starts_with("//!");
    (!is_exempt).then(|| format!("{}:1: open the file with `//! ` and one sentence on what it owns", source.path))
}

const VAGUE: &[&str] = &["Manager", "Utils", "Util", "Helper", "Helpers", "Impl"];

/// Types and files whose name says nothing.
pub fn vague_names(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for keyword in ["struct ", "enum ", "trait ", "type "] {
        for at in source.words(keyword) {
            let name: String = source.code[at + keyword.len()..].chars().take_while(|c| c.is_alphanumeric()).collect();
            if VAGUE.iter().any(|vague| name.ends_with(vague)) {
                findings.push(
                    source
                        .finding(at, &format!("{name} says nothing: name what it is, in Kafka's word if there is one")),
                );
            }
        }
    }
    let stem = source.path.rsplit('/').next().unwrap_or("").trim_end_matches(".rs");
    if VAGUE.iter().any(|vague| stem == vague.to_lowercase()) {
        findings.push(format!("{}: the file's name says nothing: one noun per file", source.path));
    }
    findings
}

const TEXT_ENDINGS: &[&str] =
    &[".rs", ".md", ".toml", ".sh", ".tsv", ".properties", ".txt", ".json", "/run", ".py", ".yml"];

/// Texts of the project that hold one of `words`. This room, which must name them, is left out.
pub fn forbidden_words(root: &Path, words: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    visit(root, "", &mut |path, text| findings.extend(words_in(path, text, words)));
    findings
}

fn words_in(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let has_word = |line: &&str| words.iter().any(|word| line.contains(word));
    let lines = text.lines().zip(1..).filter(|(line, _)| has_word(line));
    lines.map(|(_, number)| format!("{path}:{number}: a path of one machine: say it relative to the project")).collect()
}

fn visit(root: &Path, folder: &str, see: &mut impl FnMut(&str, &str)) {
    let entries = fs::read_dir(root.join(folder)).expect("the project's folders can be read");
    let mut names: Vec<String> = entries.map(|entry| name_of(&entry.expect("the folder was just opened"))).collect();
    names.sort();
    for name in names {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let is_left_out = matches!(name.as_str(), ".git" | "target" | "data" | "schemas" | "node_modules" | "work")
            || path.starts_with("tests/tidy");
        let full = root.join(&path);
        if is_left_out || full.is_symlink() {
            continue;
        }
        if full.is_dir() {
            visit(root, &path, see);
        } else if TEXT_ENDINGS.iter().any(|ending| path.ends_with(ending)) {
            see(&path, &fs::read_to_string(&full).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_opening_is_found() {
        assert!(opening(&Source::new("src/a.rs", "use b;")).is_some());
        assert!(opening(&Source::new("src/a.rs", "//! Owns b.\nuse b;")).is_none());
    }

    #[test]
    fn a_vague_name_is_found() {
        assert_eq!(vague_names(&Source::new("src/a.rs", "struct LogManager; struct Log;")).len(), 1);
        assert_eq!(vague_names(&Source::new("src/utils.rs", "")).len(), 1);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        assert_eq!(words_in("a.md", "x\ncd /root/y\n", &["/root/"]).len(), 1);
    }
}
