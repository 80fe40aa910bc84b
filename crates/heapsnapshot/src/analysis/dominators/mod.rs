//! Dominators by the semi-NCA algorithm (Georgiadis, *Linear-Time Algorithms for Dominators and
//! Related Problems*, 2005), and retained sizes.
//!
//! Three things make it fast on heaps. One depth-first walk finds both what DevTools calls
//! page-owned (reachable from the root's shortcuts) and the spanning tree, since it takes the
//! shortcuts first. Lists of predecessors leave out the tree's own edges, which are most of them.
//! Nodes without edges, about half of a heap, are numbered apart: they are nobody's predecessor,
//! so the arrays that are read at random hold only the others.

mod predecessors;
mod semi_nca;
mod walk;

use self::predecessors::Predecessors;
use self::walk::{Order, Walk};
use crate::NodeOrdinal;
use crate::graph::{BitSet, Edges, Nodes};

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
    let idoms = semi_nca::run(&order, lists);
    finish(nodes, root, &order, idoms)
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
