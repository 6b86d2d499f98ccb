//! A value of one of Kafka's nine types: reading it from text and writing it back.

use super::error::Refusal;
use std::fmt;

/// Type of a key, as DescribeConfigs names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// Of kind short, int or long.
    Integer(i64),
    Double(f64),
    /// Of kind string, class or password.
    Text(String),
    List(Vec<String>),
}

impl Kind {
    /// Reads `text` as Kafka does: blanks around it do not count, `true` in any case, a list is split at commas.
    pub fn parse(self, text: &str) -> Result<Value, Refusal> {
        let text = text.trim();
        match self {
            Self::Boolean => parse_boolean(text),
            Self::Short => parse_integer(self, text, i16::MIN.into(), i16::MAX.into()),
            Self::Int => parse_integer(self, text, i32::MIN.into(), i32::MAX.into()),
            Self::Long => parse_integer(self, text, i64::MIN, i64::MAX),
            Self::Double => text.parse().map(Value::Double).map_err(|_| Refusal::NotANumber(self)),
            Self::List => parse_list(text),
            Self::String | Self::Class | Self::Password => Ok(Value::Text(text.into())),
        }
    }

    /// The byte of DescribeConfigs.
    pub fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Boolean,
            "string" => Self::String,
            "int" => Self::Int,
            "short" => Self::Short,
            "long" => Self::Long,
            "double" => Self::Double,
            "list" => Self::List,
            "class" => Self::Class,
            "password" => Self::Password,
            _ => return None,
        })
    }
}

fn parse_boolean(text: &str) -> Result<Value, Refusal> {
    if text.eq_ignore_ascii_case("true") {
        Ok(Value::Boolean(true))
    } else if text.eq_ignore_ascii_case("false") {
        Ok(Value::Boolean(false))
    } else {
        Err(Refusal::NotABoolean)
    }
}

fn parse_integer(kind: Kind, text: &str, min: i64, max: i64) -> Result<Value, Refusal> {
    match text.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Value::Integer(number)),
        _ => Err(Refusal::NotANumber(kind)),
    }
}

fn parse_list(text: &str) -> Result<Value, Refusal> {
    if text.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    Ok(Value::List(text.split(',').map(|item| item.trim().to_string()).collect()))
}

impl Value {
    /// The value as Kafka prints it; none when it is null.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Double(value) => Some(double_text(*value)),
            Self::Text(value) => Some(value.clone()),
            Self::List(items) => Some(items.join(",")),
        }
    }
}

/// As Java prints a double: a point always, an exponent below 0.001 and from ten million on.
fn double_text(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_width() {
        assert_eq!(Kind::Int.parse(" 2147483647 "), Ok(Value::Integer(2_147_483_647)));
        assert_eq!(Kind::Int.parse("2147483648"), Err(Refusal::NotANumber(Kind::Int)));
        assert_eq!(Kind::Short.parse("32768"), Err(Refusal::NotANumber(Kind::Short)));
        assert_eq!(Kind::Long.parse("-9223372036854775808"), Ok(Value::Integer(i64::MIN)));
        assert_eq!(Kind::Int.parse("1.5"), Err(Refusal::NotANumber(Kind::Int)));
        assert_eq!(Kind::Int.parse(""), Err(Refusal::NotANumber(Kind::Int)));
    }

    #[test]
    fn a_boolean_is_true_or_false_in_any_case() {
        assert_eq!(Kind::Boolean.parse("TRUE"), Ok(Value::Boolean(true)));
        assert_eq!(Kind::Boolean.parse("1"), Err(Refusal::NotABoolean));
    }

    #[test]
    fn an_empty_list_has_no_items_and_a_stray_comma_makes_an_empty_one() {
        assert_eq!(Kind::List.parse(""), Ok(Value::List(vec![])));
        assert_eq!(Kind::List.parse("a , b,"), Ok(Value::List(vec!["a".into(), "b".into(), String::new()])));
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        let cases = [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (1e7, "1.0E7"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.0, "0.0"),
            (1.5e-4, "1.5E-4"),
        ];
        for (value, text) in cases {
            assert_eq!(Value::Double(value).text().as_deref(), Some(text));
        }
    }
}
