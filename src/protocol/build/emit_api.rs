//! Emits `ApiKey`, its table of facts, and the pairing of requests with responses.

use std::fmt::Write;

use crate::model::Message;

pub fn emit(messages: &[Message]) -> String {
    let mut requests: Vec<&Message> = messages.iter().filter(|m| m.kind == "request").collect();
    requests.sort_by_key(|m| key(m));
    emit_enum(&requests) + &emit_table(&requests) + &emit_pairs(&requests)
}

fn emit_enum(requests: &[&Message]) -> String {
    let mut out = "/// A request's number on the wire, by Kafka's name for it.\n".to_owned();
    out += "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\npub enum ApiKey {\n";
    for request in requests {
        let _ = writeln!(out, "    {} = {},", variant(request), key(request));
    }
    out + "}\n\n"
}

fn emit_table(requests: &[&Message]) -> String {
    let mut out =
        format!("/// One line per key, in the order of the keys.\nstatic FACTS: [Facts; {}] = [\n", requests.len());
    for request in requests {
        let flexible = if request.flexible.is_empty() { i16::MAX } else { request.flexible.first };
        let listens = |listener: &str| request.listeners.iter().any(|l| l == listener);
        let _ = writeln!(
            out,
            "    Facts {{ key: ApiKey::{}, name: {:?}, first: {}, last: {}, flexible_from: {flexible}, last_is_unstable: {}, broker: {}, controller: {} }},",
            variant(request),
            variant(request),
            request.valid.first,
            request.valid.last,
            request.latest_unstable,
            listens("broker"),
            listens("controller"),
        );
    }
    out + "];\n\n"
}

fn emit_pairs(requests: &[&Message]) -> String {
    let mut out = String::new();
    for request in requests {
        let name = variant(request);
        let _ = writeln!(
            out,
            "impl Request for crate::messages::{name}Request {{\n    const KEY: ApiKey = ApiKey::{name};\n    type Response = crate::messages::{name}Response;\n}}"
        );
    }
    out
}

fn variant(request: &Message) -> &str {
    request.name.strip_suffix("Request").unwrap_or_else(|| panic!("{}: a request by another name", request.name))
}

fn key(request: &Message) -> i16 {
    request.api_key.unwrap_or_else(|| panic!("{}: a request without a key", request.name))
}
