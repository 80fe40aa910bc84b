//! The `snapshot` object at the start of a file: what its arrays are made of, and the mark that says what was done.

use crate::marks::{Role, usage};
use crate::{Error, Options};
use serde_json::{Map, Value};

/// Under this key of the `snapshot` object; readers that do not know it pass over it.
pub const MARK: &str = "redacted";

/// What may stand beside the meta. Whatever else does would be written as it is.
const KNOWN: [&str; 6] = [
    "meta",
    "node_count",
    "edge_count",
    "trace_function_count",
    "extra_native_bytes",
    "root_index",
];

/// What is read of a record of one of the arrays.
#[derive(Default, Debug)]
pub(crate) struct Layout {
    pub(crate) stride: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    /// A node's number of edges; an edge's target; a function's script.
    pub(crate) last: usize,
}

#[derive(Default, Debug)]
pub(crate) struct Header {
    pub(crate) node: Layout,
    pub(crate) edge: Layout,
    pub(crate) function: Option<Layout>,
    pub(crate) node_kinds: Vec<NodeKind>,
    /// By their numbers; V8 has seven.
    pub(crate) edge_kinds: [Option<EdgeKind>; 16],
}

/// What becomes of the name of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeKind {
    pub(crate) usage: u8,
    pub(crate) role: Role,
}

/// A kind that is not known is text.
pub(crate) const UNKNOWN: NodeKind = NodeKind { usage: usage::TEXT, role: Role::Other };

impl NodeKind {
    /// Whether its name is a text.
    pub(crate) fn is_text(self) -> bool {
        self.usage & usage::TEXT != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeKind {
    /// `element`, `hidden`: a number.
    Index,
    /// A variable of a function.
    Variable,
    Property,
    /// `internal`, `weak`: V8's names.
    Internal,
    Shortcut,
}

/// Reads the object, and writes it again with the mark in front.
pub(crate) fn read(json: &[u8], options: &Options, out: &mut Vec<u8>) -> Result<Header, Error> {
    let malformed = |what| Error::Malformed { what };
    let object: Map<String, Value> =
        serde_json::from_slice(json).map_err(|_| malformed("a header that is no JSON object"))?;
    if object.contains_key(MARK) {
        return Err(Error::AlreadyRedacted);
    }
    let meta =
        object.get("meta").and_then(Value::as_object).ok_or(malformed("a header without meta"))?;
    let header = layouts(meta)?;
    write(&object, meta, options, out);
    Ok(header)
}

fn layouts(meta: &Map<String, Value>) -> Result<Header, Error> {
    let fields = |list: &str| -> Vec<&str> {
        meta.get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let kinds = |list: &str, at: usize| -> Vec<&str> {
        let types =
            meta.get(list).and_then(Value::as_array).and_then(|types| types.get(at)?.as_array());
        types.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let layout = |list: &str, kind: &str, name: &str, last: &str| {
        let fields = fields(list);
        let position = |field| fields.iter().position(|name| *name == field);
        let (kind, name, last) = (position(kind)?, position(name)?, position(last)?);
        // The kind says what the name is, so it must come first.
        (kind < name && name < last).then_some(Layout { stride: fields.len(), kind, name, last })
    };
    let unknown =
        Error::Malformed { what: "a meta with other fields, or in another order, than V8's" };
    let (Some(node), Some(edge)) = (
        layout("node_fields", "type", "name", "edge_count"),
        layout("edge_fields", "type", "name_or_index", "to_node"),
    ) else {
        return Err(unknown);
    };
    let function = layout("trace_function_info_fields", "function_id", "name", "script_name");
    let node_kinds = kinds("node_types", node.kind).into_iter().map(node_kind).collect();
    let mut edge_kinds = [None; 16];
    for (at, name) in kinds("edge_types", edge.kind).into_iter().enumerate() {
        let kind = edge_kind(name).filter(|_| at < edge_kinds.len());
        let kind = kind.ok_or(Error::Malformed { what: "a kind of edge that is not known" })?;
        edge_kinds[at] = Some(kind);
    }
    Ok(Header { node, edge, function, node_kinds, edge_kinds })
}

fn node_kind(name: &str) -> NodeKind {
    use usage::{MADE, NAME, PATH, WORD};
    let (usage, role) = match name {
        "object" => (NAME | MADE, Role::Object),
        "object shape" => (NAME | MADE, Role::Shape),
        "hidden" | "native" => (NAME | MADE, Role::Symbol),
        "closure" | "array" | "synthetic" => (NAME | MADE, Role::Other),
        // V8 11 to 14 call a script by its path.
        "code" => (NAME | MADE | PATH, Role::Other),
        "symbol" => (NAME | WORD, Role::Symbol),
        "number" | "bigint" | "concatenated string" | "sliced string" => (NAME | WORD, Role::Other),
        // "string" and "regexp" among them.
        _ => return UNKNOWN,
    };
    NodeKind { usage, role }
}

fn edge_kind(name: &str) -> Option<EdgeKind> {
    Some(match name {
        "element" | "hidden" => EdgeKind::Index,
        "context" => EdgeKind::Variable,
        "property" => EdgeKind::Property,
        "internal" | "weak" => EdgeKind::Internal,
        "shortcut" => EdgeKind::Shortcut,
        _ => return None,
    })
}

fn write(
    object: &Map<String, Value>,
    meta: &Map<String, Value>,
    options: &Options,
    out: &mut Vec<u8>,
) {
    let mark = serde_json::json!({
        "by": "heapdump-rs",
        "version": 1,
        "key": if options.given_key { "given" } else { "random" },
        "key_id": options.key.id(),
        "paths": if options.hide_paths { "hidden" } else { "kept" },
    });
    let mut put = |key: &str, value: &Value| {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{key}\":{value}").as_bytes());
    };
    put(MARK, &mark);
    // Of each only what says how arrays are to be read.
    let known =
        meta.iter().filter(|(key, value)| META.contains(&key.as_str()) && is_plain(value, 0));
    put("meta", &Value::Object(known.map(|(key, value)| (key.clone(), value.clone())).collect()));
    for key in &KNOWN[1..] {
        if let Some(value @ Value::Number(_)) = object.get(*key) {
            put(key, value);
        }
    }
}

const META: [&str; 8] = [
    "node_fields",
    "node_types",
    "edge_fields",
    "edge_types",
    "trace_function_info_fields",
    "trace_node_fields",
    "sample_fields",
    "location_fields",
];

/// Lists of V8's words: whatever a stranger's file has instead, nothing of it is longer than they are.
fn is_plain(value: &Value, depth: usize) -> bool {
    match value {
        Value::String(text) => {
            text.len() <= 32
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b' ')
        }
        Value::Array(values) => depth < 2 && values.iter().all(|value| is_plain(value, depth + 1)),
        _ => false,
    }
}
