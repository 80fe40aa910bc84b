//! Listeners of one event.

use super::scan::Scan;
use super::{Inspection, InspectionKind};
use crate::leaks::{held, members};
use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot};

/// More are many: Node.js warns of the eleventh.
const FEW: usize = 10;

pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let emitters = scan.events.iter().flat_map(|&(_, events)| of_emitter(snapshot, events));
    let targets = scan.targets.iter().flat_map(|&(_, map)| of_target(snapshot, map));
    emitters.chain(targets).collect()
}

/// An emitter has a function for an event, or an array of them.
fn of_emitter(snapshot: &Snapshot, events: NodeOrdinal) -> Vec<Inspection> {
    let lists = snapshot
        .edges(events)
        .filter(|edge| edge.kind == EdgeKind::Property && snapshot.reference_count(edge.to) > FEW);
    let found = lists.filter_map(|edge| {
        let listeners: Vec<NodeOrdinal> = snapshot
            .edges(edge.to)
            .filter(|edge| edge.kind == EdgeKind::Element)
            .map(|edge| edge.to)
            .collect();
        let name = snapshot.edge_name(edge).into_owned();
        found(snapshot, &listeners, edge.to, name)
    });
    found.collect()
}

/// A target has a Map from each type to the head of a list of Listeners.
fn of_target(snapshot: &Snapshot, map: NodeOrdinal) -> Vec<Inspection> {
    let next = |node| {
        let mut edges = snapshot.edges(node);
        let edge = edges
            .find(|&edge| edge.kind == EdgeKind::Property && snapshot.edge_name(edge) == "next")?;
        (snapshot.kind(edge.to) == NodeKind::Object).then_some(edge.to)
    };
    let heads = members(snapshot, map).into_iter().filter(|&node| next(node).is_some());
    let lists = heads.filter_map(|head| {
        /// A list in a damaged file may lead back into itself.
        const MOST: usize = 1 << 20;
        let list = std::iter::successors(next(head), |&node| next(node)).take(MOST);
        let list: Vec<NodeOrdinal> = list.collect();
        found(snapshot, &list, *list.first()?, String::new())
    });
    lists.collect()
}

fn found(
    snapshot: &Snapshot,
    listeners: &[NodeOrdinal],
    list: NodeOrdinal,
    event: String,
) -> Option<Inspection> {
    if listeners.len() <= FEW {
        return None;
    }
    let bytes = snapshot.kept_by_all(listeners);
    let found = Inspection::new(InspectionKind::Listeners, listeners.len(), bytes, list);
    Some(Inspection { functions: held(snapshot, listeners), ..found.named(event) })
}
