//! What the memory is used for: `calculateStatistics` in DevTools.

use serde::Serialize;

use crate::graph::BitSet;
use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot};

/// How the memory divides. `native` and `v8_heap` add up to `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// All that the snapshot accounts for.
    pub total: u64,
    /// Memory outside of V8's heap.
    pub native: u64,
    /// The part of `native` that is the contents of typed arrays and buffers.
    pub typed_arrays: u64,
    /// Memory in V8's heap.
    pub v8_heap: u64,
    /// Compiled code.
    pub code: u64,
    /// Strings.
    pub strings: u64,
    /// Arrays, with their elements.
    pub js_arrays: u64,
    /// V8's own bookkeeping.
    pub system: u64,
}

impl Snapshot {
    /// What the memory is used for.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut sums = Statistics {
            total: self.total_size(),
            native: self.extra_native_bytes,
            ..Statistics::default()
        };
        let mut arrays = Vec::new();
        for node in self.nodes() {
            let size = self.shallow_size(node);
            let slot = match self.kind(node) {
                NodeKind::Hidden => &mut sums.system,
                NodeKind::Native => {
                    if self.strings.is(self.nodes.name(node), "system / JSArrayBufferData") {
                        sums.typed_arrays = sums.typed_arrays.saturating_add(size);
                    }
                    &mut sums.native
                }
                NodeKind::Code => &mut sums.code,
                NodeKind::String | NodeKind::ConsString | NodeKind::SlicedString => {
                    &mut sums.strings
                }
                _ => {
                    if !self.strings.is(self.nodes.name(node), "Array") {
                        continue;
                    }
                    arrays.push(node);
                    &mut sums.js_arrays
                }
            };
            *slot = slot.saturating_add(size);
        }
        sums.js_arrays = sums.js_arrays.saturating_add(self.elements_size(&arrays));
        sums.v8_heap = sums.total.saturating_sub(sums.native);
        sums
    }

    /// The sizes of the backing stores that only one edge leads to.
    fn elements_size(&self, arrays: &[NodeOrdinal]) -> u64 {
        let mut stores: Vec<NodeOrdinal> = arrays
            .iter()
            .filter_map(|&array| {
                self.edges(array)
                    .find(|&edge| {
                        edge.kind == EdgeKind::Internal && self.edge_name(edge) == "elements"
                    })
                    .map(|edge| edge.to)
            })
            .collect();
        stores.sort_unstable();
        // Of all nodes a bit each: few edges lead to one of these, and a look at more would miss the cache.
        let bits = || BitSet::new(self.node_count());
        let (mut is_store, mut once, mut again) = (bits(), bits(), bits());
        for store in &stores {
            is_store.insert(store.index());
        }
        for to in self.edges.to.iter().map(|&to| to as usize) {
            if is_store.get(to) && !once.insert(to) {
                again.insert(to);
            }
        }
        // A store that only one edge leads to is in the list once.
        stores
            .iter()
            .filter(|store| !again.get(store.index()))
            .fold(0, |sum: u64, &store| sum.saturating_add(self.shallow_size(store)))
    }
}
