//! Texts that are in memory more than once: `getDuplicateStrings` in DevTools.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use foldhash::{HashMap, HashMapExt};

use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot};

/// A text, and the strings that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateString {
    /// The text, as far as the snapshot has it.
    pub text: String,
    /// The strings.
    pub nodes: Vec<NodeOrdinal>,
    /// The sum of their shallow sizes.
    pub shallow_size: u64,
    /// The sum of what they retain.
    pub retained_size: u64,
}

impl DuplicateString {
    /// What one string instead of many would save.
    #[must_use]
    pub fn wasted(&self) -> u64 {
        let count = self.nodes.len() as u64;
        self.shallow_size.saturating_sub(self.shallow_size / count.max(1))
    }
}

impl Snapshot {
    /// The texts that more than one string has. V8 cuts long texts in a snapshot: strings that only
    /// begin alike are told apart where it wrote their length and hash.
    #[must_use]
    pub fn duplicate_strings(&self) -> Vec<DuplicateString> {
        let mut found = self.texts();
        found.retain(|text| text.nodes.len() > 1);
        found
    }

    /// All texts, also those that one string has; those that retain most first.
    #[must_use]
    pub fn texts(&self) -> Vec<DuplicateString> {
        type Key = (String, Option<(Option<String>, Option<String>)>);
        let mut by_text: HashMap<Key, Vec<NodeOrdinal>> = HashMap::new();
        for node in self.alike() {
            if self.kind(node) == NodeKind::ConsString && self.is_flat(node) {
                continue;
            }
            let cut = self
                .is_cut(node)
                .then(|| (self.number_below(node, "length"), self.number_below(node, "hash")));
            by_text.entry((self.display_name(node).into_owned(), cut)).or_default().push(node);
        }
        let mut found: Vec<DuplicateString> = by_text
            .into_iter()
            .map(|((text, _), nodes)| {
                let sum = |size: &dyn Fn(NodeOrdinal) -> u64| {
                    nodes.iter().fold(0, |sum: u64, &node| sum.saturating_add(size(node)))
                };
                let shallow_size = sum(&|node| self.shallow_size(node));
                let retained_size = sum(&|node| self.retained_size(node));
                DuplicateString { text, nodes, shallow_size, retained_size }
            })
            .collect();
        found.sort_by(|a, b| {
            let largest = b.retained_size.cmp(&a.retained_size);
            largest.then_with(|| a.text.cmp(&b.text)).then_with(|| a.nodes.cmp(&b.nodes))
        });
        found
    }

    /// The strings whose text has the hash of another's. Most are one of a kind, which this tells without keeping their texts.
    fn alike(&self) -> Vec<NodeOrdinal> {
        let hasher = FixedState::default();
        let is_string = |kind| matches!(kind, NodeKind::String | NodeKind::ConsString);
        let mut prints: Vec<(u64, NodeOrdinal)> = self
            .nodes()
            .filter(|&node| is_string(self.kind(node)) && self.shallow_size(node) > 0)
            .map(|node| (hasher.hash_one(&*self.display_name(node)), node))
            .collect();
        prints.sort_unstable();
        let several = prints.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
        several.flatten().map(|&(_, node)| node).collect()
    }

    /// Whether V8 has joined a string already: one of its halves is empty then.
    pub(crate) fn is_flat(&self, node: NodeOrdinal) -> bool {
        self.edges(node).any(|edge| {
            edge.kind == EdgeKind::Internal
                && matches!(&*self.edge_name(edge), "first" | "second")
                && self.display_name(edge.to).is_empty()
        })
    }

    fn is_cut(&self, node: NodeOrdinal) -> bool {
        self.number_below(node, "truncated").as_deref() == Some("true")
    }

    /// The text of the number that an internal edge leads to.
    fn number_below(&self, node: NodeOrdinal, name: &str) -> Option<String> {
        let follow = |node: NodeOrdinal, name: &str| {
            self.edges(node)
                .find(|&edge| edge.kind == EdgeKind::Internal && self.edge_name(edge) == name)
                .map(|edge| edge.to)
        };
        let number = follow(node, name).filter(|&number| self.kind(number) == NodeKind::Number)?;
        follow(number, "value").map(|value| self.name(value).into_owned())
    }
}
