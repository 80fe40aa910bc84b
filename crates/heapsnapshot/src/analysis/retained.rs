//! What groups of objects retain together: an object within another of its group counts once.

use crate::graph::BitSet;
use crate::{NodeOrdinal, Snapshot};

/// The group of what is in none.
pub(crate) const NO_GROUP: u32 = u32::MAX;

enum Step {
    /// To a node that dominates others, and whether it is the first of its group on the way.
    Enter(NodeOrdinal, bool),
    /// From under the first of a group.
    Leave(u32),
}

/// By group, the sum of the retained sizes of those members that no other member dominates: what
/// would be freed with all of them. `counts` is asked only of nodes that dominate others, and may leave
/// out those without a size.
pub(crate) fn by_group(
    snapshot: &Snapshot,
    groups: usize,
    group_of: impl Fn(NodeOrdinal) -> u32,
    counts: impl Fn(NodeOrdinal) -> bool,
) -> Vec<u64> {
    let parents = parents(snapshot);
    let mut above = BitSet::new(groups);
    let mut retained = vec![0u64; groups];
    let mut count = |node: NodeOrdinal, above: &BitSet| {
        let group = group_of(node) as usize;
        match retained.get_mut(group) {
            Some(sum) if !above.get(group) => {
                *sum = sum.saturating_add(snapshot.retained_size(node));
                true
            }
            _ => false,
        }
    };
    let root = snapshot.root();
    let mut steps = vec![Step::Enter(root, counts(root) && count(root, &above))];
    while let Some(step) = steps.pop() {
        let node = match step {
            Step::Enter(node, first) => {
                if first {
                    let group = group_of(node);
                    above.set(group as usize);
                    steps.push(Step::Leave(group));
                }
                node
            }
            Step::Leave(group) => {
                above.clear(group as usize);
                continue;
            }
        };
        for child in snapshot.dominated(node) {
            if parents.get(child.index()) {
                let first = counts(child) && count(child, &above);
                steps.push(Step::Enter(child, first));
            } else {
                // Most dominate nothing. All of them are done here, where the processor can wait
                // for the memory of several at a time. One without a size retains nothing.
                count(child, &above);
            }
        }
    }
    retained
}

/// Which nodes dominate others.
fn parents(snapshot: &Snapshot) -> BitSet {
    let mut parents = BitSet::new(snapshot.node_count());
    for node in snapshot.nodes() {
        parents.set(snapshot.dominator(node).index());
    }
    parents
}
