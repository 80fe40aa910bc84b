//! Classes: what DevTools' summary groups objects by, with the sums over each.

use std::collections::HashMap;

use super::interfaces::{self, InterfaceDefinition};
use super::retained;
use crate::graph::BitSet;
use crate::node_set::NodeSet;
use crate::{Location, NodeKind, NodeOrdinal, Snapshot, StringIndex, word};

/// What an object is grouped by: its constructor's name and, for objects, where that is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKey {
    /// The name: `Session`, `{x, y}`, `(string)`.
    pub name: String,
    /// The constructor's place in the source, if the snapshot knows it. Two classes may have the
    /// same name.
    pub location: Option<Location>,
}

impl std::fmt::Display for ClassKey {
    /// DevTools' own form: `script,line,column,name`, or `,name`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(Location { script_id, line, column }) = self.location {
            write!(f, "{script_id},{line},{column}")?;
        }
        write!(f, ",{}", self.name)
    }
}

/// An index into [`Classes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassIndex(pub u32);

/// A class and the sums over its objects. Nodes of size 0 are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What its objects have in common.
    pub key: ClassKey,
    /// How many there are.
    pub count: u64,
    /// The sum of their shallow sizes.
    pub shallow_size: u64,
    /// What would be freed with all of them: an object within another of the same class counts once.
    pub retained_size: u64,
}

/// All classes of a snapshot, and the class of every node.
#[derive(Debug)]
pub struct Classes {
    classes: Vec<Class>,
    of: Vec<u32>,
    definitions: Vec<InterfaceDefinition>,
}

impl Classes {
    /// Every class that has objects with a size.
    pub fn iter(&self) -> impl Iterator<Item = (ClassIndex, &Class)> {
        (0..).map(ClassIndex).zip(&self.classes).filter(|(_, class)| class.count > 0)
    }

    /// A class by its index.
    #[must_use]
    pub fn get(&self, index: ClassIndex) -> Option<&Class> {
        self.classes.get(index.0 as usize)
    }

    /// How many indices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The class of a node.
    #[must_use]
    pub fn of(&self, node: NodeOrdinal) -> ClassIndex {
        ClassIndex(self.of.get(node.index()).copied().unwrap_or(u32::MAX))
    }

    /// Which of sixty-four nodes are of some classes.
    pub(crate) fn word(&self, first: u32, classes: &BitSet) -> u64 {
        word::column(&self.of, first, |class| classes.get(class as usize))
    }

    /// The class with a key.
    #[must_use]
    pub fn find(&self, key: &ClassKey) -> Option<ClassIndex> {
        self.iter().find(|(_, class)| class.key == *key).map(|(index, _)| index)
    }

    /// The interfaces by which plain objects were sorted.
    #[must_use]
    pub fn definitions(&self) -> &[InterfaceDefinition] {
        &self.definitions
    }
}

impl Snapshot {
    /// The classes, with the interfaces that this snapshot's own plain objects suggest.
    #[must_use]
    pub fn classes(&self) -> &Classes {
        self.classes.get_or_init(|| collect(self, self.interfaces().to_vec()))
    }

    /// The interfaces that this snapshot's own plain objects suggest.
    pub(crate) fn interfaces(&self) -> &[InterfaceDefinition] {
        self.interfaces.get_or_init(|| interfaces::infer(self))
    }

    /// The classes by the interfaces of another snapshot, to compare the two.
    #[must_use]
    pub fn classes_with(&self, definitions: &[InterfaceDefinition]) -> Classes {
        collect(self, definitions.to_vec())
    }

    /// The same without the sums of what each class retains, which take longest.
    pub(crate) fn classes_of_nodes(&self, definitions: &[InterfaceDefinition]) -> Classes {
        sort_nodes(self, definitions.to_vec())
    }

    /// The least distance of each class's objects, by [`ClassIndex`]; -5 if one of them is
    /// unreachable.
    #[must_use]
    pub fn class_distances(&self) -> &[i32] {
        self.class_distances.get_or_init(|| least_distances(self))
    }

    /// The classes of some nodes, with the sums and the least distance over these alone:
    /// `aggregatesWithFilter` in DevTools.
    #[must_use]
    pub fn classes_within(&self, nodes: &NodeSet) -> Vec<(ClassIndex, Class, i32)> {
        let classes = self.classes();
        let retained = retained_sizes(self, classes, |node| nodes.contains(node));
        let mut sums: Vec<Option<(ClassIndex, Class, i32)>> = vec![None; classes.len()];
        for node in nodes.iter().filter(|&node| self.shallow_size(node) > 0) {
            let index = classes.of(node);
            let at = index.0 as usize;
            let (Some(slot), Some(class)) = (sums.get_mut(at), classes.get(index)) else {
                continue;
            };
            let (_, sum, distance) = slot.get_or_insert_with(|| {
                let key = class.key.clone();
                let retained_size = retained.get(at).copied().unwrap_or(0);
                (index, Class { key, count: 0, shallow_size: 0, retained_size }, i32::MAX)
            });
            sum.count += 1;
            sum.shallow_size = sum.shallow_size.saturating_add(self.shallow_size(node));
            *distance = self.raw_distance(node).min(*distance);
        }
        sums.into_iter().flatten().collect()
    }

    /// A node's class as the summary shows it.
    #[must_use]
    pub fn class_name(&self, node: NodeOrdinal) -> &str {
        let classes = self.classes();
        classes.get(classes.of(node)).map_or("", |class| class.key.name.as_str())
    }
}

fn collect(snapshot: &Snapshot, definitions: Vec<InterfaceDefinition>) -> Classes {
    let mut classes = sort_nodes(snapshot, definitions);
    add_retained_sizes(snapshot, &mut classes);
    classes
}

/// The class of each node, with all sums but what is retained.
fn sort_nodes(snapshot: &Snapshot, definitions: Vec<InterfaceDefinition>) -> Classes {
    let mut builder = Builder {
        snapshot,
        by_string: vec![u32::MAX; snapshot.strings.len()],
        by_key: HashMap::new(),
        by_interface: Vec::new(),
        by_kind: [u32::MAX; NodeKind::NAMED.len()],
        classes: Vec::new(),
    };
    let of_interface = interfaces::apply(snapshot, &definitions);
    let mut of_interface = of_interface.iter().peekable();
    builder.by_interface =
        definitions.iter().map(|definition| builder.class(definition.name.clone(), None)).collect();
    let mut of = Vec::with_capacity(snapshot.node_count());
    let mut locations = snapshot.locations.iter().peekable();
    for node in snapshot.nodes() {
        while locations.next_if(|(at, _)| *at < node).is_some() {}
        let kind = snapshot.kind(node);
        let location = match locations.peek() {
            Some((at, location)) if *at == node && kind == NodeKind::Object => Some(*location),
            _ => None,
        };
        let interface =
            of_interface.next_if(|(at, _)| *at == node).map(|&(_, interface)| interface);
        let index = builder.class_of(node, kind, location, interface);
        let size = snapshot.shallow_size(node);
        if size > 0
            && let Some(class) = builder.classes.get_mut(index as usize)
        {
            class.count += 1;
            class.shallow_size = class.shallow_size.saturating_add(size);
        }
        of.push(index);
    }
    Classes { classes: builder.classes, of, definitions }
}

struct Builder<'a> {
    snapshot: &'a Snapshot,
    /// The class of the objects with a name and without a location, by the name's place.
    by_string: Vec<u32>,
    by_key: HashMap<ClassKey, u32>,
    by_interface: Vec<u32>,
    by_kind: [u32; NodeKind::NAMED.len()],
    classes: Vec<Class>,
}

impl Builder<'_> {
    fn class_of(
        &mut self,
        node: NodeOrdinal,
        kind: NodeKind,
        location: Option<Location>,
        interface: Option<u32>,
    ) -> u32 {
        if !matches!(kind, NodeKind::Object | NodeKind::Native) {
            return self.class_of_kind(node, kind);
        }
        if let Some(index) = interface.and_then(|at| self.by_interface.get(at as usize).copied()) {
            let Some(location) = location else { return index };
            let name = self.classes.get(index as usize).map(|class| class.key.name.clone());
            return self.class(name.unwrap_or_default(), Some(location));
        }
        let name = self.snapshot.nodes.name(node);
        if location.is_some() {
            return self.class(self.object_class(name), location);
        }
        let known = self.by_string.get(name.0 as usize).copied().unwrap_or(u32::MAX);
        if known != u32::MAX {
            return known;
        }
        let index = self.class(self.object_class(name), None);
        if let Some(slot) = self.by_string.get_mut(name.0 as usize) {
            *slot = index;
        }
        index
    }

    fn class_of_kind(&mut self, node: NodeOrdinal, kind: NodeKind) -> u32 {
        let known = self.by_kind.get(kind as usize).copied().unwrap_or(u32::MAX);
        if known != u32::MAX {
            return known;
        }
        let name = match kind {
            NodeKind::Hidden => "(system)".to_owned(),
            NodeKind::Code => "(compiled code)".to_owned(),
            NodeKind::Closure => "Function".to_owned(),
            NodeKind::RegExp => "RegExp".to_owned(),
            _ => format!("({})", self.snapshot.kind_name(node)),
        };
        let index = self.class(name, None);
        if let Some(slot) = self.by_kind.get_mut(kind as usize) {
            *slot = index;
        }
        index
    }

    fn class(&mut self, name: String, location: Option<Location>) -> u32 {
        let key = ClassKey { name, location };
        if let Some(&known) = self.by_key.get(&key) {
            return known;
        }
        let index = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        let class = Class { key: key.clone(), count: 0, shallow_size: 0, retained_size: 0 };
        self.classes.push(class);
        self.by_key.insert(key, index);
        index
    }

    /// `<div id="a">` is of the class `<div>`.
    fn object_class(&self, name: StringIndex) -> String {
        let name = self.snapshot.strings.get(name);
        let from = match () {
            () if name.starts_with('<') => 0,
            () if name.starts_with("Detached <") => "Detached <".len(),
            () => return name.into_owned(),
        };
        match name[from..].find(' ') {
            Some(space) => format!("{}>", &name[..from + space]),
            None => name.into_owned(),
        }
    }
}

fn least_distances(snapshot: &Snapshot) -> Vec<i32> {
    snapshot.compute_dominators_and_distances();
    let classes = snapshot.classes();
    let mut least = vec![i32::MAX; classes.len()];
    for node in snapshot.nodes().filter(|&node| snapshot.shallow_size(node) > 0) {
        if let Some(least) = least.get_mut(classes.of(node).0 as usize) {
            *least = snapshot.raw_distance(node).min(*least);
        }
    }
    least
}

/// Sums what each class retains: an object counts only if none of its class is above it.
fn add_retained_sizes(snapshot: &Snapshot, classes: &mut Classes) {
    let sums = retained_sizes(snapshot, classes, |_| true);
    for (class, retained) in classes.classes.iter_mut().zip(sums) {
        class.retained_size = retained;
    }
}

fn retained_sizes(
    snapshot: &Snapshot,
    classes: &Classes,
    counts: impl Fn(NodeOrdinal) -> bool,
) -> Vec<u64> {
    let class_of = |node| if counts(node) { classes.of(node).0 } else { retained::NO_GROUP };
    retained::by_group(snapshot, classes.len(), class_of, |node| snapshot.shallow_size(node) > 0)
}
