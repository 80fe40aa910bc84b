//! Checks that the parts of a file agree, and prepares the graph for questions.

use std::sync::{Mutex, OnceLock};

use super::Parts;
use crate::analysis::{detached, ephemerons, shallow};
use crate::graph::{Edges, Nodes};
use crate::merged::Trees;
use crate::strings::StringTable;
use crate::{Error, Location, NodeOrdinal, Result, Section, Snapshot};

pub(super) fn resolve(parts: Parts, salvage: bool) -> Result<Snapshot> {
    let mut problems = parts.problems;
    // When salvaging, the first problem explains those that follow from it; all are kept.
    let mut report = |error: Error| {
        if salvage {
            problems.push(error);
            Ok(())
        } else {
            Err(error)
        }
    };
    let header = parts.header.ok_or(Error::Missing { section: Section::Header })?;
    let mut nodes = parts.nodes.ok_or(Error::Missing { section: Section::Nodes })?;
    if nodes.len() == 0 {
        return Err(inconsistent(Section::Nodes, 0, "at least one node", "none"));
    }
    let edges = match parts.edges {
        Some(edges) => edges,
        None => {
            report(Error::Missing { section: Section::Edges })?;
            Edges::default()
        }
    };
    let mut strings = match parts.strings {
        Some(strings) => strings,
        None => {
            report(Error::Missing { section: Section::Strings })?;
            StringTable::default()
        }
    };
    let strings_in_file = strings.len();
    let node_count = nodes.len() as u64;
    let edge_count = edges.len() as u64;
    if node_count != header.node_count {
        let expected = format!("{} nodes, as the header says", header.node_count);
        report(inconsistent(Section::Nodes, node_count, &expected, &node_count.to_string()))?;
    }
    if edge_count != header.edge_count {
        let expected = format!("{} edges, as the header says", header.edge_count);
        report(inconsistent(Section::Edges, edge_count, &expected, &edge_count.to_string()))?;
    }
    let claimed = nodes.first_edge.last().copied().unwrap_or(0);
    if u64::from(claimed) != edge_count {
        let expected = format!("{edge_count} edges in the nodes' edge counts");
        report(inconsistent(Section::Nodes, node_count, &expected, &claimed.to_string()))?;
    }
    let edges = fit(&mut nodes, edges, header.node_count);
    if let Some(error) = name_out_of_range(&nodes, &edges, &strings, parts.largest_edge_name) {
        report(error)?;
    }
    let root = header.root_index / header.node.stride as u64;
    let root = match u32::try_from(root) {
        Ok(ordinal) if root < node_count => NodeOrdinal(ordinal),
        _ => {
            let expected = format!("a root_index below {node_count} nodes");
            return Err(inconsistent(
                Section::Header,
                0,
                &expected,
                &header.root_index.to_string(),
            ));
        }
    };
    let extras = parts.extras;
    let locations = locations(extras.locations, header.node.stride as u64, node_count);

    detached::propagate(&mut nodes, &edges, &mut strings, header.node.detachedness.is_some())?;
    let mut edges = edges;
    let ephemerons = ephemerons::mark(&nodes, &mut edges, &strings);
    nodes.document_roots = (nodes.edges(root.0))
        .filter_map(|edge| edges.to.get(edge).copied())
        .filter(|&to| shallow::is_document_root(&nodes, &strings, NodeOrdinal(to)))
        .collect();
    shallow::assign(&mut nodes, &edges, &strings, root);
    Ok(Snapshot {
        nodes,
        edges,
        strings,
        root,
        locations,
        samples: extras.samples,
        functions: extras.functions,
        trace_tree: extras.trace_tree,
        extra_native_bytes: header.extra_native_bytes,
        originals: None,
        redaction: header.redaction,
        strings_in_file,
        file_size: parts.file_size,
        ephemerons,
        problems,
        dominators: OnceLock::new(),
        distances: OnceLock::new(),
        counted: OnceLock::new(),
        owners: OnceLock::new(),
        retainers: OnceLock::new(),
        children: OnceLock::new(),
        interfaces: OnceLock::new(),
        classes: OnceLock::new(),
        class_distances: OnceLock::new(),
        scripts: OnceLock::new(),
        ways: OnceLock::new(),
        ids: OnceLock::new(),
        order: OnceLock::new(),
        object_names: OnceLock::new(),
        joined_texts: OnceLock::new(),
        dominated_objects: OnceLock::new(),
        shortest: OnceLock::new(),
        trees: Trees::default(),
        last_detour: Mutex::default(),
    })
}

/// Makes the nodes' edge ranges fit the edges that there are, which is only needed when salvaging.
fn fit(nodes: &mut Nodes, edges: Edges, checked_against: u64) -> Edges {
    let edges = if (nodes.len() as u64) < checked_against
        && edges.to.iter().any(|&to| to as usize >= nodes.len())
    {
        // The edges came before the nodes, and lead to nodes that are lost.
        Edges::default()
    } else {
        edges
    };
    let count = u32::try_from(edges.len()).unwrap_or(u32::MAX);
    if nodes.first_edge.last() != Some(&count) {
        for first in &mut nodes.first_edge {
            *first = (*first).min(count);
        }
    }
    edges
}

fn name_out_of_range(
    nodes: &Nodes,
    edges: &Edges,
    strings: &StringTable,
    largest_edge_name: Option<u64>,
) -> Option<Error> {
    let count = strings.len();
    let expected = format!("an index below the {count} strings");
    if let Some(record) = nodes.name.iter().position(|&name| name as usize >= count) {
        let found = nodes.name[record].to_string();
        return Some(inconsistent(Section::Nodes, record as u64, &expected, &found));
    }
    if edges.len() > 0 && largest_edge_name.is_some_and(|name| name >= count as u64) {
        let record = (0..edges.len()).find(|&edge| {
            let index = u32::try_from(edge).unwrap_or(u32::MAX);
            !edges.kind(crate::EdgeIndex(index)).is_indexed() && edges.name(edge) >= count as u64
        })?;
        let found = edges.name(record).to_string();
        return Some(inconsistent(Section::Edges, record as u64, &expected, &found));
    }
    None
}

/// Locations by ordinal. If an object has two, the last one counts, as in DevTools.
fn locations(raw: Vec<(u64, Location)>, stride: u64, count: u64) -> Vec<(NodeOrdinal, Location)> {
    let mut locations: Vec<_> = raw
        .into_iter()
        .filter(|(index, _)| index % stride == 0 && index / stride < count)
        .filter_map(|(index, at)| Some((NodeOrdinal(u32::try_from(index / stride).ok()?), at)))
        .collect();
    locations.sort_by_key(|&(node, _)| node);
    locations.reverse();
    locations.dedup_by_key(|&mut (node, _)| node);
    locations.reverse();
    locations
}

fn inconsistent(section: Section, record: u64, expected: &str, found: &str) -> Error {
    Error::Inconsistent { section, record, expected: expected.to_owned(), found: found.to_owned() }
}
