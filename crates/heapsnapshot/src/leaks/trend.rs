//! What grows over any number of snapshots of one process. The first and the last say which groups grew; all
//! others are measured one by one, so that no more than two are in memory.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::groups::{GroupKey, Groups};
use super::{LeakOptions, growing, growth, heads, typical};
use crate::paths::Step;
use crate::{InterfaceDefinition, NodeOrdinal, Snapshot};

/// The groups that are larger in the last snapshot than in the first.
#[derive(Debug)]
pub struct Watch {
    groups: HashSet<GroupKey>,
    /// Of the last snapshot: plain objects are sorted by them in all.
    definitions: Vec<InterfaceDefinition>,
}

/// How much there is of a group in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// How many objects, without those within others of a group that grew.
    pub count: u64,
    /// What they retain.
    pub retained: u64,
}

/// A group in the last snapshot.
#[derive(Debug)]
pub struct Grown {
    /// Which one.
    pub group: GroupKey,
    /// An object of it: the one that grew, if it is one.
    pub example: NodeOrdinal,
    /// The way to it.
    pub path: Vec<Step>,
    /// Whether the example was there before, and its growth is most of the group's.
    pub is_container: bool,
}

/// The groups in one snapshot.
pub type Points = HashMap<GroupKey, Point>;

impl Watch {
    /// Compares the first and the last snapshot; gives the groups that grew, and all of them in both.
    /// Objects are told by class and holder alone, so that it does not matter whether ids agree.
    #[must_use]
    pub fn new(
        first: &Snapshot,
        last: &Snapshot,
        options: &LeakOptions,
    ) -> (Self, Vec<Grown>, [Points; 2]) {
        let definitions = last.interfaces().to_vec();
        let classes = [first, last].map(|snapshot| snapshot.classes_of_nodes(&definitions));
        let both = [Groups::collect(first, &classes[0]), Groups::collect(last, &classes[1])];
        let watch = Watch { groups: growing(&both, None, options), definitions };
        let [mut before, mut after] = both.each_ref().map(|groups| watch.heads(groups));
        let points =
            [(first, &before), (last, &after)].map(|(snapshot, heads)| sums(snapshot, heads));
        let mut found = Vec::new();
        for (group, point) in &points[1] {
            let earlier = points[0].get(group).copied().unwrap_or_default();
            let grown = point.retained.saturating_sub(earlier.retained);
            let more = point.count.saturating_sub(earlier.count);
            let enough = more >= options.min_objects && grown >= options.min_bytes;
            if !enough && grown < options.min_bytes_of_few {
                continue;
            }
            let pair =
                [before.remove(group).unwrap_or_default(), after.remove(group).unwrap_or_default()];
            found.extend(describe(&both, group, pair, grown));
        }
        (watch, found, points)
    }

    /// The groups in a snapshot between the first and the last.
    #[must_use]
    pub fn measure(&self, snapshot: &Snapshot) -> Points {
        let classes = snapshot.classes_of_nodes(&self.definitions);
        let groups = Groups::collect(snapshot, &classes);
        sums(snapshot, &self.heads(&groups))
    }

    fn heads(&self, groups: &Groups<'_>) -> HashMap<GroupKey, Vec<NodeOrdinal>> {
        let named = heads(groups, &self.groups)
            .into_iter()
            .filter_map(|(group, nodes)| groups.keys().get(group).map(|key| (key.clone(), nodes)));
        named.collect()
    }
}

fn sums(snapshot: &Snapshot, heads: &HashMap<GroupKey, Vec<NodeOrdinal>>) -> Points {
    let point = |nodes: &[NodeOrdinal]| Point {
        count: nodes.len() as u64,
        retained: nodes
            .iter()
            .fold(0, |sum, &node| sum.saturating_add(snapshot.retained_size(node))),
    };
    heads.iter().map(|(group, nodes)| (group.clone(), point(nodes))).collect()
}

fn describe(
    both: &[Groups<'_>; 2],
    group: &GroupKey,
    heads: [Vec<NodeOrdinal>; 2],
    growth: u64,
) -> Option<Grown> {
    let last = both[1].snapshot;
    let container = growth::container(both, &heads, false, growth);
    let [_, mut nodes] = heads;
    match &container {
        Some(container) => nodes.retain(|&node| node == container.node),
        None => nodes.sort_by_key(|&node| (Reverse(last.retained_size(node)), node)),
    }
    let (example, path) = typical(last, &nodes)?;
    Some(Grown { group: group.clone(), example, path, is_container: container.is_some() })
}
