//! The `snapshot` object at the start of a file: its meta says how every array is to be read.

use serde::Deserialize;

use super::input::Input;
use crate::graph::Edges;
use crate::{EdgeKind, Error, NodeKind, Result, Section};

/// What JavaScript, and so DevTools, calls an element that an array does not have.
const UNDECLARED: &str = "undefined";
/// V8 writes about 1,500 bytes.
const HEADER_LIMIT: usize = 1 << 20;

/// What the file says of itself, resolved to positions within a record.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) node: NodeLayout,
    pub(crate) edge: EdgeLayout,
    pub(crate) location: Option<LocationLayout>,
    pub(crate) sample: Option<SampleLayout>,
    pub(crate) function_info: Option<FunctionInfoLayout>,
    pub(crate) node_count: u64,
    pub(crate) edge_count: u64,
    pub(crate) extra_native_bytes: u64,
    pub(crate) root_index: u64,
    pub(crate) redaction: Option<Redaction>,
}

/// What a file says of its own redaction (`crates/heapredact`). It has two places for each string then, one for those that it
/// names and one for those that have it as their text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Redaction {
    /// What redacted it.
    pub by: String,
    /// `random` or `given`.
    pub key: String,
    /// The same in files whose pseudonyms agree.
    pub key_id: String,
    /// Whether the paths of scripts are `kept` or `hidden`.
    pub paths: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NodeLayout {
    pub(crate) stride: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    pub(crate) id: usize,
    pub(crate) self_size: usize,
    pub(crate) edge_count: usize,
    pub(crate) trace_node_id: Option<usize>,
    pub(crate) detachedness: Option<usize>,
    /// The kinds by the number in the file.
    pub(crate) kinds: Vec<NodeKind>,
    /// Their names as the file has them.
    pub(crate) kind_names: Vec<String>,
}

impl NodeLayout {
    /// What a type's number says. V8 of 2015 to 2017 wrote symbols with a number beyond those that it
    /// declared; DevTools loads them, and so must we.
    #[inline]
    pub(crate) fn kind_of(&self, number: u64) -> NodeKind {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.kinds.get(at).copied().unwrap_or(NodeKind::Other)
    }

    /// A type's name as DevTools shows it.
    pub(crate) fn kind_name(&self, number: u64) -> &str {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.kind_names.get(at).map_or(UNDECLARED, String::as_str)
    }
}

#[derive(Debug)]
pub(crate) struct EdgeLayout {
    pub(crate) stride: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    pub(crate) to: usize,
    pub(crate) kinds: Vec<EdgeKind>,
    pub(crate) kind_names: Vec<String>,
}

impl EdgeLayout {
    #[inline]
    pub(crate) fn kind_of(&self, number: u64) -> EdgeKind {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.kinds.get(at).copied().unwrap_or(EdgeKind::Other)
    }

    /// A type's name as DevTools shows it. It adds `invisible` to the declared ones.
    pub(crate) fn kind_name(&self, number: u64) -> &str {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let beyond = if at == self.kind_names.len() { Edges::INVISIBLE } else { UNDECLARED };
        self.kind_names.get(at).map_or(beyond, String::as_str)
    }
}

#[derive(Debug)]
pub(crate) struct LocationLayout {
    pub(crate) stride: usize,
    pub(crate) object_index: usize,
    pub(crate) script_id: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Debug)]
pub(crate) struct SampleLayout {
    pub(crate) stride: usize,
    pub(crate) timestamp: usize,
    pub(crate) last_assigned_id: usize,
}

#[derive(Debug)]
pub(crate) struct FunctionInfoLayout {
    pub(crate) stride: usize,
    pub(crate) function_id: usize,
    pub(crate) name: usize,
    pub(crate) script_name: usize,
    pub(crate) script_id: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

pub(crate) fn read(input: &mut Input<'_>) -> Result<Header> {
    input.section = Section::Header;
    let offset = input.offset();
    let json = input.value(HEADER_LIMIT)?;
    let raw: RawHeader = serde_json::from_slice(&json).map_err(|error| Error::Syntax {
        section: Section::Header,
        offset: offset + error.column().saturating_sub(1) as u64,
        expected: "a snapshot object with its meta".to_owned(),
        found: error.to_string(),
    })?;
    resolve(raw, offset)
}

#[derive(Deserialize)]
struct RawHeader {
    meta: RawMeta,
    node_count: u64,
    edge_count: u64,
    #[serde(default)]
    extra_native_bytes: Option<f64>,
    #[serde(default)]
    root_index: Option<u64>,
    /// Under this key others may write what they like.
    #[serde(default)]
    redacted: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawMeta {
    node_fields: Vec<String>,
    node_types: Vec<serde_json::Value>,
    edge_fields: Vec<String>,
    edge_types: Vec<serde_json::Value>,
    #[serde(default)]
    location_fields: Option<Vec<String>>,
    #[serde(default)]
    sample_fields: Option<Vec<String>>,
    #[serde(default)]
    trace_function_info_fields: Option<Vec<String>>,
}

fn resolve(raw: RawHeader, offset: u64) -> Result<Header> {
    let meta = raw.meta;
    let needed = |fields: &[String], name: &str, list: &str| {
        position(fields, name).ok_or_else(|| Error::Syntax {
            section: Section::Header,
            offset,
            expected: format!("'{name}' in {list}"),
            found: fields.join(","),
        })
    };
    let kind = needed(&meta.node_fields, "type", "node_fields")?;
    let kind_names = names(meta.node_types.get(kind));
    let node = NodeLayout {
        stride: meta.node_fields.len(),
        kind,
        name: needed(&meta.node_fields, "name", "node_fields")?,
        id: needed(&meta.node_fields, "id", "node_fields")?,
        self_size: needed(&meta.node_fields, "self_size", "node_fields")?,
        edge_count: needed(&meta.node_fields, "edge_count", "node_fields")?,
        trace_node_id: position(&meta.node_fields, "trace_node_id"),
        detachedness: position(&meta.node_fields, "detachedness"),
        kinds: kind_names.iter().map(|name| NodeKind::from_name(name)).collect(),
        kind_names,
    };
    let kind = needed(&meta.edge_fields, "type", "edge_fields")?;
    let kind_names = names(meta.edge_types.get(kind));
    let edge = EdgeLayout {
        stride: meta.edge_fields.len(),
        kind,
        name: needed(&meta.edge_fields, "name_or_index", "edge_fields")?,
        to: needed(&meta.edge_fields, "to_node", "edge_fields")?,
        kinds: kind_names.iter().map(|name| EdgeKind::from_name(name)).collect(),
        kind_names,
    };
    Ok(Header {
        node,
        edge,
        location: location(&meta.location_fields.unwrap_or_default()),
        sample: sample(&meta.sample_fields.unwrap_or_default()),
        function_info: function_info(&meta.trace_function_info_fields.unwrap_or_default()),
        node_count: raw.node_count,
        edge_count: raw.edge_count,
        extra_native_bytes: bytes(raw.extra_native_bytes),
        root_index: raw.root_index.unwrap_or(0),
        redaction: raw.redacted.and_then(|mark| serde_json::from_value(mark).ok()),
    })
}

fn location(fields: &[String]) -> Option<LocationLayout> {
    Some(LocationLayout {
        stride: fields.len(),
        object_index: position(fields, "object_index")?,
        script_id: position(fields, "script_id")?,
        line: position(fields, "line")?,
        column: position(fields, "column")?,
    })
}

fn sample(fields: &[String]) -> Option<SampleLayout> {
    Some(SampleLayout {
        stride: fields.len(),
        timestamp: position(fields, "timestamp_us")?,
        last_assigned_id: position(fields, "last_assigned_id")?,
    })
}

fn function_info(fields: &[String]) -> Option<FunctionInfoLayout> {
    Some(FunctionInfoLayout {
        stride: fields.len(),
        function_id: position(fields, "function_id")?,
        name: position(fields, "name")?,
        script_name: position(fields, "script_name")?,
        script_id: position(fields, "script_id")?,
        line: position(fields, "line")?,
        column: position(fields, "column")?,
    })
}

fn position(fields: &[String], name: &str) -> Option<usize> {
    fields.iter().position(|field| field == name)
}

fn names(types: Option<&serde_json::Value>) -> Vec<String> {
    let list = types.and_then(serde_json::Value::as_array);
    list.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn bytes(value: Option<f64>) -> u64 {
    value.unwrap_or(0.0).clamp(0.0, 9_007_199_254_740_991.0) as u64
}
