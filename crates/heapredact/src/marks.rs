//! What is remembered of nodes, edges and strings until the strings come: a byte or less for each, so that a child that
//! has little memory can do it.

use crate::Error;

/// How a string is used.
pub(crate) mod usage {
    /// As a name: of a node, an edge, a function.
    pub(crate) const NAME: u8 = 1;
    /// As a text: the content of a string or a regular expression.
    pub(crate) const TEXT: u8 = 2;
    /// Code or V8 gave the name, which may stay.
    pub(crate) const MADE: u8 = 4;
    /// V8's word for what has none; nothing else may stay.
    pub(crate) const WORD: u8 = 8;
    /// What it names, at an edge, is a text.
    pub(crate) const OF_TEXT: u8 = 16;
    /// It describes a symbol: so private fields are called.
    pub(crate) const SYMBOL: u8 = 32;
    /// The path of a script.
    pub(crate) const PATH: u8 = 64;
    /// Whether it is [`OF_TEXT`] is known: what a name that tells what it names leads to is the same wherever it stands.
    pub(crate) const KNOWN: u8 = 128;
}

/// A [`usage`] for each string.
#[derive(Default)]
pub(crate) struct Usages {
    bytes: Vec<u8>,
    /// Of the bytes, those of strings that were met, or come before one.
    met: usize,
}

impl Usages {
    /// Says how it was used before.
    #[inline(always)]
    pub(crate) fn add(&mut self, string: u64, how: u8) -> Result<u8, Error> {
        let index = usize::try_from(string).map_err(|_| Error::Memory)?;
        match self.bytes.get_mut(index) {
            Some(usage) if *usage != 0 => {
                let before = *usage;
                // Most have been met so, and a store is dearer than a look.
                if before | how != before {
                    *usage = before | how;
                }
                Ok(before)
            }
            _ => self.meet(index, how),
        }
    }

    /// The string has not been used yet.
    fn meet(&mut self, index: usize, how: u8) -> Result<u8, Error> {
        if index >= self.bytes.len() {
            self.extend(index)?;
        }
        self.met = self.met.max(index + 1);
        self.bytes[index] = how;
        Ok(0)
    }

    #[cold]
    fn extend(&mut self, index: usize) -> Result<(), Error> {
        // A file may claim any number: what is reserved is what it has shown.
        let more = index + 1 - self.bytes.len();
        if more > LARGEST_GAP {
            return Err(Error::Malformed { what: "an index of a string far beyond all others" });
        }
        grow(&mut self.bytes, more + AT_ONCE)?;
        self.bytes.resize(index + 1 + AT_ONCE, 0);
        Ok(())
    }

    pub(crate) fn of(&self, string: usize) -> u8 {
        self.bytes.get(string).copied().unwrap_or(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.met
    }
}

const LARGEST_GAP: usize = 1 << 28;
/// Most strings are the next one.
const AT_ONCE: usize = 4096;

/// What a node is, as far as it matters to its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    Other,
    Object,
    /// Of V8's hidden classes: their edges lead to the names of properties.
    Shape,
    /// A symbol or something of V8's own.
    Symbol,
}

impl Role {
    fn of(bits: u8) -> Role {
        match bits & 3 {
            1 => Role::Object,
            2 => Role::Shape,
            3 => Role::Symbol,
            _ => Role::Other,
        }
    }
}

/// The nodes in their order: each one's role and number of edges, in a byte where it has few.
pub(crate) struct Owners {
    bytes: Vec<u8>,
    at: usize,
    /// The node that is being read, and which comes after it.
    pub(crate) node: u64,
    next: u64,
    pub(crate) role: Role,
    left: u64,
}

impl Default for Owners {
    fn default() -> Owners {
        Owners { bytes: Vec::new(), at: 0, node: 0, next: 0, role: Role::Other, left: 0 }
    }
}

impl Owners {
    #[inline(always)]
    pub(crate) fn push(&mut self, role: Role, edges: u64) -> Result<(), Error> {
        let few = edges < 32;
        if !few || self.bytes.len() == self.bytes.capacity() {
            return self.push_many(role, edges);
        }
        self.bytes.push((role as u8) | ((edges & 31) as u8) << 2);
        Ok(())
    }

    /// The same of any number.
    #[inline(never)]
    fn push_many(&mut self, role: Role, edges: u64) -> Result<(), Error> {
        grow(&mut self.bytes, 11)?;
        let more = |rest: u64| if rest > 0 { 0x80 } else { 0 };
        let mut rest = edges >> 5;
        self.bytes.push((role as u8) | ((edges & 31) as u8) << 2 | more(rest));
        while rest > 0 {
            let bits = (rest & 0x7f) as u8;
            rest >>= 7;
            self.bytes.push(bits | more(rest));
        }
        Ok(())
    }

    /// Goes to the node that has the next edge; says whether it is another one.
    #[inline(always)]
    pub(crate) fn next_edge(&mut self) -> Result<bool, Error> {
        let is_other = self.left == 0;
        if is_other {
            self.next_node()?;
        }
        self.left -= 1;
        Ok(is_other)
    }

    /// Goes to the next node that has edges.
    fn next_node(&mut self) -> Result<(), Error> {
        // Most have some, and few.
        let (mut at, mut next) = (self.at, self.next);
        let first = loop {
            let first = self.bytes.get(at).copied();
            let first = first.ok_or(Error::Malformed { what: "more edges than the nodes have" })?;
            (at, next) = (at + 1, next + 1);
            if first >> 2 != 0 {
                break first;
            }
        };
        self.left = u64::from(first >> 2 & 31);
        if first & 0x80 != 0 {
            at = self.count_many(at)?;
        }
        (self.at, self.next, self.node, self.role) = (at, next, next - 1, Role::of(first));
        Ok(())
    }

    /// The rest of a large number; says what comes behind it.
    #[cold]
    fn count_many(&mut self, mut at: usize) -> Result<usize, Error> {
        let mut shift = 5;
        loop {
            let byte = self.bytes.get(at).copied();
            let byte = byte.ok_or(Error::Malformed { what: "more edges than the nodes have" })?;
            self.left |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            (at, shift) = (at + 1, shift + 7);
            if byte & 0x80 == 0 {
                return Ok(at);
            }
        }
    }
}

/// Which nodes are texts, and which string each has: counted, where V8 meets the string first, because it numbers them in
/// that order; else kept.
#[derive(Default)]
pub(crate) struct Texts {
    /// For 64 nodes each: which are texts, and which have a string that none had before.
    words: Vec<(u64, u64)>,
    /// For 512 nodes each: how many strings came before, and how many of `others`.
    counts: Vec<(u32, u32)>,
    nodes: u64,
    strings: u32,
    /// The strings of texts that are not the first to have theirs.
    others: Vec<u32>,
}

const WORDS_A_COUNT: usize = 8;

impl Texts {
    #[inline(always)]
    pub(crate) fn push(&mut self, is_text: bool, string: u64) -> Result<(), Error> {
        let bit = self.nodes % 64;
        if bit == 0 {
            self.add_word()?;
        }
        self.nodes += 1;
        let is_first = string == u64::from(self.strings) + 1;
        if let Some((texts, firsts)) = self.words.last_mut() {
            *texts |= u64::from(is_text) << bit;
            *firsts |= u64::from(is_first) << bit;
        }
        if is_first {
            // No file has more strings than fit: `checked` has seen this one.
            self.strings += 1;
        } else if is_text {
            self.add_other(string)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn add_word(&mut self) -> Result<(), Error> {
        if self.words.len().is_multiple_of(WORDS_A_COUNT) {
            grow(&mut self.counts, 1)?;
            let others = u32::try_from(self.others.len()).map_err(|_| Error::Memory)?;
            self.counts.push((self.strings, others));
        }
        grow(&mut self.words, 1)?;
        self.words.push((0, 0));
        Ok(())
    }

    #[inline(never)]
    fn add_other(&mut self, string: u64) -> Result<(), Error> {
        grow(&mut self.others, 1)?;
        self.others.push(u32::try_from(string).map_err(|_| Error::Memory)?);
        Ok(())
    }

    /// The string of a node that is a text.
    #[inline]
    pub(crate) fn string(&self, node: u64) -> Option<u64> {
        let at = usize::try_from(node / 64).ok()?;
        let &(texts, firsts) = self.words.get(at)?;
        let bit = node % 64;
        if texts >> bit & 1 == 0 {
            return None;
        }
        let before = |word: u64| word & ((1 << bit) - 1);
        let block = at / WORDS_A_COUNT;
        let &(strings, others) = self.counts.get(block)?;
        let whole = &self.words[block * WORDS_A_COUNT..at];
        if firsts >> bit & 1 == 1 {
            let ones = whole.iter().map(|&(_, firsts)| firsts.count_ones()).sum::<u32>()
                + before(firsts).count_ones();
            return Some(u64::from(strings + ones) + 1);
        }
        let ones = whole.iter().map(|&(texts, firsts)| (texts & !firsts).count_ones()).sum::<u32>()
            + before(texts & !firsts).count_ones();
        self.others.get((others + ones) as usize).map(|&string| u64::from(string))
    }
}

#[inline]
pub(crate) fn grow<T>(vec: &mut Vec<T>, more: usize) -> Result<(), Error> {
    vec.try_reserve(more).map_err(|_| Error::Memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_nodes_that_count_them() {
        let mut owners = Owners::default();
        let counts = [0, 3, 0, 0, 70_000, 31, 32, 1];
        for (at, &count) in counts.iter().enumerate() {
            owners
                .push(if at % 2 == 0 { Role::Shape } else { Role::Object }, count)
                .expect("memory");
        }
        for (at, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                owners.next_edge().expect("an edge");
                assert_eq!(owners.node, at as u64);
                assert_eq!(owners.role, if at % 2 == 0 { Role::Shape } else { Role::Object });
            }
        }
        assert!(owners.next_edge().is_err());
    }

    #[test]
    fn texts_are_found_again() {
        let mut texts = Texts::default();
        let mut expected = Vec::new();
        let mut last = 0;
        for node in 0..5_000_u64 {
            let string = match node * 7919 % 5 {
                0 => 1 + node % (last + 1),
                1 => 1_000_000 + node,
                _ => last + 1,
            };
            last += u64::from(string == last + 1);
            let is_text = node % 3 != 0;
            texts.push(is_text, string).expect("memory");
            expected.push(is_text.then_some(string));
        }
        for (node, string) in expected.into_iter().enumerate() {
            assert_eq!(texts.string(node as u64), string, "{node}");
        }
        assert_eq!(texts.string(5_000), None);
    }
}
