//! What grows and is still held.

use heapsnapshot::compare::IdAgreement;
use heapsnapshot::leaks::{self, Container, LeakOptions, Suspect};
use heapsnapshot::paths::SourcePlace;
use heapsnapshot::{NodeOrdinal, Snapshot};
use serde::Serialize;

use super::{ObjectRef, PathReport, Rows};

/// The suspects in two or three snapshots.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaksReport {
    /// The total sizes of the snapshots, the earliest first.
    pub total_sizes: Vec<u64>,
    /// Whether an id means the same object in all of them.
    pub ids_comparable: bool,
    /// Whether objects were recognised by id.
    pub matched_by_id: bool,
    /// What was measured to tell.
    pub id_agreement: IdAgreement,
    /// How many suspects there are.
    pub suspect_count: u64,
    /// By how many bytes what the suspects retain grew.
    pub growth: u64,
    /// The suspects that were asked for, the worst first.
    pub suspects: Vec<SuspectReport>,
}

/// A group of objects that grew.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuspectReport {
    /// What they are.
    pub class: String,
    /// What all ways to them lead through.
    pub held_by: Option<String>,
    /// A sentence that says what grew and what holds it.
    pub sentence: String,
    /// How many there are in each snapshot.
    pub counts: Vec<u64>,
    /// What they retain in each.
    pub retained_sizes: Vec<u64>,
    /// By how many bytes that grew from the first to the last.
    pub growth: u64,
    /// How many are new and stayed; null if ids cannot tell.
    pub survivors: Option<u64>,
    /// Where their constructor is.
    pub location: Option<SourcePlace>,
    /// The one object that holds all of them.
    pub holder: Option<ObjectRef>,
    /// The one that was there before and whose growth is most of theirs; it is the example then.
    pub container: Option<ContainerReport>,
    /// One of them.
    pub example: ObjectRef,
    /// The shortest way to it.
    pub path: PathReport,
    /// All of them, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<TracedObject>,
}

/// An object that has grown, in each snapshot.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerReport {
    /// How many elements it has that are objects; all 0 for what has none.
    pub elements: Vec<u64>,
    /// What it retains.
    pub retained_sizes: Vec<u64>,
}

/// A leaked object and the way to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedObject {
    /// The object.
    pub object: ObjectRef,
    /// The shortest way to it, in words.
    pub path: String,
}

/// Finds leaks in two or three snapshots, the earliest first. With `trace`, each suspect lists its
/// objects.
#[must_use]
pub fn find_leaks(
    snapshots: &[&Snapshot],
    options: &LeakOptions,
    rows: &Rows,
    trace: bool,
) -> LeaksReport {
    let found = leaks::find_leaks(snapshots, options);
    let growth = found.suspects.iter().fold(0, |sum: u64, s| sum.saturating_add(s.growth()));
    let mut picked: Vec<&Suspect> =
        found.suspects.iter().filter(|suspect| rows.wants(&suspect.group.class.name)).collect();
    rows.cut(&mut picked);
    LeaksReport {
        total_sizes: snapshots.iter().map(|snapshot| snapshot.total_size()).collect(),
        ids_comparable: found.agreement.is_comparable(),
        matched_by_id: found.by_id,
        id_agreement: found.agreement,
        suspect_count: found.suspects.len() as u64,
        growth,
        suspects: match snapshots.last() {
            Some(last) => picked.into_iter().map(|found| suspect(last, found, trace)).collect(),
            None => Vec::new(),
        },
    }
}

fn suspect(snapshot: &Snapshot, found: &Suspect, trace: bool) -> SuspectReport {
    let path = PathReport::new(snapshot, &found.path);
    let objects = if trace { found.objects.as_slice() } else { &[] };
    SuspectReport {
        class: found.group.class.name.clone(),
        held_by: found.group.owner.as_ref().map(|owner| owner.name.clone()),
        sentence: sentence(snapshot, found, &path.text),
        counts: found.counts.clone(),
        retained_sizes: found.retained.clone(),
        growth: found.growth(),
        survivors: found.survivors,
        location: snapshot.source_place(found.example),
        holder: found.holder.map(|holder| ObjectRef::new(snapshot, holder)),
        container: found.container.as_ref().map(|container| ContainerReport {
            elements: container.elements.clone(),
            retained_sizes: container.retained.clone(),
        }),
        example: ObjectRef::new(snapshot, found.example),
        path,
        objects: objects.iter().map(|&node| traced(snapshot, node)).collect(),
    }
}

fn traced(snapshot: &Snapshot, node: NodeOrdinal) -> TracedObject {
    TracedObject {
        object: ObjectRef::new(snapshot, node),
        path: snapshot.describe_path(&snapshot.path_from_root(node)),
    }
}

fn sentence(snapshot: &Snapshot, found: &Suspect, path: &str) -> String {
    use crate::reporters::text::{number, size};
    if let Some(container) = &found.container {
        return format!("{}: {path}", container_grew(snapshot, found, container));
    }
    let first = found.counts.first().copied().unwrap_or(0);
    let last = found.counts.last().copied().unwrap_or(0);
    let class = &found.group.class.name;
    let grew = match last.saturating_sub(first) {
        0 => format!("{} {class} retain {} more", number(last), size(found.growth())),
        more => format!("{} more {class} retain {} more", number(more), size(found.growth())),
    };
    let holder = match found.holder {
        Some(holder) if holder == snapshot.root() => String::new(),
        Some(holder) => {
            format!("; one {} holds all of them", snapshot.short_name(holder))
        }
        None => String::new(),
    };
    format!("{grew} than in the baseline{holder}: {path}")
}

/// `` The Array `compiled` in app.js grew from 4 to 84 elements and by 12.9 MB ``.
fn container_grew(snapshot: &Snapshot, found: &Suspect, container: &Container) -> String {
    use crate::reporters::text::{number, size};
    let class = &found.group.class.name;
    let what = match snapshot.name_in_code(&found.path) {
        Some(name) => format!("The {class} {name}"),
        None => format!("One {class}"),
    };
    let ends = |series: &[u64]| {
        let first = series.first().copied().unwrap_or(0);
        (first, series.last().copied().unwrap_or(0))
    };
    let (before, after) = ends(&container.retained);
    let bytes = size(after.saturating_sub(before));
    match ends(&container.elements) {
        (few, many) if few < many => {
            format!("{what} grew from {} to {} elements and by {bytes}", number(few), number(many))
        }
        _ => format!("{what} grew by {bytes}"),
    }
}
