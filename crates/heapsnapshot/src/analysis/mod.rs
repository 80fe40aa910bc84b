//! What is computed from the graph, by the rules of Chrome DevTools' heap snapshot worker
//! (`front_end/entrypoints/heap_snapshot_worker/HeapSnapshot.ts`), node for node.

pub(crate) mod around;
pub(crate) mod classes;
pub(crate) mod counted;
pub(crate) mod detached;
pub(crate) mod distances;
pub(crate) mod dominators;
pub(crate) mod ephemerons;
pub(crate) mod interfaces;
pub(crate) mod joined;
pub(crate) mod names;
pub(crate) mod object_names;
pub(crate) mod order;
pub(crate) mod owners;
pub(crate) mod retained;
pub(crate) mod shallow;
pub(crate) mod statistics;
pub(crate) mod tree;
