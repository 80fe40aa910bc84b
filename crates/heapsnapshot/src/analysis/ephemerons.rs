//! Weak maps: a value is held by its key and its table together. V8 writes an edge from each, both
//! with a name that describes the pair; DevTools lets the key's edge retain and leaves out the table's.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::StringIndex;
use crate::graph::{BitSet, Edges, Nodes};
use crate::strings::StringTable;

const TABLE: &str = " pair in WeakMap (table @";

/// The names in the string table that describe a pair of a weak map.
#[derive(Debug, Default)]
pub(crate) struct EphemeronNames {
    by_name: HashMap<u32, Pair>,
    pairs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The two edges of a pair have the same number.
    pub(crate) pair: u32,
    /// The id of the table.
    pub(crate) table: u64,
}

impl EphemeronNames {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.pairs
    }

    pub(crate) fn get(&self, name: StringIndex) -> Option<Pair> {
        self.by_name.get(&name.0).copied()
    }

    fn find(strings: &StringTable) -> Self {
        let mut pairs: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut by_name = HashMap::new();
        for index in strings.containing(TABLE) {
            let Some((part, table)) = strings.raw(index).and_then(parse) else { continue };
            let next = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
            let pair = *pairs.entry(part.to_vec()).or_insert(next);
            by_name.insert(index.0, Pair { pair, table });
        }
        EphemeronNames { by_name, pairs: pairs.len() }
    }
}

/// Finds the names, and marks the edges that come from a table.
pub(crate) fn mark(nodes: &Nodes, edges: &mut Edges, strings: &StringTable) -> EphemeronNames {
    let names = EphemeronNames::find(strings);
    if names.is_empty() {
        return names;
    }
    let mut tables: Vec<u64> = names.by_name.values().map(|pair| pair.table).collect();
    tables.sort_unstable();
    tables.dedup();
    // Most ids are no table's: a bit for their lower half says so at once.
    let mut maybe = BitSet::new(1 << 16);
    let slot = |id: u64| usize::try_from(id >> 1 & 0xffff).unwrap_or(0);
    for &table in &tables {
        maybe.set(slot(table));
    }
    for ordinal in 0..u32::try_from(nodes.len()).unwrap_or(u32::MAX) {
        let id = nodes.id.get(ordinal as usize);
        if !maybe.get(slot(id)) || tables.binary_search(&id).is_err() {
            continue;
        }
        for edge in nodes.edges(ordinal) {
            if edges.tag(edge) != Edges::INTERNAL {
                continue;
            }
            let name = u32::try_from(edges.name(edge)).ok().map(StringIndex);
            if name.and_then(|name| names.get(name)).is_some_and(|pair| pair.table == id) {
                edges.mark_ephemeron(edge);
            }
        }
    }
    names
}

/// DevTools' expression: `^\d+( / part of key \(.*? @\d+\) -> value \(.*? @\d+\) pair in WeakMap
/// \(table @(\d+)\))$`. Returns what both edges of a pair have in common, and the table's id.
fn parse(raw: &[u8]) -> Option<(&[u8], u64)> {
    let digits = leading_digits(raw);
    let part = &raw[digits..];
    let rest = part.strip_prefix(b" / part of key (".as_slice())?.strip_suffix(b")")?;
    let at = memchr::memmem::rfind(rest, TABLE.as_bytes())?;
    let (pair, id) = (&rest[..at], &rest[at + TABLE.len()..]);
    let table = std::str::from_utf8(id).ok()?.parse().ok()?;
    let value = ends_with_id(pair.strip_suffix(b")")?)?;
    const ARROW: &[u8] = b") -> value (";
    let both =
        memchr::memmem::find_iter(value, ARROW).any(|at| ends_with_id(&value[..at]).is_some());
    // In the expression, `.` is no line break.
    let text: Cow<'_, str> = crate::strings::unescape(raw);
    let one_line = !text.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
    (digits > 0 && both && one_line && id.first().is_some_and(u8::is_ascii_digit))
        .then_some((part, table))
}

/// What stands before ` @123` at the end.
fn ends_with_id(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    text[..text.len() - digits].strip_suffix(b" @")
}

fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_that_v8_writes() {
        let name = b"12 / part of key (Key @31) -> value (Object @35) pair in WeakMap (table @29)";
        assert_eq!(parse(name), Some((&name[2..], 29)));
        let odd = b"1 / part of key (a) -> value (b @1) -> value (c @2) pair in WeakMap (table @3)";
        assert_eq!(parse(odd), Some((&odd[1..], 3)));
    }

    #[test]
    fn reads_no_other_names() {
        for name in [
            " / part of key (K @1) -> value (V @2) pair in WeakMap (table @3)",
            "1 / part of key (K @1) -> value (V @2) pair in WeakMap (table @3",
            "1 / part of key (K) -> value (V @2) pair in WeakMap (table @3)",
            "1 / part of key (K @1) -> value (V) pair in WeakMap (table @3)",
            "1 / part of key (K @1) -> value (V @2) pair in WeakMap (table @x)",
            r"1 / part of key (K\n @1) -> value (V @2) pair in WeakMap (table @3)",
        ] {
            assert_eq!(parse(name.as_bytes()), None, "{name}");
        }
    }
}
