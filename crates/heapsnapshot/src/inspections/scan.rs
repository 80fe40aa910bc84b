//! One pass over the nodes, and one over the edges' names, for all inspections.

use crate::graph::Edges;
use crate::{EdgeIndex, EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// What a node's name says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Timer,
    Promise,
    Reaction,
    Map,
    Set,
    Array,
    Frame,
    Stream,
    Error,
    ArrayBuffer,
    VmContext,
    Other,
}

/// The nodes that inspections look at.
#[derive(Debug, Default)]
pub(super) struct Scan {
    of_role: Vec<Vec<NodeOrdinal>>,
    pub(super) sliced: Vec<NodeOrdinal>,
    pub(super) joined: Vec<NodeOrdinal>,
    /// Plain and other objects with very many edges.
    pub(super) wide: Vec<NodeOrdinal>,
    /// How many strings have a text, by its place in the string table.
    pub(super) texts: Vec<u32>,
    /// The objects with a property `_events` or `<symbol kEvents>`, and its value.
    pub(super) events: Vec<(NodeOrdinal, NodeOrdinal)>,
    pub(super) targets: Vec<(NodeOrdinal, NodeOrdinal)>,
    /// The stores of Node up to 22: where they hang, and what they are.
    pub(super) stores: Vec<(NodeOrdinal, NodeOrdinal)>,
    /// Generators and async functions that have begun: they have room for their variables, and go by any name.
    pub(super) suspended: Vec<NodeOrdinal>,
}

/// An object with more edges is wide.
pub(super) const WIDE: usize = 1000;

/// Edges by which their owners are told.
const WANTED: [(EdgeKind, &str); 4] = [
    (EdgeKind::Property, "_events"),
    (EdgeKind::Property, "<symbol kEvents>"),
    (EdgeKind::Property, "<symbol kResourceStore>"),
    (EdgeKind::Internal, "parameters_and_registers"),
];

impl Scan {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let mut scan = Scan { texts: vec![0; snapshot.strings().len()], ..Scan::default() };
        scan.of_role.resize_with(Role::Other as usize, Vec::new);
        scan.nodes(snapshot);
        scan.edges(snapshot);
        scan
    }

    pub(super) fn of(&self, role: Role) -> &[NodeOrdinal] {
        self.of_role.get(role as usize).map(Vec::as_slice).unwrap_or_default()
    }

    fn nodes(&mut self, snapshot: &Snapshot) {
        // Each name is read once.
        let mut roles: Vec<Option<Role>> = vec![None; snapshot.strings().len()];
        for node in snapshot.nodes() {
            let kind = snapshot.kind(node);
            match kind {
                NodeKind::SlicedString => self.sliced.push(node),
                NodeKind::ConsString => self.joined.push(node),
                NodeKind::String => {
                    if let Some(count) = self.texts.get_mut(snapshot.name_index(node).0 as usize) {
                        *count += 1;
                    }
                }
                NodeKind::Object | NodeKind::Native | NodeKind::Hidden => {
                    let index = snapshot.name_index(node);
                    let Some(known) = roles.get_mut(index.0 as usize) else { continue };
                    let role = *known.get_or_insert_with(|| role(snapshot, index));
                    if is_of(role, kind)
                        && let Some(nodes) = self.of_role.get_mut(role as usize)
                    {
                        nodes.push(node);
                    }
                    if kind == NodeKind::Object && snapshot.reference_count(node) > WIDE {
                        self.wide.push(node);
                    }
                }
                _ => {}
            }
        }
    }

    fn edges(&mut self, snapshot: &Snapshot) {
        let packed = WANTED.map(|(kind, name)| {
            let index = snapshot.strings.all_that_are(&[name]).first().copied();
            index.map(|index| packed(kind, index))
        });
        for (at, &edge) in snapshot.edges.packed.iter().enumerate() {
            let Some(which) = packed.iter().position(|&wanted| wanted == Some(edge)) else {
                continue;
            };
            let found = u32::try_from(at).ok().and_then(|at| snapshot.edge(EdgeIndex(at)));
            let Some(edge) = found else { continue };
            let owner = snapshot.edge_owner(edge.index);
            match (which, snapshot.kind(edge.to)) {
                (0, NodeKind::Object) => self.events.push((owner, edge.to)),
                (1, NodeKind::Object) => self.targets.push((owner, edge.to)),
                (2, NodeKind::Object) => self.stores.push((owner, edge.to)),
                (3, NodeKind::Array) => self.suspended.push(owner),
                _ => {}
            }
        }
    }
}

/// As the graph has an edge with a small name, which these have unless the table of strings is enormous.
fn packed(kind: EdgeKind, name: StringIndex) -> u32 {
    (kind as u32) << Edges::NAME_BITS | name.0.min(Edges::WIDE)
}

fn role(snapshot: &Snapshot, name: StringIndex) -> Role {
    match snapshot.strings.raw(name).unwrap_or_default() {
        b"Timeout" => Role::Timer,
        b"Promise" => Role::Promise,
        b"system / PromiseReaction" => Role::Reaction,
        b"Map" => Role::Map,
        b"Set" => Role::Set,
        b"Array" => Role::Array,
        b"AsyncContextFrame" => Role::Frame,
        b"Socket" | b"TLSSocket" | b"IncomingMessage" | b"ServerResponse" | b"ClientRequest"
        | b"ReadStream" | b"WriteStream" | b"Http2Stream" | b"ServerHttp2Stream"
        | b"ClientHttp2Stream" | b"Http2Session" | b"WebSocket" => Role::Stream,
        b"system / JSArrayBufferData" => Role::ArrayBuffer,
        b"system / NativeContext" => Role::VmContext,
        name if name.ends_with(b"Error") => Role::Error,
        _ => Role::Other,
    }
}

/// Whether nodes of a kind play a role: a string may have any text, an object any name.
fn is_of(role: Role, kind: NodeKind) -> bool {
    match role {
        Role::Reaction | Role::VmContext => kind == NodeKind::Hidden,
        Role::ArrayBuffer => kind == NodeKind::Native,
        _ => kind == NodeKind::Object,
    }
}
