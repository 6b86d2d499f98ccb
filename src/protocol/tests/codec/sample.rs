//! Bytes of messages made straight from the field tables: a second, slow and plain encoder that invents its values.

use crate::model::{Field, Kind, Message, Preset, Struct};

/// Splitmix64: small, seeded, good enough.
pub struct Random(pub u64);

/// Where the values come from.
#[derive(Clone, Copy, PartialEq)]
pub enum Fill {
    Random,
    /// What a new message holds.
    Defaults,
    /// As `Random`, but every string, array and byte string is empty or null and no tag is set.
    Least,
}

/// Writes messages; every field in every version it has.
pub struct Sampler {
    pub random: Random,
    pub fill: Fill,
    /// How many elements arrays have, and down to which depth; elsewhere `fill` decides.
    pub width: Option<(usize, usize)>,
    /// The length to be replaced, counted from the start, and the number to replace it with.
    pub lie: Option<(usize, u32)>,
    /// Lengths written so far.
    pub lengths: usize,
    depth: usize,
}

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A random message in canonical form.
pub fn random(message: &Message, version: i16, seed: u64) -> Vec<u8> {
    Sampler::new(Fill::Random, seed).message(message, version)
}

impl Sampler {
    pub fn new(fill: Fill, seed: u64) -> Self {
        Self { random: Random(seed), fill, width: None, lie: None, lengths: 0, depth: 0 }
    }

    pub fn message(&mut self, message: &Message, version: i16) -> Vec<u8> {
        let mut out = Vec::new();
        self.structure(message, &message.structs[0], version, &mut out);
        out
    }

    fn structure(&mut self, message: &Message, s: &Struct, version: i16, out: &mut Vec<u8>) {
        let flexible = message.flexible.contains(version);
        self.depth += 1;
        for field in s.untagged().filter(|field| field.versions.contains(version)) {
            self.field(message, field, version, flexible && !field.never_flexible, out);
        }
        if flexible {
            let tagged = s.tagged().into_iter().filter(|field| field.versions.contains(version));
            let set: Vec<(u32, Vec<u8>)> = tagged.filter_map(|field| self.tagged(message, field, version)).collect();
            uvarint(set.len() as u32, out);
            for (tag, value) in set {
                uvarint(tag, out);
                uvarint(value.len() as u32, out);
                out.extend(value);
            }
        }
        self.depth -= 1;
    }

    /// A tagged field's value, unless it is the default, which is never sent.
    fn tagged(&mut self, message: &Message, field: &Field, version: i16) -> Option<(u32, Vec<u8>)> {
        if self.fill != Fill::Random {
            return None;
        }
        let (mut value, mut default) = (Vec::new(), Vec::new());
        self.field(message, field, version, true, &mut value);
        Sampler::new(Fill::Defaults, 0).field(message, field, version, true, &mut default);
        let value = (field.tag.unwrap(), value);
        (value.1 != default).then_some(value)
    }

    fn field(&mut self, message: &Message, field: &Field, version: i16, flexible: bool, out: &mut Vec<u8>) {
        let null = field.nullable.contains(version) && self.is_null(field);
        match &field.kind {
            Kind::Scalar(name) => self.scalar(name, field, out),
            Kind::Struct(_) if null => out.push(if field.tag.is_some() { 0 } else { 0xff }),
            Kind::Struct(name) => {
                if field.nullable.contains(version) {
                    out.push(1);
                }
                self.structure(message, message.find(name), version, out);
            }
            Kind::String => {
                let text = (!null).then(|| self.text());
                self.length(text.as_ref().map(String::len), 2, flexible, out);
                out.extend(text.unwrap_or_default().into_bytes());
            }
            Kind::Bytes | Kind::Records => {
                let bytes = (!null).then(|| self.bytes());
                self.length(bytes.as_ref().map(Vec::len), 4, flexible, out);
                out.extend(bytes.unwrap_or_default());
            }
            Kind::Array(_) if null => self.length(None, 4, flexible, out),
            Kind::Array(element) => self.array(message, element, version, flexible, out),
        }
    }

    fn array(&mut self, message: &Message, element: &Kind, version: i16, flexible: bool, out: &mut Vec<u8>) {
        let count = self.width_here().unwrap_or_else(|| self.few(3));
        self.length(Some(count), 4, flexible, out);
        for _ in 0..count {
            match element {
                Kind::Struct(name) => self.structure(message, message.find(name), version, out),
                Kind::Scalar(name) => out.extend((0..width(name)).map(|_| self.random.next() as u8)),
                Kind::String => {
                    let text = self.text();
                    self.length(Some(text.len()), 2, flexible, out);
                    out.extend(text.into_bytes());
                }
                other => panic!("an array of {other:?}"),
            }
        }
    }

    fn scalar(&mut self, name: &str, field: &Field, out: &mut Vec<u8>) {
        let preset = match &field.default {
            Preset::Literal(text) => text.parse::<i64>().unwrap_or(i64::from(text == "true")),
            _ => 0,
        };
        let value = match (self.fill, self.random.below(4)) {
            (Fill::Defaults, _) | (_, 0) => preset,
            _ => self.random.next() as i64,
        };
        match name {
            "bool" => out.push((value & 1) as u8),
            "f64" => out.extend((value as i32 as f64).to_be_bytes()),
            "Uuid" => out.extend(i128::from(value).to_be_bytes()),
            _ => out.extend(&value.to_be_bytes()[8 - width(name)..]),
        }
    }

    fn width_here(&self) -> Option<usize> {
        self.width.filter(|(_, depth)| self.depth <= *depth).map(|(count, _)| count)
    }

    fn is_null(&mut self, field: &Field) -> bool {
        match self.fill {
            _ if self.width_here().is_some() && matches!(field.kind, Kind::Array(_)) => false,
            Fill::Random => self.random.below(4) == 0,
            Fill::Defaults => {
                field.default == Preset::Null || (field.kind == Kind::Records && field.default == Preset::Zero)
            }
            Fill::Least => true,
        }
    }

    fn length(&mut self, length: Option<usize>, wide: usize, flexible: bool, out: &mut Vec<u8>) {
        let mut length = length.map_or(u32::MAX, |length| length as u32);
        if let Some((nth, lie)) = self.lie {
            length = if nth == self.lengths { lie } else { length };
        }
        self.lengths += 1;
        match (flexible, wide) {
            (true, _) => uvarint(length.wrapping_add(1), out),
            (false, 2) => out.extend((length as u16).to_be_bytes()),
            (false, _) => out.extend(length.to_be_bytes()),
        }
    }

    fn text(&mut self) -> String {
        (0..self.few(9)).map(|_| ['a', 'z', '.', '\u{e9}', '\u{1f980}'][self.random.below(5)]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.few(40)).map(|_| self.random.next() as u8).collect()
    }

    fn few(&mut self, limit: usize) -> usize {
        if self.fill == Fill::Random { self.random.below(limit) } else { 0 }
    }
}

pub fn uvarint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn width(scalar: &str) -> usize {
    match scalar {
        "bool" | "i8" => 1,
        "i16" | "u16" => 2,
        "i32" | "u32" => 4,
        "i64" | "f64" => 8,
        "Uuid" => 16,
        other => panic!("no width for {other}"),
    }
}
