//! Turns the field tables of `schemas/` and `errors.tsv` into the Rust source that `src/` includes: one file per kind of message.

mod emit_api;
mod emit_codec;
mod emit_errors;
mod emit_metadata;
mod emit_module;
mod emit_struct;
mod model;
mod names;
mod schema;

use std::path::{Path, PathBuf};
use std::{env, fs};

use model::Message;

/// A folder of `schemas/` and the file generated from it.
const KINDS: [(&str, &str); 7] = [
    ("rpc", "messages.rs"),
    ("metadata", "records_metadata.rs"),
    ("group", "records_group.rs"),
    ("transaction", "records_transaction.rs"),
    ("share", "records_share.rs"),
    ("storage", "records_storage.rs"),
    ("raft", "records_raft.rs"),
];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    for watched in ["build", "schemas", "errors.tsv"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    let mut listed = String::new();
    for (folder, file) in KINDS {
        let messages = read_folder(&root.join("schemas").join(folder));
        write(&out.join(file), &emit_module::emit(&messages));
        listed += &emit_module::emit_listing(folder, &messages);
        match folder {
            "rpc" => write(&out.join("api.rs"), &emit_api::emit(&messages)),
            "metadata" => write(&out.join("metadata_record.rs"), &emit_metadata::emit(&messages)),
            _ => {}
        }
    }
    write(&out.join("listing.rs"), &emit_module::emit_listing_macro(&listed));
    let errors = fs::read_to_string(root.join("errors.tsv")).expect("errors.tsv is part of the package");
    write(&out.join("error_codes.rs"), &emit_errors::emit(&errors));
}

fn read_folder(folder: &Path) -> Vec<Message> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.iter().map(|path| Message::new(schema::read(path))).collect()
}

fn write(path: &Path, source: &str) {
    fs::write(path, source).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
