//! The texts of joined strings, one behind the other: to join them takes most of a search.

use crate::graph::BitSet;
use crate::{NodeKind, NodeOrdinal, Snapshot};

/// So many bytes a node of the snapshot are kept; what is beyond is joined anew each time.
const MOST: usize = 4;

/// All joined strings, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct JoinedTexts {
    all: BitSet,
    nodes: Vec<NodeOrdinal>,
    /// Where the text of each ends; shorter than the nodes if not all are kept.
    ends: Vec<u32>,
    texts: String,
}

impl JoinedTexts {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let all = BitSet::new(snapshot.node_count());
        let mut joined = JoinedTexts { all, ..JoinedTexts::default() };
        let most = snapshot.node_count().saturating_mul(MOST);
        let is_joined = |&node: &NodeOrdinal| snapshot.kind(node) == NodeKind::ConsString;
        for node in snapshot.nodes().filter(is_joined) {
            if joined.ends.len() == joined.nodes.len() {
                joined.keep(&snapshot.display_name(node), most);
            }
            joined.all.set(node.index());
            joined.nodes.push(node);
        }
        joined.nodes.shrink_to_fit();
        joined.ends.shrink_to_fit();
        joined.texts.shrink_to_fit();
        joined
    }

    fn keep(&mut self, text: &str, most: usize) {
        let length = self.texts.len() + text.len();
        if let Ok(end) = u32::try_from(length)
            && length <= most
        {
            self.texts.push_str(text);
            self.ends.push(end);
        }
    }

    /// Which of sixty-four nodes are joined strings.
    pub(crate) fn word(&self, first: u32) -> u64 {
        self.all.word(first as usize)
    }

    /// Sets the bits of those whose texts fit. `part`: what is in every text that fits, if that is known.
    pub(crate) fn fitting(
        &self,
        snapshot: &Snapshot,
        part: Option<&str>,
        fits: impl Fn(&str) -> bool,
        bits: &mut BitSet,
    ) {
        match part.filter(|part| !part.is_empty()) {
            Some(part) => self.containing(part, |at| {
                if fits(self.text(at)) {
                    bits.set(self.nodes[at].index());
                }
            }),
            None => (0..self.ends.len()).filter(|&at| fits(self.text(at))).for_each(|at| {
                bits.set(self.nodes[at].index());
            }),
        }
        for &node in &self.nodes[self.ends.len()..] {
            if fits(&snapshot.display_name(node)) {
                bits.set(node.index());
            }
        }
    }

    /// Which texts have a part of the row in them, or its beginning.
    fn containing(&self, part: &str, mut found: impl FnMut(usize)) {
        let bytes = self.texts.as_bytes();
        let finder = memchr::memmem::Finder::new(part);
        let (mut from, mut at) = (0, 0);
        while let Some(place) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
            while self.ends[at] as usize <= from + place {
                at += 1;
            }
            found(at);
            // What begins here may end in the next one, where another begins.
            let end = self.ends[at] as usize;
            from = if from + place + part.len() <= end { end } else { from + place + 1 };
        }
    }

    fn text(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        self.texts.get(start..self.ends[at] as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(joined: &JoinedTexts, part: &str) -> Vec<usize> {
        let mut found = Vec::new();
        joined.containing(part, |at| found.push(at));
        found.retain(|&at| joined.text(at).contains(part));
        found
    }

    #[test]
    fn finds_what_a_text_contains() {
        let mut joined = JoinedTexts::default();
        for text in ["xa", "", "aay", "b", "baaab", "", "é\"x"] {
            joined.keep(text, 100);
        }
        assert_eq!(found(&joined, "aa"), [2, 4]);
        assert_eq!(found(&joined, "b"), [3, 4]);
        assert_eq!(found(&joined, "x"), [0, 6]);
        assert_eq!(found(&joined, "\""), [6]);
        assert!(found(&joined, "bb").is_empty());
        assert!(found(&joined, "nothing").is_empty());
        assert_eq!((joined.text(1), joined.text(6)), ("", "é\"x"));
    }

    #[test]
    fn keeps_so_much_and_no_more() {
        let mut joined = JoinedTexts::default();
        for text in ["four", "four", "a"] {
            joined.keep(text, 7);
        }
        assert_eq!((joined.ends, joined.texts.as_str()), (vec![4, 5], "foura"));
    }
}
