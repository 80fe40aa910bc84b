//! Nodes and edges as they pass: which strings they need and for what, and where those will stand.

use crate::Error;
use crate::header::{self, EdgeKind, Header, Layout};
use crate::marks::{Owners, Role, Texts, Usages, usage};
use crate::numbers::Records;

/// The place of a string's name in the file that comes out; its text has the next.
pub(crate) fn name_of(string: u64) -> u64 {
    string * 2
}

fn text_of(string: u64) -> u64 {
    string * 2 + 1
}

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

    fn fields(&self) -> [usize; 3] {
        let Layout { kind, name, last, .. } = self.header.node;
        [kind, name, last]
    }

    #[inline]
    fn number(&mut self, field: usize, value: u64) -> Result<u64, Error> {
        let layout = &self.header.node;
        if field == layout.kind {
            self.nodes.kind = value;
            return Ok(value);
        }
        let kinds = &self.header.node_kinds;
        let kind = usize::try_from(self.nodes.kind).ok().and_then(|kind| kinds.get(kind)).copied();
        let kind = kind.unwrap_or(header::UNKNOWN);
        if field == layout.name {
            self.nodes.string = checked(value)?;
            self.usages.add(value, kind.usage)?;
            return Ok(if kind.is_text() { text_of(value) } else { name_of(value) });
        }
        if field == layout.last {
            self.nodes.owners.push(kind.role, value)?;
            self.nodes.texts.push(kind.is_text(), self.nodes.string)?;
        }
        Ok(value)
    }
}

#[derive(Default)]
pub(crate) struct Edges {
    kind: Option<EdgeKind>,
    name: u64,
    /// Nodes whose properties are global variables, and whether the node that is being read is one.
    globals: Vec<u64>,
    global: Option<(u64, bool)>,
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

    fn fields(&self) -> [usize; 3] {
        let Layout { kind, name, last, .. } = self.header.edge;
        [kind, name, last]
    }

    #[inline]
    fn number(&mut self, field: usize, value: u64) -> Result<u64, Error> {
        let layout = &self.header.edge;
        if field == layout.kind {
            self.nodes.owners.next_edge()?;
            let kinds = &self.header.edge_kinds;
            self.edges.kind = usize::try_from(value).ok().and_then(|kind| kinds.get(kind)).copied();
            if self.edges.kind.is_none() {
                return Err(Error::Malformed {
                    what: "a kind of edge that its meta does not name",
                });
            }
        } else if field == layout.name {
            self.edges.name = value;
            if self.edges.kind != Some(EdgeKind::Index) {
                return Ok(name_of(checked(value)?));
            }
        } else if field == layout.last {
            self.edge(value / self.header.node.stride.max(1) as u64)?;
        }
        Ok(value)
    }
}

impl EdgeRecords<'_> {
    /// All of an edge is known.
    fn edge(&mut self, to: u64) -> Result<(), Error> {
        use usage::{MADE, NAME, OF_TEXT, SYMBOL};
        let Some(kind) = self.edges.kind else { return Ok(()) };
        let owners = &self.nodes.owners;
        let owner = owners.role.unwrap_or(Role::Other);
        // What most edges lead to is not looked at.
        let is_symbols = owner == Role::Symbol && kind == EdgeKind::Internal;
        let is_shapes =
            owner == Role::Shape && matches!(kind, EdgeKind::Index | EdgeKind::Internal);
        let text = if is_shapes || !matches!(kind, EdgeKind::Index | EdgeKind::Property) {
            self.nodes.texts.string(to)
        } else {
            None
        };
        let node = owners.node;
        let is_global = match self.edges.global {
            Some((of, is)) if of == node => is,
            _ => {
                let is = self.edges.globals.contains(&node);
                self.edges.global = Some((node, is));
                self.edges.internal = 0;
                is
            }
        };
        let how = match kind {
            EdgeKind::Index => 0,
            EdgeKind::Variable => NAME | MADE,
            EdgeKind::Property if is_global => NAME | MADE,
            EdgeKind::Property => NAME,
            EdgeKind::Internal | EdgeKind::Shortcut => NAME | MADE,
        };
        if how != 0 {
            let of_text = if text.is_some() { OF_TEXT } else { 0 };
            self.usages.add(self.edges.name, how | of_text)?;
        }
        if let Some(text) = text {
            // Hidden classes and their transitions have edges to the names of properties.
            if is_shapes {
                self.usages.add(text, MADE)?;
            } else if is_symbols {
                self.usages.add(text, SYMBOL)?;
            }
        }
        // Since V8 14 the root leads to native contexts, whose first fields are a scope's, the global object and its proxy
        // (NATIVE_CONTEXT_FIELDS of src/objects/contexts.h).
        let is_field_of_context = is_global && owner == Role::Symbol && kind == EdgeKind::Internal;
        self.edges.internal += u32::from(kind == EdgeKind::Internal);
        let leads_to_global = kind == EdgeKind::Shortcut && (node == 0 || owner == Role::Object)
            || is_field_of_context && matches!(self.edges.internal, 2 | 3);
        if leads_to_global
            && self.edges.globals.len() < GLOBALS
            && !self.edges.globals.contains(&to)
        {
            self.edges.globals.push(to);
        }
        Ok(())
    }
}
