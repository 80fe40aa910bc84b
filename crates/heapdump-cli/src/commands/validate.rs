//! `validate`: whether a file is a whole snapshot.

use serde::Serialize;

use crate::args::OneFile;
use crate::error::{Error, Result};
use crate::reporters::{json, text};
use crate::session::Session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    valid: bool,
    error: Option<String>,
    /// What the file is, if it is something else.
    found: Option<&'static str>,
    missing: Vec<String>,
    nodes: Option<u64>,
    edges: Option<u64>,
    strings: Option<u64>,
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redaction: Option<heapsnapshot::Redaction>,
}

/// How a file was redacted, in words.
pub(crate) fn redacted(how: &heapsnapshot::Redaction) -> String {
    let key = if how.key == "given" { "a key that was given" } else { "a random key" };
    let paths = if how.paths == "hidden" { ", paths hidden" } else { "" };
    format!("redacted with {key} ({}){paths}", how.key_id)
}

pub(crate) fn run(args: &OneFile, session: &mut Session<'_>) -> Result<u8> {
    let answer = match session.load(&args.file, args.output.salvage) {
        Ok(snapshot) => Answer {
            valid: snapshot.missing().is_empty(),
            error: None,
            found: None,
            missing: snapshot.missing().iter().map(ToString::to_string).collect(),
            nodes: Some(snapshot.node_count() as u64),
            edges: Some(snapshot.edge_count() as u64),
            strings: Some(snapshot.string_count() as u64),
            bytes: Some(snapshot.file_size()),
            redaction: snapshot.redaction().cloned(),
        },
        // Of what is encrypted it is not known whether it is whole.
        Err(Error::Snapshot { source, .. }) if !source.is_encrypted() => Answer {
            valid: false,
            error: Some(source.to_string()),
            found: source.found().map(heapsnapshot::ForeignFile::code),
            missing: Vec::new(),
            nodes: None,
            edges: None,
            strings: None,
            bytes: None,
            redaction: None,
        },
        Err(error) => return Err(error),
    };
    let code = if answer.valid { crate::EXIT_FINE } else { crate::EXIT_ERROR };
    if args.output.json {
        json::write(session.out, "validate", &answer)?;
        return Ok(code);
    }
    let file = args.file.display();
    match &answer.error {
        Some(error) if answer.found.is_some() => writeln!(session.out, "{file}: {error}")?,
        Some(error) => writeln!(session.out, "{file}: not a whole snapshot: {error}")?,
        None => writeln!(
            session.out,
            "{file}: {}, {} nodes, {} edges, {} strings, {}{}",
            if answer.valid { "a whole snapshot" } else { "salvaged" },
            text::number(answer.nodes.unwrap_or(0)),
            text::number(answer.edges.unwrap_or(0)),
            text::number(answer.strings.unwrap_or(0)),
            text::size(answer.bytes.unwrap_or(0)),
            answer.redaction.as_ref().map(|how| format!(", {}", redacted(how))).unwrap_or_default()
        )?,
    }
    Ok(code)
}
