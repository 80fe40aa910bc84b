//! The heap as a tree to look at: the objects below an object, merged by class, level by level.
//!
//! A child of a node is all objects of one class that the node's objects immediately dominate (or lead to, on shortest ways), or one
//! object by itself where it has a twentieth of the node. What only stores what belongs to another, and an object below one of
//! its own class, counts as its holder's own: a linked list is one node, and a Map has its entries for children.

mod forest;
mod kept;

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use foldhash::{HashMap, HashMapExt};

pub use forest::{Measure, TreeBy};

pub(crate) use forest::Below;
use forest::Forest;
use kept::KeptTree;

use crate::{ClassIndex, NodeKind, NodeOrdinal, Snapshot};

/// Below this depth objects do not stand by themselves: a list of lists would have no end.
const DEEPEST: u32 = 24;

/// What a node of the tree stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MergedKey {
    /// One object.
    Object(NodeOrdinal),
    /// All others of a class.
    Class(ClassIndex),
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct TreeQuestion {
    /// What makes an object stand below another.
    pub by: TreeBy,
    /// What is summed up.
    pub measure: Measure,
    /// The object at the root; the snapshot's own root by default.
    pub of: Option<NodeOrdinal>,
    /// Which child to go to from there, and so on: the node reached is the root of the answer.
    pub within: Vec<MergedKey>,
    /// About how many nodes the answer may have; the largest are those that are there.
    pub most: usize,
}

/// What has been looked at of the whole heap's trees, each by itself: who looks at one does not wait for another.
#[derive(Debug, Default)]
pub(crate) struct Trees([Mutex<Option<KeptTree>>; 4]);

impl Trees {
    fn of(&self, by: TreeBy, measure: Measure) -> &Mutex<Option<KeptTree>> {
        let [a, b, c, d] = &self.0;
        match (by, measure) {
            (TreeBy::Dominators, Measure::Bytes) => a,
            (TreeBy::Dominators, Measure::Objects) => b,
            (TreeBy::Paths, Measure::Bytes) => c,
            (TreeBy::Paths, Measure::Objects) => d,
        }
    }
}

/// Objects that are one node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedNode {
    /// What it stands for.
    pub key: MergedKey,
    /// The object of it that is largest.
    pub example: NodeOrdinal,
    /// How many objects.
    pub count: u64,
    /// Their sum, with all below them.
    pub size: u64,
    /// The part of it that is not below them.
    pub own: u64,
    /// What is below, the largest first. What is too small to be told is missing.
    pub children: Vec<MergedNode>,
}

impl Snapshot {
    /// The tree below an object, merged by class; `None` if the question leads to no node.
    ///
    /// ```no_run
    /// # fn main() -> heapsnapshot::Result<()> {
    /// # use heapsnapshot::merged::{Measure, TreeBy, TreeQuestion};
    /// let snapshot = heapsnapshot::Snapshot::open("heap.heapsnapshot")?;
    /// let (by, measure) = (TreeBy::Dominators, Measure::Bytes);
    /// let tree = snapshot.merged_tree(&TreeQuestion { by, measure, of: None, within: Vec::new(), most: 500 });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn merged_tree(&self, question: &TreeQuestion) -> Option<MergedNode> {
        let forest = Forest::new(self, question.by, question.measure);
        let of = question.of.filter(|&of| of != self.root());
        if let Some(of) = of {
            return KeptTree::new(&forest, of).answer(&forest, question);
        }
        let tree = self.trees.of(question.by, question.measure);
        let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
        tree.get_or_insert_with(|| KeptTree::new(&forest, self.root())).answer(&forest, question)
    }
}

/// Objects that become a node.
#[derive(Debug)]
struct Group {
    key: MergedKey,
    members: Vec<u32>,
    depth: u32,
    example: NodeOrdinal,
    count: u64,
    size: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    size: u64,
    count: u64,
}

impl Group {
    fn one(forest: &Forest<'_>, node: NodeOrdinal, depth: u32) -> Self {
        let mut group = Group::empty(MergedKey::Object(node), node, depth);
        group.add(forest, node);
        group
    }

    fn empty(key: MergedKey, example: NodeOrdinal, depth: u32) -> Self {
        Group { key, members: Vec::new(), depth, example, count: 0, size: 0 }
    }

    fn add(&mut self, forest: &Forest<'_>, node: NodeOrdinal) {
        let size = forest.size(node);
        if self.members.is_empty() || size > forest.size(self.example) {
            self.example = node;
        }
        self.members.push(node.0);
        self.count += 1;
        self.size = self.size.saturating_add(size);
    }

    fn is_leaf(&self, forest: &Forest<'_>) -> bool {
        self.members.iter().all(|&node| forest.below(NodeOrdinal(node)).is_empty())
    }

    /// What is the group's own, and the groups below it, the largest first.
    fn below(&self, forest: &Forest<'_>) -> (Sum, Vec<Group>) {
        let snapshot = forest.snapshot;
        let classes = snapshot.classes();
        let class = classes.of(self.example);
        let is_chain = !is_container(snapshot, class);
        let is_root = self.example == snapshot.root();
        let mut own = Sum { size: 0, count: self.count };
        let mut found: HashMap<MergedKey, Group> = HashMap::new();
        let mut open = self.members.clone();
        while let Some(at) = open.pop() {
            own.size = own.size.saturating_add(forest.own(NodeOrdinal(at)));
            for &child in forest.below(NodeOrdinal(at)) {
                let node = NodeOrdinal(child);
                let of = classes.of(node);
                let is_own = match snapshot.kind(node) {
                    NodeKind::Synthetic => true,
                    NodeKind::Array | NodeKind::Hidden => !is_root && !snapshot.is_context(node),
                    _ => of == class && !is_root && is_chain,
                };
                let is_own = is_own || (is_root && snapshot.holds_everything(node));
                if is_own {
                    own.count += u64::from(of == class && !is_root);
                    open.push(child);
                    continue;
                }
                let alone = self.depth < DEEPEST && self.is_large(forest, node);
                let key = if alone { MergedKey::Object(node) } else { MergedKey::Class(of) };
                let depth = self.depth + 1;
                found
                    .entry(key)
                    .or_insert_with(|| Group::empty(key, node, depth))
                    .add(forest, node);
            }
        }
        let mut groups: Vec<Group> = found.into_values().collect();
        groups.sort_unstable_by_key(|group| (Reverse(group.size), group.key));
        (own, groups)
    }

    /// Whether a child stands by itself.
    fn is_large(&self, forest: &Forest<'_>, child: NodeOrdinal) -> bool {
        let size = forest.size(child);
        size.saturating_mul(20) >= self.size
            && size.saturating_mul(1000) >= forest.size(forest.snapshot.root())
    }
}

/// Whether objects of a class are told apart by what they are for rather than by it.
fn is_container(snapshot: &Snapshot, class: ClassIndex) -> bool {
    let name = snapshot.classes().get(class).map_or("", |class| class.key.name.as_str());
    ["Object", "Array", "Map", "Set"].contains(&name) || name.starts_with("system / Context")
}
