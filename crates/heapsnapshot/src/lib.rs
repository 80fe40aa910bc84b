//! Reads and analyses V8 heap snapshots (`.heapsnapshot`) exactly as Chrome DevTools does.
//!
//! Files of Node 18 to 26 and of Chrome are read, plain or compressed (`.gz`, `.zst`), from a path or any
//! reader. What DevTools shows is computed node for node: shallow and retained sizes, dominators,
//! distances, classes and their sums, the difference of two snapshots. On top of that: the shortest way
//! to an object in words, leaks in two or three snapshots, and suspects in one.
//!
//! Invariants: this crate knows nothing of Node, writes no output, has no `unsafe` code, and gives an
//! [`Error`] for any bytes that are not a snapshot.
//!
//! # Examples
//! What takes the memory:
//! ```no_run
//! use heapsnapshot::Snapshot;
//!
//! # fn main() -> heapsnapshot::Result<()> {
//! let snapshot = Snapshot::open("heap.heapsnapshot")?;
//! let mut classes: Vec<_> = snapshot.classes().iter().map(|(_, class)| class).collect();
//! classes.sort_by_key(|class| std::cmp::Reverse(class.retained_size));
//! for class in classes.iter().take(10) {
//!     println!("{:>12} {:>8} {}", class.retained_size, class.count, class.key.name);
//! }
//! # Ok(())
//! # }
//! ```
//! What leaks, and what holds it:
//! ```no_run
//! use heapsnapshot::Snapshot;
//! use heapsnapshot::leaks::{LeakOptions, find_leaks};
//!
//! # fn main() -> heapsnapshot::Result<()> {
//! let before = Snapshot::open("before.heapsnapshot")?;
//! let after = Snapshot::open("after.heapsnapshot")?;
//! for suspect in find_leaks(&[&before, &after], &LeakOptions::default()).suspects {
//!     println!("{} {}", suspect.growth(), after.describe_path(&suspect.path));
//! }
//! # Ok(())
//! # }
//! ```
//! A snapshot from memory:
//! ```
//! use heapsnapshot::{NodeOrdinal, Snapshot};
//!
//! let json = r#"{"snapshot":{"meta":{
//!     "node_fields":["type","name","id","self_size","edge_count"],
//!     "node_types":[["synthetic","object"],"string","number","number","number"],
//!     "edge_fields":["type","name_or_index","to_node"],
//!     "edge_types":[["property"],"string_or_number","node"]},"node_count":2,"edge_count":1},
//!     "nodes":[0,0,1,0,1, 1,1,3,40,0], "edges":[0,2,5], "strings":["","Session","current"]}"#;
//! let snapshot = Snapshot::read(json.as_bytes())?;
//! assert_eq!(snapshot.name(NodeOrdinal(1)), "Session");
//! assert_eq!(snapshot.retained_size(snapshot.root()), 40);
//! # Ok::<(), heapsnapshot::Error>(())
//! ```
//!
//! # Memory
//! A loaded snapshot takes about 17 bytes a node and 8 bytes an edge, and its strings as they are in the
//! file. Dominators take about as much again while they are computed, and 12 bytes a node afterwards.

mod ahead;
mod analysis;
mod column;
pub mod compare;
mod duplicates;
mod error;
mod filters;
mod foreign;
mod freed;
mod graph;
pub mod inspections;
pub mod leaks;
mod load;
pub mod merged;
mod node_set;
mod originals;
pub mod packages;
pub mod paths;
pub mod query;
pub mod retainers;
mod section;
mod snapshot;
mod source;
mod strings;
pub mod suspects;
mod traces;
mod types;
mod word;

pub use analysis::classes::{Class, ClassIndex, ClassKey, Classes};
pub use analysis::interfaces::InterfaceDefinition;
pub use analysis::statistics::Statistics;
pub use duplicates::DuplicateString;
pub use error::{Error, Result};
pub use filters::NamedFilter;
pub use foreign::ForeignFile;
/// What opens encrypted files.
pub use heapcrypt::Identities;
pub use leaks::trend;
pub use load::LoadOptions;
pub use load::extras::{Location, Sample, TraceFunction, TraceNode};
pub use load::header::Redaction;
pub use node_set::NodeSet;
pub use section::Section;
pub use snapshot::{Edge, Snapshot};
pub use strings::StringTable;
pub use traces::Frame;
pub use types::{Detachedness, EdgeIndex, EdgeKind, NodeId, NodeKind, NodeOrdinal, StringIndex};
