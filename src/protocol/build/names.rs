//! Names: from the tables' CamelCase to Rust's snake_case, and from SHOUTING errors to CamelCase.

const KEYWORDS: [&str; 10] = ["type", "match", "ref", "move", "loop", "use", "where", "mod", "final", "abstract"];

/// `LeaderAndIsr` -> `leader_and_isr`; a Rust keyword gets a trailing underscore.
pub fn snake(camel: &str) -> String {
    let camel = camel.replace("KRaft", "Kraft");
    let characters: Vec<char> = camel.chars().collect();
    let mut name = String::new();
    for (i, &c) in characters.iter().enumerate() {
        let after_lower = i > 0 && !characters[i - 1].is_uppercase();
        let before_lower = characters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && i > 0 && (after_lower || before_lower) {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// `UNKNOWN_SERVER_ERROR` -> `UnknownServerError`.
pub fn camel(shouting: &str) -> String {
    let word = |w: &str| {
        let (head, tail) = w.split_at(w.len().min(1));
        format!("{head}{}", tail.to_lowercase())
    };
    shouting.split('_').map(word).collect()
}
