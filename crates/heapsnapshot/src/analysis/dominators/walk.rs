//! The depth-first walk: which nodes are page-owned, and the spanning tree.

use crate::graph::{BitSet, Edges, Nodes};
use crate::{EdgeKind, NodeOrdinal};

pub(super) struct Walk<'a> {
    nodes: &'a Nodes,
    edges: &'a Edges,
    root: u32,
    pub(super) page: Page,
    pub(super) states: Vec<State>,
    pub(super) order: Order,
    /// Open nodes: ordinal, number, next edge.
    stack: Vec<(u32, u32, u32)>,
    /// Targets of edges that do not retain and yet make page-owned.
    beside: Vec<u32>,
    /// How many edges were taken that are not their target's tree edge.
    pub(super) others: usize,
}

/// A node's place in the walk. Numbers count the nodes that have edges, from 1; the root has 1.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    /// The number of the tree parent; 0 when the node has not been reached. The root is its own.
    pub(super) parent: u32,
    /// How many edges other than the parent's lead here; later, where the list of those ends.
    pub(super) others: u32,
}

/// Nodes in the order of the walk.
pub(super) struct Order {
    pub(super) ordinals: Vec<u32>,
    /// Which of them have no edges, and so no number.
    pub(super) leaves: BitSet,
    /// How many numbers there are.
    pub(super) numbers: u32,
}

/// Which nodes are page-owned: reachable by edges that are not weak from the root's shortcuts.
pub(super) struct Page {
    bits: BitSet,
    /// While the first part of the walk runs, all that it reaches is.
    all: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn run(nodes: &'a Nodes, edges: &'a Edges, root: NodeOrdinal) -> Self {
        let count = nodes.len();
        let mut walk = Walk {
            nodes,
            edges,
            root: root.0,
            page: Page { bits: BitSet::default(), all: true },
            states: vec![State::default(); count],
            order: Order {
                ordinals: Vec::with_capacity(count),
                leaves: BitSet::new(count),
                numbers: 0,
            },
            stack: Vec::new(),
            beside: Vec::new(),
            others: 0,
        };
        walk.enter(root.0, 1);
        walk.stack.clear();
        walk.visit_root(true);
        walk.close_page();
        walk.visit_root(false);
        walk.visit_orphans();
        walk
    }

    /// Visits the root's edges: first those that make page-owned, later the others.
    fn visit_root(&mut self, shortcuts: bool) {
        for edge in self.nodes.edges(self.root) {
            let tag = self.edges.tag(edge);
            let to = self.edges.to[edge];
            if to == self.root && tag == Edges::SHORTCUT && shortcuts {
                self.beside.push(to);
            }
            if tag == Edges::WEAK || to == self.root || self.edges.is_ephemeron(edge) {
                continue;
            }
            if (tag == Edges::SHORTCUT || self.is_document_root(tag, to)) == shortcuts {
                self.visit(to, 1);
                self.descend();
            }
        }
    }

    /// Whether an element of the root is `(Document DOM trees)`. Node has none.
    fn is_document_root(&self, tag: u32, to: u32) -> bool {
        tag == EdgeKind::Element as u32 && self.nodes.document_roots.contains(&to)
    }

    /// Nodes that no edge retains hang from the root.
    fn visit_orphans(&mut self) {
        let count = self.nodes.len();
        if self.order.ordinals.len() == count {
            return;
        }
        let mut retained = BitSet::new(count);
        for node in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            if self.states[node as usize].parent != 0 {
                // What a reached node retains has been reached too.
                continue;
            }
            for edge in self.nodes.edges(node) {
                if self.retains(node, edge) {
                    retained.set(self.edges.to[edge] as usize);
                }
            }
        }
        for node in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            if self.states[node as usize].parent == 0 && !retained.get(node as usize) {
                self.visit(node, 1);
                self.descend();
            }
        }
    }

    #[inline]
    fn retains(&self, from: u32, edge: usize) -> bool {
        let to = self.edges.to[edge];
        to != from
            && is_essential(self.edges, edge, self.edges.tag(edge))
            && !self.page.crosses(from, to)
    }

    /// Reaches a node from the node with the number `parent`.
    #[inline]
    fn visit(&mut self, node: u32, parent: u32) {
        let state = &mut self.states[node as usize];
        if state.parent == 0 {
            self.enter(node, parent);
        } else if state.parent != parent {
            state.others += 1;
            self.others += 1;
        }
    }

    fn enter(&mut self, node: u32, parent: u32) {
        self.states[node as usize].parent = parent;
        let range = self.nodes.edges(node);
        if range.is_empty() && node != self.root {
            self.order.leaves.set(self.order.ordinals.len());
        } else {
            self.order.numbers += 1;
            let first = u32::try_from(range.start).unwrap_or(u32::MAX);
            self.stack.push((node, self.order.numbers, first));
        }
        self.order.ordinals.push(node);
    }

    /// Walks until the stack is empty.
    fn descend(&mut self) {
        let mut others = 0;
        while let Some(&(node, number, first)) = self.stack.last() {
            let end = self.nodes.edges(node).end;
            let mut edge = first as usize;
            let depth = self.stack.len();
            let page_owned = self.page.has(node);
            while edge < end {
                let to = self.edges.to[edge];
                let tag = self.edges.tag(edge);
                edge += 1;
                if !is_plain(tag) && !self.is_retaining_oddity(edge - 1, tag, to) {
                    continue;
                }
                if to == node || (!page_owned && self.page.bits.get(to as usize)) {
                    continue;
                }
                let state = &mut self.states[to as usize];
                if state.parent == 0 {
                    self.enter(to, number);
                    if self.stack.len() > depth {
                        break;
                    }
                } else if state.parent != number {
                    state.others += 1;
                    others += 1;
                }
            }
            if self.stack.len() == depth {
                self.stack.pop();
            } else if let Some(open) = self.stack.get_mut(depth - 1) {
                open.2 = u32::try_from(edge).unwrap_or(u32::MAX);
            }
        }
        self.others += others;
    }

    /// Weak, shortcut and special edges: which retain, and which at least make page-owned.
    #[cold]
    fn is_retaining_oddity(&mut self, edge: usize, tag: u32, to: u32) -> bool {
        let retains = is_essential(self.edges, edge, tag);
        if !retains && tag != Edges::WEAK && self.page.all {
            self.beside.push(to);
        }
        retains
    }

    /// Completes the page-owned nodes by what is reached over edges that the walk does not take.
    fn close_page(&mut self) {
        let count = self.nodes.len();
        let mut bits = BitSet::new(count);
        for &node in self.order.ordinals.iter().skip(1) {
            bits.set(node as usize);
        }
        // An edge to the root would make all page-owned that the root holds.
        if self.states[self.root as usize].others > 0 {
            self.beside.push(self.root);
        }
        let mut work = std::mem::take(&mut self.beside);
        work.retain(|&node| bits.insert(node as usize));
        while let Some(node) = work.pop() {
            for edge in self.nodes.edges(node) {
                let to = self.edges.to[edge];
                if self.edges.tag(edge) != Edges::WEAK && bits.insert(to as usize) {
                    work.push(to);
                }
            }
        }
        self.page = Page { bits, all: false };
    }
}

impl Page {
    #[inline]
    pub(super) fn has(&self, node: u32) -> bool {
        self.all || self.bits.get(node as usize)
    }

    /// Whether an edge leads from outside of the page's objects into them.
    #[inline]
    fn crosses(&self, from: u32, to: u32) -> bool {
        !self.has(from) && self.has(to)
    }
}

/// Whether a tag is that of an edge that retains, wherever it comes from.
#[inline]
fn is_plain(tag: u32) -> bool {
    tag < Edges::SHORTCUT
}

/// Whether the edge from a node (that is not the root) counts for retention.
#[inline]
pub(super) fn is_essential(edges: &Edges, edge: usize, tag: u32) -> bool {
    is_plain(tag) || (tag == Edges::SPECIAL && !edges.is_ephemeron(edge))
}
