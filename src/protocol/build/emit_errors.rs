//! Emits the error codes from their table: code, name, whether a client retries.

use std::fmt::Write;

use crate::names;

pub fn emit(table: &str) -> String {
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let mut variants = String::new();
    let mut facts = String::new();
    for row in &rows {
        let [code, name, retriable] = row[..] else { panic!("errors.tsv: {row:?}") };
        let variant = names::camel(name);
        let _ = writeln!(variants, "    {variant} = {code},");
        let _ = writeln!(facts, "    (ErrorCode::{variant}, {name:?}, {retriable}),");
    }
    format!(
        "/// An error as a response carries it. `None` is success.\n\
         #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]\n#[repr(i16)]\npub enum ErrorCode {{\n{}}}\n\n\
         /// Code, Kafka's name, whether a client retries; ascending, from -1 without a gap.\n\
         static FACTS: [(ErrorCode, &str, bool); {}] = [\n{facts}];\n",
        variants.replace("    None = 0,", "    #[default]\n    None = 0,"),
        rows.len()
    )
}
