//! The names of variables. V8 names those of functions, modules and scripts in a snapshot
//! (`V8HeapExplorer::ExtractContextReferences`, which asks `Context::is_declaration_context`). Those of a block,
//! `let` and `const` within braces, have numbers there, and their names are in the block's `ScopeInfo`.

use std::borrow::Cow;

use super::Step;
use crate::{Edge, EdgeKind, NodeKind, NodeOrdinal, Snapshot};

impl Snapshot {
    /// What the variable is called that a step leads over, if it is one.
    pub(super) fn variable(&self, step: &Step) -> Option<Cow<'_, str>> {
        match step.edge.kind {
            EdgeKind::Context if self.is_context(step.from) => Some(self.edge_name(step.edge)),
            EdgeKind::Hidden if self.is_context(step.from) => self.block_variable(step),
            _ => None,
        }
    }

    /// V8 numbers the variables in their order, small integers left out. With a number for each name, none is
    /// left out, and they are in the order of the names; else nobody knows.
    fn block_variable(&self, step: &Step) -> Option<Cow<'_, str>> {
        let scope = self.internal(step.from, "scope_info")?;
        let is_name =
            |at: u64, edge: Edge| self.number(edge) == at && self.kind(edge.to) == NodeKind::String;
        let names: Vec<NodeOrdinal> = (0..)
            .zip(self.hidden(scope))
            .take_while(|&(at, edge)| is_name(at, edge))
            .map(|(_, edge)| edge.to)
            .collect();
        let last = self.hidden(step.from).map(|edge| self.number(edge)).max()?;
        (last + 1 == names.len() as u64).then_some(())?;
        let at = usize::try_from(self.number(step.edge)).ok()?;
        names.get(at).map(|&name| self.name(name))
    }

    fn hidden(&self, node: NodeOrdinal) -> impl Iterator<Item = Edge> {
        self.edges(node).filter(|edge| edge.kind == EdgeKind::Hidden)
    }

    fn number(&self, edge: Edge) -> u64 {
        self.edges.name(edge.index.index())
    }
}
