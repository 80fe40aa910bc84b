//! Compares two snapshots: `calculateSnapshotDiff` in DevTools, and whether ids can be compared at all.

use foldhash::{HashMap, HashMapExt};
use serde::Serialize;

use crate::ahead;
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
    let (base_classes, target_classes) =
        ahead::both(|| base.classes_with(definitions), || target.classes());
    let pairs = pair_up(&base_classes, target_classes);
    let mut objects = by_id.then(|| {
        let base = Side::new(base, &base_classes, pairs.iter().map(|&(ours, _)| ours));
        let target = Side::new(target, target_classes, pairs.iter().map(|&(_, theirs)| theirs));
        diff_objects(&base, &target, pairs.len()).into_iter()
    });
    let mut classes = Vec::new();
    for (ours, theirs) in pairs {
        let objects = objects.as_mut().and_then(Iterator::next);
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

/// The classes of both, those with the same key together.
fn pair_up(base: &Classes, target: &Classes) -> Vec<(Option<ClassIndex>, Option<ClassIndex>)> {
    let mut ours: HashMap<&ClassKey, ClassIndex> =
        base.iter().map(|(index, class)| (&class.key, index)).collect();
    let mut pairs: Vec<_> =
        target.iter().map(|(index, class)| (ours.remove(&class.key), Some(index))).collect();
    let only_base = base.iter().filter(|(_, class)| ours.contains_key(&class.key));
    pairs.extend(only_base.map(|(index, _)| (Some(index), None)));
    pairs
}

/// One of two snapshots that are compared object by object.
struct Side<'a> {
    snapshot: &'a Snapshot,
    classes: &'a Classes,
    /// The place of each class among the pairs.
    pair_of: Vec<usize>,
}

impl<'a> Side<'a> {
    /// `paired` has this side's class of each pair.
    fn new(
        snapshot: &'a Snapshot,
        classes: &'a Classes,
        paired: impl Iterator<Item = Option<ClassIndex>>,
    ) -> Self {
        let mut pair_of = vec![usize::MAX; classes.len()];
        for (pair, class) in paired.enumerate() {
            if let Some(place) = class.and_then(|class| pair_of.get_mut(class.0 as usize)) {
                *place = pair;
            }
        }
        Side { snapshot, classes, pair_of }
    }

    /// The nodes with a size in the order of their ids, with id and pair.
    fn objects(&self) -> impl Iterator<Item = (NodeId, usize, NodeOrdinal)> {
        self.snapshot.by_id().iter().filter_map(|&node| {
            let pair = *self.pair_of.get(self.classes.of(node).0 as usize)?;
            (self.snapshot.shallow_size(node) > 0).then(|| (self.snapshot.id(node), pair, node))
        })
    }
}

/// For each of `count` pairs, the objects that are only on one side. One that changed its class, as a
/// string does that is made an internal one, went from one and came to another.
fn diff_objects(base: &Side<'_>, target: &Side<'_>, count: usize) -> Vec<ObjectDiff> {
    let mut diffs = vec![ObjectDiff::default(); count];
    let (mut ours, mut theirs) = (base.objects().peekable(), target.objects().peekable());
    loop {
        let is_removed = match (ours.peek(), theirs.peek()) {
            (None, None) => return diffs,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((a, pair, _)), Some((b, other, _))) => {
                if (a, pair) == (b, other) {
                    ours.next();
                    theirs.next();
                    continue;
                }
                a <= b
            }
        };
        let (side, next) = if is_removed { (base, ours.next()) } else { (target, theirs.next()) };
        let Some((_, pair, node)) = next else { continue };
        let Some(diff) = diffs.get_mut(pair) else { continue };
        let (nodes, sum) = match is_removed {
            true => (&mut diff.removed, &mut diff.removed_size),
            false => (&mut diff.added, &mut diff.added_size),
        };
        nodes.push(node);
        *sum = sum.saturating_add(side.snapshot.shallow_size(node));
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
