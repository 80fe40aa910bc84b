//! Which of the embedder's objects are detached: `propagateDOMState` in DevTools.

use std::collections::HashMap;

use crate::graph::{BitSet, Edges, Nodes};
use crate::strings::StringTable;
use crate::{Detachedness, EdgeKind, NodeKind, NodeOrdinal, Result, StringIndex};

const PREFIX: &str = "Detached ";

/// Carries each known state on to the embedder's objects that are reached through it, and puts
/// `Detached ` before the names of those that are detached.
pub(crate) fn propagate(
    nodes: &mut Nodes,
    edges: &Edges,
    strings: &mut StringTable,
    has_field: bool,
) -> Result<()> {
    if !has_field {
        mark_by_name(nodes, strings);
        return Ok(());
    }
    if nodes.kind.iter().all(|byte| byte >> 4 == 0) {
        return Ok(());
    }
    let mut walk = Walk {
        visited: BitSet::new(nodes.len()),
        attached: Vec::new(),
        detached: Vec::new(),
        renamed: HashMap::new(),
        nodes,
        edges,
        strings,
    };
    for ordinal in 0..u32::try_from(walk.nodes.len()).unwrap_or(u32::MAX) {
        let state = walk.nodes.detachedness(NodeOrdinal(ordinal));
        if state != Detachedness::Unknown {
            walk.visit(ordinal, state)?;
        }
    }
    while let Some(node) = walk.attached.pop() {
        walk.visit_children(node, Detachedness::Attached)?;
    }
    while let Some(node) = walk.detached.pop() {
        // Found through an attached object in the meantime?
        if walk.nodes.detachedness(NodeOrdinal(node)) != Detachedness::Attached {
            walk.visit_children(node, Detachedness::Detached)?;
        }
    }
    Ok(())
}

/// Old snapshots say it only in the name.
fn mark_by_name(nodes: &mut Nodes, strings: &StringTable) {
    for ordinal in (0..u32::try_from(nodes.len()).unwrap_or(u32::MAX)).map(NodeOrdinal) {
        if nodes.kind(ordinal) == NodeKind::Native
            && strings.raw(nodes.name(ordinal)).is_some_and(|n| n.starts_with(PREFIX.as_bytes()))
        {
            nodes.set_detachedness(ordinal, Detachedness::Detached);
        }
    }
}

struct Walk<'a> {
    visited: BitSet,
    attached: Vec<u32>,
    detached: Vec<u32>,
    /// Each name's twin with the prefix.
    renamed: HashMap<u32, StringIndex>,
    nodes: &'a mut Nodes,
    edges: &'a Edges,
    strings: &'a mut StringTable,
}

impl Walk<'_> {
    fn visit_children(&mut self, node: u32, state: Detachedness) -> Result<()> {
        const HIDDEN: u32 = EdgeKind::Hidden as u32;
        for edge in self.nodes.edges(node) {
            let passed_over = matches!(self.edges.tag(edge), HIDDEN | Edges::WEAK)
                || self.edges.is_invisible(edge);
            if !passed_over {
                self.visit(self.edges.to[edge], state)?;
            }
        }
        Ok(())
    }

    fn visit(&mut self, node: u32, state: Detachedness) -> Result<()> {
        // The state is the embedder's: it does not pass through JavaScript.
        if !self.visited.insert(node as usize)
            || self.nodes.kind(NodeOrdinal(node)) != NodeKind::Native
        {
            return Ok(());
        }
        self.nodes.set_detachedness(NodeOrdinal(node), state);
        match state {
            Detachedness::Attached => self.attached.push(node),
            Detachedness::Detached => {
                self.rename(node)?;
                self.detached.push(node);
            }
            Detachedness::Unknown => {}
        }
        Ok(())
    }

    fn rename(&mut self, node: u32) -> Result<()> {
        let old = self.nodes.name(NodeOrdinal(node));
        let new = match self.renamed.get(&old.0) {
            Some(&known) => known,
            None => {
                let mut name = PREFIX.as_bytes().to_vec();
                name.extend_from_slice(self.strings.raw(old).unwrap_or(b"(missing)"));
                let index = self.strings.push_with(|bytes| {
                    bytes.extend_from_slice(&name);
                    Ok(())
                })?;
                self.renamed.insert(old.0, index);
                index
            }
        };
        if let Some(slot) = self.nodes.name.get_mut(node as usize) {
            *slot = new.0;
        }
        Ok(())
    }
}
