//! A loaded snapshot and the questions it answers.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use crate::ahead;
use crate::analysis::classes::Classes;
use crate::analysis::counted::Counted;
use crate::analysis::distances::{self, Distances};
use crate::analysis::dominators::{self, Dominators};
use crate::analysis::ephemerons::EphemeronNames;
use crate::analysis::interfaces::InterfaceDefinition;
use crate::analysis::joined::JoinedTexts;
use crate::analysis::object_names::ObjectNames;
use crate::analysis::order::Order;
use crate::analysis::owners::Owners;
use crate::analysis::tree::Rows;
use crate::graph::{Edges, Nodes};
use crate::merged::{Below, Trees};
use crate::originals::Originals;
use crate::paths::{Scripts, Ways};
use crate::retainers::LastDetour;
use crate::strings::StringTable;
use crate::{
    Detachedness, EdgeIndex, EdgeKind, Error, LoadOptions, Location, NodeId, NodeKind, NodeOrdinal,
    Redaction, Result, Sample, StringIndex, TraceFunction, TraceNode,
};

/// A heap snapshot. What takes long to compute is computed when it is first asked for, once, and by
/// any number of threads at a time.
///
/// ```no_run
/// # fn main() -> heapsnapshot::Result<()> {
/// let snapshot = heapsnapshot::Snapshot::open("heap.heapsnapshot")?;
/// let largest = snapshot.nodes().max_by_key(|&node| snapshot.retained_size(node));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) nodes: Nodes,
    pub(crate) edges: Edges,
    pub(crate) strings: StringTable,
    pub(crate) root: NodeOrdinal,
    pub(crate) locations: Vec<(NodeOrdinal, Location)>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) functions: Vec<TraceFunction>,
    pub(crate) trace_tree: Vec<TraceNode>,
    pub(crate) extra_native_bytes: u64,
    pub(crate) file_size: u64,
    pub(crate) ephemerons: EphemeronNames,
    pub(crate) problems: Vec<Error>,
    pub(crate) originals: Option<Originals>,
    pub(crate) redaction: Option<Redaction>,
    /// How many strings the file has; the table has more, which other names were made of.
    pub(crate) strings_in_file: usize,
    pub(crate) dominators: OnceLock<Dominators>,
    pub(crate) distances: OnceLock<Distances>,
    pub(crate) counted: OnceLock<Counted>,
    pub(crate) owners: OnceLock<Owners>,
    /// By ordinal, the edges that lead to a node.
    pub(crate) retainers: OnceLock<Rows>,
    /// By ordinal, the nodes that a node immediately dominates.
    pub(crate) children: OnceLock<Rows>,
    pub(crate) interfaces: OnceLock<Vec<InterfaceDefinition>>,
    pub(crate) classes: OnceLock<Classes>,
    pub(crate) class_distances: OnceLock<Vec<i32>>,
    pub(crate) scripts: OnceLock<Scripts>,
    pub(crate) ways: OnceLock<Ways>,
    pub(crate) ids: OnceLock<Vec<NodeOrdinal>>,
    pub(crate) order: OnceLock<Order>,
    pub(crate) object_names: OnceLock<ObjectNames>,
    pub(crate) joined_texts: OnceLock<JoinedTexts>,
    pub(crate) dominated_objects: OnceLock<Below>,
    /// The tree of shortest ways.
    pub(crate) shortest: OnceLock<Below>,
    pub(crate) trees: Trees,
    pub(crate) last_detour: Mutex<Option<LastDetour>>,
}

/// An edge of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its place in the file.
    pub index: EdgeIndex,
    /// What it is.
    pub kind: EdgeKind,
    /// Where it leads.
    pub to: NodeOrdinal,
}

impl Snapshot {
    /// Reads a file, strictly; see [`LoadOptions`] for other ways.
    ///
    /// # Errors
    /// When the file cannot be read or is not a whole snapshot.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        LoadOptions::new().open(path)
    }

    /// Reads a snapshot from any reader, strictly.
    ///
    /// # Errors
    /// When the reader fails or does not give a whole snapshot.
    pub fn read(reader: impl Read) -> Result<Self> {
        LoadOptions::new().read(reader)
    }

    /// What was wrong with a file that was salvaged; empty for a whole one.
    #[must_use]
    pub fn missing(&self) -> &[Error] {
        &self.problems
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many edges there are.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// The length of the uncompressed file.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// What the file says of its own redaction; `None` for one that has its texts.
    #[must_use]
    pub fn redaction(&self) -> Option<&Redaction> {
        self.redaction.as_ref()
    }

    /// The string table.
    #[must_use]
    pub fn strings(&self) -> &StringTable {
        &self.strings
    }

    /// All nodes, in the order of the file.
    pub fn nodes(
        &self,
    ) -> impl DoubleEndedIterator<Item = NodeOrdinal> + ExactSizeIterator + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeOrdinal)
    }

    /// The root of the graph.
    #[must_use]
    pub fn root(&self) -> NodeOrdinal {
        self.root
    }

    /// What a node is.
    #[must_use]
    pub fn kind(&self, node: NodeOrdinal) -> NodeKind {
        self.nodes.kind(node)
    }

    /// What a node is, in the words of the file.
    #[must_use]
    pub fn kind_name(&self, node: NodeOrdinal) -> &str {
        match self.nodes.kind(node) {
            NodeKind::Other => self.nodes.unknown_kind(node).unwrap_or("other"),
            known => known.name(),
        }
    }

    /// A node's id.
    #[must_use]
    pub fn id(&self, node: NodeOrdinal) -> NodeId {
        NodeId(self.nodes.id.get(node.index()))
    }

    /// The node with an id, if there is one. The first call builds an index.
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<NodeOrdinal> {
        let ids = self.by_id();
        let at = ids.partition_point(|&node| self.id(node) < id);
        ids.get(at).copied().filter(|&node| self.id(node) == id)
    }

    /// All nodes in the order of their ids.
    pub(crate) fn by_id(&self) -> &[NodeOrdinal] {
        self.ids.get_or_init(|| {
            let mut nodes: Vec<NodeOrdinal> = self.nodes().collect();
            // They nearly are in that order already, which a stable sort turns to account.
            nodes.sort_by_key(|&node| self.id(node));
            nodes
        })
    }

    /// The name in the file: a constructor's for an object, the text of a string. See also
    /// [`Snapshot::display_name`].
    #[must_use]
    pub fn name(&self, node: NodeOrdinal) -> Cow<'_, str> {
        self.strings.get(self.nodes.name(node))
    }

    /// Where a node's name is in the string table.
    #[must_use]
    pub fn name_index(&self, node: NodeOrdinal) -> StringIndex {
        self.nodes.name(node)
    }

    /// The bytes of the node itself, with the parts that belong to it alone: DevTools' shallow size.
    #[must_use]
    pub fn shallow_size(&self, node: NodeOrdinal) -> u64 {
        self.nodes.size.get(node.index())
    }

    /// Whether an embedder's object is detached from its tree.
    #[must_use]
    pub fn detachedness(&self, node: NodeOrdinal) -> Detachedness {
        self.nodes.detachedness(node)
    }

    /// Where a function, or an object's constructor, is in the source.
    #[must_use]
    pub fn location(&self, node: NodeOrdinal) -> Option<Location> {
        let at = self.locations.binary_search_by_key(&node, |&(owner, _)| owner).ok()?;
        self.locations.get(at).map(|&(_, location)| location)
    }

    /// All places, in the order of their nodes.
    #[must_use]
    pub fn locations(&self) -> &[(NodeOrdinal, Location)] {
        &self.locations
    }

    /// The stack that allocated a node, in a snapshot made while allocations were tracked: an id in
    /// [`Snapshot::trace_tree`].
    #[must_use]
    pub fn trace_node_id(&self, node: NodeOrdinal) -> Option<u64> {
        self.nodes.trace_node_id.as_ref().map(|ids| ids.get(node.index())).filter(|&id| id > 0)
    }

    /// The moments of a recording on a timeline.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The functions that allocated.
    #[must_use]
    pub fn trace_functions(&self) -> &[TraceFunction] {
        &self.functions
    }

    /// The stacks that allocated, parents before children.
    #[must_use]
    pub fn trace_tree(&self) -> &[TraceNode] {
        &self.trace_tree
    }

    /// A node's edges, in the order of the file.
    pub fn edges(&self, node: NodeOrdinal) -> impl DoubleEndedIterator<Item = Edge> + '_ {
        self.nodes.edges(node.0).filter_map(|edge| self.edge(EdgeIndex(u32::try_from(edge).ok()?)))
    }

    /// How many edges a node has.
    #[must_use]
    pub fn reference_count(&self, node: NodeOrdinal) -> usize {
        self.nodes.edges(node.0).len()
    }

    /// An edge by its place in the file.
    #[must_use]
    pub fn edge(&self, index: EdgeIndex) -> Option<Edge> {
        let to = NodeOrdinal(*self.edges.to.get(index.index())?);
        Some(Edge { index, kind: self.edges.kind(index), to })
    }

    /// What an edge is, in the words of the file.
    #[must_use]
    pub fn edge_kind_name(&self, edge: Edge) -> &str {
        match edge.kind {
            EdgeKind::Other => self.edges.unknown_kind(edge.index).unwrap_or("other"),
            known => known.name(),
        }
    }

    /// An edge's name: a property's, or the number of an element.
    #[must_use]
    pub fn edge_name(&self, edge: Edge) -> Cow<'_, str> {
        let name = self.edges.name(edge.index.index());
        match u32::try_from(name) {
            Ok(index) if !edge.kind.is_indexed() => self.strings.get(StringIndex(index)),
            _ => Cow::Owned(name.to_string()),
        }
    }

    /// How many strings there are: of a redacted file, those of its original.
    #[must_use]
    pub fn string_count(&self) -> usize {
        let twice = if self.redaction.is_some() { self.strings_in_file / 2 } else { 0 };
        self.strings.len() - twice
    }

    /// Where an edge's name is in the string table; `None` for an element's.
    #[must_use]
    pub fn edge_name_index(&self, edge: Edge) -> Option<StringIndex> {
        let index = u32::try_from(self.edges.name(edge.index.index())).ok()?;
        (!edge.kind.is_indexed()).then_some(StringIndex(index))
    }

    /// An edge's name as the file has it: an element's number, or where a property's name is in the string table.
    #[must_use]
    pub fn edge_name_number(&self, edge: Edge) -> u64 {
        self.edges.name(edge.index.index())
    }

    /// The node that holds an edge.
    #[must_use]
    pub fn edge_owner(&self, edge: EdgeIndex) -> NodeOrdinal {
        let first_edges = &self.nodes.first_edge;
        self.owners.get_or_init(|| Owners::new(first_edges)).of(first_edges, edge)
    }

    /// The node that every path from the root to this one leads through, nearest to it. The root's
    /// is the root.
    #[must_use]
    pub fn dominator(&self, node: NodeOrdinal) -> NodeOrdinal {
        NodeOrdinal(self.dominators().dominator.get(node.index()).copied().unwrap_or(self.root.0))
    }

    /// The bytes that would be freed with a node.
    #[must_use]
    pub fn retained_size(&self, node: NodeOrdinal) -> u64 {
        self.dominators().retained.get(node.index()).copied().unwrap_or(0)
    }

    /// All that the snapshot accounts for: what the root retains, and native memory that V8 only
    /// knows the sum of.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.retained_size(self.root).saturating_add(self.extra_native_bytes)
    }

    /// Native memory of which V8 knows only the sum.
    #[must_use]
    pub fn extra_native_bytes(&self) -> u64 {
        self.extra_native_bytes
    }

    /// How many edges lead to a node from the roots, on the shortest way that DevTools counts;
    /// `None` if none does. What only V8 itself holds is 100,000,000 away or more.
    #[must_use]
    pub fn distance(&self, node: NodeOrdinal) -> Option<u32> {
        u32::try_from(self.raw_distance(node)).ok()
    }

    /// The distance as DevTools has it: -5 for a node that nothing leads to.
    pub(crate) fn raw_distance(&self, node: NodeOrdinal) -> i32 {
        self.distances().distance.get(node.index()).copied().unwrap_or(distances::NONE)
    }

    /// Computes what does not need each other at the same time. In small snapshots it would take
    /// longer to start a thread.
    pub(crate) fn compute_dominators_and_distances(&self) {
        const LARGE: usize = 100_000;
        let none = self.dominators.get().is_none() && self.distances.get().is_none();
        if none && self.node_count() >= LARGE {
            ahead::both(|| self.distances(), || self.dominators());
        }
    }

    pub(crate) fn distances(&self) -> &Distances {
        self.distances.get_or_init(|| distances::compute(self))
    }

    pub(crate) fn counted(&self) -> &Counted {
        self.counted.get_or_init(|| Counted::new(self))
    }

    /// The edges that lead to a node, in the order of the file.
    pub fn retainers(&self, node: NodeOrdinal) -> impl DoubleEndedIterator<Item = Edge> + '_ {
        let rows = self.retainers.get_or_init(|| {
            let edges = u32::try_from(self.edges.len()).unwrap_or(u32::MAX);
            Rows::collect(self.node_count(), edges, |edge| {
                self.edges.to.get(edge as usize).copied()
            })
        });
        rows.row(node.index()).iter().filter_map(|&edge| self.edge(EdgeIndex(edge)))
    }

    /// The nodes that a node immediately dominates.
    pub fn dominated(
        &self,
        node: NodeOrdinal,
    ) -> impl DoubleEndedIterator<Item = NodeOrdinal> + '_ {
        self.dominated_raw(node).iter().map(|&child| NodeOrdinal(child))
    }

    pub(crate) fn dominated_raw(&self, node: NodeOrdinal) -> &[u32] {
        let rows = self.children.get_or_init(|| {
            let count = self.node_count();
            let dominator = &self.dominators().dominator;
            Rows::collect(count, u32::try_from(count).unwrap_or(u32::MAX), |node| {
                dominator.get(node as usize).copied().filter(|_| node != self.root.0)
            })
        });
        rows.row(node.index())
    }

    pub(crate) fn object_names(&self) -> &ObjectNames {
        self.object_names.get_or_init(|| ObjectNames::new(self))
    }

    pub(crate) fn joined_texts(&self) -> &JoinedTexts {
        self.joined_texts.get_or_init(|| JoinedTexts::new(self))
    }

    pub(crate) fn order(&self) -> &Order {
        self.order.get_or_init(|| Order::new(self))
    }

    pub(crate) fn dominators(&self) -> &Dominators {
        self.dominators.get_or_init(|| dominators::compute(&self.nodes, &self.edges, self.root))
    }
}
