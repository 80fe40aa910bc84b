//! DevTools' named filters (`createNamedFilter`): strings that are there twice, and what only detached
//! elements, the console, event handlers or closures hold.

use crate::node_set::NodeSet;
use crate::{Detachedness, Edge, EdgeKind, NodeOrdinal, Snapshot};

/// A filter of DevTools' summary, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedFilter {
    /// "Duplicated strings".
    DuplicatedStrings,
    /// "Objects retained by detached DOM nodes".
    DetachedDomNodes,
    /// "Objects retained by DevTools console".
    Console,
    /// "Objects retained by event handlers": what is registered as a listener of a DOM event.
    EventHandlers,
    /// "Objects retained by contexts": by the variables of functions.
    Contexts,
}

impl Snapshot {
    /// The nodes that a filter of DevTools shows.
    #[must_use]
    pub fn filtered(&self, filter: NamedFilter) -> NodeSet {
        match filter {
            NamedFilter::DuplicatedStrings => {
                let mut strings = NodeSet::new(self);
                for node in self.duplicate_strings().into_iter().flat_map(|text| text.nodes) {
                    strings.insert(node);
                }
                strings
            }
            NamedFilter::DetachedDomNodes => {
                self.reached_only(|_, to| self.detachedness(to.to) == Detachedness::Detached)
            }
            NamedFilter::Console => self.reached_only(|from, edge| self.is_console(from, edge)),
            NamedFilter::EventHandlers => {
                let handlers = self.event_handlers();
                self.reached_only(|_, edge| handlers.contains(edge.to))
            }
            NamedFilter::Contexts => self.reached_only(|_, edge| self.is_plain_context(edge.to)),
        }
    }

    /// The nodes that the root reaches, but only over an edge that is `cut`. Every edge counts that is
    /// not weak, a weak map's too.
    fn reached_only(&self, cut: impl Fn(NodeOrdinal, Edge) -> bool) -> NodeSet {
        let mut reached = NodeSet::new(self);
        reached.insert(self.root());
        let mut open = vec![self.root()];
        while let Some(node) = open.pop() {
            for edge in self.edges(node).filter(|edge| edge.kind != EdgeKind::Weak) {
                if !reached.contains(edge.to) && !cut(node, edge) {
                    reached.insert(edge.to);
                    open.push(edge.to);
                }
            }
        }
        self.nodes_where(|node| !reached.contains(node) && self.distance(node).is_some())
    }

    /// `isContextObject`.
    fn is_plain_context(&self, node: NodeOrdinal) -> bool {
        let name = self.strings.raw(self.name_index(node)).unwrap_or_default();
        let rest = name.strip_prefix(b"system / Context");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" / "))
    }

    /// The functions that Blink's listeners call: a listener's first field is its callback, which has
    /// code itself or is an object with a function.
    fn event_handlers(&self) -> NodeSet {
        let mut handlers = NodeSet::new(self);
        let target = |node: NodeOrdinal, name: &str| {
            self.edges(node).find(|&edge| self.edge_name(edge) == name).map(|edge| edge.to)
        };
        let has_code = |node: NodeOrdinal| target(node, "code").is_some();
        for node in self.nodes() {
            if !self.strings.is(self.name_index(node), "V8EventListener") {
                continue;
            }
            let Some(callback) = target(node, "1") else { continue };
            let child = || self.edges(callback).map(|edge| edge.to).find(|&child| has_code(child));
            let handler = if has_code(callback) { None } else { child() };
            handlers.insert(handler.unwrap_or(callback));
        }
        handlers
    }
}
