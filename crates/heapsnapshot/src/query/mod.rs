//! Questions about many objects: which ones have a class, a size, a property.
//!
//! ```no_run
//! use heapsnapshot::Snapshot;
//! use heapsnapshot::query::{Condition, Query};
//!
//! # fn main() -> heapsnapshot::Result<()> {
//! let snapshot = Snapshot::open("heap.heapsnapshot")?;
//! let condition: Condition = match "class ~ 'Session' and retained > 1MB".parse() {
//!     Ok(condition) => condition,
//!     Err(error) => return Ok(println!("{error}")),
//! };
//! let found = snapshot.select(&Query { condition: Some(condition), ..Query::default() });
//! # Ok(())
//! # }
//! ```

mod condition;
mod lexer;
mod named;
mod parser;
mod pattern;

pub use condition::Condition;
pub use parser::QueryError;
pub use pattern::Pattern;

use std::ops::Range;

use crate::ahead;
use crate::graph::BitSet;
use crate::node_set::NodeSet;
use crate::{Classes, EdgeKind, NodeOrdinal, Snapshot, word};

/// Which objects are wanted. All that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of which classes.
    pub class: Option<Pattern>,
    /// What holds for them.
    pub condition: Option<Condition>,
    /// Properties or variables that they have.
    pub properties: Vec<String>,
    /// Only these.
    pub within: Option<NodeSet>,
}

impl Snapshot {
    /// The objects that are asked for. As in DevTools' summary, what has no
    /// size of its own is none.
    #[must_use]
    pub fn select(&self, query: &Query) -> NodeSet {
        self.compute_dominators_and_distances();
        let classes = query.class.as_ref().map(|pattern| matching(self.classes(), pattern));
        let condition = query.condition.as_ref().map(|condition| condition.prepare(self));
        let properties: Vec<Property> =
            query.properties.iter().map(|name| Property::find(self, name)).collect();
        let count = u32::try_from(self.node_count()).unwrap_or(u32::MAX);
        let found = |first: u32| {
            let mut found = u64::MAX >> word::WIDTH.saturating_sub(count - first);
            if let Some(within) = &query.within {
                found &= within.word(first);
            }
            if let Some(classes) = &classes {
                found &= self.classes().word(first, classes);
            }
            if let Some(condition) = &condition {
                found = condition.word(self, first, found);
            }
            for property in &properties {
                found = word::each(first, found, |node| property.of(self, node).is_some());
            }
            if found != 0 { found & self.nodes.size.some(first) } else { 0 }
        };
        let words = |part: Range<u32>| part.step_by(word::WIDTH as usize).map(found).collect();
        NodeSet::join(ahead::in_parts(count, |part| BitSet::of_words(words(part))))
    }

    /// The value of a node's property or variable.
    #[must_use]
    pub fn property(&self, node: NodeOrdinal, name: &str) -> Option<NodeOrdinal> {
        self.edges(node)
            .find(|&edge| is_named(edge.kind) && self.edge_name(edge) == name)
            .map(|edge| edge.to)
    }
}

/// The classes whose names fit a pattern.
fn matching(classes: &Classes, pattern: &Pattern) -> BitSet {
    let mut fits = BitSet::new(classes.len());
    for (index, class) in classes.iter() {
        if pattern.fits(&class.key.name) {
            fits.set(index.0 as usize);
        }
    }
    fits
}

fn is_named(kind: EdgeKind) -> bool {
    matches!(kind, EdgeKind::Property | EdgeKind::Context)
}

/// A property by the places of its name in the string table.
struct Property {
    names: Vec<u64>,
}

impl Property {
    fn find(snapshot: &Snapshot, name: &str) -> Self {
        let table = snapshot.strings();
        // What JSON escapes is longer in the file, and is found by looking at all of them.
        let plain = name.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
        let candidates = if plain && !name.is_empty() {
            table.containing(name)
        } else {
            (0..u32::try_from(table.len()).unwrap_or(u32::MAX)).map(crate::StringIndex).collect()
        };
        let names = candidates.into_iter().filter(|&index| table.get(index) == name);
        Property { names: names.map(|index| u64::from(index.0)).collect() }
    }

    fn of(&self, snapshot: &Snapshot, node: NodeOrdinal) -> Option<NodeOrdinal> {
        let named = |edge: &crate::Edge| {
            is_named(edge.kind) && self.names.contains(&snapshot.edges.name(edge.index.index()))
        };
        snapshot.edges(node).find(named).map(|edge| edge.to)
    }
}
