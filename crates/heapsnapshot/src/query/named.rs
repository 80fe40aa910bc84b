//! Whose names fit a pattern: each string of the table is looked at once, and not each object of the same name.

use super::pattern::Pattern;
use crate::graph::BitSet;
use crate::strings::StringTable;
use crate::{NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// The names that fit, in one snapshot.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pattern: Pattern,
    /// By place in the string table; behind it, for what a truncated file no longer has.
    strings: BitSet,
    /// What plain objects are called in the file.
    object: Vec<StringIndex>,
    /// Those of them that fit: their names are their properties'.
    objects: BitSet,
}

impl Named {
    pub(super) fn find(snapshot: &Snapshot, pattern: &Pattern) -> Self {
        let fits = |text: &str| pattern.fits(text);
        Named {
            pattern: pattern.clone(),
            strings: fitting(snapshot.strings(), pattern),
            object: snapshot.strings().all_that_are(&["Object"]),
            objects: snapshot.object_names().fitting(snapshot, fits),
        }
    }

    pub(super) fn holds(&self, snapshot: &Snapshot, node: NodeOrdinal) -> bool {
        let name = snapshot.name_index(node);
        match snapshot.kind(node) {
            NodeKind::ConsString => self.pattern.fits(&snapshot.display_name(node)),
            NodeKind::Object if self.object.contains(&name) => self.objects.get(node.index()),
            _ => self.strings.get((name.0 as usize).min(snapshot.strings().len())),
        }
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
