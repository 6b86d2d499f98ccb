//! Emits one module per message, and the listing of all messages for tests and fuzzers.

use std::fmt::Write;

use crate::model::Message;
use crate::{emit_codec, emit_struct};

/// All messages of one kind; top-level structs are also exported flat.
pub fn emit(messages: &[Message]) -> String {
    messages.iter().map(emit_message).collect()
}

/// One line per message for `for_each_message!`: kind, schema name, path.
pub fn emit_listing(folder: &str, messages: &[Message]) -> String {
    let room = if folder == "rpc" { "messages".to_owned() } else { format!("records::{folder}") };
    let line = |m: &Message| format!("            ({folder}, {:?}, $crate::{room}::{})\n", m.name, m.name);
    messages.iter().map(line).collect()
}

pub fn emit_listing_macro(lines: &str) -> String {
    let head = "/// Calls `$callback!` once with a `(kind, name, type)` per message: for tests and fuzzers that must leave none out.\n";
    format!(
        "{head}#[macro_export]\nmacro_rules! for_each_message {{\n    ($callback:ident) => {{\n        $callback! {{\n{lines}        }}\n    }};\n}}\n"
    )
}

fn emit_message(message: &Message) -> String {
    let mut out = format!("pub use {}::{};\n\n/// [`{}`] and its parts.\n", message.module, message.name, message.name);
    let _ = writeln!(out, "#[allow(unused_imports, unused_variables)]\npub mod {} {{", message.module);
    out += "use bytes::Bytes;\nuse uuid::Uuid;\n\n";
    out += "use crate::codec::{DecodeError, Element, EncodeError, Message, Reader, Writer};\n";
    out += "use crate::primitives::{Records, Str};\n\n";
    out += &emit_impl(message);
    for s in &message.structs {
        let _ = writeln!(out, "\n{}\n{}", emit_struct::emit(message, s), emit_codec::emit(message, s));
    }
    out + "}\n\n"
}

fn emit_impl(message: &Message) -> String {
    let flexible = match message.flexible.is_empty() {
        true => "None".to_owned(),
        false => format!("Some({})", message.flexible.first),
    };
    let mut out = format!("impl Message for {} {{\n    const NAME: &'static str = {:?};\n", message.name, message.name);
    let (first, last) = (message.valid.first, message.valid.last);
    if message.valid.is_empty() {
        out += "    #[allow(clippy::reversed_empty_ranges)]\n";
    }
    let _ = writeln!(out, "    const VERSIONS: std::ops::RangeInclusive<i16> = {first}..={last};");
    let _ = writeln!(out, "    const FLEXIBLE_FROM: Option<i16> = {flexible};\n}}");
    if let (Some(key), true) = (message.api_key, is_record(message)) {
        let name = &message.name;
        let _ = writeln!(out, "\nimpl crate::records::Keyed for {name} {{\n    const API_KEY: i16 = {key};\n}}");
    }
    out
}

/// Whether the api key is a record's type rather than a request's.
fn is_record(message: &Message) -> bool {
    !matches!(message.kind.as_str(), "request" | "response")
}
