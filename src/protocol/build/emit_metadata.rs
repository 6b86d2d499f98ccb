//! Emits `MetadataRecord`, the sum of all records of the cluster metadata log.

use std::fmt::Write;

use crate::model::Message;

pub fn emit(messages: &[Message]) -> String {
    let mut records: Vec<&Message> = messages.iter().collect();
    records.sort_by_key(|m| key(m));
    let variants: Vec<(String, &str)> = records.iter().map(|m| (variant(m), m.name.as_str())).collect();
    let mut out =
        "/// Any record of the cluster metadata log.\n#[derive(Clone, Debug, PartialEq)]\npub enum MetadataRecord {\n"
            .to_owned();
    for (variant, name) in &variants {
        let _ = writeln!(out, "    {variant}({name}),");
    }
    out += "}\n\n";
    out += &emit_match("api_key(&self) -> i16", "The record's type on disk.", &variants, |v, n| {
        format!("Self::{v}(_) => {n}::API_KEY,")
    });
    out += &emit_match(
        "versions(&self) -> RangeInclusive<i16>",
        "The versions this record type has.",
        &variants,
        |v, n| format!("Self::{v}(_) => {n}::VERSIONS,"),
    );
    out += &emit_match(
        "encode_body(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>",
        "Writes the record without its frame.",
        &variants,
        |v, _| format!("Self::{v}(record) => record.encode(w, version),"),
    );
    out += "impl MetadataRecord {\n    /// Reads a record without its frame.\n";
    out += "    pub fn decode_body(api_key: i16, r: &mut Reader, version: i16) -> Result<Self, DecodeError> {\n";
    out += "        Ok(match api_key {\n";
    for (variant, name) in &variants {
        let _ = writeln!(out, "            {name}::API_KEY => Self::{variant}({name}::decode(r, version)?),");
    }
    out += "            _ => return Err(DecodeError::Malformed(\"unknown metadata record type\")),\n        })\n    }\n}\n\n";
    for (variant, name) in &variants {
        let _ = writeln!(
            out,
            "impl From<{name}> for MetadataRecord {{\n    fn from(record: {name}) -> Self {{\n        Self::{variant}(record)\n    }}\n}}"
        );
    }
    out
}

fn emit_match(signature: &str, doc: &str, variants: &[(String, &str)], arm: impl Fn(&str, &str) -> String) -> String {
    let mut out = format!("impl MetadataRecord {{\n    /// {doc}\n    pub fn {signature} {{\n        match self {{\n");
    for (variant, name) in variants {
        let _ = writeln!(out, "            {}", arm(variant, name));
    }
    out + "        }\n    }\n}\n\n"
}

fn variant(record: &Message) -> String {
    record.name.strip_suffix("Record").unwrap_or_else(|| panic!("{}: a record by another name", record.name)).to_owned()
}

fn key(record: &Message) -> i16 {
    record.api_key.unwrap_or_else(|| panic!("{}: a record without a type", record.name))
}
