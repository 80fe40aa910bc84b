//! Nodes and edges as they pass: which strings they need and for what, and where those will stand.

use crate::Error;
use crate::header::{self, EdgeKind, Header, Layout, NodeKind};
use crate::lines::{self, Lines, Place};
use crate::marks::{Owners, Role, Texts, Usages, usage};
use crate::memo::Memo;
use crate::numbers::Records;

/// No file has more strings than fit here twice.
pub(crate) fn checked(string: u64) -> Result<u64, Error> {
    if string > u64::from(u32::MAX) {
        return Err(Error::Malformed { what: "more strings than there can be" });
    }
    Ok(string)
}

#[derive(Default)]
pub(crate) struct Nodes {
    owners: Owners,
    texts: Texts,
    kind: u64,
    string: u64,
}

pub(crate) struct NodeRecords<'a> {
    pub(crate) header: &'a Header,
    pub(crate) nodes: &'a mut Nodes,
    pub(crate) usages: &'a mut Usages,
}

impl Records for NodeRecords<'_> {
    fn stride(&self) -> usize {
        self.header.node.stride
    }

    fn changes(&self) -> [usize; 2] {
        [self.header.node.name; 2]
    }

    #[inline]
    fn number(&mut self, field: usize, value: u64) -> Result<u64, Error> {
        let layout = &self.header.node;
        if field == layout.kind {
            self.nodes.kind = value;
        } else if field == layout.name {
            self.nodes.string = checked(value)?;
            let kind = self.kind(self.nodes.kind);
            self.usages.add(value, kind.usage)?;
            return Ok(place(kind).of(value));
        } else if field == layout.last {
            self.node(self.kind(self.nodes.kind), self.nodes.string, value)?;
        }
        Ok(value)
    }

    fn lines(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let Layout { stride, kind, name, last } = self.header.node;
        match (stride, kind, name, last) {
            (5, 0, 1, 4) => lines::nodes::<5>(chunk, self, out),
            (6, 0, 1, 4) => lines::nodes::<6>(chunk, self, out),
            (7, 0, 1, 4) => lines::nodes::<7>(chunk, self, out),
            _ => Ok(0),
        }
    }
}

impl Lines for NodeRecords<'_> {
    type Kind = NodeKind;

    #[inline(always)]
    fn begin(&mut self, kind: u64, _: impl Fn() -> u64) -> Result<NodeKind, Error> {
        Ok(self.kind(kind))
    }

    fn may_recall(&self) -> bool {
        false
    }

    #[inline(always)]
    fn string(
        &mut self,
        kind: NodeKind,
        string: u64,
        edges: impl Fn() -> u64,
    ) -> Result<(Place, bool), Error> {
        self.usages.add(string, kind.usage)?;
        self.node(kind, string, edges())?;
        Ok((place(kind), false))
    }
}

impl NodeRecords<'_> {
    #[inline(always)]
    fn kind(&self, kind: u64) -> NodeKind {
        let kinds = &self.header.node_kinds;
        usize::try_from(kind)
            .ok()
            .and_then(|kind| kinds.get(kind))
            .copied()
            .unwrap_or(header::UNKNOWN)
    }

    #[inline(always)]
    fn node(&mut self, kind: NodeKind, string: u64, edges: u64) -> Result<(), Error> {
        self.nodes.owners.push(kind.role, edges)?;
        self.nodes.texts.push(kind.is_text(), string)
    }
}

fn place(kind: NodeKind) -> Place {
    if kind.is_text() { Place::Text } else { Place::Name }
}

#[derive(Default)]
pub(crate) struct Edges {
    kind: Option<EdgeKind>,
    name: u64,
    memo: Memo,
    /// Nodes whose properties are global variables, and whether the node that is being read is one.
    globals: Vec<u64>,
    last_global: u64,
    is_global: bool,
    /// Internal edges of that node so far.
    internal: u32,
}

pub(crate) struct EdgeRecords<'a> {
    pub(crate) header: &'a Header,
    pub(crate) nodes: &'a mut Nodes,
    pub(crate) edges: &'a mut Edges,
    pub(crate) usages: &'a mut Usages,
}

/// Contexts of one process. More are no contexts.
const GLOBALS: usize = 256;

impl Records for EdgeRecords<'_> {
    fn stride(&self) -> usize {
        self.header.edge.stride
    }

    fn changes(&self) -> [usize; 2] {
        [self.header.edge.name; 2]
    }

    #[inline]
    fn number(&mut self, field: usize, value: u64) -> Result<u64, Error> {
        let layout = &self.header.edge;
        if field == layout.kind {
            self.edges.kind = Some(self.edge(value)?);
        } else if field == layout.name {
            self.edges.name = value;
            if self.edges.kind != Some(EdgeKind::Index) {
                return Ok(Place::Name.of(checked(value)?));
            }
        } else if field == layout.last
            && let Some(kind) = self.edges.kind
        {
            self.target(kind, || value)?;
            if kind != EdgeKind::Index {
                self.name(kind, self.edges.name, || value)?;
            }
        }
        Ok(value)
    }

    fn lines(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let Layout { stride, kind, name, last } = self.header.edge;
        match (stride, kind, name, last) {
            (3, 0, 1, 2) => {
                let mut memo = std::mem::take(&mut self.edges.memo);
                let taken = lines::edges(chunk, self, &mut memo, out);
                self.edges.memo = memo;
                taken
            }
            _ => Ok(0),
        }
    }
}

impl Lines for EdgeRecords<'_> {
    type Kind = EdgeKind;

    #[inline(always)]
    fn begin(&mut self, kind: u64, to: impl Fn() -> u64) -> Result<EdgeKind, Error> {
        let kind = self.edge(kind)?;
        self.target(kind, to)?;
        Ok(kind)
    }

    #[inline(always)]
    fn may_recall(&self) -> bool {
        !self.edges.is_global
    }

    #[inline(always)]
    fn string(
        &mut self,
        kind: EdgeKind,
        name: u64,
        to: impl Fn() -> u64,
    ) -> Result<(Place, bool), Error> {
        if kind == EdgeKind::Index {
            return Ok((Place::Same, false));
        }
        Ok((Place::Name, self.name(kind, name, to)?))
    }
}

impl EdgeRecords<'_> {
    /// Its kind is known, and so whose it is.
    #[inline(always)]
    fn edge(&mut self, kind: u64) -> Result<EdgeKind, Error> {
        if self.nodes.owners.next_edge()? {
            self.edges.begin(self.nodes.owners.node);
        }
        usize::try_from(kind)
            .ok()
            .and_then(|kind| self.header.edge_kinds.get(kind).copied().flatten())
            .ok_or(Error::Malformed { what: "a kind of edge that its meta does not name" })
    }

    /// Says whether edges like this have had the name before.
    #[inline(always)]
    fn name(&mut self, kind: EdgeKind, name: u64, to: impl Fn() -> u64) -> Result<bool, Error> {
        use usage::{KNOWN, MADE, NAME};
        let is_property = kind == EdgeKind::Property;
        let made = if is_property && !self.edges.is_global { 0 } else { MADE };
        let known = if is_property { 0 } else { KNOWN };
        let how = NAME | made | known;
        let before = self.usages.add(name, how)?;
        if known & !before != 0 && self.nodes.texts.string(self.node(to())).is_some() {
            self.usages.add(name, usage::OF_TEXT)?;
        }
        Ok(before | how == before)
    }

    /// What it leads to matters to few owners.
    #[inline(always)]
    fn target(&mut self, kind: EdgeKind, to: impl Fn() -> u64) -> Result<(), Error> {
        let (node, owner) = (self.nodes.owners.node, self.nodes.owners.role);
        if matches!(owner, Role::Shape | Role::Symbol) {
            self.edge_of_v8(owner, kind, self.node(to()))?;
        }
        if kind == EdgeKind::Shortcut && (node == 0 || owner == Role::Object) {
            self.edges.add_global(self.node(to()));
        }
        Ok(())
    }

    fn node(&self, to: u64) -> u64 {
        to / self.header.node.stride.max(1) as u64
    }

    /// Hidden classes and their transitions have edges to the names of properties, symbols to what they are called.
    fn edge_of_v8(&mut self, owner: Role, kind: EdgeKind, to: u64) -> Result<(), Error> {
        let is_shape = owner == Role::Shape;
        if (kind == EdgeKind::Internal || is_shape && kind == EdgeKind::Index)
            && let Some(text) = self.nodes.texts.string(to)
        {
            self.usages.add(text, if is_shape { usage::MADE } else { usage::SYMBOL })?;
        }
        // Since V8 14 the root leads to native contexts, whose first fields are a scope's, the global object and its proxy
        // (NATIVE_CONTEXT_FIELDS of src/objects/contexts.h).
        if self.edges.is_global && owner == Role::Symbol && kind == EdgeKind::Internal {
            self.edges.internal += 1;
            if matches!(self.edges.internal, 2 | 3) {
                self.edges.add_global(to);
            }
        }
        Ok(())
    }
}

impl Edges {
    /// The edges of a node.
    #[inline(always)]
    fn begin(&mut self, node: u64) {
        // They are near the root, and most nodes come after all of them.
        self.is_global = node <= self.last_global && self.globals.contains(&node);
        self.internal = 0;
    }

    #[cold]
    fn add_global(&mut self, node: u64) {
        if self.globals.len() < GLOBALS && !self.globals.contains(&node) {
            self.globals.push(node);
            self.last_global = self.last_global.max(node);
        }
    }
}
