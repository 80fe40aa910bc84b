//! Whose code made and holds what: by npm package, and by script.
//!
//! What has a place in a script (a function, an object whose constructor has one, compiled code, the
//! variables of a function) belongs to that script. All else belongs to the nearest dominator that
//! belongs to one: what holds it alone. So does what Node's own code made: a Buffer is of whom holds
//! it. Each node belongs to one script or to none, so the shallow sizes add up to the whole.

mod origin;

pub use origin::Origin;

use std::collections::HashMap;

use crate::analysis::retained::{self, NO_GROUP};
use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// What belongs to a package or to a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whose it is.
    pub origin: Origin,
    /// The script, by its name in the snapshot; `None` for a whole package.
    pub script: Option<String>,
    /// How many nodes with a size.
    pub count: u64,
    /// The sum of their own bytes.
    pub shallow_size: u64,
    /// What would be freed with all of them, by dominators: one within another counts once. `None` for
    /// what belongs to nobody: the roots are of that, and hold everything.
    pub retained_size: Option<u64>,
}

impl Snapshot {
    /// The heap by package. The application and Node's own scripts are one each.
    #[must_use]
    pub fn by_package(&self) -> Vec<Share> {
        let owners = Owners::of_nodes(self);
        let mut groups: Vec<Origin> = vec![Origin::Unknown];
        let mut known = HashMap::from([(Origin::Unknown, 0)]);
        let group_of: Vec<u32> = owners
            .scripts
            .iter()
            .map(|script| {
                let origin = Origin::of_script(script);
                *known.entry(origin.clone()).or_insert_with(|| {
                    groups.push(origin);
                    u32::try_from(groups.len() - 1).unwrap_or(NO_GROUP)
                })
            })
            .collect();
        let shares = groups.into_iter().map(|origin| Share::new(origin, None)).collect();
        let group = |script: u32| group_of.get(script as usize).copied().unwrap_or(0);
        self.shares(shares, |node| group(owners.of(node)))
    }

    /// The heap by script, the scripts of all packages by themselves.
    #[must_use]
    pub fn by_script(&self) -> Vec<Share> {
        let owners = Owners::of_nodes(self);
        let nobody = std::iter::once(Share::new(Origin::Unknown, None));
        let named = owners
            .scripts
            .iter()
            .map(|name| Share::new(Origin::of_script(name), Some(name.clone())));
        let shares = nobody.chain(named).collect();
        self.shares(shares, |node| owners.of(node).wrapping_add(1))
    }

    /// Whose an object is: of the script that it has a place in, or that the nearest of its dominators
    /// has; Node's own only where there is no other.
    #[must_use]
    pub fn origin(&self, node: NodeOrdinal) -> Origin {
        let mut found = Origin::Unknown;
        let mut at = node;
        loop {
            if let Some(script) = self.own_script(at) {
                found = Origin::of_script(&script);
                if found != Origin::Node {
                    return found;
                }
            }
            let above = self.dominator(at);
            if above == at {
                return found;
            }
            at = above;
        }
    }

    /// The name of the script that a node has a place in.
    fn own_script(&self, node: NodeOrdinal) -> Option<String> {
        if self.is_context(node) {
            let mut users = self.retainers(node).filter(|&edge| {
                edge.kind == EdgeKind::Internal && self.edge_name(edge) == "context"
            });
            return users.find_map(|edge| {
                let user = self.edge_owner(edge.index);
                (self.kind(user) == NodeKind::Closure).then(|| self.source_place(user)?.script)?
            });
        }
        if self.kind(node) == NodeKind::Code {
            let of = |name: &str| {
                let edge = self.edges(node).find(|&edge| self.edge_name(edge) == name)?;
                self.script_name(edge.to)
            };
            return SCRIPT_FIELDS.into_iter().find_map(of);
        }
        self.source_place(node)?.script
    }

    /// The name of a script's own node.
    fn script_name(&self, script: NodeOrdinal) -> Option<String> {
        let name = self.name(script);
        let is_script = self.kind(script) == NodeKind::Code
            && !name.is_empty()
            && !name.starts_with("system / ");
        is_script.then(|| name.into_owned())
    }

    fn shares(&self, mut shares: Vec<Share>, group_of: impl Fn(NodeOrdinal) -> u32) -> Vec<Share> {
        let retained = retained::by_group(self, shares.len(), &group_of, |_| true);
        for (share, retained) in shares.iter_mut().zip(retained) {
            share.retained_size = Some(retained).filter(|_| share.origin != Origin::Unknown);
        }
        for node in self.nodes() {
            let size = self.shallow_size(node);
            if size > 0
                && let Some(share) = shares.get_mut(group_of(node) as usize)
            {
                share.count += 1;
                share.shallow_size = share.shallow_size.saturating_add(size);
            }
        }
        shares.retain(|share| share.count > 0);
        shares
    }
}

/// The fields of a function's shared part that lead to its script; up to Node 20 it is the second.
const SCRIPT_FIELDS: [&str; 2] = ["script", "script_or_debug_info"];

impl Share {
    fn new(origin: Origin, script: Option<String>) -> Self {
        Share { origin, script, count: 0, shallow_size: 0, retained_size: None }
    }
}

/// The script that each node belongs to.
#[derive(Debug)]
pub struct Owners {
    /// By ordinal; `NO_GROUP` for none.
    of: Vec<u32>,
    scripts: Vec<String>,
}

impl Owners {
    /// Looks at all nodes of a snapshot.
    #[must_use]
    pub fn of_nodes(snapshot: &Snapshot) -> Self {
        let mut places = Places::new(snapshot);
        places.by_location();
        places.of_code_and_contexts();
        let Places { scripts, mut of, .. } = places;
        let is_node: Vec<bool> =
            scripts.iter().map(|name| Origin::of_script(name) == Origin::Node).collect();
        let is_node = |script: u32| is_node.get(script as usize).copied().unwrap_or(true);
        let mut open = vec![(snapshot.root(), NO_GROUP)];
        while let Some((node, above)) = open.pop() {
            let Some(slot) = of.get_mut(node.index()) else { continue };
            // Nobody's, and Node's where somebody else holds it.
            if *slot == NO_GROUP || (is_node(*slot) && !is_node(above)) {
                *slot = above;
            }
            let here = *slot;
            open.extend(snapshot.dominated(node).map(|child| (child, here)));
        }
        Owners { of, scripts }
    }

    /// The scripts, by their names in the snapshot.
    #[must_use]
    pub fn scripts(&self) -> &[String] {
        &self.scripts
    }

    /// Which of [`Owners::scripts`] a node belongs to, if it belongs to one.
    #[must_use]
    pub fn script_of(&self, node: NodeOrdinal) -> Option<usize> {
        let script = self.of(node);
        (script != NO_GROUP).then_some(script as usize)
    }

    fn of(&self, node: NodeOrdinal) -> u32 {
        self.of.get(node.index()).copied().unwrap_or(NO_GROUP)
    }
}

/// The scripts that nodes have a place in themselves.
struct Places<'a> {
    snapshot: &'a Snapshot,
    scripts: Vec<String>,
    by_name: HashMap<String, u32>,
    of: Vec<u32>,
}

impl<'a> Places<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let of = vec![NO_GROUP; snapshot.node_count()];
        Places { snapshot, scripts: Vec::new(), by_name: HashMap::new(), of }
    }

    fn script(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let script = u32::try_from(self.scripts.len()).unwrap_or(NO_GROUP);
        self.scripts.push(name.to_owned());
        self.by_name.insert(name.to_owned(), script);
        script
    }

    /// Functions, and objects by their constructors.
    fn by_location(&mut self) {
        let snapshot = self.snapshot;
        let mut by_id: HashMap<u32, u32> = HashMap::new();
        for &(node, location) in &snapshot.locations {
            // A bundle comes from many files.
            let known = by_id.get(&location.script_id).filter(|_| snapshot.originals.is_none());
            let script = match known {
                Some(&known) => known,
                None => {
                    let name = snapshot.source_place(node).and_then(|place| place.script);
                    let script = name.map_or(NO_GROUP, |name| self.script(&name));
                    by_id.insert(location.script_id, script);
                    script
                }
            };
            if let Some(slot) = self.of.get_mut(node.index()) {
                *slot = script;
            }
        }
    }

    /// Compiled code by the script that it names, and a function's variables by the function.
    fn of_code_and_contexts(&mut self) {
        let snapshot = self.snapshot;
        let names = |text: &str| {
            let mut found = snapshot.strings.containing(text);
            found.retain(|&index| snapshot.strings.is(index, text));
            found
        };
        let fields: Vec<StringIndex> = SCRIPT_FIELDS.into_iter().flat_map(names).collect();
        let contexts = names("context");
        for node in snapshot.nodes() {
            match snapshot.kind(node) {
                NodeKind::Code => {
                    let Some(script) = self.linked(node, &fields) else { continue };
                    let Some(name) = snapshot.script_name(script) else { continue };
                    let index = self.script(&name);
                    for owned in [node, script] {
                        if let Some(slot) = self.of.get_mut(owned.index()) {
                            *slot = index;
                        }
                    }
                }
                NodeKind::Closure => {
                    let script = self.of.get(node.index()).copied().unwrap_or(NO_GROUP);
                    let context = self.linked(node, &contexts);
                    if let Some(context) = context.filter(|&to| snapshot.is_context(to))
                        && let Some(slot) = self.of.get_mut(context.index())
                        && *slot == NO_GROUP
                    {
                        *slot = script;
                    }
                }
                _ => {}
            }
        }
    }

    /// What an internal edge with one of some names leads to.
    fn linked(&self, node: NodeOrdinal, names: &[StringIndex]) -> Option<NodeOrdinal> {
        let edges = &self.snapshot.edges;
        let mut own = self.snapshot.edges(node).filter(|edge| edge.kind == EdgeKind::Internal);
        let is_named = |edge: &crate::Edge| {
            let name = edges.name(edge.index.index());
            names.iter().any(|index| u64::from(index.0) == name)
        };
        own.find(is_named).map(|edge| edge.to)
    }
}
