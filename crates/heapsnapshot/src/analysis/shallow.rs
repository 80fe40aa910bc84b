//! Shallow sizes: backing stores and V8's hidden parts count for the one object that owns them.
//! `calculateShallowSizes` in DevTools.

use crate::graph::{BitSet, Edges, Nodes};
use crate::strings::StringTable;
use crate::{NodeKind, NodeOrdinal};

/// No owner has been found.
const UNVISITED: u32 = u32::MAX;
/// More than one has.
const SHARED: u32 = u32::MAX - 1;

/// Moves the sizes of nodes with exactly one owner to that owner.
pub(crate) fn assign(nodes: &mut Nodes, edges: &Edges, strings: &StringTable, root: NodeOrdinal) {
    if !has_user_roots(nodes, edges, strings, root) {
        // Taken with V8's internals exposed: then every part is to be seen by itself.
        return;
    }
    let ownable = ownable(nodes, strings);
    let mut owners = vec![UNVISITED; nodes.len()];
    let mut work = Vec::new();
    for source in 0..u32::try_from(nodes.len()).unwrap_or(u32::MAX) {
        if ownable.get(source as usize) {
            continue;
        }
        spread(source, source, nodes, edges, &ownable, &mut owners, &mut work);
        while let Some(node) = work.pop() {
            let owner = owners[node as usize];
            spread(node, owner, nodes, edges, &ownable, &mut owners, &mut work);
        }
    }
    for (node, &owner) in (0u32..).zip(&owners) {
        if owner >= SHARED {
            continue;
        }
        // To what the profiler made itself, or to the root, a size would add nothing but noise.
        if owner == root.0 || nodes.kind(NodeOrdinal(owner)) == NodeKind::Synthetic {
            continue;
        }
        let size = nodes.size.get(node as usize);
        if size > 0 {
            nodes.size.set(node, 0);
            let sum = nodes.size.get(owner as usize).saturating_add(size);
            nodes.size.set(owner, sum);
        }
    }
}

/// Gives all that `node` holds, and that can be owned, to `owner`. A node changes at most twice: to
/// one owner, then to shared; so the order of visits does not matter and the work is bounded.
#[inline]
fn spread(
    node: u32,
    owner: u32,
    nodes: &Nodes,
    edges: &Edges,
    ownable: &BitSet,
    owners: &mut [u32],
    work: &mut Vec<u32>,
) {
    let range = nodes.edges(node);
    for (&to, &packed) in edges.to[range.clone()].iter().zip(&edges.packed[range]) {
        if !ownable.get(to as usize) || packed >> Edges::NAME_BITS == Edges::WEAK {
            continue;
        }
        let Some(slot) = owners.get_mut(to as usize) else { continue };
        if *slot == UNVISITED {
            *slot = owner;
            work.push(to);
        } else if *slot != owner && *slot != SHARED {
            *slot = SHARED;
            work.push(to);
        }
    }
}

fn ownable(nodes: &Nodes, strings: &StringTable) -> BitSet {
    let external: Vec<bool> = external_names(nodes, strings);
    let mut ownable = BitSet::new(nodes.len());
    for (index, (&byte, &name)) in nodes.kind.iter().zip(&nodes.name).enumerate() {
        let owned = match NodeKind::from_byte(byte & 0xf) {
            NodeKind::Hidden | NodeKind::Array => true,
            NodeKind::Native => external.get(name as usize).copied().unwrap_or(false),
            _ => false,
        };
        if owned {
            ownable.set(index);
        }
    }
    ownable
}

/// The strings that say `system / ExternalStringData`, up to the last one that does.
fn external_names(nodes: &Nodes, strings: &StringTable) -> Vec<bool> {
    const NAME: &str = "system / ExternalStringData";
    let mut names = Vec::new();
    if !nodes.kind.iter().any(|byte| byte & 0xf == NodeKind::Native as u8) {
        return names;
    }
    for index in strings.containing(NAME) {
        if strings.is(index, NAME) {
            names.resize(index.0 as usize + 1, false);
            names[index.0 as usize] = true;
        }
    }
    names
}

/// Whether the root leads to anything that is not the profiler's own.
fn has_user_roots(nodes: &Nodes, edges: &Edges, strings: &StringTable, root: NodeOrdinal) -> bool {
    nodes.edges(root.0).any(|edge| is_user_root(nodes, strings, NodeOrdinal(edges.to[edge])))
}

/// The roots from which distances are counted.
pub(crate) fn is_user_root(nodes: &Nodes, strings: &StringTable, node: NodeOrdinal) -> bool {
    nodes.kind(node) != NodeKind::Synthetic || is_document_root(nodes, strings, node)
}

pub(crate) fn is_document_root(nodes: &Nodes, strings: &StringTable, node: NodeOrdinal) -> bool {
    nodes.kind(node) == NodeKind::Synthetic && strings.is(nodes.name(node), "(Document DOM trees)")
}
