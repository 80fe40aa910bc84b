//! Objects within others of their group: the items of a linked list, functions that wrap functions, a string
//! that grows by joining. Only the outermost one is a head of the group.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use super::groups::Groups;
use crate::{NodeOrdinal, Snapshot, StringIndex};

/// What an object retains, and it: of two that retain the same, the first is the larger.
type Largest = (u64, Reverse<NodeOrdinal>);

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

    /// The outermost of those with the name that most of the growth has: what stands above may be any
    /// function that uses a chain of functions.
    pub(super) fn outermost(
        &self,
        snapshot: &Snapshot,
        before: &Self,
        earlier: &Snapshot,
    ) -> Option<NodeOrdinal> {
        let counts = before.by_name(earlier);
        let grown = self.by_name(snapshot).into_iter().map(|(name, (count, largest))| {
            (count.saturating_sub(counts.get(&name).map_or(0, |&(count, _)| count)), largest)
        });
        let (count, (_, Reverse(node))) = grown.max()?;
        (count >= self.more_than(before) / 4).then_some(node)
    }

    /// Whether a large part of the growth is in one chain, and not side by side in one of them.
    pub(super) fn is_chain(&self, before: &Self) -> bool {
        let deeper = self.depth.saturating_sub(before.depth);
        deeper >= 4 && deeper >= self.more_than(before) / 4
    }

    fn more_than(&self, before: &Self) -> usize {
        self.nodes.len().saturating_sub(before.nodes.len())
    }

    /// How many have each name, and the one of them that retains most.
    fn by_name<'a>(&self, snapshot: &'a Snapshot) -> HashMap<Cow<'a, str>, (usize, Largest)> {
        let mut found: HashMap<StringIndex, (usize, Largest)> = HashMap::new();
        for &node in &self.nodes {
            let size = (snapshot.retained_size(node), Reverse(node));
            let (count, largest) = found.entry(snapshot.name_index(node)).or_insert((0, size));
            *count += 1;
            *largest = size.max(*largest);
        }
        found.into_iter().map(|(name, of_name)| (snapshot.strings.get(name), of_name)).collect()
    }
}
