//! Texts that are in memory more than once: `getDuplicateStrings` in DevTools.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use foldhash::{HashMap, HashMapExt};

use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

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
        let mut truncated = self.strings.containing("truncated");
        truncated.retain(|&index| self.strings.is(index, "truncated"));
        let prints = self.prints();
        let mut found = Vec::new();
        // Most are one of a kind, which their hashes tell without keeping their texts.
        for alike in prints.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
            self.texts_among(alike.iter().map(|&(_, node)| node), &truncated, &mut found);
        }
        found.sort_by(|a, b| {
            let largest = b.retained_size.cmp(&a.retained_size);
            largest.then_with(|| a.text.cmp(&b.text)).then_with(|| a.nodes.cmp(&b.nodes))
        });
        found
    }

    /// All strings with the hashes of their texts, those of one hash beside each other.
    fn prints(&self) -> Vec<(u64, NodeOrdinal)> {
        let hasher = FixedState::default();
        let is_string = |kind| matches!(kind, NodeKind::String | NodeKind::ConsString);
        let mut prints: Vec<(u64, NodeOrdinal)> = self
            .nodes()
            .filter(|&node| is_string(self.kind(node)) && self.shallow_size(node) > 0)
            .map(|node| (hasher.hash_one(&*self.display_name(node)), node))
            .collect();
        prints.sort_unstable();
        prints
    }

    /// Strings of one hash by their texts. V8 writes a text once, so that most are alike by the place of their names already.
    fn texts_among(
        &self,
        alike: impl Iterator<Item = NodeOrdinal>,
        truncated: &[StringIndex],
        found: &mut Vec<DuplicateString>,
    ) {
        type Cut = (Option<String>, Option<String>);
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        let mut whole: Vec<Vec<NodeOrdinal>> = Vec::new();
        let mut cut: HashMap<(usize, Cut), Vec<NodeOrdinal>> = HashMap::new();
        let mut last = None;
        for node in alike {
            let is_joined = self.kind(node) == NodeKind::ConsString;
            if is_joined && self.is_flat(node) {
                continue;
            }
            let index = self.nodes.name(node);
            let text = match last {
                Some((same, text)) if same == index && !is_joined => text,
                _ => {
                    let text = self.display_name(node);
                    texts.iter().position(|other| *other == text).unwrap_or_else(|| {
                        texts.push(text);
                        whole.push(Vec::new());
                        texts.len() - 1
                    })
                }
            };
            if !is_joined {
                last = Some((index, text));
            }
            if self.is_cut(node, truncated) {
                let told = (self.number_below(node, "length"), self.number_below(node, "hash"));
                cut.entry((text, told)).or_default().push(node);
            } else if let Some(nodes) = whole.get_mut(text) {
                nodes.push(node);
            }
        }
        let cut = cut.into_iter().map(|((text, _), nodes)| (text, nodes));
        let groups = whole.into_iter().enumerate().chain(cut);
        found.extend(groups.filter(|(_, nodes)| !nodes.is_empty()).map(|(text, nodes)| {
            let sum = |size: &dyn Fn(NodeOrdinal) -> u64| {
                nodes.iter().fold(0, |sum: u64, &node| sum.saturating_add(size(node)))
            };
            let shallow_size = sum(&|node| self.shallow_size(node));
            let retained_size = sum(&|node| self.retained_size(node));
            let text = texts.get(text).map_or_else(String::new, ToString::to_string);
            DuplicateString { text, nodes, shallow_size, retained_size }
        }));
    }

    /// Whether V8 has joined a string already: one of its halves is empty then.
    pub(crate) fn is_flat(&self, node: NodeOrdinal) -> bool {
        self.edges(node).any(|edge| {
            edge.kind == EdgeKind::Internal
                && matches!(&*self.edge_name(edge), "first" | "second")
                && self.display_name(edge.to).is_empty()
        })
    }

    /// `truncated`: where the names are that say so.
    fn is_cut(&self, node: NodeOrdinal, truncated: &[StringIndex]) -> bool {
        let says = |name: u64| truncated.iter().any(|index| u64::from(index.0) == name);
        let mut own = self.edges(node).filter(|edge| edge.kind == EdgeKind::Internal);
        own.any(|edge| says(self.edges.name(edge.index.index())))
            && self.number_below(node, "truncated").as_deref() == Some("true")
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
