//! Emits a struct's definition and its default value.

use std::fmt::Write;

use crate::model::{Field, Kind, Message, Preset, Struct, Versions};

/// The struct with its docstrings, and `Default` (derived where every preset is Rust's own).
pub fn emit(message: &Message, s: &Struct) -> String {
    let plain = s.fields.iter().all(is_plain);
    let derives = if plain { "Clone, Debug, Default, PartialEq" } else { "Clone, Debug, PartialEq" };
    let mut out = format!("/// {}\n#[derive({derives})]\npub struct {} {{\n", describe(message, s), s.name);
    for field in &s.fields {
        let _ = writeln!(out, "    /// {}\n    pub {}: {},", describe_field(field), field.ident, rust_type(field));
    }
    out += "}\n";
    if !plain {
        out += &emit_default(s);
    }
    out
}

/// The type without its `Option`.
pub fn inner_type(kind: &Kind) -> String {
    match kind {
        Kind::Scalar(name) => (*name).to_owned(),
        Kind::String => "Str".to_owned(),
        Kind::Bytes => "Bytes".to_owned(),
        Kind::Records => "Records".to_owned(),
        Kind::Struct(name) => name.clone(),
        Kind::Array(element) => format!("Vec<{}>", inner_type(element)),
    }
}

fn rust_type(field: &Field) -> String {
    let inner = inner_type(&field.kind);
    if field.is_nullable() { format!("Option<{inner}>") } else { inner }
}

/// Whether Rust's `Default` of the field's type is the table's default. Records that may be null are so by default.
fn is_plain(field: &Field) -> bool {
    match field.default {
        Preset::Zero => !field.is_nullable() || field.kind == Kind::Records,
        Preset::Null => true,
        Preset::Literal(_) => false,
    }
}

fn emit_default(s: &Struct) -> String {
    let mut out = format!("impl Default for {} {{\n    fn default() -> Self {{\n        Self {{\n", s.name);
    for field in &s.fields {
        let value = match &field.default {
            _ if is_plain(field) => "Default::default()".to_owned(),
            Preset::Literal(text) => text.clone(),
            _ => "Some(Default::default())".to_owned(),
        };
        let _ = writeln!(out, "            {}: {value},", field.ident);
    }
    out + "        }\n    }\n}\n"
}

fn describe(message: &Message, s: &Struct) -> String {
    if s.name != message.name {
        return format!("Part of `{}`.", message.name);
    }
    let versions = match message.valid.is_empty() {
        true => "no version left".to_owned(),
        false => format!("versions {}", range(message.valid)),
    };
    let flexible = match message.flexible.is_empty() {
        true => String::new(),
        false => format!(", flexible from {}", message.flexible.first),
    };
    let key = message.api_key.map_or(String::new(), |key| format!(", key {key}"));
    format!("`{}`: {versions}{flexible}{key}.", message.name)
}

fn describe_field(field: &Field) -> String {
    let mut text = format!("Versions {}", range(field.versions));
    if let Some(tag) = field.tag {
        let _ = write!(text, ", tag {tag}");
    }
    if let Preset::Literal(value) = &field.default {
        let _ = write!(text, ", default {value}");
    }
    if field.ignorable {
        text += ", ignorable";
    }
    text + "."
}

fn range(versions: Versions) -> String {
    format!("{}-{}", versions.first, versions.last)
}
