//! Arrows between rooms: which paths a file names, and whether its room may.

use super::source::Source;

/// A room and the rooms it may name.
pub struct Arrow {
    pub from: &'static str,
    pub to: &'static [&'static str],
}

/// What a file under `root` names that its room may not. Other files have nothing to say.
pub fn arrows(source: &Source, root: &str, arrows: &[Arrow], read_by_all: &[&str]) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix(root) else { return Vec::new() };
    if inside.starts_with("protocol/") || source.is_test() {
        return Vec::new();
    }
    let modules = modules(inside);
    let room = modules.first().copied().unwrap_or("lib");
    let Some(arrow) = arrows.iter().find(|arrow| arrow.from == room) else {
        return vec![format!("{}: the room {room} has no arrows: give it a line in tests/tidy.rs", source.path)];
    };
    let is_allowed = |named: &str| named == room || arrow.to.contains(&named) || read_by_all.contains(&named);
    let refused = named(source, modules.len()).into_iter().filter(|(_, named)| !is_allowed(named));
    refused
        .map(|(at, named)| {
            let may = arrow.to.join(", ");
            source.finding(
                at,
                &format!("{room} names {named}, but may name only: {may}; turn the arrow around or pass a plain value"),
            )
        })
        .collect()
}

/// The module path of a file: `log/mod.rs` is `log`, `log/segment.rs` is `log::segment`.
fn modules(inside: &str) -> Vec<&str> {
    let mut modules: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if modules.last() == Some(&"mod") || inside == "lib.rs" {
        modules.pop();
    }
    modules
}

/// Rooms and packages of ours that the code names, each where it stands.
fn named(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for at in source.words("crate::") {
        // A declarative macro's own crate.
        let is_macro = source.code[..at].ends_with('$');
        let rooms = first_names(&source.code[at + "crate::".len()..]);
        named.extend(rooms.into_iter().filter(|_| !is_macro).map(|room| (at, room)));
    }
    for (at, room) in climbed(source, depth) {
        named.push((at, room));
    }
    for (package, name) in [
        ("odradek_shards", "shards"),
        ("odradek_protocol", "protocol"),
        ("odradek_perf", "perf"),
        ("odradek", "odradek"),
    ] {
        named.extend(source.words(package).map(|at| (at, name.to_string())));
    }
    // The engine knows the codec's primitive types and no message.
    if source.path.starts_with("shards/") {
        named.retain(|(at, name)| name != "protocol" || !is_primitive(&source.code[*at..]));
    }
    named
}

fn is_primitive(path: &str) -> bool {
    ["primitives", "codec"]
        .iter()
        .any(|module| path.strip_prefix("odradek_protocol::").is_some_and(|rest| rest.starts_with(module)))
}

/// Names reached by enough `super::` to stand at the crate's root.
fn climbed(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for at in source.words("super::") {
        if source.code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &source.code[at..];
        let mut climbed = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            rest = after;
            climbed += 1;
        }
        if climbed >= depth {
            named.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    named
}

/// The first name of a path, or of each path in a group.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    if !path.starts_with('{') {
        return vec![name(path)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for (at, c) in path.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(c, '{' | ',') {
            names.push(name(path[at + 1..].trim_start()));
        }
    }
    names.retain(|name| !name.is_empty() && name != "self");
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Arrow] = &[Arrow { from: "network", to: &["quota", "shards"] }, Arrow { from: "lib", to: &[] }];

    fn refused(path: &str, text: &str) -> usize {
        arrows(&Source::new(path, text), "src/", TABLE, &["config"]).len()
    }

    #[test]
    fn an_arrow_against_the_order_is_found() {
        assert_eq!(refused("src/network/listener.rs", "use crate::handlers::table;"), 1);
        assert_eq!(refused("src/network/listener.rs", "use crate::{quota::Bucket, handlers::{self, table}};"), 1);
        assert_eq!(refused("src/network/listener.rs", "fn f() { crate::handlers::run(); }"), 1);
        assert_eq!(refused("src/network/listener.rs", "use odradek_protocol::Frame;"), 1);
    }

    #[test]
    fn an_arrow_by_way_of_super_is_found() {
        assert_eq!(refused("src/network/listener.rs", "use super::super::handlers;"), 1);
        assert_eq!(refused("src/network/mod.rs", "use super::handlers;"), 1);
        assert_eq!(refused("src/network/listener.rs", "use super::handlers;"), 0);
    }

    #[test]
    fn an_arrow_with_the_order_is_fine() {
        let text = "use crate::{config, network::frames, quota::{self}}; use odradek_shards::types; use super::frames;";
        assert_eq!(refused("src/network/listener.rs", text), 0);
        assert_eq!(
            refused("src/network/listener.rs", "// crate::handlers\n#[cfg(test)] mod tests { use crate::handlers; }"),
            0
        );
    }

    #[test]
    fn a_room_without_a_line_is_found() {
        assert_eq!(refused("src/cellar/mod.rs", ""), 1);
    }

    #[test]
    fn the_engine_may_name_the_codecs_primitives_and_no_message() {
        let table = [Arrow { from: "log", to: &[] }];
        let refused =
            |text: &str| arrows(&Source::new("shards/src/log/log.rs", text), "shards/src/", &table, &[]).len();
        assert_eq!(refused("use odradek_protocol::primitives::Str;"), 0);
        assert_eq!(refused("use odradek_protocol::messages::FetchRequest;"), 1);
    }
}
