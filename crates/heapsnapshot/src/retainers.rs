//! What holds an object: some ways left out, or only what a program sees.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use crate::analysis::around::Around;
use crate::analysis::counted::pair_of;
use crate::node_set::NodeSet;
use crate::paths::Step;
use crate::{Edge, EdgeKind, NodeKind, NodeOrdinal, Snapshot};

/// The ways to objects that do not lead through some nodes: what DevTools shows when retainers are
/// ignored in its view.
#[derive(Debug)]
pub struct Detour<'a> {
    snapshot: &'a Snapshot,
    ignored: NodeSet,
    ways: Arc<Around>,
}

/// The last ways that were searched for, and what they do not lead through: who looks at an object asks several times.
#[derive(Debug)]
pub(crate) struct LastDetour {
    ignored: Vec<NodeOrdinal>,
    ways: Arc<Around>,
}

impl Snapshot {
    /// Finds the ways that do not lead through `ignored`.
    #[must_use]
    pub fn around(&self, ignored: NodeSet) -> Detour<'_> {
        let nodes: Vec<NodeOrdinal> = ignored.iter().collect();
        let mut last = self.last_detour.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.take().filter(|last| last.ignored == nodes);
        let known = known.unwrap_or_else(|| LastDetour {
            ignored: nodes,
            ways: Arc::new(Around::compute(self, &ignored)),
        });
        let ways = Arc::clone(&last.insert(known).ways);
        Detour { snapshot: self, ignored, ways }
    }

    /// What holds a node, not weakly.
    pub fn holders(&self, node: NodeOrdinal) -> impl Iterator<Item = Step> + '_ {
        self.retainers(node)
            .filter(|edge| edge.kind != EdgeKind::Weak)
            .map(|edge| Step { from: self.edge_owner(edge.index), edge })
    }

    /// Of what holds a node, what a program sees: objects and functions. What V8 keeps between is
    /// passed over (a context, a Map's table); its shapes, code and roots are left out.
    #[must_use]
    pub fn js_holders(&self, node: NodeOrdinal) -> Vec<JsHolder<'_>> {
        self.js_holders_by(node, |node| self.holders(node).collect())
    }

    fn js_holders_by(
        &self,
        node: NodeOrdinal,
        holders: impl Fn(NodeOrdinal) -> Vec<Step>,
    ) -> Vec<JsHolder<'_>> {
        let mut seen = NodeSet::new(self);
        let mut found = Vec::new();
        // What V8 keeps is looked through after all that holds the node itself.
        let mut open = VecDeque::from([(node, None)]);
        while let Some((at, named)) = open.pop_front() {
            for step in holders(at) {
                let named = named.or_else(|| self.label(&step).map(|_| step));
                match self.role(step.from) {
                    // One that holds it directly may hold it twice.
                    Role::Program if at == node || !seen.contains(step.from) => {
                        seen.insert(step.from);
                        found.push(self.js_holder(step.from, named.unwrap_or(step)));
                    }
                    Role::Between if seen.insert(step.from) => open.push_back((step.from, named)),
                    _ => {}
                }
            }
        }
        found
    }

    /// A way with only what a program sees; each step with where it leads.
    #[must_use]
    pub fn js_path(&self, path: &[Step]) -> Vec<(JsHolder<'_>, NodeOrdinal)> {
        let mut short = Vec::new();
        let mut open: Option<(NodeOrdinal, Step)> = None;
        for (index, step) in path.iter().enumerate() {
            let (from, named) = open.get_or_insert((step.from, *step));
            if self.label(step).is_some() {
                *named = *step;
            }
            if index + 1 == path.len() || matches!(self.role(step.edge.to), Role::Program) {
                short.push((self.js_holder(*from, *named), step.edge.to));
                open = None;
            }
        }
        short
    }

    fn js_holder(&self, from: NodeOrdinal, named: Step) -> JsHolder<'_> {
        // V8 numbers its own links; all others have a name in the program.
        let label = match named.edge.kind {
            EdgeKind::Internal => self.label(&named),
            _ => None,
        };
        let name = label.unwrap_or_else(|| self.edge_name(named.edge));
        JsHolder { from, edge: named.edge, name }
    }

    fn role(&self, node: NodeOrdinal) -> Role {
        let of_v8 = || {
            let name = self.strings.raw(self.name_index(node)).unwrap_or_default();
            name.starts_with(b"system / ")
        };
        match self.kind(node) {
            NodeKind::Code | NodeKind::ObjectShape | NodeKind::Synthetic => Role::V8,
            NodeKind::Array | NodeKind::Hidden => Role::Between,
            NodeKind::Object | NodeKind::Native if of_v8() => Role::Between,
            _ => Role::Program,
        }
    }
}

/// What a program sees to hold something.
#[derive(Clone, Debug)]
pub struct JsHolder<'a> {
    /// The object or function.
    pub from: NodeOrdinal,
    /// The edge that says how; it may belong to what V8 keeps between.
    pub edge: Edge,
    /// A property, a variable, an index, or `[key]` for an entry of a Map or Set.
    pub name: Cow<'a, str>,
}

/// Whose a node is.
enum Role {
    Program,
    /// V8's, and there for the sake of a program's object.
    Between,
    V8,
}

impl Detour<'_> {
    /// How far a node is from the roots on such ways; `None` if there is none.
    #[must_use]
    pub fn distance(&self, node: NodeOrdinal) -> Option<u32> {
        self.ways.distance(self.snapshot, node)
    }

    /// The shortest of them, root first; empty if there is none.
    #[must_use]
    pub fn path(&self, node: NodeOrdinal) -> Vec<Step> {
        self.ways.path(self.snapshot, node)
    }

    /// What holds a node on such ways, not weakly.
    pub fn holders(&self, node: NodeOrdinal) -> impl Iterator<Item = Step> + '_ {
        self.snapshot.holders(node).filter(|step| self.counts(step))
    }

    /// Of what holds a node on such ways, what a program sees; see [`Snapshot::js_holders`].
    #[must_use]
    pub fn js_holders(&self, node: NodeOrdinal) -> Vec<JsHolder<'_>> {
        self.snapshot.js_holders_by(node, |node| self.holders(node).collect())
    }

    fn counts(&self, step: &Step) -> bool {
        !self.ignored.contains(step.from)
            && self.distance(step.from).is_some()
            && !self.is_half_pair(step)
    }

    /// Whether an edge is of a weak map's pair whose other edge counts no more.
    fn is_half_pair(&self, step: &Step) -> bool {
        let pair_of = |edge: Edge| pair_of(self.snapshot, edge.index);
        let Some(pair) = pair_of(step.edge) else { return false };
        self.snapshot.holders(step.edge.to).any(|other| {
            pair_of(other.edge) == Some(pair)
                && (self.ignored.contains(other.from) || self.distance(other.from).is_none())
        })
    }
}
