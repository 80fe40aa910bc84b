//! Interfaces: plain objects are sorted by the properties that many of them share.
//! `inferInterfaceDefinitions` and `applyInterfaceDefinitions` in DevTools.

use foldhash::{HashMap, HashMapExt};

use super::names::{format_property, utf16_length};
use crate::{EdgeKind, NodeOrdinal, Snapshot, StringIndex};

const NAME_LIMIT: usize = 120;
const LEAST_OBJECTS: u64 = 2;
/// An interface has at least this part of all plain objects.
const LEAST_PART: u64 = 1000;

/// A set of properties that many plain objects have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceDefinition {
    /// The name, such as `{x, y}`.
    pub name: String,
    /// The properties, in their usual order.
    pub properties: Vec<String>,
}

/// Finds the interfaces of a snapshot, the most frequent first.
pub(crate) fn infer(snapshot: &Snapshot) -> Vec<InterfaceDefinition> {
    let mut names = PropertyNames::new(snapshot);
    // Objects of one shape have the same names at the same places in the string table.
    let mut by_shape: HashMap<Vec<u32>, usize> = HashMap::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut candidates: Vec<(InterfaceDefinition, u64)> = Vec::new();
    let mut total: u64 = 0;
    let mut shape = Vec::new();
    for node in snapshot.nodes().filter(|&node| snapshot.is_plain_object(node)) {
        total += 1;
        names.shape(node, &mut shape);
        let at = match by_shape.get(&shape) {
            Some(&known) => known,
            None => {
                let definition = name_interface(&names, &shape);
                let next = candidates.len();
                let at = *by_name.entry(definition.name.clone()).or_insert(next);
                if at == next {
                    candidates.push((definition, 0));
                }
                by_shape.insert(shape.clone(), at);
                at
            }
        };
        if let Some((_, count)) = candidates.get_mut(at) {
            *count += 1;
        }
    }
    candidates.retain(|(definition, count)| {
        !definition.properties.is_empty() && *count >= LEAST_OBJECTS && *count * LEAST_PART >= total
    });
    // Stable: of two as frequent, the one that was met first comes first.
    candidates.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    candidates.into_iter().map(|(definition, _)| definition).collect()
}

/// The plain objects that have an interface, in order, and which one: an index into `definitions`.
pub(crate) fn apply(
    snapshot: &Snapshot,
    definitions: &[InterfaceDefinition],
) -> Vec<(NodeOrdinal, u32)> {
    let mut found = Vec::new();
    if definitions.is_empty() {
        return found;
    }
    let mut names = PropertyNames::new(snapshot);
    let tree = Tree::build(&mut names, definitions);
    let mut by_shape: HashMap<Vec<u32>, Option<usize>> = HashMap::new();
    let mut shape = Vec::new();
    for node in snapshot.nodes().filter(|&node| snapshot.is_plain_object(node)) {
        names.properties(node, &mut shape);
        let matched = match by_shape.get(&shape) {
            Some(&known) => known,
            None => {
                let matched = tree.best(&mut shape.clone());
                by_shape.insert(shape.clone(), matched);
                matched
            }
        };
        if let Some(index) = matched.and_then(|index| u32::try_from(index).ok()) {
            found.push((node, index));
        }
    }
    found
}

/// Property names as small numbers: equal texts have equal numbers.
struct PropertyNames<'a> {
    snapshot: &'a Snapshot,
    by_text: HashMap<String, u32>,
    texts: Vec<String>,
    /// By the text's place in the string table, its number and 1; 0 if nobody has asked.
    by_index: Vec<u32>,
}

impl<'a> PropertyNames<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let mut names = PropertyNames {
            snapshot,
            by_text: HashMap::new(),
            texts: Vec::new(),
            by_index: vec![0; snapshot.strings.len()],
        };
        names.intern("__proto__");
        names
    }

    const PROTO: u32 = 0;

    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.by_text.get(text) {
            return known;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.by_text.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    /// All properties of an object, in order.
    fn properties(&mut self, node: NodeOrdinal, out: &mut Vec<u32>) {
        out.clear();
        let snapshot = self.snapshot;
        for edge in snapshot.nodes.edges(node.0) {
            if snapshot.edges.tag(edge) != EdgeKind::Property as u32 {
                continue;
            }
            let Ok(index) = u32::try_from(snapshot.edges.name(edge)) else { continue };
            let known = self.by_index.get(index as usize).copied().unwrap_or(0);
            out.push(match known.checked_sub(1) {
                Some(number) => number,
                None => {
                    let number = self.intern(&snapshot.strings.get(StringIndex(index)));
                    if let Some(slot) = self.by_index.get_mut(index as usize) {
                        *slot = number + 1;
                    }
                    number
                }
            });
        }
    }

    /// The properties that make an object's interface: without `__proto__`.
    fn shape(&mut self, node: NodeOrdinal, out: &mut Vec<u32>) {
        self.properties(node, out);
        out.retain(|&name| name != Self::PROTO);
    }
}

/// As many of the properties as fit in a name.
fn name_interface(names: &PropertyNames<'_>, shape: &[u32]) -> InterfaceDefinition {
    let mut name = String::from("{");
    let mut length = 1;
    let mut properties = Vec::new();
    for &number in shape {
        let Some(text) = names.texts.get(number as usize) else { continue };
        let formatted = format_property(text);
        let added = utf16_length(&formatted);
        if length > 1 && length + added > NAME_LIMIT {
            break;
        }
        if length > 1 {
            name.push_str(", ");
            length += 2;
        }
        name.push_str(&formatted);
        length += added;
        properties.push(text.clone());
    }
    name.push('}');
    InterfaceDefinition { name, properties }
}

/// Definitions by their sorted properties: a path from the root spells one.
#[derive(Default)]
struct Tree {
    branches: Vec<Branch>,
}

#[derive(Default)]
struct Branch {
    next: HashMap<u32, usize>,
    greatest: Option<u32>,
    /// The definition that ends here, and how many properties it has.
    ends: Option<(usize, usize)>,
}

impl Tree {
    fn build(names: &mut PropertyNames<'_>, definitions: &[InterfaceDefinition]) -> Self {
        let mut tree = Tree { branches: vec![Branch::default()] };
        for (index, definition) in definitions.iter().enumerate() {
            let mut properties: Vec<u32> =
                definition.properties.iter().map(|text| names.intern(text)).collect();
            properties.sort_unstable();
            let mut at = 0;
            for &property in &properties {
                let fresh = tree.branches.len();
                let branch = &mut tree.branches[at];
                branch.greatest = branch.greatest.max(Some(property));
                at = *branch.next.entry(property).or_insert(fresh);
                if at == fresh {
                    tree.branches.push(Branch::default());
                }
            }
            tree.branches[at].ends.get_or_insert((index, properties.len()));
        }
        tree
    }

    /// The definition with the most properties, all of which the object has; of several the first.
    fn best(&self, properties: &mut [u32]) -> Option<usize> {
        properties.sort_unstable();
        let mut best: Option<(usize, usize)> = self.branches.first().and_then(|root| root.ends);
        let mut states: Vec<usize> = vec![0];
        for &property in properties.iter() {
            let mut fresh: Vec<usize> = Vec::new();
            states.retain(|&state| {
                let branch: &Branch = &self.branches[state];
                fresh.extend(branch.next.get(&property).copied());
                // Nothing greater follows from here: drop it.
                branch.greatest.is_some_and(|greatest| property < greatest)
            });
            for state in fresh {
                if let Some((index, count)) = self.branches[state].ends {
                    let better = best.is_none_or(|(best_index, best_count)| {
                        count > best_count || (count == best_count && index < best_index)
                    });
                    if better {
                        best = Some((index, count));
                    }
                }
                if !states.contains(&state) {
                    states.push(state);
                }
            }
        }
        // The fallback `Object` has no properties, and is beaten by any that has.
        best.filter(|&(_, count)| count > 0).map(|(index, _)| index)
    }
}
