//! Finds what grows from one snapshot to the next and is still held.
//!
//! Objects are put into groups (see [`GroupKey`]). A group is a suspect if it has more objects in
//! each later snapshot than in the first, by enough to be no accident, and if none of the objects
//! that hold it is in such a group itself: of a thousand leaked sessions with a thousand users, the
//! sessions are named. Where ids can be compared, only objects count that are new in the second
//! snapshot and, if there is a third, still there in it.

mod chains;
mod functions;
mod groups;
mod growth;
mod pace;
pub mod trend;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::compare::{IdAgreement, Matching};
use crate::paths::Step;
use crate::{NodeOrdinal, Snapshot};

use chains::Links;
pub use functions::HeldFunction;
pub(crate) use functions::{held, members};
pub use groups::GroupKey;
pub(crate) use groups::is_object;
use groups::{Groups, Sums};
pub use growth::Container;
use pace::Pace;

/// What counts as a suspect.
#[derive(Clone, Debug)]
pub struct LeakOptions {
    /// How objects are recognised.
    pub matching: Matching,
    /// By how many objects a group grows at least.
    pub min_objects: u64,
    /// By how many bytes what it retains grows at least.
    pub min_bytes: u64,
    /// From this many bytes on, a group is a suspect even if it does not have more objects: one
    /// array of numbers, say, that grows.
    pub min_bytes_of_few: u64,
    /// How much work was done before each snapshot, since the one before. Where it is known, only that
    /// is a suspect which grows in proportion to it.
    pub work: Vec<f64>,
}

impl Default for LeakOptions {
    fn default() -> Self {
        LeakOptions {
            matching: Matching::Auto,
            min_objects: 20,
            min_bytes: 8 << 10,
            min_bytes_of_few: 256 << 10,
            work: Vec::new(),
        }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Leaks {
    /// How far the ids of the first and the last snapshot agree.
    pub agreement: IdAgreement,
    /// Whether objects were recognised by id.
    pub by_id: bool,
    /// The suspects, those that grew most first.
    pub suspects: Vec<Suspect>,
}

/// A group of objects that grew.
#[derive(Debug)]
pub struct Suspect {
    /// What they are, and what holds them.
    pub group: GroupKey,
    /// How many there are in each snapshot.
    pub counts: Vec<u64>,
    /// What they retain in each.
    pub retained: Vec<u64>,
    /// How many are new in the second snapshot (and still there in the third); only by id.
    pub survivors: Option<u64>,
    /// Those in the last snapshot, new ones only if ids can tell; what retains most first.
    pub objects: Vec<NodeOrdinal>,
    /// The one that stands for them.
    pub example: NodeOrdinal,
    /// The way to it.
    pub path: Vec<Step>,
    /// The one object that holds all of them, if it is one.
    pub holder: Option<NodeOrdinal>,
    /// The one that was there before and whose growth is most of theirs; it is the example then.
    pub container: Option<Container>,
    /// Whether they hold one another, as the items of a linked list do. `counts` is of all of them
    /// then, and `objects` has the outermost.
    pub is_chain: bool,
    /// The functions that they hold, or that they are.
    pub functions: Vec<HeldFunction>,
    /// How much work was done from the first snapshot to the last, if that is known.
    pub work: Option<f64>,
}

impl Suspect {
    /// By how many bytes what they retain grew from the first snapshot to the last.
    #[must_use]
    pub fn growth(&self) -> u64 {
        let first = self.retained.first().copied().unwrap_or(0);
        self.retained.last().copied().unwrap_or(0).saturating_sub(first)
    }
}

/// Finds suspects in two or more snapshots of one process, the earliest first. With fewer there are
/// none.
#[must_use]
pub fn find_leaks(snapshots: &[&Snapshot], options: &LeakOptions) -> Leaks {
    let [first, .., last] = snapshots else {
        let agreement = IdAgreement::default();
        return Leaks { agreement, by_id: false, suspects: Vec::new() };
    };
    let agreement = IdAgreement::measure(first, last);
    let by_id = match options.matching {
        Matching::Auto => agreement.is_comparable(),
        Matching::ById => true,
        Matching::ByClass => false,
    };
    let definitions = last.classes().definitions();
    let groups: Vec<Groups<'_>> = snapshots
        .iter()
        .map(|snapshot| {
            if std::ptr::eq(*snapshot, *last) {
                Groups::collect(snapshot, snapshot.classes())
            } else {
                Groups::collect(snapshot, &snapshot.classes_with(definitions))
            }
        })
        .collect();
    let fresh = by_id.then(|| fresh(snapshots, &groups));
    let find = |options: &LeakOptions| {
        let growing = growing(&groups, fresh.as_ref(), options);
        suspects(&groups, &growing, fresh.as_ref(), options)
    };
    let suspects =
        if options.work.is_empty() { find(options) } else { pace::judged(last, options, find) };
    Leaks { agreement, by_id, suspects }
}

/// What grew most first.
fn order(a: &Suspect, b: &Suspect) -> std::cmp::Ordering {
    (Reverse(a.growth()), &a.group).cmp(&(Reverse(b.growth()), &b.group))
}

/// The nodes of the last snapshot that are not in the first and, of three, are in the second.
fn fresh(snapshots: &[&Snapshot], groups: &[Groups<'_>]) -> HashSet<NodeOrdinal> {
    let ([first, between @ .., last], Some(of)) = (snapshots, groups.last()) else {
        return HashSet::new();
    };
    last.nodes()
        .filter(|&node| of.of(node).is_some())
        .filter(|&node| {
            let id = last.id(node);
            first.find(id).is_none() && between.iter().all(|snapshot| snapshot.find(id).is_some())
        })
        .collect()
}

/// The groups that grew by enough, and stayed so.
fn growing(
    groups: &[Groups<'_>],
    fresh: Option<&HashSet<NodeOrdinal>>,
    options: &LeakOptions,
) -> HashSet<GroupKey> {
    let Some(last) = groups.last() else { return HashSet::new() };
    let tables: Vec<HashMap<&GroupKey, Sums>> = groups
        .iter()
        .map(|groups| groups.keys().iter().zip(groups.sums.iter().copied()).collect())
        .collect();
    let mut new_in = vec![0u64; last.keys().len()];
    for &node in fresh.into_iter().flatten() {
        if let Some(slot) = last.of(node).and_then(|group| new_in.get_mut(group)) {
            *slot += 1;
        }
    }
    let mut found = HashSet::new();
    for (index, key) in last.keys().iter().enumerate() {
        let series: Vec<Sums> =
            tables.iter().map(|table| table.get(key).copied().unwrap_or_default()).collect();
        // A group may grow because its objects have a new owner. Then their class does not.
        let of_class: Vec<Sums> = groups
            .iter()
            .map(|groups| groups.class_sums.get(&key.class).copied().unwrap_or_default())
            .collect();
        let count = |series: &[Sums]| lasting_growth(series, |sums| sums.count);
        let mut objects = count(&series).min(count(&of_class));
        if fresh.is_some() {
            objects = objects.min(new_in[index]);
        }
        // With a measure it is judged later whether it grew in every step.
        let ends = |series: &[Sums]| match (series.first(), series.last()) {
            (Some(&first), Some(&last)) => vec![first, last],
            _ => Vec::new(),
        };
        let bytes = |series: &[Sums]| {
            let series = if options.work.is_empty() { series.to_vec() } else { ends(series) };
            lasting_growth(&series, |sums| sums.shallow)
        };
        let size = bytes(&series).min(bytes(&of_class));
        let pace = Pace(&options.work);
        let many = objects >= options.min_objects && pace.of_count(&series, |sums| sums.count);
        if many || size >= options.min_bytes_of_few {
            found.insert(key.clone());
        }
    }
    found
}

/// By how much a number is larger in all later snapshots than in the first.
fn lasting_growth(series: &[Sums], pick: impl Fn(&Sums) -> u64) -> u64 {
    let Some((first, later)) = series.split_first() else { return 0 };
    later.iter().map(|sums| pick(sums).saturating_sub(pick(first))).min().unwrap_or(0)
}

/// The outermost objects of growing groups in one snapshot.
fn heads(groups: &Groups<'_>, growing: &HashSet<GroupKey>) -> HashMap<usize, Vec<NodeOrdinal>> {
    let grows: Vec<bool> = groups.keys().iter().map(|key| growing.contains(key)).collect();
    let snapshot = groups.snapshot;
    let mut heads: HashMap<usize, Vec<NodeOrdinal>> = HashMap::new();
    let mut open = vec![snapshot.root()];
    while let Some(node) = open.pop() {
        match groups.of(node) {
            // What it holds is accounted for with it.
            Some(group) if grows.get(group) == Some(&true) => {
                heads.entry(group).or_default().push(node);
            }
            _ => open.extend(snapshot.dominated(node)),
        }
    }
    heads
}

fn suspects(
    groups: &[Groups<'_>],
    growing: &HashSet<GroupKey>,
    fresh: Option<&HashSet<NodeOrdinal>>,
    options: &LeakOptions,
) -> Vec<Suspect> {
    let mut series: HashMap<GroupKey, Vec<u64>> = HashMap::new();
    let mut objects: HashMap<GroupKey, Vec<Vec<NodeOrdinal>>> = HashMap::new();
    for (index, groups) in groups.iter().enumerate() {
        for (group, nodes) in heads(groups, growing) {
            let Some(key) = groups.keys().get(group) else { continue };
            let retained = series.entry(key.clone()).or_default();
            retained.resize(index, 0);
            let sizes = nodes.iter().map(|&node| groups.snapshot.retained_size(node));
            retained.push(sizes.fold(0, u64::saturating_add));
            let each = objects.entry(key.clone()).or_default();
            each.resize(index, Vec::new());
            each.push(nodes);
        }
    }
    let mut found: Vec<Suspect> = objects
        .into_iter()
        // A group that is gone from the last snapshot is no suspect.
        .filter(|(_, heads)| heads.len() == groups.len())
        .filter_map(|(key, heads)| {
            let retained = series.remove(&key)?;
            let mut candidate = Candidate { key, heads, retained, links: None };
            let pace = Pace(&options.work);
            // The first objects of a class are larger than later ones, until V8 knows what they need.
            let bytes = if options.work.is_empty() {
                candidate.lasting(&candidate.retained)
            } else {
                candidate.growth()
            };
            let many = |candidate: &Candidate| {
                candidate.objects(fresh) >= options.min_objects
                    && bytes >= options.min_bytes
                    && (!options.work.is_empty() || candidate.goes_on())
                    && pace.of_count(&candidate.counts(), |&count| count)
            };
            let mut grew = many(&candidate);
            if !grew && bytes >= options.min_bytes {
                let each = groups.iter().zip(&candidate.heads);
                candidate.links =
                    Some(each.map(|(groups, heads)| Links::of(groups, heads)).collect());
                grew = many(&candidate);
                if !grew {
                    candidate.links = None;
                }
            }
            (grew || bytes >= options.min_bytes_of_few)
                .then(|| suspect(groups, candidate, fresh))?
        })
        .collect();
    let work: f64 = options.work.iter().skip(1).sum();
    for suspect in &mut found {
        suspect.work = (work > 0.0).then_some(work);
    }
    found.sort_by(order);
    found
}

/// A group that may be a suspect.
struct Candidate {
    key: GroupKey,
    /// Its outermost objects in each snapshot, and what they retain.
    heads: Vec<Vec<NodeOrdinal>>,
    retained: Vec<u64>,
    /// All of its objects, where it is those within others that grew in number.
    links: Option<Vec<Links>>,
}

impl Candidate {
    fn lasting(&self, series: &[u64]) -> u64 {
        let sums: Vec<Sums> = series.iter().map(|&count| Sums { count, shallow: 0 }).collect();
        lasting_growth(&sums, |sums| sums.count)
    }

    fn growth(&self) -> u64 {
        let first = self.retained.first().copied().unwrap_or(0);
        self.retained.last().copied().unwrap_or(0).saturating_sub(first)
    }

    /// The objects that are counted in each snapshot.
    fn counted(&self) -> Vec<&[NodeOrdinal]> {
        match &self.links {
            Some(links) => links.iter().map(|links| links.nodes.as_slice()).collect(),
            None => self.heads.iter().map(Vec::as_slice).collect(),
        }
    }

    /// Whether it grows to the end: a few objects that are there once are what a process loads late.
    fn goes_on(&self) -> bool {
        growth::goes_on(&self.counts()) && growth::goes_on(&self.retained)
    }

    fn counts(&self) -> Vec<u64> {
        self.counted().iter().map(|nodes| nodes.len() as u64).collect()
    }

    /// By how many objects it grew for good.
    fn objects(&self, fresh: Option<&HashSet<NodeOrdinal>>) -> u64 {
        let objects = self.lasting(&self.counts());
        self.survivors(fresh).map_or(objects, |survivors| survivors.min(objects))
    }

    fn survivors(&self, fresh: Option<&HashSet<NodeOrdinal>>) -> Option<u64> {
        let nodes = self.counted().last().copied().unwrap_or_default();
        fresh.map(|fresh| nodes.iter().filter(|node| fresh.contains(node)).count() as u64)
    }
}

fn suspect(
    groups: &[Groups<'_>],
    mut candidate: Candidate,
    fresh: Option<&HashSet<NodeOrdinal>>,
) -> Option<Suspect> {
    let (first, snapshot) = (groups.first()?.snapshot, groups.last()?.snapshot);
    let growth = candidate.growth();
    let container = growth::container(groups, &candidate.heads, fresh.is_some(), growth);
    // Of rows in a table, the table is named; of items in a list, the items.
    let container = container.filter(|container| candidate.links.is_none() || container.has_more());
    if container.is_some() {
        candidate.links = None;
    }
    let is_within = candidate.links.is_some();
    let ends = candidate.links.as_ref().and_then(|links| links.first().zip(links.last()));
    let chain = ends.filter(|(before, links)| links.is_chain(before));
    let outermost = chain.and_then(|(before, links)| links.outermost(snapshot, before, first));
    let survivors = candidate.survivors(fresh);
    let counted = candidate.counted().last().copied().unwrap_or_default();
    let members = match &container {
        Some(container) => members(snapshot, container.node),
        None if fresh.is_some() => {
            let new = counted.iter().filter(|&&node| first.find(snapshot.id(node)).is_none());
            new.copied().collect()
        }
        None => counted.to_vec(),
    };
    let mut found = Suspect {
        counts: candidate.counts(),
        is_chain: chain.is_some(),
        group: candidate.key,
        retained: candidate.retained,
        survivors,
        objects: Vec::new(),
        example: snapshot.root(),
        path: Vec::new(),
        holder: None,
        container,
        functions: held(snapshot, &members),
        work: None,
    };
    let mut nodes = candidate.heads.into_iter().next_back()?;
    if let Some(node) = outermost.or(found.container.as_ref().map(|container| container.node)) {
        nodes = vec![node];
    } else if let Some(fresh) = fresh {
        nodes.sort_by_cached_key(|&node| {
            (Reverse(growth::grown_by_id(first, snapshot, node)), node)
        });
        let new: Vec<NodeOrdinal> =
            nodes.iter().copied().filter(|node| fresh.contains(node)).collect();
        let of_new = new.iter().map(|&node| snapshot.retained_size(node));
        if growth::is_most(of_new.fold(0, u64::saturating_add), growth) {
            nodes = new;
        } else {
            let grown = |node| growth::grown_by_id(first, snapshot, node);
            growth::keep_most(&mut nodes, growth, grown);
        }
    } else {
        nodes.sort_by_key(|&node| (Reverse(snapshot.retained_size(node)), node));
        if is_within {
            growth::keep_most(&mut nodes, growth, |node| snapshot.retained_size(node));
        }
    }
    (found.example, found.path) = typical(snapshot, &nodes)?;
    // Without ids nobody knows which of them are new: as many of the largest as all that grew.
    let grown = match fresh {
        Some(_) => nodes.len(),
        None => growth::first_that_make(&nodes, growth, |node| snapshot.retained_size(node)),
    };
    let of_grown = nodes.iter().take(grown).map(|&node| holder(snapshot, node));
    let holders: HashSet<NodeOrdinal> = of_grown.collect();
    found.holder = if holders.len() == 1 { holders.into_iter().next() } else { None };
    found.objects = nodes;
    Some(found)
}

/// An object whose way from the root is described as most of them are: that of the shortest way.
fn typical(snapshot: &Snapshot, nodes: &[NodeOrdinal]) -> Option<(NodeOrdinal, Vec<Step>)> {
    const LOOKED_AT: usize = 64;
    let mut seen: HashMap<String, (usize, Vec<(usize, usize)>)> = HashMap::new();
    let every = nodes.len().div_ceil(LOOKED_AT).max(1);
    for (index, &node) in nodes.iter().enumerate().step_by(every) {
        let path = snapshot.path_from_root(node);
        let mut text = snapshot.describe_path(&path);
        // How many links of a list lead there makes no difference.
        text.retain(|c| !c.is_ascii_digit());
        let (first, ways) = seen.entry(text).or_insert((index, Vec::new()));
        *first = index.min(*first);
        ways.push((path.len(), index));
    }
    let (_, ways) = seen.into_values().max_by_key(|(first, ways)| (ways.len(), Reverse(*first)))?;
    let &(_, index) = ways.iter().min()?;
    let node = *nodes.get(index)?;
    Some((node, snapshot.path_from_root(node)))
}

/// The nearest dominator that a program knows of, past backing stores.
fn holder(snapshot: &Snapshot, node: NodeOrdinal) -> NodeOrdinal {
    let mut at = snapshot.dominator(node);
    while at != snapshot.root() && snapshot.kind(at).is_store() {
        at = snapshot.dominator(at);
    }
    at
}
