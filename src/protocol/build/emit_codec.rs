//! Emits how a struct is read and written, version by version.

use std::fmt::Write;

use crate::model::{Field, Kind, Message, Preset, Struct, Versions};

/// `impl Element`: the smallest encoding, `read` and `write`.
pub fn emit(message: &Message, s: &Struct) -> String {
    format!(
        "impl Element for {} {{\n    const SIZE_MIN: usize = {};\n\n{}\n{}}}\n",
        s.name,
        size_min(message, s),
        emit_read(message, s),
        emit_write(message, s)
    )
}

fn emit_read(message: &Message, s: &Struct) -> String {
    let mut out = "    fn read(&mut self, r: &mut Reader, v: i16, f: bool) -> Result<(), DecodeError> {\n".to_owned();
    for field in s.untagged() {
        let read = read_field(message, field);
        let _ = match condition(field.versions, message.valid) {
            None => writeln!(out, "        {read}"),
            Some(present) => writeln!(out, "        if {present} {{\n            {read}\n        }}"),
        };
    }
    out += &emit_read_tags(message, s);
    out + "        Ok(())\n    }\n"
}

fn emit_read_tags(message: &Message, s: &Struct) -> String {
    let tagged: Vec<&Field> = s.tagged();
    if message.flexible.is_empty() {
        return String::new();
    }
    if tagged.is_empty() {
        return "        if f {\n            r.skip_tags()?;\n        }\n".to_owned();
    }
    let mut out = "        if f {\n            let mut tags = r.tags()?;\n".to_owned();
    out += "            while let Some(tag) = r.next_tag(&mut tags)? {\n                match tag {\n";
    for field in tagged {
        let tag = field.tag.expect("tagged() yields tagged fields");
        let guard = condition(field.versions, message.flexible).map_or(String::new(), |c| format!(" if {c}"));
        let _ = writeln!(out, "                    {tag}{guard} => {{ {} }}", read_field(message, field));
    }
    out + "                    _ => r.skip_tag(&tags)?,\n                }\n            }\n        }\n"
}

fn read_field(message: &Message, field: &Field) -> String {
    let (ident, f) = (&field.ident, flexible(field));
    if !field.is_nullable() {
        return match &field.kind {
            Kind::Scalar(name) => format!("self.{ident} = r.{}()?;", name.to_lowercase()),
            Kind::String => format!("self.{ident} = r.string({f})?;"),
            Kind::Bytes => format!("self.{ident} = r.bytes({f})?;"),
            Kind::Records => format!("self.{ident} = r.records({f})?;"),
            Kind::Struct(_) => format!("self.{ident}.read(r, v, {f})?;"),
            Kind::Array(_) => format!("self.{ident} = r.array(v, {f})?;"),
        };
    }
    let nullable = boolean(field.nullable, message.valid);
    match &field.kind {
        Kind::Scalar(name) => panic!("{}: a nullable {name}", field.name),
        Kind::String => format!("self.{ident} = r.nullable_string({f}, {nullable})?;"),
        Kind::Bytes => format!("self.{ident} = r.nullable_bytes({f}, {nullable})?;"),
        Kind::Records => format!("self.{ident} = r.nullable_records({f}, {nullable})?;"),
        Kind::Struct(_) if field.tag.is_some() => format!("self.{ident} = r.nullable_tagged_struct(v, {f})?;"),
        Kind::Struct(_) => format!("self.{ident} = r.nullable_struct(v, {f}, {nullable})?;"),
        Kind::Array(_) => format!("self.{ident} = r.nullable_array(v, {f}, {nullable})?;"),
    }
}

fn emit_write(message: &Message, s: &Struct) -> String {
    let mut out = "    fn write(&self, w: &mut Writer, v: i16, f: bool) -> Result<(), EncodeError> {\n".to_owned();
    out += &emit_refusals(message, s);
    for field in s.untagged() {
        let write = write_field(message, field);
        let _ = match condition(field.versions, message.valid) {
            None => writeln!(out, "        {write}"),
            Some(present) => writeln!(out, "        if {present} {{\n            {write}\n        }}"),
        };
    }
    out += &emit_write_tags(message, s);
    out + "        Ok(())\n    }\n"
}

/// What the version cannot carry: fields it lacks and that may not be dropped, nulls it has no place for.
fn emit_refusals(message: &Message, s: &Struct) -> String {
    let mut out = String::new();
    for field in &s.fields {
        if let (Some(absent), false) = (absence(field.versions, message.valid), field.ignorable) {
            out += &refusal("field", &format!("{absent} && {}", differs(field)), s, field);
        }
        let not_nullable = field.not_nullable();
        if !not_nullable.is_empty() {
            let carried = condition(not_nullable, message.valid).map_or(String::new(), |c| format!("{c} && "));
            out += &refusal("null", &format!("{carried}self.{}.is_none()", field.ident), s, field);
        }
    }
    out
}

fn refusal(error: &str, when: &str, s: &Struct, field: &Field) -> String {
    let refuse = format!("return Err(EncodeError::{error}(\"{}.{}\", v));", s.name, field.name);
    format!("        if {when} {{\n            {refuse}\n        }}\n")
}

fn emit_write_tags(message: &Message, s: &Struct) -> String {
    if message.flexible.is_empty() {
        return String::new();
    }
    let tagged: Vec<&Field> = s.tagged();
    let mut out = "        if f {\n".to_owned();
    for field in &tagged {
        let present = condition(field.versions, message.flexible).map_or(String::new(), |c| format!("{c} && "));
        let _ = writeln!(out, "            let {}_is_set = {present}{};", field.ident, differs(field));
    }
    let count: Vec<String> = tagged.iter().map(|field| format!("u32::from({}_is_set)", field.ident)).collect();
    let _ =
        writeln!(out, "            w.uvarint({});", if count.is_empty() { "0".to_owned() } else { count.join(" + ") });
    for field in &tagged {
        let tag = field.tag.expect("tagged() yields tagged fields");
        let write = write_field(message, field);
        let _ = writeln!(
            out,
            "            if {}_is_set {{\n                w.tagged({tag}, |w| {{ {write} Ok(()) }})?;\n            }}",
            field.ident
        );
    }
    out + "        }\n"
}

fn write_field(message: &Message, field: &Field) -> String {
    let (ident, f) = (&field.ident, flexible(field));
    if !field.is_nullable() {
        return match &field.kind {
            Kind::Scalar(name) => format!("w.{}(self.{ident});", name.to_lowercase()),
            Kind::String => format!("w.string(&self.{ident}, {f})?;"),
            Kind::Bytes => format!("w.bytes(&self.{ident}, {f})?;"),
            Kind::Records => format!("w.records(&self.{ident}, {f})?;"),
            Kind::Struct(_) => format!("self.{ident}.write(w, v, {f})?;"),
            Kind::Array(_) => format!("w.array(&self.{ident}, v, {f})?;"),
        };
    }
    match &field.kind {
        Kind::Scalar(name) => panic!("{}: a nullable {name}", field.name),
        Kind::String => format!("w.nullable_string(self.{ident}.as_ref(), {f})?;"),
        Kind::Bytes => format!("w.nullable_bytes(self.{ident}.as_ref(), {f})?;"),
        Kind::Records => format!("w.nullable_records(self.{ident}.as_ref(), {f})?;"),
        Kind::Struct(_) if field.tag.is_some() => {
            format!("w.nullable_tagged_struct(self.{ident}.as_ref(), v, {f})?;")
        }
        Kind::Struct(_) => {
            let nullable = boolean(field.nullable, message.valid);
            format!("w.nullable_struct(self.{ident}.as_ref(), v, {f}, {nullable})?;")
        }
        Kind::Array(_) => format!("w.nullable_array(self.{ident}.as_deref(), v, {f})?;"),
    }
}

/// An expression that is true when the field does not hold its default.
fn differs(field: &Field) -> String {
    let ident = &field.ident;
    let nullable = field.is_nullable();
    match (&field.default, &field.kind) {
        (Preset::Null, _) => format!("self.{ident}.is_some()"),
        (Preset::Literal(value), Kind::Scalar("bool")) if value == "true" => format!("!self.{ident}"),
        (Preset::Literal(value), _) => format!("self.{ident} != {value}"),
        (Preset::Zero, Kind::Records) if nullable => format!("self.{ident}.is_some()"),
        (Preset::Zero, Kind::Struct(name)) if nullable => format!("self.{ident} != Some({name}::default())"),
        (Preset::Zero, Kind::Struct(name)) => format!("self.{ident} != {name}::default()"),
        (Preset::Zero, Kind::Scalar(name)) => match *name {
            "bool" => format!("self.{ident}"),
            "f64" => format!("self.{ident} != 0.0"),
            "Uuid" => format!("!self.{ident}.is_nil()"),
            _ => format!("self.{ident} != 0"),
        },
        (Preset::Zero, _) if nullable => format!("self.{ident}.as_ref().is_none_or(|value| !value.is_empty())"),
        (Preset::Zero, _) => format!("!self.{ident}.is_empty()"),
    }
}

fn flexible(field: &Field) -> &'static str {
    if field.never_flexible { "false" } else { "f" }
}

/// `v` lies in `versions`, given that it lies in `within`; `None` when that is always so.
fn condition(versions: Versions, within: Versions) -> Option<String> {
    let (low, high) = (versions.first > within.first, versions.last < within.last);
    match (low, high) {
        _ if versions.intersect(within).is_empty() => Some("false".to_owned()),
        (false, false) => None,
        (true, false) => Some(format!("v >= {}", versions.first)),
        (false, true) => Some(format!("v <= {}", versions.last)),
        (true, true) => Some(format!("({}..={}).contains(&v)", versions.first, versions.last)),
    }
}

/// The opposite of `condition`; `None` when `v` always lies in `versions`.
fn absence(versions: Versions, within: Versions) -> Option<String> {
    let (low, high) = (versions.first > within.first, versions.last < within.last);
    match (low, high) {
        (false, false) => None,
        (true, false) => Some(format!("v < {}", versions.first)),
        (false, true) => Some(format!("v > {}", versions.last)),
        (true, true) => Some(format!("!({}..={}).contains(&v)", versions.first, versions.last)),
    }
}

fn boolean(versions: Versions, within: Versions) -> String {
    condition(versions, within).unwrap_or_else(|| "true".to_owned())
}

/// The fewest bytes an instance can take in any version that has it.
fn size_min(message: &Message, s: &Struct) -> usize {
    s.versions.intersect(message.valid).iter().map(|v| size_min_in(message, s, v)).min().unwrap_or(0)
}

fn size_min_in(message: &Message, s: &Struct, version: i16) -> usize {
    let flexible = message.flexible.contains(version);
    let fields = s.untagged().filter(|field| field.versions.contains(version));
    let sum: usize = fields.map(|field| field_size_min(message, field, version, flexible)).sum();
    sum + usize::from(flexible)
}

fn field_size_min(message: &Message, field: &Field, version: i16, flexible: bool) -> usize {
    match &field.kind {
        Kind::Struct(_) if field.nullable.contains(version) => 1,
        Kind::Struct(name) => size_min_in(message, message.find(name), version),
        Kind::Scalar("bool" | "i8") => 1,
        Kind::Scalar("i16" | "u16") => 2,
        Kind::Scalar("i32" | "u32") => 4,
        Kind::Scalar("i64" | "f64") => 8,
        Kind::Scalar("Uuid") => 16,
        Kind::Scalar(name) => panic!("no size for {name}"),
        _ if flexible && !field.never_flexible => 1,
        Kind::String => 2,
        Kind::Bytes | Kind::Records | Kind::Array(_) => 4,
    }
}
