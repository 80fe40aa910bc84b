//! What looks like a leak in one snapshot, as Eclipse MAT judges: an object, or all of a class, that
//! retains a large part of the heap, and the point where that accumulates.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::leaks::{HeldFunction, held, is_object};
use crate::paths::Step;
use crate::{ClassIndex, NodeKind, NodeOrdinal, Snapshot};

/// Something that retains a large part of the heap.
#[derive(Debug)]
pub struct HeapSuspect {
    /// Whether it is one object, or many of a class.
    pub what: Suspected,
    /// What it retains.
    pub retained: u64,
    /// The object below it at which what it retains divides among many, or the head of a linked list.
    pub accumulation_point: Option<NodeOrdinal>,
    /// The way to the accumulation point, or to the largest object of a class.
    pub path: Vec<Step>,
    /// The functions that what accumulates there holds, or is.
    pub functions: Vec<HeldFunction>,
}

/// What is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspected {
    /// One object.
    Object(NodeOrdinal),
    /// A class of objects, each of which is small.
    Class {
        /// The class.
        class: ClassIndex,
        /// How many objects it has.
        count: u64,
        /// The one that retains most.
        largest: NodeOrdinal,
    },
}

/// On the way down to the accumulation point, the largest child has at least this part of its
/// parent's size (MAT has 0.7).
const SAME: f64 = 0.7;

impl Snapshot {
    /// The suspects that retain at least `threshold` (0.1 is 10 %) of the whole; the largest first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "compared with a part of the whole")]
    pub fn suspects(&self, threshold: f64) -> Vec<HeapSuspect> {
        let least = threshold * self.total_size() as f64;
        let is_large = |size: u64| size > 0 && size as f64 >= least;
        let mut found = Vec::new();
        // The outermost objects of a program; what stands above them belongs to V8 and Node.
        let mut tops = Vec::new();
        let mut open = vec![self.root()];
        while let Some(node) = open.pop() {
            for child in self.dominated(node) {
                if is_object(self, child) && !self.holds_everything(child) {
                    tops.push(child);
                } else {
                    open.push(child);
                }
            }
        }
        let mut by_class = vec![(0u64, 0u64, None::<NodeOrdinal>); self.classes().len()];
        for node in tops {
            let size = self.retained_size(node);
            if is_large(size) {
                found.push(self.object_suspect(node));
                continue;
            }
            if let Some((sum, count, largest)) =
                by_class.get_mut(self.classes().of(node).0 as usize)
            {
                *sum = sum.saturating_add(size);
                *count += 1;
                if largest.is_none_or(|largest| self.retained_size(largest) < size) {
                    *largest = Some(node);
                }
            }
        }
        for (class, (retained, count, largest)) in (0..).map(ClassIndex).zip(by_class) {
            if let Some(largest) = largest.filter(|_| is_large(retained)) {
                let what = Suspected::Class { class, count, largest };
                let path = self.path_from_root(largest);
                let functions = held(self, &[largest]);
                let accumulation_point = None;
                found.push(HeapSuspect { what, retained, accumulation_point, path, functions });
            }
        }
        found.sort_by_key(|suspect| Reverse(suspect.retained));
        found
    }

    /// The objects of a program that retain most, the largest first: not what stands above them all, not what V8 keeps for
    /// itself, and of a chain of objects of one class only the first.
    #[must_use]
    pub fn largest_objects(&self, limit: usize) -> Vec<NodeOrdinal> {
        let mut heap = BinaryHeap::with_capacity(limit + 1);
        for node in self.nodes() {
            let entry = Reverse((self.retained_size(node), Reverse(node)));
            if heap.len() >= limit && heap.peek().is_none_or(|least| entry >= *least) {
                continue;
            }
            let is_first = || self.classes().of(node) != self.classes().of(self.dominator(node));
            if is_object(self, node) && !self.holds_everything(node) && is_first() {
                heap.push(entry);
                if heap.len() > limit {
                    heap.pop();
                }
            }
        }
        heap.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(node)))| node).collect()
    }

    fn object_suspect(&self, node: NodeOrdinal) -> HeapSuspect {
        let point = self.accumulation_point(node);
        HeapSuspect {
            what: Suspected::Object(node),
            retained: self.retained_size(node),
            accumulation_point: Some(point),
            path: self.path_from_root(point),
            functions: held(self, &self.accumulated(point)),
        }
    }

    /// What a point holds that nothing else does, past its backing stores; the point itself if that is nothing.
    fn accumulated(&self, point: NodeOrdinal) -> Vec<NodeOrdinal> {
        const MOST: usize = 1 << 20;
        let mut found = Vec::new();
        let mut open = vec![point];
        while let Some(node) = open.pop() {
            for child in self.dominated(node).take(MOST) {
                if is_object(self, child) {
                    found.push(child);
                } else if self.kind(child).is_store() {
                    open.push(child);
                }
            }
        }
        if found.is_empty() {
            found.push(point);
        }
        found
    }

    /// Follows the largest child for as long as it has nearly all that its parent has.
    ///
    /// Down a linked list that holds for every item, but near the end: each takes only itself away.
    /// There MAT names an item near the end of the list, or nothing if it is long. Here the first of
    /// the items is named, since it is what leads to the code: where little of the whole is left at
    /// the end of the way, and a class repeats on it, that class is what it was lost to.
    fn accumulation_point(&self, from: NodeOrdinal) -> NodeOrdinal {
        let mut way = vec![from];
        let mut at = from;
        while let Some(child) = self.dominated(at).max_by_key(|&child| self.retained_size(child))
            && self.has_most_of(child, at)
        {
            at = child;
            // A backing store is named by the object that it belongs to.
            if !self.kind(at).is_store() {
                way.push(at);
            }
        }
        let point = way.last().copied().unwrap_or(from);
        if self.has_most_of(at, from) { point } else { self.first_item(&way).unwrap_or(point) }
    }

    #[expect(clippy::cast_precision_loss, reason = "compared with a part of the whole")]
    fn has_most_of(&self, node: NodeOrdinal, of: NodeOrdinal) -> bool {
        self.retained_size(node) as f64 >= SAME * self.retained_size(of) as f64
    }

    /// The first object of the class that is met most often; nothing if each is met once.
    fn first_item(&self, way: &[NodeOrdinal]) -> Option<NodeOrdinal> {
        let mut met: HashMap<ClassIndex, (usize, Reverse<usize>)> = HashMap::new();
        for (place, &node) in way.iter().enumerate() {
            met.entry(self.classes().of(node)).or_insert((0, Reverse(place))).0 += 1;
        }
        let &(count, Reverse(first)) = met.values().max()?;
        way.get(first).copied().filter(|_| count > 1)
    }

    /// The roots and the global object hold everything and are nobody's leak.
    pub(crate) fn holds_everything(&self, node: NodeOrdinal) -> bool {
        self.kind(node) == NodeKind::Synthetic
            || (self.kind(node) == NodeKind::Object && self.is_global(node))
    }
}
