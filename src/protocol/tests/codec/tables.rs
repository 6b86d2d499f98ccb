//! The field tables, read a second time for the tests.

use std::fs;
use std::path::Path;

use crate::model::Message;
use crate::schema;

const FOLDERS: [&str; 7] = ["rpc", "metadata", "group", "transaction", "share", "storage", "raft"];

/// All of them.
pub fn all() -> Vec<Message> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    files.map(|file| Message::new(schema::read(&file.unwrap().path()))).collect()
}

pub fn of(name: &str) -> Message {
    all().into_iter().find(|message| message.name == name).unwrap()
}
