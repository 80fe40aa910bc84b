//! Index newtypes and the kinds of nodes and edges. Each says what it indexes, so that no ordinal is
//! ever taken for an id.

use serde::Serialize;

/// The position of a node in the file: the first node is 0. It says nothing in another snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NodeOrdinal(pub u32);

impl NodeOrdinal {
    /// The ordinal as an index into per-node arrays.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The position of an edge in the file, counted from 0 over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EdgeIndex(pub u32);

impl EdgeIndex {
    /// The edge's position as an index into per-edge arrays.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The id that V8 gave an object; shown as `@123`. Within one process that V8 tracks, an object keeps
/// its id from one snapshot to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl std::str::FromStr for NodeId {
    type Err = std::num::ParseIntError;

    /// Reads `@123` or `123`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('@').unwrap_or(text).parse().map(NodeId)
    }
}

/// An index into the file's string table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StringIndex(pub u32);

/// What V8 says a node is. Kinds that this version does not know are [`NodeKind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum NodeKind {
    /// V8's own bookkeeping, hidden from JavaScript.
    Hidden,
    /// The backing store of elements or properties.
    Array,
    /// A flat string.
    String,
    /// A JavaScript object.
    Object,
    /// Compiled code and its metadata.
    Code,
    /// A function.
    Closure,
    /// A regular expression.
    RegExp,
    /// A number that lives on the heap.
    Number,
    /// An object of the embedder (Node, Blink) or memory outside V8's heap.
    Native,
    /// Made by the profiler itself, such as `(GC roots)`.
    Synthetic,
    /// Two strings joined lazily.
    ConsString,
    /// A view into another string.
    SlicedString,
    /// A symbol.
    Symbol,
    /// A BigInt.
    BigInt,
    /// A hidden class (`system / Map` and its kin).
    ObjectShape,
    /// A kind that this version does not know.
    Other,
}

impl NodeKind {
    /// Every kind that has a name in V8's files, in the order of the enum.
    pub(crate) const NAMED: [NodeKind; 15] = [
        NodeKind::Hidden,
        NodeKind::Array,
        NodeKind::String,
        NodeKind::Object,
        NodeKind::Code,
        NodeKind::Closure,
        NodeKind::RegExp,
        NodeKind::Number,
        NodeKind::Native,
        NodeKind::Synthetic,
        NodeKind::ConsString,
        NodeKind::SlicedString,
        NodeKind::Symbol,
        NodeKind::BigInt,
        NodeKind::ObjectShape,
    ];

    /// The name in the file's meta (`"concatenated string"`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NodeKind::Hidden => "hidden",
            NodeKind::Array => "array",
            NodeKind::String => "string",
            NodeKind::Object => "object",
            NodeKind::Code => "code",
            NodeKind::Closure => "closure",
            NodeKind::RegExp => "regexp",
            NodeKind::Number => "number",
            NodeKind::Native => "native",
            NodeKind::Synthetic => "synthetic",
            NodeKind::ConsString => "concatenated string",
            NodeKind::SlicedString => "sliced string",
            NodeKind::Symbol => "symbol",
            NodeKind::BigInt => "bigint",
            NodeKind::ObjectShape => "object shape",
            NodeKind::Other => "other",
        }
    }

    pub(crate) fn from_name(name: &str) -> NodeKind {
        Self::NAMED.into_iter().find(|kind| kind.name() == name).unwrap_or(NodeKind::Other)
    }

    pub(crate) fn from_byte(byte: u8) -> NodeKind {
        Self::NAMED.get(usize::from(byte)).copied().unwrap_or(NodeKind::Other)
    }
}

/// What V8 says an edge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum EdgeKind {
    /// A variable of a function's context.
    Context,
    /// An element of an array; the name is a number.
    Element,
    /// A property.
    Property,
    /// A link of V8's own, such as `map` or `elements`.
    Internal,
    /// A link that V8 numbers rather than names.
    Hidden,
    /// A shortcut; from the root, it marks a global object.
    Shortcut,
    /// A weak reference: it keeps nothing alive.
    Weak,
    /// A kind that this version does not know.
    Other,
}

impl EdgeKind {
    pub(crate) const NAMED: [EdgeKind; 7] = [
        EdgeKind::Context,
        EdgeKind::Element,
        EdgeKind::Property,
        EdgeKind::Internal,
        EdgeKind::Hidden,
        EdgeKind::Shortcut,
        EdgeKind::Weak,
    ];

    /// The name in the file's meta.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EdgeKind::Context => "context",
            EdgeKind::Element => "element",
            EdgeKind::Property => "property",
            EdgeKind::Internal => "internal",
            EdgeKind::Hidden => "hidden",
            EdgeKind::Shortcut => "shortcut",
            EdgeKind::Weak => "weak",
            EdgeKind::Other => "other",
        }
    }

    pub(crate) fn from_name(name: &str) -> EdgeKind {
        Self::NAMED.into_iter().find(|kind| kind.name() == name).unwrap_or(EdgeKind::Other)
    }

    /// Whether the edge's name is a number rather than a string.
    #[must_use]
    pub fn is_indexed(self) -> bool {
        matches!(self, EdgeKind::Element | EdgeKind::Hidden)
    }
}

/// Whether an embedder's object is part of a live tree, as far as its embedder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detachedness {
    /// Nothing is known.
    Unknown,
    /// Part of a live tree.
    Attached,
    /// No longer part of a live tree, and still held.
    Detached,
}
