//! What a field table means: versions as ranges, types as an enum, every struct of a message in one list.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::schema::{Schema, SchemaField};

/// Names the generated modules import, which no struct of a message may take.
const RESERVED: [&str; 9] =
    ["Bytes", "DecodeError", "Element", "EncodeError", "Message", "Reader", "Records", "Str", "Writer"];

/// An inclusive range of versions; empty when `first > last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

/// One message with its structs; the first of `structs` is the message itself.
#[derive(Debug)]
pub struct Message {
    pub name: String,
    pub module: String,
    pub kind: String,
    pub api_key: Option<i16>,
    pub valid: Versions,
    pub flexible: Versions,
    pub latest_unstable: bool,
    pub listeners: Vec<String>,
    pub structs: Vec<Struct>,
}

#[derive(Debug)]
pub struct Struct {
    pub name: String,
    /// The versions in which something refers to it.
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub ident: String,
    pub kind: Kind,
    pub versions: Versions,
    pub nullable: Versions,
    pub tag: Option<u32>,
    pub default: Preset,
    pub ignorable: bool,
    /// Keeps the old encoding even in flexible versions (the header's client id).
    pub never_flexible: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Scalar(&'static str),
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Kind>),
}

/// A field's value in a version that lacks it.
#[derive(Debug, PartialEq)]
pub enum Preset {
    /// Zero, false, empty, or the struct's own defaults.
    Zero,
    Null,
    Literal(String),
}

impl Versions {
    pub const NONE: Versions = Versions { first: 0, last: -1 };

    /// Reads `3`, `3-7`, `3+` or `none`.
    pub fn parse(text: &str) -> Versions {
        let number = |t: &str| t.parse::<i16>().unwrap_or_else(|e| panic!("versions {text:?}: {e}"));
        match (text, text.strip_suffix('+'), text.split_once('-')) {
            ("none", ..) => Versions::NONE,
            (_, Some(first), _) => Versions { first: number(first), last: i16::MAX },
            (_, _, Some((first, last))) => Versions { first: number(first), last: number(last) },
            _ => Versions { first: number(text), last: number(text) },
        }
    }

    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    pub fn intersect(self, other: Versions) -> Versions {
        Versions { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    pub fn iter(self) -> impl Iterator<Item = i16> {
        self.first..=self.last
    }
}

impl Message {
    pub fn new(schema: Schema) -> Message {
        let valid = Versions::parse(&schema.valid_versions);
        let mut structs = vec![Struct { name: schema.name.clone(), versions: valid, fields: Vec::new() }];
        structs[0].fields = collect(&schema.fields, valid, &mut structs);
        for common in &schema.common_structs {
            let versions = Versions::parse(&common.versions).intersect(valid);
            let fields = collect(&common.fields, valid, &mut structs);
            structs.push(Struct { name: common.name.clone(), versions, fields });
        }
        let message = Message {
            module: names::snake(&schema.name),
            name: schema.name,
            kind: schema.kind,
            api_key: schema.api_key,
            valid,
            flexible: Versions::parse(&schema.flexible_versions).intersect(valid),
            latest_unstable: schema.latest_version_unstable,
            listeners: schema.listeners,
            structs,
        };
        message.check();
        message
    }

    pub fn find(&self, name: &str) -> &Struct {
        self.structs.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{}: no struct {name}", self.name))
    }

    fn check(&self) {
        let mut seen = HashSet::new();
        for s in &self.structs {
            assert!(seen.insert(&s.name), "{}: two structs are called {}", self.name, s.name);
            assert!(!RESERVED.contains(&s.name.as_str()), "{}: {} is a name we import", self.name, s.name);
        }
    }
}

impl Struct {
    /// The tagged fields, in the order of their tags.
    pub fn tagged(&self) -> Vec<&Field> {
        let mut fields: Vec<&Field> = self.fields.iter().filter(|f| f.tag.is_some()).collect();
        fields.sort_by_key(|f| f.tag);
        fields
    }

    pub fn untagged(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|f| f.tag.is_none())
    }
}

impl Field {
    fn new(field: &SchemaField, valid: Versions) -> Field {
        let tagged = field.tagged_versions.as_deref();
        let versions = field.versions.as_deref().or(tagged).unwrap_or_else(|| panic!("{}: no versions", field.name));
        let never_flexible = field.flexible_versions.as_deref() == Some("none");
        assert!(never_flexible || field.flexible_versions.is_none(), "{}: flexibleVersions", field.name);
        assert!(tagged.is_none_or(|t| t == versions), "{}: tagged in some versions only", field.name);
        assert_eq!(tagged.is_some(), field.tag.is_some(), "{}: tag without taggedVersions", field.name);
        let versions = Versions::parse(versions).intersect(valid);
        let nullable = field.nullable_versions.as_deref().map_or(Versions::NONE, Versions::parse).intersect(versions);
        Field {
            ident: names::snake(&field.name),
            kind: Kind::parse(&field.kind),
            versions,
            nullable,
            tag: field.tag,
            default: Preset::new(field),
            ignorable: field.ignorable,
            never_flexible,
            name: field.name.clone(),
        }
    }

    /// Whether any version at all can carry a null.
    pub fn is_nullable(&self) -> bool {
        !self.nullable.is_empty()
    }

    /// The versions of an optional field in which it must be there all the same.
    pub fn not_nullable(&self) -> Versions {
        if !self.is_nullable() {
            return Versions::NONE;
        }
        assert_eq!(self.nullable.last, self.versions.last, "{}: nullable at first, then no more", self.name);
        Versions { first: self.versions.first, last: self.nullable.first - 1 }
    }
}

impl Kind {
    fn parse(text: &str) -> Kind {
        match text {
            "bool" => Kind::Scalar("bool"),
            "int8" => Kind::Scalar("i8"),
            "int16" => Kind::Scalar("i16"),
            "uint16" => Kind::Scalar("u16"),
            "int32" => Kind::Scalar("i32"),
            "uint32" => Kind::Scalar("u32"),
            "int64" => Kind::Scalar("i64"),
            "float64" => Kind::Scalar("f64"),
            "uuid" => Kind::Scalar("Uuid"),
            "string" => Kind::String,
            "bytes" => Kind::Bytes,
            "records" => Kind::Records,
            _ => match text.strip_prefix("[]") {
                Some(element) => Kind::Array(Box::new(Kind::parse(element))),
                None if text.starts_with(char::is_uppercase) => Kind::Struct(text.to_owned()),
                None => panic!("unknown type {text:?}"),
            },
        }
    }

    /// The struct this type is, or is an array of.
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Kind::Struct(name) => Some(name),
            Kind::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

impl Preset {
    fn new(field: &SchemaField) -> Preset {
        let text = match &field.default {
            None | Some(Value::Null) => return Preset::Zero,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        match text.as_str() {
            "null" => Preset::Null,
            "" | "0" | "false" => Preset::Zero,
            _ => Preset::Literal(text.strip_prefix("0x").map_or(text.clone(), hexadecimal)),
        }
    }
}

/// The fields of one struct that some version still has; the structs they define themselves go to `structs`.
fn collect(fields: &[SchemaField], valid: Versions, structs: &mut Vec<Struct>) -> Vec<Field> {
    let mut collected = Vec::new();
    for schema in fields {
        let field = Field::new(schema, valid);
        if field.versions.is_empty() {
            continue;
        }
        if let (Some(inner), Some(name)) = (&schema.fields, field.kind.struct_name()) {
            let fields = collect(inner, valid, structs);
            structs.push(Struct { name: name.to_owned(), versions: field.versions, fields });
        }
        collected.push(field);
    }
    collected
}

fn hexadecimal(digits: &str) -> String {
    i64::from_str_radix(digits, 16).unwrap_or_else(|e| panic!("default 0x{digits}: {e}")).to_string()
}
