//! Which names a topic may have.

/// Longest name: with a partition number behind it, it is a directory's name.
const NAME_LEN_MAX: usize = 249;

/// Kafka's words for what is wrong with a name: INVALID_TOPIC_EXCEPTION.
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if utf16_len(name) > NAME_LEN_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {NAME_LEN_MAX}")
        }
        _ if !name.bytes().all(is_legal) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {reason}"))
}

/// Two names that metrics cannot tell apart, since they write a dot as an underscore.
pub fn collide(a: &str, b: &str) -> bool {
    a != b && a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| undotted(a) == undotted(b))
}

/// The form that colliding names share; `None` for a name that can collide with none.
pub(super) fn collision_form(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

fn undotted(byte: u8) -> u8 {
    if byte == b'.' { b'_' } else { byte }
}

/// Java counts in UTF-16.
fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_in_kafkas_words() {
        let refusal = |name: &str| validate_topic_name(name).unwrap_err();
        assert_eq!(refusal(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(refusal(".."), "Topic name is invalid: '..' is not allowed");
        assert_eq!(
            refusal("a b"),
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        );
        let long = "x".repeat(250);
        let message =
            format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249");
        assert_eq!(refusal(&long), message);
        assert_eq!(validate_topic_name(&"x".repeat(249)), Ok(()));
        assert_eq!(validate_topic_name("A-1_b.c"), Ok(()));
    }

    #[test]
    fn names_collide_when_dots_and_underscores_are_all_that_differs() {
        assert!(collide("a.b", "a_b"));
        assert!(!collide("a.b", "a.b"));
        assert!(!collide("a.b", "a-b"));
        assert!(!collide("a.b", "a.bc"));
    }
}
