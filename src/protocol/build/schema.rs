//! The JSON of one field table, as it is written down.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// A whole file: one message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schema {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub api_key: Option<i16>,
    pub valid_versions: String,
    #[serde(default = "none")]
    pub flexible_versions: String,
    #[serde(default)]
    pub latest_version_unstable: bool,
    #[serde(default)]
    pub listeners: Vec<String>,
    #[serde(default)]
    pub common_structs: Vec<CommonStruct>,
    pub fields: Vec<SchemaField>,
}

/// A struct that several fields of one message share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonStruct {
    pub name: String,
    pub versions: String,
    pub fields: Vec<SchemaField>,
}

/// One field; `fields` is there when its type is a struct that it defines itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaField {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub versions: Option<String>,
    pub nullable_versions: Option<String>,
    pub tagged_versions: Option<String>,
    pub flexible_versions: Option<String>,
    pub tag: Option<u32>,
    /// Absent and JSON null both mean the type's own default.
    pub default: Option<Value>,
    #[serde(default)]
    pub ignorable: bool,
    pub fields: Option<Vec<SchemaField>>,
    // Known and without a meaning on the wire.
    #[serde(default, rename = "mapKey")]
    pub _map_key: bool,
    #[serde(default, rename = "entityType")]
    pub _entity_type: Option<String>,
    #[serde(default, rename = "zeroCopy")]
    pub _zero_copy: bool,
}

/// Reads one file; a malformed one stops the build, naming it.
pub fn read(path: &Path) -> Schema {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn none() -> String {
    "none".to_owned()
}
