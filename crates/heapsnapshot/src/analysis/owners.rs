//! Whose an edge is, without a search through all nodes.

use crate::{EdgeIndex, NodeOrdinal};

/// How many edges share one entry: their nodes stand within a line or two of the processor's cache.
const SHARE: usize = 64;

/// Of each so many edges, the node that holds the first.
#[derive(Debug)]
pub(crate) struct Owners(Vec<u32>);

impl Owners {
    /// `first_edges`: where each node's edges start, and where the last one's end.
    pub(crate) fn new(first_edges: &[u32]) -> Self {
        let mut owners = Vec::new();
        let mut next = 0;
        for (node, range) in (0..).zip(first_edges.windows(2)) {
            while next < range[1] as usize {
                owners.push(node);
                next += SHARE;
            }
        }
        Owners(owners)
    }

    pub(crate) fn of(&self, first_edges: &[u32], edge: EdgeIndex) -> NodeOrdinal {
        let at = edge.index() / SHARE;
        let Some(&low) = self.0.get(at) else { return NodeOrdinal(u32::MAX) };
        let high = self.0.get(at + 1).map_or(first_edges.len(), |&node| node as usize + 1);
        let between = first_edges.get(low as usize..high).unwrap_or_default();
        let after = between.partition_point(|&first| first <= edge.0);
        NodeOrdinal(low + u32::try_from(after.saturating_sub(1)).unwrap_or(u32::MAX - low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_has_its_node() {
        let counts = [0, 3, 0, 0, 200, 1, 64, 0, 63, 1, 0, 129, 0];
        let mut first_edges = vec![0];
        let mut expected = Vec::new();
        for (node, &count) in (0u32..).zip(&counts) {
            expected.extend(std::iter::repeat_n(node, count));
            first_edges.push(u32::try_from(expected.len()).unwrap_or(0));
        }
        let owners = Owners::new(&first_edges);
        let of = |edge| owners.of(&first_edges, EdgeIndex(edge)).0;
        assert_eq!((0..).map(of).take(expected.len()).collect::<Vec<_>>(), expected);
        assert_eq!(Owners::new(&[0]).of(&[0], EdgeIndex(0)), NodeOrdinal(u32::MAX));
    }
}
