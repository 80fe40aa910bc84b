//! The algorithm itself, on the numbers of the walk.

use super::predecessors::Predecessors;
use super::walk::Order;

/// The number of each node's immediate dominator, by the node's place in the order.
pub(super) fn run(order: &Order, lists: Predecessors) -> Vec<u32> {
    let Predecessors { entries, firsts, present, mut parents } = lists;
    let mut links = vec![Link::default(); order.numbers as usize + 1];
    let mut number = 0;
    for (place, &parent) in parents.iter().enumerate() {
        if !order.leaves.get(place) {
            number += 1;
            links[number as usize] = Link { ancestor: parent, label: parent };
        }
    }
    // Semidominators, backwards in the order of the walk. That of a node without a list is its
    // parent; those of the others are kept, last first.
    let mut semis = Vec::new();
    let mut path = Vec::new();
    let mut cursor = entries.len();
    for (place, &parent) in parents.iter().enumerate().skip(1).rev() {
        if present.get(place) {
            let mut semi = parent;
            while cursor > 0 {
                cursor -= 1;
                let from = entries[cursor];
                // Nodes beyond the current number are linked to their parents.
                let candidate = match from > number {
                    true => eval(&mut links, from, number, &mut path),
                    false => from,
                };
                semi = semi.min(candidate);
                if firsts.get(cursor) {
                    break;
                }
            }
            semis.push(semi);
            if !order.leaves.get(place) {
                links[number as usize].label = semi;
            }
        }
        if !order.leaves.get(place) {
            number -= 1;
        }
    }
    drop(entries);
    // The dominator is the nearest tree ancestor of the parent that is not below the semidominator.
    let mut idoms = vec![0; order.numbers as usize + 1];
    let mut number = 0;
    for (place, parent) in parents.iter_mut().enumerate() {
        let mut idom = *parent;
        if place > 0 && present.get(place) {
            let semi = semis.pop().unwrap_or(1);
            while idom > semi {
                idom = idoms[idom as usize];
            }
        }
        *parent = idom;
        if !order.leaves.get(place) {
            number += 1;
            idoms[number as usize] = idom;
        }
    }
    parents
}

/// What `eval` reads, side by side: one cache line a node.
#[derive(Clone, Copy, Default)]
struct Link {
    ancestor: u32,
    /// The least semidominator on the path to the ancestor.
    label: u32,
}

/// The least semidominator on the path from `node` up to, not with, the first node that is not
/// linked (not beyond `bound`). Shortens the path for the next time.
#[inline]
fn eval(links: &mut [Link], node: u32, bound: u32, path: &mut Vec<u32>) -> u32 {
    let mut top = node;
    loop {
        let ancestor = links[top as usize].ancestor;
        if ancestor <= bound {
            break;
        }
        path.push(top);
        top = ancestor;
    }
    let mut upper = links[top as usize];
    while let Some(below) = path.pop() {
        let link = &mut links[below as usize];
        link.label = link.label.min(upper.label);
        link.ancestor = upper.ancestor;
        upper = *link;
    }
    upper.label
}
