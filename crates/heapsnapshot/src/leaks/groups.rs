//! Groups of like objects: of one class, and held by objects of one class. A group can be found again
//! in another snapshot without ids.

use std::collections::HashMap;

use crate::{ClassIndex, ClassKey, Classes, NodeKind, NodeOrdinal, Snapshot};

/// What the objects of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    /// Their class.
    pub class: ClassKey,
    /// The class of the nearest object that all ways to them lead through; not their own, so that
    /// all of a linked list is in one group.
    pub owner: Option<ClassKey>,
}

/// The sums over a group in one snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) count: u64,
    pub(crate) shallow: u64,
}

/// Every object's group in one snapshot.
pub(crate) struct Groups<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// By ordinal; `NONE` for what is in no group.
    of: Vec<u32>,
    keys: Vec<GroupKey>,
    pub(crate) sums: Vec<Sums>,
    pub(crate) class_sums: HashMap<ClassKey, Sums>,
}

const NONE: u32 = u32::MAX;

impl<'a> Groups<'a> {
    pub(crate) fn collect(snapshot: &'a Snapshot, classes: &Classes) -> Self {
        let mut groups = Groups {
            snapshot,
            of: vec![NONE; snapshot.node_count()],
            keys: Vec::new(),
            sums: Vec::new(),
            class_sums: HashMap::new(),
        };
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        // From the root down the tree of dominators; with each node the last two different classes
        // on the way to it, the nearer one first.
        let mut open = vec![(snapshot.root(), [NONE, NONE])];
        while let Some((node, above)) = open.pop() {
            let mut here = above;
            if is_owner(snapshot, node) {
                let class = classes.of(node).0;
                if class != above[0] {
                    here = [class, above[0]];
                }
                if is_object(snapshot, node) {
                    // In a list the nearer one is the object's own class: then the one before it.
                    let group = groups.group(classes, (here[0], here[1]), &mut known);
                    groups.add(node, group);
                }
            }
            open.extend(snapshot.dominated(node).map(|child| (child, here)));
        }
        for (key, sums) in groups.keys.iter().zip(&groups.sums) {
            let of_class = groups.class_sums.entry(key.class.clone()).or_default();
            of_class.count += sums.count;
            of_class.shallow = of_class.shallow.saturating_add(sums.shallow);
        }
        groups
    }

    pub(crate) fn of(&self, node: NodeOrdinal) -> Option<usize> {
        self.of.get(node.index()).copied().filter(|&group| group != NONE).map(|g| g as usize)
    }

    pub(crate) fn keys(&self) -> &[GroupKey] {
        &self.keys
    }

    fn group(
        &mut self,
        classes: &Classes,
        pair: (u32, u32),
        known: &mut HashMap<(u32, u32), u32>,
    ) -> u32 {
        if let Some(&group) = known.get(&pair) {
            return group;
        }
        let key = |class: u32| classes.get(ClassIndex(class)).map(|class| class.key.clone());
        let Some(class) = key(pair.0) else { return NONE };
        let group = u32::try_from(self.keys.len()).unwrap_or(NONE);
        self.keys.push(GroupKey { class, owner: key(pair.1) });
        self.sums.push(Sums::default());
        known.insert(pair, group);
        group
    }

    fn add(&mut self, node: NodeOrdinal, group: u32) {
        let size = self.snapshot.shallow_size(node);
        if let (Some(slot), Some(sums)) =
            (self.of.get_mut(node.index()), self.sums.get_mut(group as usize))
        {
            *slot = group;
            sums.count += 1;
            sums.shallow = sums.shallow.saturating_add(size);
        }
    }
}

/// Whether a node is something that a program makes, and so can leak: not V8's own maps, code,
/// feedback and backing stores.
pub(crate) fn is_object(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    let visible = matches!(
        snapshot.kind(node),
        NodeKind::Object
            | NodeKind::Closure
            | NodeKind::String
            | NodeKind::ConsString
            | NodeKind::SlicedString
            | NodeKind::RegExp
            | NodeKind::Native
            | NodeKind::Symbol
            | NodeKind::BigInt
    );
    visible && snapshot.shallow_size(node) > 0 && !is_internal(snapshot, node)
}

/// Whether a node may be named as what holds others.
fn is_owner(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    match snapshot.kind(node) {
        NodeKind::Synthetic => true,
        NodeKind::Object | NodeKind::Closure | NodeKind::Native | NodeKind::RegExp => {
            !is_internal(snapshot, node)
        }
        _ => is_object(snapshot, node),
    }
}

fn is_internal(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    let name = snapshot.strings.raw(snapshot.name_index(node)).unwrap_or_default();
    // Texts may say anything; only the names of objects are V8's.
    matches!(snapshot.kind(node), NodeKind::Object | NodeKind::Native)
        && name.starts_with(b"system / ")
        && name != b"system / JSArrayBufferData"
}
