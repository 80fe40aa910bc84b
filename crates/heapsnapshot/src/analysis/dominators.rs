//! Dominators by the semi-NCA algorithm (Georgiadis, *Linear-Time Algorithms for Dominators and
//! Related Problems*, 2005), and retained sizes.
//!
//! Three things make it fast on heaps. One depth-first walk finds both what DevTools calls
//! page-owned (reachable from the root's shortcuts) and the spanning tree, since it takes the
//! shortcuts first. Lists of predecessors leave out the tree's own edges, which are most of them.
//! Nodes without edges, about half of a heap, are numbered apart: they are nobody's predecessor,
//! so the arrays that are read at random hold only the others.

use crate::graph::{BitSet, Edges, Nodes};
use crate::{EdgeKind, NodeOrdinal};

/// The immediate dominators and retained sizes of all nodes.
#[derive(Debug)]
pub(crate) struct Dominators {
    /// By ordinal; the root's is the root.
    pub(crate) dominator: Vec<u32>,
    pub(crate) retained: Vec<u64>,
}

pub(crate) fn compute(nodes: &Nodes, edges: &Edges, root: NodeOrdinal) -> Dominators {
    let walk = Walk::run(nodes, edges, root);
    let page = walk.page;
    let lists =
        Predecessors::collect(nodes, edges, root, &page, &walk.order, walk.states, walk.others);
    let order = walk.order;
    let idoms = semi_nca(&order, lists);
    finish(nodes, root, &order, idoms)
}

/// A node's place in the walk. Numbers count the nodes that have edges, from 1; the root has 1.
#[derive(Clone, Copy, Default)]
struct State {
    /// The number of the tree parent; 0 when the node has not been reached. The root is its own.
    parent: u32,
    /// How many edges other than the parent's lead here; later, where the list of those ends.
    others: u32,
}

/// Nodes in the order of the walk.
struct Order {
    ordinals: Vec<u32>,
    /// Which of them have no edges, and so no number.
    leaves: BitSet,
    /// How many numbers there are.
    numbers: u32,
}

struct Walk<'a> {
    nodes: &'a Nodes,
    edges: &'a Edges,
    root: u32,
    page: Page,
    states: Vec<State>,
    order: Order,
    /// Open nodes: ordinal, number, next edge.
    stack: Vec<(u32, u32, u32)>,
    /// Targets of edges that do not retain and yet make page-owned.
    beside: Vec<u32>,
    /// How many edges were taken that are not their target's tree edge.
    others: usize,
}

/// Which nodes are page-owned: reachable by edges that are not weak from the root's shortcuts.
struct Page {
    bits: BitSet,
    /// While the first part of the walk runs, all that it reaches is.
    all: bool,
}

/// Whether a tag is that of an edge that retains, wherever it comes from.
#[inline]
fn is_plain(tag: u32) -> bool {
    tag < Edges::SHORTCUT
}

/// Whether the edge from a node (that is not the root) counts for retention.
#[inline]
fn is_essential(edges: &Edges, edge: usize, tag: u32) -> bool {
    is_plain(tag) || (tag == Edges::SPECIAL && !edges.is_ephemeron(edge))
}

impl<'a> Walk<'a> {
    fn run(nodes: &'a Nodes, edges: &'a Edges, root: NodeOrdinal) -> Self {
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
    fn has(&self, node: u32) -> bool {
        self.all || self.bits.get(node as usize)
    }

    /// Whether an edge leads from outside of the page's objects into them.
    #[inline]
    fn crosses(&self, from: u32, to: u32) -> bool {
        !self.has(from) && self.has(to)
    }
}

/// For each node, the numbers of those that retain it, without its tree parent. The lists are in
/// the order of the walk, one after the other.
struct Predecessors {
    entries: Vec<u32>,
    /// Which entries are the first of a list.
    firsts: BitSet,
    /// Which nodes, by their place in the order, have a list.
    present: BitSet,
    /// Each node's tree parent, by its place in the order.
    parents: Vec<u32>,
}

impl Predecessors {
    fn collect(
        nodes: &Nodes,
        edges: &Edges,
        root: NodeOrdinal,
        page: &Page,
        order: &Order,
        mut states: Vec<State>,
        others: usize,
    ) -> Self {
        let mut present = BitSet::new(order.ordinals.len());
        // The same by ordinal: small enough for the cache, where the states are not.
        let mut wanted = BitSet::new(nodes.len());
        let mut parents = Vec::with_capacity(order.ordinals.len());
        let mut firsts = BitSet::new(others);
        let mut total = 0usize;
        // The root's list would never be read.
        states[root.index()].others = 0;
        for (place, &node) in order.ordinals.iter().enumerate() {
            let state = &mut states[node as usize];
            parents.push(state.parent);
            if state.others > 0 {
                present.set(place);
                wanted.set(node as usize);
                firsts.set(total);
                total += state.others as usize;
                state.others = u32::try_from(total).unwrap_or(u32::MAX);
            }
        }
        let mut entries = vec![0u32; total];
        let mut number = 0;
        for (place, &node) in order.ordinals.iter().enumerate() {
            if order.leaves.get(place) {
                continue;
            }
            number += 1;
            let is_root = node == root.0;
            let inside = is_root || page.has(node);
            for edge in nodes.edges(node) {
                let to = edges.to[edge];
                let tag = edges.tag(edge);
                let counts = if is_root {
                    tag != Edges::WEAK && !edges.is_ephemeron(edge)
                } else {
                    is_essential(edges, edge, tag)
                };
                if !counts || !wanted.get(to as usize) || to == node || (!inside && page.has(to)) {
                    continue;
                }
                let state = &mut states[to as usize];
                if state.parent != number {
                    state.others -= 1;
                    if let Some(entry) = entries.get_mut(state.others as usize) {
                        *entry = number;
                    }
                }
            }
        }
        Predecessors { entries, firsts, present, parents }
    }
}

/// What `eval` reads, side by side: one cache line a node.
#[derive(Clone, Copy, Default)]
struct Link {
    ancestor: u32,
    /// The least semidominator on the path to the ancestor.
    label: u32,
}

/// The number of each node's immediate dominator, by the node's place in the order.
fn semi_nca(order: &Order, lists: Predecessors) -> Vec<u32> {
    let Predecessors { entries, firsts, present, mut parents } = lists;
    let mut links = vec![Link::default(); order.numbers as usize + 1];
    let mut number = 0;
    for (place, &parent) in parents.iter().enumerate() {
        if !order.leaves.get(place) {
            number += 1;
            links[number as usize] = Link { ancestor: parent, label: parent };
        }
    }
    // Semidominators, backwards in the order of the walk. That of a node without a list is its
    // parent; those of the others are kept, last first.
    let mut semis = Vec::new();
    let mut path = Vec::new();
    let mut cursor = entries.len();
    for (place, &parent) in parents.iter().enumerate().skip(1).rev() {
        if present.get(place) {
            let mut semi = parent;
            while cursor > 0 {
                cursor -= 1;
                let from = entries[cursor];
                // Nodes beyond the current number are linked to their parents.
                let candidate = match from > number {
                    true => eval(&mut links, from, number, &mut path),
                    false => from,
                };
                semi = semi.min(candidate);
                if firsts.get(cursor) {
                    break;
                }
            }
            semis.push(semi);
            if !order.leaves.get(place) {
                links[number as usize].label = semi;
            }
        }
        if !order.leaves.get(place) {
            number -= 1;
        }
    }
    drop(entries);
    // The dominator is the nearest tree ancestor of the parent that is not below the semidominator.
    let mut idoms = vec![0; order.numbers as usize + 1];
    let mut number = 0;
    for (place, parent) in parents.iter_mut().enumerate() {
        let mut idom = *parent;
        if place > 0 && present.get(place) {
            let semi = semis.pop().unwrap_or(1);
            while idom > semi {
                idom = idoms[idom as usize];
            }
        }
        *parent = idom;
        if !order.leaves.get(place) {
            number += 1;
            idoms[number as usize] = idom;
        }
    }
    parents
}

/// The least semidominator on the path from `node` up to, not with, the first node that is not
/// linked (not beyond `bound`). Shortens the path for the next time.
#[inline]
fn eval(links: &mut [Link], node: u32, bound: u32, path: &mut Vec<u32>) -> u32 {
    let mut top = node;
    loop {
        let ancestor = links[top as usize].ancestor;
        if ancestor <= bound {
            break;
        }
        path.push(top);
        top = ancestor;
    }
    let mut upper = links[top as usize];
    while let Some(below) = path.pop() {
        let link = &mut links[below as usize];
        link.label = link.label.min(upper.label);
        link.ancestor = upper.ancestor;
        upper = *link;
    }
    upper.label
}

/// From numbers back to ordinals, and sizes summed up the tree.
fn finish(nodes: &Nodes, root: NodeOrdinal, order: &Order, idoms: Vec<u32>) -> Dominators {
    let mut by_number = vec![root.0; order.numbers as usize + 1];
    let mut number = 0;
    for (place, &node) in order.ordinals.iter().enumerate() {
        if !order.leaves.get(place) {
            number += 1;
            by_number[number] = node;
        }
    }
    let count = nodes.len();
    let mut dominator = vec![root.0; count];
    for (&node, &idom) in order.ordinals.iter().zip(&idoms).skip(1) {
        dominator[node as usize] = by_number[idom as usize];
    }
    drop((by_number, idoms));
    let mut retained: Vec<u64> = (0..count).map(|node| nodes.size.get(node)).collect();
    for &node in order.ordinals.iter().skip(1).rev() {
        let total = retained[node as usize];
        let above = &mut retained[dominator[node as usize] as usize];
        *above = above.saturating_add(total);
    }
    if order.ordinals.len() < count {
        unreached(root, order, &mut retained);
    }
    Dominators { dominator, retained }
}

/// Rings of nodes that hold only each other: DevTools lets the root dominate each of them.
fn unreached(root: NodeOrdinal, order: &Order, retained: &mut [u64]) {
    let mut reached = BitSet::new(retained.len());
    for &node in &order.ordinals {
        reached.set(node as usize);
    }
    for node in (0..retained.len()).filter(|&node| !reached.get(node)) {
        let size = retained[node];
        retained[root.index()] = retained[root.index()].saturating_add(size);
    }
}
