//! The graph as it is held in memory: 17 bytes a node, 8 bytes an edge.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::column::Column;
use crate::{Detachedness, EdgeIndex, EdgeKind, NodeKind, NodeOrdinal, StringIndex};

#[derive(Debug, Default)]
pub(crate) struct Nodes {
    /// The kind in the low four bits, the detachedness in the two above.
    pub(crate) kind: Vec<u8>,
    pub(crate) name: Vec<u32>,
    pub(crate) id: Column,
    /// The size in the file; after loading, the shallow size by DevTools' rules.
    pub(crate) size: Column,
    /// Where each node's edges start; one more than there are nodes.
    pub(crate) first_edge: Vec<u32>,
    /// Only when the file was made while allocations were tracked.
    pub(crate) trace_node_id: Option<Column>,
    /// Nodes of kinds that this version does not know, and which of the names below theirs is.
    pub(crate) unknown: Vec<(u32, usize)>,
    pub(crate) unknown_kinds: Vec<String>,
    /// The root's children that are called `(Document DOM trees)`; only Chrome's snapshots have any.
    pub(crate) document_roots: Vec<u32>,
}

impl Nodes {
    /// The analyses use values beyond as marks.
    pub(crate) const LIMIT: usize = (1 << 31) - 2;

    pub(crate) fn len(&self) -> usize {
        self.kind.len()
    }

    #[inline]
    pub(crate) fn kind(&self, node: NodeOrdinal) -> NodeKind {
        NodeKind::from_byte(self.kind.get(node.index()).map_or(u8::MAX, |byte| byte & 0xf))
    }

    pub(crate) fn detachedness(&self, node: NodeOrdinal) -> Detachedness {
        match self.kind.get(node.index()).map_or(0, |byte| byte >> 4) {
            1 => Detachedness::Attached,
            2 => Detachedness::Detached,
            _ => Detachedness::Unknown,
        }
    }

    pub(crate) fn set_detachedness(&mut self, node: NodeOrdinal, state: Detachedness) {
        if let Some(byte) = self.kind.get_mut(node.index()) {
            *byte = *byte & 0xf | (state as u8) << 4;
        }
    }

    pub(crate) fn name(&self, node: NodeOrdinal) -> StringIndex {
        StringIndex(self.name.get(node.index()).copied().unwrap_or(u32::MAX))
    }

    pub(crate) fn unknown_kind(&self, node: NodeOrdinal) -> Option<&str> {
        let at = self.unknown.binary_search_by_key(&node.0, |&(ordinal, _)| ordinal).ok()?;
        self.unknown_kinds.get(self.unknown[at].1).map(String::as_str)
    }

    /// The range of a node's edges.
    #[inline]
    pub(crate) fn edges(&self, node: u32) -> Range<usize> {
        match self.first_edge.get(node as usize..node as usize + 2) {
            Some(&[start, end]) => start as usize..end as usize,
            _ => 0..0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// Three bits of tag above 29 bits of name.
    pub(crate) packed: Vec<u32>,
    pub(crate) to: Vec<u32>,
    /// Names that do not fit.
    wide: BTreeMap<u32, u64>,
    /// What the edges with the tag `SPECIAL` are.
    special: BTreeMap<u32, Special>,
    unknown_kinds: Vec<String>,
}

/// Why an edge is set apart by its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// From a weak map's table to a value: the key's edge to it is the one that retains.
    Ephemeron,
    /// Of a kind that this version does not know; holds on to its target.
    Unknown(usize),
}

impl Edges {
    pub(crate) const LIMIT: usize = (u32::MAX - 2) as usize;
    pub(crate) const NAME_BITS: u32 = 29;
    /// This name, and all beyond it, are kept aside.
    pub(crate) const WIDE: u32 = (1 << Self::NAME_BITS) - 1;
    pub(crate) const SPECIAL: u32 = 7;
    /// A kind that DevTools adds to those that a file declares.
    pub(crate) const INVISIBLE: &str = "invisible";
    pub(crate) const WEAK: u32 = EdgeKind::Weak as u32;
    pub(crate) const SHORTCUT: u32 = EdgeKind::Shortcut as u32;
    pub(crate) const INTERNAL: u32 = EdgeKind::Internal as u32;

    pub(crate) fn len(&self) -> usize {
        self.to.len()
    }

    /// The tag: a kind's number, or `SPECIAL`.
    #[inline]
    pub(crate) fn tag(&self, edge: usize) -> u32 {
        self.packed.get(edge).map_or(0, |packed| packed >> Self::NAME_BITS)
    }

    pub(crate) fn special(&self, edge: usize) -> Option<Special> {
        u32::try_from(edge).ok().and_then(|edge| self.special.get(&edge)).copied()
    }

    /// Whether an edge is neither weak nor the weak-map kind that DevTools leaves out of retention.
    #[inline]
    pub(crate) fn is_ephemeron(&self, edge: usize) -> bool {
        self.tag(edge) == Self::SPECIAL && self.special(edge) == Some(Special::Ephemeron)
    }

    /// Whether an edge is of the kind that DevTools adds.
    pub(crate) fn is_invisible(&self, edge: usize) -> bool {
        self.tag(edge) == Self::SPECIAL
            && u32::try_from(edge)
                .is_ok_and(|edge| self.unknown_kind(EdgeIndex(edge)) == Some(Self::INVISIBLE))
    }

    pub(crate) fn kind(&self, edge: EdgeIndex) -> EdgeKind {
        let tag = self.tag(edge.index());
        match EdgeKind::NAMED.get(tag as usize) {
            Some(&kind) => kind,
            None if self.special(edge.index()) == Some(Special::Ephemeron) => EdgeKind::Internal,
            None => EdgeKind::Other,
        }
    }

    pub(crate) fn unknown_kind(&self, edge: EdgeIndex) -> Option<&str> {
        match self.special(edge.index())? {
            Special::Unknown(at) => self.unknown_kinds.get(at).map(String::as_str),
            Special::Ephemeron => None,
        }
    }

    /// The name or index, as a number.
    pub(crate) fn name(&self, edge: usize) -> u64 {
        let name = self.packed.get(edge).map_or(0, |packed| packed & Self::WIDE);
        if name == Self::WIDE
            && let Some(wide) = u32::try_from(edge).ok().and_then(|edge| self.wide.get(&edge))
        {
            return *wide;
        }
        u64::from(name)
    }

    /// Appends an edge of any kind and with any name.
    pub(crate) fn push(&mut self, kind: EdgeKind, name: u64, to: u32, unknown: Option<&str>) {
        let Ok(edge) = u32::try_from(self.to.len()) else { return };
        let small = match u32::try_from(name) {
            Ok(small) if small < Self::WIDE => small,
            _ => {
                self.wide.insert(edge, name);
                Self::WIDE
            }
        };
        let tag = if kind == EdgeKind::Other { Self::SPECIAL } else { kind as u32 };
        if kind == EdgeKind::Other {
            let name = unknown.unwrap_or("other");
            let kinds = &mut self.unknown_kinds;
            let at = kinds.iter().position(|known| known == name).unwrap_or_else(|| {
                kinds.push(name.to_owned());
                kinds.len() - 1
            });
            self.special.insert(edge, Special::Unknown(at));
        }
        self.packed.push(tag << Self::NAME_BITS | small);
        self.to.push(to);
    }

    /// Marks an internal edge as one from a weak map's table to a value.
    pub(crate) fn mark_ephemeron(&mut self, edge: usize) {
        if let (Some(packed), Ok(index)) = (self.packed.get_mut(edge), u32::try_from(edge)) {
            *packed = *packed & Self::WIDE | Self::SPECIAL << Self::NAME_BITS;
            self.special.insert(index, Special::Ephemeron);
        }
    }
}

/// One bit for each of many things.
#[derive(Debug, Default, Clone)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    pub(crate) fn new(length: usize) -> Self {
        BitSet { words: vec![0; length.div_ceil(64)] }
    }

    pub(crate) fn of_words(words: Vec<u64>) -> Self {
        BitSet { words }
    }

    /// How many bits there are, in whole words.
    pub(crate) fn length(&self) -> u32 {
        u32::try_from(self.words.len() * 64).unwrap_or(u32::MAX)
    }

    /// The sixty-four bits that one is among.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index / 64).copied().unwrap_or(0)
    }

    /// Which bits are set among some, which begin with a whole word.
    pub(crate) fn ones(&self, part: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        part.clone().step_by(64).flat_map(move |first| {
            let beyond = 64u32.saturating_sub(part.end - first);
            Ones { first, rest: self.word(first as usize) & u64::MAX >> beyond }
        })
    }

    /// Sets all that another one has.
    pub(crate) fn add(&mut self, other: &BitSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// One behind the other; all but the last have whole words.
    pub(crate) fn join(parts: Vec<BitSet>) -> Self {
        BitSet { words: parts.into_iter().flat_map(|part| part.words).collect() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    #[inline]
    pub(crate) fn set(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub(crate) fn clear(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    /// Turns a bit over; whether it is set now.
    pub(crate) fn toggle(&mut self, index: usize) -> bool {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word ^= 1 << (index % 64);
        }
        self.get(index)
    }

    /// The first bit that is set, from one on.
    #[inline]
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut at = from / 64;
        let mut word = *self.words.get(at)? & u64::MAX << (from % 64);
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }

    /// Sets a bit; whether it was clear.
    #[inline]
    pub(crate) fn insert(&mut self, index: usize) -> bool {
        let fresh = !self.get(index);
        self.set(index);
        fresh
    }
}

/// The bits that are set in a word.
struct Ones {
    first: u32,
    rest: u64,
}

impl Iterator for Ones {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let at = (self.rest != 0).then(|| self.rest.trailing_zeros())?;
        self.rest &= self.rest - 1;
        Some(self.first + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_keep_wide_names_and_unknown_kinds() {
        let mut edges = Edges::default();
        edges.push(EdgeKind::Property, 7, 1, None);
        edges.push(EdgeKind::Element, 4_000_000_000, 2, None);
        edges.push(EdgeKind::Other, 9, 3, Some("novel"));
        edges.push(EdgeKind::Internal, u64::from(Edges::WIDE), 4, None);
        edges.mark_ephemeron(3);
        assert_eq!(edges.name(1), 4_000_000_000);
        assert_eq!(edges.name(3), u64::from(Edges::WIDE));
        assert_eq!(edges.kind(EdgeIndex(2)), EdgeKind::Other);
        assert_eq!(edges.unknown_kind(EdgeIndex(2)), Some("novel"));
        assert_eq!(edges.kind(EdgeIndex(3)), EdgeKind::Internal);
        assert!(edges.is_ephemeron(3) && !edges.is_ephemeron(2));
    }

    #[test]
    fn bits() {
        let mut bits = BitSet::new(70);
        assert!(bits.insert(69) && !bits.insert(69));
        assert!(bits.get(69) && !bits.get(68) && !bits.get(700));
        bits.clear(69);
        assert!(bits.toggle(3) && !bits.toggle(3) && !bits.get(69));
        assert_eq!([0, 2, 64].map(|from| bits.next(from)), [None; 3]);
        bits.set(2);
        bits.set(69);
        let found = [0, 2, 3, 69, 70, 700].map(|from| bits.next(from));
        assert_eq!(found, [Some(2), Some(2), Some(69), Some(69), None, None]);
        let ones = |part| bits.ones(part).collect::<Vec<_>>();
        assert_eq!((ones(0..70), ones(0..64), ones(64..69)), (vec![2, 69], vec![2], vec![]));
        let joined = BitSet::join(vec![BitSet { words: vec![1, 2] }, bits]);
        assert_eq!((joined.count(), joined.next(66), joined.next(131)), (4, Some(130), Some(197)));
    }
}
