//! Calls: those a pure room may not make, those that have a better one, and `unsafe` without its argument.

use super::source::Source;

/// A call and what to write in its place.
pub struct Banned {
    pub call: &'static str,
    pub instead: &'static str,
    /// Beginnings of the paths where it is right.
    pub allowed: &'static [&'static str],
}

pub struct Purity {
    /// Beginnings of the paths that are pure.
    pub rooms: &'static [&'static str],
    /// Names of the files in them that are not.
    pub drivers: &'static [&'static str],
}

const EFFECTS: &[(&str, &str)] = &[
    (".await", "return the wish as an output; driver.rs waits for it"),
    ("async fn", "return the wish as an output; driver.rs waits for it"),
    ("runtime::spawn", "return the wish as an output; driver.rs spawns"),
    ("runtime::sleep", "return a deadline; driver.rs sleeps"),
    ("runtime::now", "take `now` as an argument"),
    ("wall_clock(", "take the time as an argument"),
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime", "take the time as an argument"),
    ("random_u64(", "take the number as an argument"),
    ("new_v4(", "take the id as an argument"),
    ("std::fs", "take the text as an argument"),
    ("std::net", "take the address as text"),
    ("std::thread", "return the wish as an output"),
    ("std::env", "take the value as an argument"),
    ("tracing::", "return what happened as an output; driver.rs logs it"),
];

pub fn impurities(source: &Source, purity: &Purity) -> Vec<String> {
    let is_pure = purity.rooms.iter().any(|room| source.path.starts_with(room));
    let is_driver = purity.drivers.iter().any(|name| source.path.rsplit('/').next() == Some(name));
    if !is_pure || is_driver || source.is_test() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (effect, instead) in EFFECTS {
        findings.extend(
            source.words(effect).map(|at| source.finding(at, &format!("a pure room has no `{effect}`: {instead}"))),
        );
    }
    findings
}

pub fn banned(source: &Source, table: &[Banned]) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for banned in table.iter().filter(|banned| !banned.allowed.iter().any(|place| source.path.starts_with(place))) {
        findings.extend(
            source
                .words(banned.call)
                .map(|at| source.finding(at, &format!("no `{}`: {}", banned.call, banned.instead))),
        );
    }
    findings
}

/// Lines above an `unsafe` where its argument may stand.
const ARGUMENT_LINES: usize = 8;

pub fn unsafe_without_argument(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for at in source.words("unsafe") {
        let line = source.line_of(at);
        let near = &lines[line.saturating_sub(1 + ARGUMENT_LINES)..line];
        if !near.iter().any(|text| text.contains("SAFETY") || text.contains("# Safety")) {
            findings
                .push(source.finding(at, "unsafe without an argument: say above it, after `SAFETY:`, why it is sound"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE: Purity = Purity { rooms: &["src/raft/"], drivers: &["driver.rs"] };
    const TABLE: &[Banned] = &[Banned { call: ".unwrap()", instead: "use ?", allowed: &["perf/"] }];

    fn impure(path: &str, text: &str) -> usize {
        impurities(&Source::new(path, text), &PURE).len()
    }

    #[test]
    fn every_effect_in_a_pure_room_is_found() {
        for (effect, _) in EFFECTS {
            assert_eq!(impure("src/raft/leader.rs", &format!("fn f() {{ x{} }}", pad(effect))), 1, "{effect}");
        }
    }

    /// A call after a dot stands against a name, any other after a space.
    fn pad(effect: &str) -> String {
        if effect.starts_with('.') { effect.into() } else { format!(" {effect}") }
    }

    #[test]
    fn drivers_tests_and_other_rooms_may() {
        assert_eq!(impure("src/raft/driver.rs", "x.await"), 0);
        assert_eq!(impure("src/raft/leader/tests.rs", "x.await"), 0);
        assert_eq!(impure("src/network/listener.rs", "x.await"), 0);
        assert_eq!(impure("src/raft/leader.rs", "// x.await\n#[cfg(test)] mod tests { x.await }"), 0);
    }

    #[test]
    fn a_banned_call_is_found_with_what_to_use() {
        let found = banned(&Source::new("src/a.rs", "fn f() {\n x.unwrap() }"), TABLE);
        assert_eq!(found, ["src/a.rs:2: no `.unwrap()`: use ?"]);
        assert!(banned(&Source::new("src/a.rs", "x.unwrap_or(1)"), TABLE).is_empty());
        assert!(banned(&Source::new("perf/src/a.rs", "x.unwrap()"), TABLE).is_empty());
    }

    #[test]
    fn every_banned_call_of_the_house_bites() {
        for banned_call in crate::BANNED.iter().chain(crate::SEAM) {
            let source = Source::new("src/handlers/a.rs", &format!("fn f() {{ x{} }}", pad(banned_call.call)));
            assert!(!banned(&source, std::slice::from_ref(banned_call)).is_empty(), "{}", banned_call.call);
        }
    }

    #[test]
    fn unsafe_needs_its_argument_near() {
        let count = |text: &str| unsafe_without_argument(&Source::new("shards/src/runtime/a.rs", text)).len();
        assert_eq!(count("fn f() { unsafe { g() } }"), 1);
        assert_eq!(count("// SAFETY: g is sound here.\nunsafe { g() }"), 0);
    }
}
