//! The names of plain objects, of those with the same properties once: a search looks at thousands instead of millions.

use foldhash::{HashMap, HashMapExt};

use crate::graph::BitSet;
use crate::{EdgeKind, NodeOrdinal, Snapshot};

/// So many names are kept. A heap where every object has properties of its own has no use for them.
const MOST: usize = 1 << 16;
/// An object with more properties is a dictionary, and seldom has those of another.
const WIDEST: usize = 64;

/// Which name each plain object has.
#[derive(Debug, Default)]
pub(crate) struct ObjectNames {
    all: BitSet,
    names: Vec<String>,
    /// In the order of the file, the objects, and where their names are; beyond the names for one that is not kept.
    objects: Vec<(NodeOrdinal, u32)>,
}

impl ObjectNames {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let all = BitSet::new(snapshot.node_count());
        let mut found = ObjectNames { all, ..ObjectNames::default() };
        let mut known: HashMap<Box<[u64]>, u32> = HashMap::new();
        let mut properties = Vec::new();
        for node in snapshot.nodes().filter(|&node| snapshot.is_plain_object(node)) {
            properties.clear();
            let edges = snapshot.edges(node).filter(|edge| edge.kind == EdgeKind::Property);
            properties.extend(edges.take(WIDEST + 1).map(|edge| snapshot.edge_name_number(edge)));
            let at = match known.get(properties.as_slice()) {
                Some(&at) => at,
                None if properties.len() > WIDEST || found.names.len() >= MOST => u32::MAX,
                None => {
                    let at = u32::try_from(found.names.len()).unwrap_or(u32::MAX);
                    found.names.push(snapshot.display_name(node).into_owned());
                    known.insert(properties.as_slice().into(), at);
                    at
                }
            };
            found.all.set(node.index());
            found.objects.push((node, at));
        }
        found
    }

    /// Which of sixty-four nodes are plain objects.
    pub(crate) fn word(&self, first: u32) -> u64 {
        self.all.word(first as usize)
    }

    /// The objects whose names fit.
    pub(crate) fn fitting(&self, snapshot: &Snapshot, fits: impl Fn(&str) -> bool) -> BitSet {
        let known: Vec<bool> = self.names.iter().map(|name| fits(name)).collect();
        let mut fitting = BitSet::new(snapshot.node_count());
        for &(node, name) in &self.objects {
            let of_name = known.get(name as usize).copied();
            if of_name.unwrap_or_else(|| fits(&snapshot.display_name(node))) {
                fitting.set(node.index());
            }
        }
        fitting
    }
}
