//! The tree of dominators as one row: what a node dominates stands right behind it.

use crate::{NodeOrdinal, Snapshot};

/// All nodes in such an order.
#[derive(Debug)]
pub(crate) struct Order {
    places: Vec<u32>,
    nodes: Vec<u32>,
    /// By place, how many stand behind it that its node dominates, and the node.
    sizes: Vec<u32>,
}

impl Order {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let count = snapshot.node_count();
        let mut nodes = Vec::with_capacity(count);
        let mut places = vec![0; count];
        let mut open = vec![snapshot.root().0];
        while let Some(node) = open.pop() {
            if let (Some(place), Ok(at)) =
                (places.get_mut(node as usize), u32::try_from(nodes.len()))
            {
                *place = at;
            }
            nodes.push(node);
            open.extend(snapshot.dominated_raw(NodeOrdinal(node)).iter().rev());
        }
        let mut sizes = vec![1u32; nodes.len()];
        for at in (1..nodes.len()).rev() {
            let above = places[snapshot.dominator(NodeOrdinal(nodes[at])).index()] as usize;
            sizes[above] = sizes[above].saturating_add(sizes[at]);
        }
        Order { places, nodes, sizes }
    }

    /// Where a node stands.
    #[inline]
    pub(crate) fn place(&self, node: NodeOrdinal) -> usize {
        self.places.get(node.index()).copied().unwrap_or(0) as usize
    }

    /// The node that stands somewhere.
    #[inline]
    pub(crate) fn node(&self, place: usize) -> NodeOrdinal {
        NodeOrdinal(self.nodes.get(place).copied().unwrap_or(u32::MAX))
    }

    /// The first place behind all that the node at a place dominates.
    #[inline]
    pub(crate) fn end(&self, place: usize) -> usize {
        place + self.sizes.get(place).map_or(1, |&size| size as usize)
    }
}
