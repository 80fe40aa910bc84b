//! Whose names fit a pattern: each string of the table is looked at once, and not each object of the same name.

use super::pattern::Pattern;
use crate::graph::BitSet;
use crate::strings::StringTable;
use crate::{Snapshot, StringIndex, word};

/// The names that fit, in one snapshot.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// By place in the string table; behind it, for what a truncated file no longer has.
    strings: BitSet,
    /// Of the objects and joined strings whose names are no string of the file, those that fit.
    nodes: BitSet,
}

impl Named {
    pub(super) fn find(snapshot: &Snapshot, pattern: &Pattern) -> Self {
        let fits = |text: &str| pattern.fits(text);
        let mut nodes = snapshot.object_names().fitting(snapshot, fits);
        snapshot.joined_texts().fitting(snapshot, pattern.literal(), fits, &mut nodes);
        Named { strings: fitting(snapshot.strings(), pattern), nodes }
    }

    /// Which of sixty-four nodes have such a name.
    pub(super) fn word(&self, snapshot: &Snapshot, first: u32) -> u64 {
        let behind = u32::try_from(snapshot.strings().len()).unwrap_or(u32::MAX);
        let fits = |name: u32| self.strings.get(name.min(behind) as usize);
        let in_file = word::column(&snapshot.nodes.name, first, fits);
        let made = snapshot.object_names().word(first) | snapshot.joined_texts().word(first);
        in_file & !made | self.nodes.word(first as usize)
    }
}

fn fitting(table: &StringTable, pattern: &Pattern) -> BitSet {
    let mut strings = BitSet::new(table.len() + 1);
    let mut look = |index: StringIndex| {
        if pattern.fits(&table.get(index)) {
            strings.set(index.0 as usize);
        }
    };
    let behind = StringIndex(u32::try_from(table.len()).unwrap_or(u32::MAX));
    match pattern.literal().filter(|text| is_written_as_it_is(text)) {
        Some(text) => {
            // Whoever escapes what need not be writes `\u0061`.
            table.containing(text).into_iter().for_each(&mut look);
            table.containing("\\u00").into_iter().for_each(&mut look);
            look(behind);
        }
        None => (0..=behind.0).map(StringIndex).for_each(look),
    }
    strings
}

/// Whether JSON has no other way of writing a text than as it is, or one that begins with `\u00`.
fn is_written_as_it_is(text: &str) -> bool {
    let plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && !['"', '\\', '/'].contains(&c);
    !text.is_empty() && text.chars().all(plain)
}
