//! Some of the objects: what a filter of DevTools shows, or what would be freed without others.

use heapsnapshot::query::{Pattern, Query};
use heapsnapshot::{NamedFilter, NodeId, NodeSet, Snapshot};
use serde::Serialize;

/// Which objects an answer is about.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only those that a filter of DevTools shows.
    pub only: Option<NamedFilter>,
    /// Only those that would be freed without these.
    pub without: Vec<Selector>,
}

/// Names one object, or all of a class.
#[derive(Clone, Debug)]
pub enum Selector {
    /// `@123`.
    Object(NodeId),
    /// `Session` or `/^Sess/i`, with the text as it was given.
    Class(Pattern, String),
}

impl std::str::FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('@') {
            let id = text.parse().map(Selector::Object);
            return id.map_err(|_| format!("'{text}' is no object id, such as @123456"));
        }
        text.parse().map(|pattern| Selector::Class(pattern, text.to_owned()))
    }
}

/// What was selected, as a whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectionReport {
    /// How many objects `without` names; null if it was not asked.
    pub without: Option<u64>,
    /// How many objects there are. As in DevTools, what has no size of its own is none.
    pub objects: u64,
    /// The sum of their own bytes: with `without`, what would be freed.
    pub shallow_size: u64,
    /// What they retain together: one within another counts once.
    pub retained_size: u64,
}

impl Selection {
    /// The nodes, or `None` for all.
    ///
    /// # Errors
    /// When what `without` names is not there.
    pub fn nodes(&self, snapshot: &Snapshot) -> Result<Option<(NodeSet, SelectionReport)>, String> {
        let shown = self.only.map(|filter| snapshot.filtered(filter));
        let gone = match self.without.as_slice() {
            [] => None,
            selectors => Some(named(snapshot, selectors)?),
        };
        let without = gone.as_ref().map(NodeSet::len);
        let freed = gone.map(|gone| snapshot.freed_without(&gone));
        let nodes = match (shown, freed) {
            (None, None) => return Ok(None),
            (Some(nodes), None) | (None, Some(nodes)) => nodes,
            (Some(shown), Some(freed)) => {
                snapshot.nodes_where(|node| shown.contains(node) && freed.contains(node))
            }
        };
        let objects = nodes.iter().filter(|&node| snapshot.shallow_size(node) > 0).count();
        let report = SelectionReport {
            without,
            objects: objects as u64,
            shallow_size: snapshot.shallow_size_of(&nodes),
            retained_size: snapshot.retained_size_of(&nodes),
        };
        Ok(Some((nodes, report)))
    }
}

fn named(snapshot: &Snapshot, selectors: &[Selector]) -> Result<NodeSet, String> {
    let mut nodes = NodeSet::new(snapshot);
    for selector in selectors {
        match selector {
            Selector::Object(id) => {
                let found = snapshot.find(*id);
                nodes.insert(
                    found.ok_or_else(|| format!("there is no object {id} in the snapshot"))?,
                );
            }
            Selector::Class(pattern, text) => {
                let found =
                    snapshot.select(&Query { class: Some(pattern.clone()), ..Query::default() });
                if found.is_empty() {
                    return Err(format!("there is no class '{text}' in the snapshot"));
                }
                for node in found.iter() {
                    nodes.insert(node);
                }
            }
        }
    }
    Ok(nodes)
}
