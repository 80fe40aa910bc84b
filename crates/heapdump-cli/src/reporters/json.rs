//! Answers as JSON. Every answer says which command it is of and the version of its schema.

use std::io::Write;

use serde::Serialize;

use crate::error::Result;

/// Raised when a field changes its meaning or goes; new fields do not raise it.
pub(crate) const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    command: &'a str,
    #[serde(flatten)]
    answer: &'a T,
}

pub(crate) fn write<T: Serialize>(out: &mut dyn Write, command: &str, answer: &T) -> Result<()> {
    let envelope = Envelope { schema_version: SCHEMA_VERSION, command, answer };
    serde_json::to_writer_pretty(&mut *out, &envelope)?;
    writeln!(out)?;
    Ok(())
}
