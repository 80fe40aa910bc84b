//! Objects within others of their group: the items of a linked list, functions that wrap functions, a string
//! that grows by joining. Only the outermost one is a head of the group.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::groups::Groups;
use crate::{NodeOrdinal, Snapshot, StringIndex};

/// All objects of a group that some of it hold.
pub(super) struct Links {
    /// The heads are among them.
    pub(super) nodes: Vec<NodeOrdinal>,
    /// How many there are at most, one within the other.
    depth: usize,
}

impl Links {
    pub(super) fn of(groups: &Groups<'_>, heads: &[NodeOrdinal]) -> Self {
        let mut links = Links { nodes: Vec::new(), depth: 0 };
        let Some(group) = heads.first().and_then(|&head| groups.of(head)) else { return links };
        let mut open: Vec<(NodeOrdinal, usize)> = heads.iter().map(|&head| (head, 0)).collect();
        while let Some((node, above)) = open.pop() {
            let is_link = groups.of(node) == Some(group);
            let depth = above + usize::from(is_link);
            if is_link {
                links.nodes.push(node);
                links.depth = depth.max(links.depth);
            }
            open.extend(groups.snapshot.dominated(node).map(|child| (child, depth)));
        }
        links
    }

    /// The outermost of those with the name that most of them have: what stands above may be any
    /// function that uses a chain of functions.
    pub(super) fn outermost(&self, snapshot: &Snapshot) -> Option<NodeOrdinal> {
        let mut by_name: HashMap<StringIndex, (usize, u64, Reverse<NodeOrdinal>)> = HashMap::new();
        for &node in &self.nodes {
            let found = (snapshot.retained_size(node), Reverse(node));
            let (count, size, first) =
                by_name.entry(snapshot.name_index(node)).or_insert((0, found.0, found.1));
            *count += 1;
            (*size, *first) = found.max((*size, *first));
        }
        let &(count, _, Reverse(node)) = by_name.values().max()?;
        (count >= self.nodes.len() / 4).then_some(node)
    }

    /// Whether a large part of them is in one chain, and not side by side in one of them.
    pub(super) fn is_chain(&self) -> bool {
        self.depth >= 4 && self.depth >= self.nodes.len() / 4
    }
}
