//! Compares two snapshots: `calculateSnapshotDiff` in DevTools, and whether ids can be compared at all.

use foldhash::{HashMap, HashMapExt};
use serde::Serialize;

use crate::ahead;
use crate::analysis::tree::Rows;
use crate::{ClassIndex, ClassKey, Classes, NodeId, NodeKind, NodeOrdinal, Snapshot};

/// How objects are recognised from one snapshot to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Matching {
    /// By id if the ids agree, else only class by class.
    #[default]
    Auto,
    /// By id, as DevTools always does.
    ById,
    /// Only class by class.
    ByClass,
}

/// How far the ids of two snapshots agree.
///
/// V8 gives an object an id when it first sees it in a snapshot, and keeps it for as long as the
/// process is the one that took that snapshot. Snapshots of two processes, or of two forked copies
/// of one process, share numbers but not objects. What gives that away: under most ids that both
/// have there is a node of another kind or name, and a text that exists once in each is found under
/// two ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdAgreement {
    /// How many ids both snapshots have.
    pub shared: u64,
    /// Under how many of them there is a node of the same kind and name.
    pub same_node: u64,
    /// How many texts exist exactly once in each.
    pub unique_strings: u64,
    /// How many of them have the same id in both.
    pub same_string: u64,
}

impl IdAgreement {
    /// The least part that must agree, of nodes and of strings. Snapshots of one process agree to
    /// 99 % and more in both; those of two processes to 40 % in nodes and 75 % in strings, mostly
    /// in what every process begins with.
    pub const THRESHOLD: f64 = 0.9;
    /// Fewer unique strings say nothing.
    const FEW: u64 = 50;

    /// Measures it.
    #[must_use]
    pub fn measure(base: &Snapshot, target: &Snapshot) -> Self {
        let mut agreement = IdAgreement::default();
        let (nodes, others) = ahead::both(|| base.by_id(), || target.by_id());
        let mut others = others.iter().peekable();
        for &node in nodes {
            let id = base.id(node);
            while others.next_if(|&&other| target.id(other) < id).is_some() {}
            // What the profiler itself makes has fixed ids.
            if base.kind(node) == NodeKind::Synthetic {
                continue;
            }
            if let Some(&&other) = others.peek()
                && target.id(other) == id
            {
                agreement.shared += 1;
                agreement.same_node += u64::from(is_same(base, node, target, other));
            }
        }
        let (ours, theirs) = ahead::both(|| unique_strings(base), || unique_strings(target));
        for (text, id) in ours {
            if let (Some(id), Some(&Some(other))) = (id, theirs.get(text)) {
                agreement.unique_strings += 1;
                agreement.same_string += u64::from(id == other);
            }
        }
        agreement
    }

    /// Whether an id means the same object in both.
    #[must_use]
    pub fn is_comparable(&self) -> bool {
        let enough = |part: u64, whole: u64| part as f64 >= Self::THRESHOLD * whole as f64;
        self.shared > 0
            && enough(self.same_node, self.shared)
            && (self.unique_strings < Self::FEW || enough(self.same_string, self.unique_strings))
    }
}

/// The difference between two snapshots.
#[derive(Debug)]
pub struct Comparison {
    /// How far ids agree.
    pub agreement: IdAgreement,
    /// Whether objects were matched by id. If not, nothing is said of single objects.
    pub by_id: bool,
    /// Every class that differs, or that one of the snapshots lacks.
    pub classes: Vec<ClassDiff>,
    /// The base's classes, by the target's interfaces.
    pub base_classes: Classes,
}

/// The difference in one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassDiff {
    /// The class.
    pub key: ClassKey,
    /// The class in the base, if it is there.
    pub base: Option<ClassIndex>,
    /// The class in the target, if it is there.
    pub target: Option<ClassIndex>,
    /// The objects that came and went; only if objects were matched by id.
    pub objects: Option<ObjectDiff>,
    /// By how many objects the class grew.
    pub count_delta: i64,
    /// By how many bytes their shallow sizes grew.
    pub size_delta: i64,
    /// By how many bytes what they retain grew.
    pub retained_delta: i64,
}

/// The objects of a class that are only in one of the snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectDiff {
    /// Those that only the target has.
    pub added: Vec<NodeOrdinal>,
    /// Those that only the base has.
    pub removed: Vec<NodeOrdinal>,
    /// The sum of the shallow sizes of those added.
    pub added_size: u64,
    /// The sum of the shallow sizes of those removed.
    pub removed_size: u64,
}

/// Compares two snapshots.
#[must_use]
pub fn compare(base: &Snapshot, target: &Snapshot, matching: Matching) -> Comparison {
    let agreement = IdAgreement::measure(base, target);
    let by_id = match matching {
        Matching::Auto => agreement.is_comparable(),
        Matching::ById => true,
        Matching::ByClass => false,
    };
    let definitions = target.interfaces();
    let ((base_classes, base_rows), target_rows) = ahead::both(
        || {
            let classes = base.classes_with(definitions);
            let rows = rows(base, &classes);
            (classes, rows)
        },
        || rows(target, target.classes()),
    );
    let target_classes = target.classes();
    let base_by_key: HashMap<&ClassKey, ClassIndex> =
        base_classes.iter().map(|(index, class)| (&class.key, index)).collect();
    let target_keys: HashMap<&ClassKey, ClassIndex> =
        target_classes.iter().map(|(index, class)| (&class.key, index)).collect();
    let only_base = base_classes
        .iter()
        .filter(|(_, class)| !target_keys.contains_key(&class.key))
        .map(|(index, _)| (Some(index), None));
    let pairs = target_classes
        .iter()
        .map(|(index, class)| (base_by_key.get(&class.key).copied(), Some(index)))
        .chain(only_base);
    let mut classes = Vec::new();
    for (ours, theirs) in pairs {
        let objects = by_id.then(|| {
            let row = |rows: &Rows, index: Option<ClassIndex>| {
                index.map_or(Vec::new(), |index| rows.row(index.0 as usize).to_vec())
            };
            diff_objects(base, row(&base_rows, ours), target, row(&target_rows, theirs))
        });
        let a = ours.and_then(|index| base_classes.get(index));
        let b = theirs.and_then(|index| target_classes.get(index));
        let Some(class) = b.or(a) else { continue };
        let sum = |pick: fn(&crate::Class) -> u64| delta(a.map_or(0, pick), b.map_or(0, pick));
        // DevTools takes an object whose size changed as it was: only what came and went counts.
        let size_delta = match &objects {
            Some(objects) => delta(objects.removed_size, objects.added_size),
            None => sum(|class| class.shallow_size),
        };
        let diff = ClassDiff {
            key: class.key.clone(),
            base: ours,
            target: theirs,
            count_delta: sum(|class| class.count),
            size_delta,
            retained_delta: sum(|class| class.retained_size),
            objects,
        };
        if diff.is_change() {
            classes.push(diff);
        }
    }
    Comparison { agreement, by_id, classes, base_classes }
}

impl ClassDiff {
    fn is_change(&self) -> bool {
        let objects = self.objects.as_ref();
        self.count_delta != 0
            || self.retained_delta != 0
            || self.size_delta != 0
            || objects.is_some_and(|diff| !diff.added.is_empty() || !diff.removed.is_empty())
    }
}

/// The nodes with a size, by class.
fn rows(snapshot: &Snapshot, classes: &Classes) -> Rows {
    let count = u32::try_from(snapshot.node_count()).unwrap_or(u32::MAX);
    Rows::collect(classes.len(), count, |node| {
        let node = NodeOrdinal(node);
        (snapshot.shallow_size(node) > 0).then(|| classes.of(node).0)
    })
}

fn diff_objects(
    base: &Snapshot,
    mut ours: Vec<u32>,
    target: &Snapshot,
    mut theirs: Vec<u32>,
) -> ObjectDiff {
    let id = |snapshot: &Snapshot, node: u32| snapshot.id(NodeOrdinal(node));
    ours.sort_by_key(|&node| id(base, node));
    theirs.sort_by_key(|&node| id(target, node));
    let mut diff = ObjectDiff::default();
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    loop {
        let a = ours.peek().map(|&node| id(base, node));
        let b = theirs.peek().map(|&node| id(target, node));
        let (take_ours, take_theirs) = match (a, b) {
            (None, None) => return diff,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(a), Some(b)) => (a <= b, b <= a),
        };
        let gone = if take_ours { ours.next() } else { None };
        let came = if take_theirs { theirs.next() } else { None };
        match (gone, came) {
            (Some(node), None) => {
                let node = NodeOrdinal(node);
                diff.removed_size = diff.removed_size.saturating_add(base.shallow_size(node));
                diff.removed.push(node);
            }
            (None, Some(node)) => {
                let node = NodeOrdinal(node);
                diff.added_size = diff.added_size.saturating_add(target.shallow_size(node));
                diff.added.push(node);
            }
            _ => {}
        }
    }
}

fn is_same(base: &Snapshot, a: NodeOrdinal, target: &Snapshot, b: NodeOrdinal) -> bool {
    base.kind(a) == target.kind(b)
        && base.strings.raw(base.name_index(a)) == target.strings.raw(target.name_index(b))
}

/// The texts of strings with the id of the only node that has it; `None` for several.
fn unique_strings(snapshot: &Snapshot) -> HashMap<&[u8], Option<NodeId>> {
    /// So many say enough: the texts that come first in the file.
    const MOST: usize = 200_000;
    let mut texts: HashMap<&[u8], Option<NodeId>> = HashMap::new();
    for node in snapshot.nodes().filter(|&node| snapshot.kind(node) == NodeKind::String) {
        let Some(text) = snapshot.strings.raw(snapshot.name_index(node)) else { continue };
        if !(4..256).contains(&text.len()) || (texts.len() >= MOST && !texts.contains_key(text)) {
            continue;
        }
        texts.entry(text).and_modify(|id| *id = None).or_insert(Some(snapshot.id(node)));
    }
    texts
}

fn delta(before: u64, after: u64) -> i64 {
    i64::try_from(i128::from(after) - i128::from(before)).unwrap_or(i64::MAX)
}
