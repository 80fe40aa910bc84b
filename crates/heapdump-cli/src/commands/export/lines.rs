//! Every node or edge, one a line.

use std::borrow::Cow;
use std::io::Write;

use heapsnapshot::{NodeOrdinal, Snapshot};
use serde::Serialize;

use crate::args::Format;
use crate::error::Result;

const NODE_HEADER: &str = "ordinal\tid\ttype\tclass\tname\tshallow_size\tretained_size\tdominator\t\
    distance\tscript\tline\tcolumn\tdetachedness\tedge_count";

#[derive(Serialize)]
struct NodeLine<'a> {
    ordinal: u32,
    id: u64,
    #[serde(rename = "type")]
    kind: &'a str,
    class: &'a str,
    name: Cow<'a, str>,
    shallow_size: u64,
    retained_size: u64,
    dominator: u32,
    distance: Option<u32>,
    script: Option<u32>,
    line: Option<u32>,
    column: Option<u32>,
    detachedness: heapsnapshot::Detachedness,
    edge_count: usize,
}

pub(super) fn nodes(snapshot: &Snapshot, format: Format, out: &mut dyn Write) -> Result<()> {
    if format == Format::Tsv {
        writeln!(out, "{NODE_HEADER}")?;
    }
    for node in snapshot.nodes() {
        let line = node_line(snapshot, node);
        if format == Format::Ndjson {
            ndjson(out, &line)?;
            continue;
        }
        write!(out, "{}\t{}\t", line.ordinal, line.id)?;
        write!(out, "{}\t{}\t{}\t", tsv(line.kind), tsv(line.class), tsv(&line.name))?;
        write!(out, "{}\t{}\t{}\t", line.shallow_size, line.retained_size, line.dominator)?;
        for number in [line.distance, line.script, line.line, line.column] {
            match number {
                Some(number) => write!(out, "{number}\t")?,
                None => write!(out, "\t")?,
            }
        }
        let state = match line.detachedness {
            heapsnapshot::Detachedness::Unknown => "unknown",
            heapsnapshot::Detachedness::Attached => "attached",
            heapsnapshot::Detachedness::Detached => "detached",
        };
        writeln!(out, "{state}\t{}", line.edge_count)?;
    }
    Ok(())
}

fn node_line(snapshot: &Snapshot, node: NodeOrdinal) -> NodeLine<'_> {
    let location = snapshot.location(node);
    NodeLine {
        ordinal: node.0,
        id: snapshot.id(node).0,
        kind: snapshot.kind_name(node),
        class: snapshot.class_name(node),
        name: snapshot.name(node),
        shallow_size: snapshot.shallow_size(node),
        retained_size: snapshot.retained_size(node),
        dominator: snapshot.dominator(node).0,
        distance: snapshot.distance(node),
        script: location.map(|at| at.script_id),
        line: location.map(|at| at.line),
        column: location.map(|at| at.column),
        detachedness: snapshot.detachedness(node),
        edge_count: snapshot.edges(node).count(),
    }
}

const EDGE_HEADER: &str = "edge\tfrom\tto\ttype\tname";

#[derive(Serialize)]
struct EdgeLine<'a> {
    edge: u32,
    from: u32,
    to: u32,
    #[serde(rename = "type")]
    kind: &'a str,
    name: Cow<'a, str>,
}

pub(super) fn edges(snapshot: &Snapshot, format: Format, out: &mut dyn Write) -> Result<()> {
    if format == Format::Tsv {
        writeln!(out, "{EDGE_HEADER}")?;
    }
    for node in snapshot.nodes() {
        for edge in snapshot.edges(node) {
            let line = EdgeLine {
                edge: edge.index.0,
                from: node.0,
                to: edge.to.0,
                kind: snapshot.edge_kind_name(edge),
                name: snapshot.edge_name(edge),
            };
            if format == Format::Ndjson {
                ndjson(out, &line)?;
            } else {
                let EdgeLine { edge, from, to, kind, name } = line;
                writeln!(out, "{edge}\t{from}\t{to}\t{}\t{}", tsv(kind), tsv(&name))?;
            }
        }
    }
    Ok(())
}

fn ndjson(out: &mut dyn Write, line: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)?;
    Ok(())
}

/// Tab, line breaks and backslash, escaped; other control characters too, since a terminal may show it.
fn tsv(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c == '\\' || c.is_control()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(tsv("a\tb\nc\\d\u{1b}"), "a\\tb\\nc\\\\d\\u{1b}");
    }
}
