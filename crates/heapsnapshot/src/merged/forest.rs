//! What stands below what, and the sums over all that does.

use crate::ahead;
use crate::analysis::tree::Rows;
use crate::{NodeOrdinal, Snapshot};

/// What makes an object stand below another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TreeBy {
    /// It is immediately dominated: freed with it.
    #[default]
    Dominators,
    /// The shortest way from the roots leads over it.
    Paths,
}

/// What is summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Bytes.
    #[default]
    Bytes,
    /// Objects that have a size.
    Objects,
}

/// One of the two trees over all nodes.
pub(super) struct Forest<'a> {
    pub(super) snapshot: &'a Snapshot,
    measure: Measure,
    by: TreeBy,
    /// `None` where the snapshot has the sums anyway.
    kept: Option<&'a Below>,
}

/// A tree's rows, and sums over them.
#[derive(Debug)]
pub(crate) struct Below {
    /// `None` for the tree of dominators, whose rows the snapshot has.
    rows: Option<Rows>,
    bytes: Vec<u64>,
    objects: Vec<u32>,
}

impl<'a> Forest<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, by: TreeBy, measure: Measure) -> Self {
        let kept = match (by, measure) {
            (TreeBy::Dominators, Measure::Bytes) => None,
            (TreeBy::Dominators, Measure::Objects) => {
                Some(snapshot.dominated_objects.get_or_init(|| Below::dominators(snapshot)))
            }
            (TreeBy::Paths, _) => Some(snapshot.shortest.get_or_init(|| Below::paths(snapshot))),
        };
        Forest { snapshot, measure, by, kept }
    }

    pub(super) fn below(&self, node: NodeOrdinal) -> &[u32] {
        match self.kept.and_then(|kept| kept.rows.as_ref()) {
            Some(rows) if self.by == TreeBy::Paths => rows.row(node.index()),
            _ => self.snapshot.dominated_raw(node),
        }
    }

    /// A node's sum with all below it.
    pub(super) fn size(&self, node: NodeOrdinal) -> u64 {
        match (self.kept, self.measure) {
            (None, _) => self.snapshot.retained_size(node),
            (Some(kept), Measure::Bytes) => kept.bytes.get(node.index()).copied().unwrap_or(0),
            (Some(kept), Measure::Objects) => {
                kept.objects.get(node.index()).copied().map_or(0, u64::from)
            }
        }
    }

    /// The part of it that is the node's.
    pub(super) fn own(&self, node: NodeOrdinal) -> u64 {
        let size = self.snapshot.shallow_size(node);
        match self.measure {
            Measure::Bytes => size,
            Measure::Objects => u64::from(size > 0),
        }
    }
}

impl Below {
    fn dominators(snapshot: &Snapshot) -> Self {
        let mut below = Below { rows: None, bytes: Vec::new(), objects: Vec::new() };
        below.add_up(
            snapshot,
            |node| snapshot.dominated_raw(node),
            |node| snapshot.dominator(node),
        );
        below.bytes = Vec::new();
        below
    }

    fn paths(snapshot: &Snapshot) -> Self {
        let parents = parents(snapshot);
        let count = u32::try_from(snapshot.node_count()).unwrap_or(u32::MAX);
        let root = snapshot.root().0;
        let rows = Rows::collect(snapshot.node_count(), count, |node| {
            parents.get(node as usize).copied().filter(|_| node != root)
        });
        let mut below = Below { rows: None, bytes: Vec::new(), objects: Vec::new() };
        below.add_up(
            snapshot,
            |node| rows.row(node.index()),
            |node| NodeOrdinal(parents.get(node.index()).copied().unwrap_or(root)),
        );
        below.rows = Some(rows);
        below
    }

    fn add_up<'a>(
        &mut self,
        snapshot: &Snapshot,
        row: impl Fn(NodeOrdinal) -> &'a [u32],
        parent: impl Fn(NodeOrdinal) -> NodeOrdinal,
    ) {
        self.bytes = snapshot.nodes().map(|node| snapshot.shallow_size(node)).collect();
        self.objects = self.bytes.iter().map(|&size| u32::from(size > 0)).collect();
        let mut order = vec![snapshot.root().0];
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            next += 1;
            order.extend_from_slice(row(NodeOrdinal(node)));
        }
        for &node in order.iter().skip(1).rev() {
            let (at, above) = (node as usize, parent(NodeOrdinal(node)).index());
            if at != above {
                self.bytes[above] = self.bytes[above].saturating_add(self.bytes[at]);
                self.objects[above] = self.objects[above].saturating_add(self.objects[at]);
            }
        }
    }
}

/// By ordinal, the node before each on the shortest way; the root for what nothing leads to.
fn parents(snapshot: &Snapshot) -> Vec<u32> {
    let (distances, root) = (snapshot.distances(), snapshot.root());
    let parent = |node| match distances.via(NodeOrdinal(node)) {
        Some(edge) => snapshot.edge_owner(edge).0,
        None => root.0,
    };
    let count = u32::try_from(snapshot.node_count()).unwrap_or(u32::MAX);
    ahead::in_parts(count, |part| part.map(parent).collect::<Vec<u32>>()).concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use crate::Snapshot;
    use crate::merged::{Measure, MergedNode, TreeBy, TreeQuestion};

    /// Root → Store (10) → two Items (100 each), the first of which leads to a third (100); a Text (50) that Store and
    /// root hold; Store leads to it, too.
    const HEAP: &str = r#"{"snapshot":{"meta":{
        "node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["synthetic","object"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],
        "edge_types":[["property"],"string_or_number","node"]},"node_count":6,"edge_count":6},
        "nodes":[0,0,1,0,2, 1,1,3,10,3, 1,2,5,100,1, 1,2,7,100,0, 1,2,9,100,0, 1,3,11,50,0],
        "edges":[0,4,5, 0,5,25, 0,4,10, 0,4,15, 0,5,25, 0,4,20],
        "strings":["","Store","Item","Text","a","b"]}"#;

    fn tree(by: TreeBy, measure: Measure) -> MergedNode {
        let snapshot = Snapshot::read(HEAP.as_bytes()).unwrap();
        let question = TreeQuestion { by, measure, of: None, within: Vec::new(), most: 100 };
        snapshot.merged_tree(&question).unwrap()
    }

    fn sizes(node: &MergedNode) -> Vec<(u64, u64, u64)> {
        node.children.iter().map(|child| (child.size, child.own, child.count)).collect()
    }

    #[test]
    fn every_byte_is_in_the_tree_once() {
        let root = tree(TreeBy::Dominators, Measure::Bytes);
        assert_eq!((root.size, root.own), (360, 0));
        assert_eq!(sizes(&root), [(310, 10, 1), (50, 50, 1)]);
        // Each has a twentieth of the whole, so each stands by itself; below an Item its own class is its own.
        assert_eq!(sizes(&root.children[0]), [(200, 200, 2), (100, 100, 1)]);
    }

    #[test]
    fn objects_are_counted_as_bytes_are() {
        let root = tree(TreeBy::Dominators, Measure::Objects);
        assert_eq!((root.size, root.own), (5, 0));
        assert_eq!(sizes(&root), [(4, 1, 1), (1, 1, 1)]);
    }

    #[test]
    fn shortest_ways_make_another_tree() {
        let root = tree(TreeBy::Paths, Measure::Bytes);
        assert_eq!(root.size, 360);
        assert_eq!(sizes(&root), [(310, 10, 1), (50, 50, 1)]);
    }

    #[test]
    fn who_has_looked_deeper_changes_no_answer() {
        let snapshot = Snapshot::read(HEAP.as_bytes()).unwrap();
        let (by, measure) = (TreeBy::Dominators, Measure::Bytes);
        let question = |most| TreeQuestion { by, measure, of: None, within: Vec::new(), most };
        let shallow = snapshot.merged_tree(&question(2)).unwrap();
        let deep = snapshot.merged_tree(&question(100)).unwrap();
        assert_eq!(deep, tree(by, measure));
        assert_ne!(shallow, deep);
        assert_eq!(snapshot.merged_tree(&question(2)).unwrap(), shallow);
    }

    #[test]
    fn a_node_can_be_the_root() {
        let snapshot = Snapshot::read(HEAP.as_bytes()).unwrap();
        let mut question = TreeQuestion {
            by: TreeBy::Dominators,
            measure: Measure::Bytes,
            of: None,
            within: Vec::new(),
            most: 100,
        };
        let root = snapshot.merged_tree(&question).unwrap();
        let (store, item) = (root.children[0].key, root.children[0].children[0].key);
        question.within = vec![store, item];
        assert_eq!(snapshot.merged_tree(&question).unwrap(), root.children[0].children[0]);
        question.within = vec![item];
        assert_eq!(snapshot.merged_tree(&question), None);
    }
}
