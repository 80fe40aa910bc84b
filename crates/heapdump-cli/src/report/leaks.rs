//! What grows and is still held.

pub(super) mod advice;
mod series;
pub(super) mod words;

use heapsnapshot::compare::IdAgreement;
use heapsnapshot::inspections::Instrument;
use heapsnapshot::leaks::{self, HeldFunction, LeakOptions, Suspect};
use heapsnapshot::paths::SourcePlace;
use heapsnapshot::{NodeOrdinal, Snapshot};
use serde::Serialize;

use super::{ObjectRef, PathReport, Rows};

pub use series::Series;

/// The suspects in two or more snapshots.
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
    /// What grew, what holds it, where it is made and what to do, in a few sentences.
    pub sentence: String,
    /// What grew, by how much and how fast.
    pub what: String,
    /// The one object that holds all of them, by its name in the code.
    pub held: Option<String>,
    /// What to do, in a line.
    pub advice: &'static str,
    /// The functions that they hold, or are: the application's where there are some, else the packages'.
    pub functions: Vec<FunctionReport>,
    /// How many there are in each snapshot.
    pub counts: Vec<u64>,
    /// What they retain in each.
    pub retained_sizes: Vec<u64>,
    /// By how many bytes that grew from the first to the last.
    pub growth: u64,
    /// How many are new and stayed; null if ids cannot tell.
    pub survivors: Option<u64>,
    /// Whose they are: an npm package, `(application)`, `(node)` or `(unknown)`.
    pub package: String,
    /// The script of the code that keeps them: of the nearest object, function or variable on the path.
    pub kept_by: Option<String>,
    /// Which instrument keeps them, if it is not the application.
    pub instrument: Option<Instrument>,
    /// Where their constructor is.
    pub location: Option<SourcePlace>,
    /// Whether that place says something to who reads it.
    #[serde(skip)]
    pub(crate) is_made_there: bool,
    /// The one object that holds all of them.
    pub holder: Option<ObjectRef>,
    /// The one that was there before and whose growth is most of theirs; it is the example then.
    pub container: Option<ContainerReport>,
    /// One of them.
    pub example: ObjectRef,
    /// The way to it.
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

impl SuspectReport {
    /// Where the objects are made, if that leads to code that can be changed.
    pub(crate) fn made_at(&self) -> Option<&SourcePlace> {
        self.location.as_ref().filter(|_| self.is_made_there)
    }
}

/// A function, and how many objects hold it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionReport {
    /// Its name; empty for one without.
    pub name: String,
    /// Where it begins.
    pub place: SourcePlace,
    /// How many of the objects hold it.
    pub count: u64,
    /// All that in words.
    #[serde(skip)]
    pub text: String,
}

impl FunctionReport {
    pub(super) fn new(held: &HeldFunction) -> Self {
        FunctionReport {
            name: held.name.clone(),
            place: held.place.clone(),
            count: held.count,
            text: words::function(held),
        }
    }
}

/// A leaked object and the way to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedObject {
    /// The object.
    pub object: ObjectRef,
    /// The way to it, in words.
    pub path: String,
}

/// Finds leaks in two or more snapshots, the earliest first. With `trace`, each suspect lists its
/// objects. `series` is for words alone, where the snapshots are taken from a longer one.
#[must_use]
pub fn find_leaks(
    snapshots: &[&Snapshot],
    options: &LeakOptions,
    rows: &Rows,
    trace: bool,
    series: Option<&Series>,
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
            Some(last) => {
                picked.into_iter().map(|found| suspect(last, found, trace, series)).collect()
            }
            None => Vec::new(),
        },
    }
}

fn suspect(
    snapshot: &Snapshot,
    found: &Suspect,
    trace: bool,
    series: Option<&Series>,
) -> SuspectReport {
    let path = PathReport::new(snapshot, &found.path);
    let objects = if trace { found.objects.as_slice() } else { &[] };
    let location = snapshot.source_place(found.example);
    let mut report = SuspectReport {
        class: found.group.class.name.clone(),
        held_by: found.group.owner.as_ref().map(|owner| owner.name.clone()),
        sentence: String::new(),
        what: words::what(snapshot, found, series),
        held: words::holder(snapshot, found),
        advice: advice::advice(snapshot, found),
        functions: found.functions.iter().map(FunctionReport::new).collect(),
        counts: found.counts.clone(),
        retained_sizes: found.retained.clone(),
        growth: found.growth(),
        survivors: found.survivors,
        package: snapshot.origin(found.example).to_string(),
        kept_by: snapshot.keeper_script(&found.path),
        instrument: snapshot.instrument(&found.path),
        is_made_there: location.as_ref().is_some_and(|place| words::is_made_there(found, place)),
        location,
        holder: found.holder.map(|holder| ObjectRef::new(snapshot, holder)),
        container: found.container.as_ref().map(|container| ContainerReport {
            elements: container.elements.clone(),
            retained_sizes: container.retained.clone(),
        }),
        example: ObjectRef::new(snapshot, found.example),
        path,
        objects: objects.iter().map(|&node| traced(snapshot, node)).collect(),
    };
    report.sentence = sentence(&report);
    report
}

fn traced(snapshot: &Snapshot, node: NodeOrdinal) -> TracedObject {
    TracedObject {
        object: ObjectRef::new(snapshot, node),
        path: snapshot.describe_path(&snapshot.path_from_root(node)),
    }
}

/// What grew, what holds it, where it is made, what to do: all that a log line or an assertion needs.
fn sentence(report: &SuspectReport) -> String {
    let path = &report.path.text;
    let mut text = match &report.held {
        Some(held) => format!("{}; {held}: {path}.", report.what),
        None => format!("{}: {path}.", report.what),
    };
    if let Some(place) = report.made_at() {
        text.push_str(&format!(" Made at {}.", words::place(place)));
    }
    if !report.functions.is_empty() {
        const SHOWN: usize = 3;
        let functions: Vec<&str> =
            report.functions.iter().take(SHOWN).map(|function| function.text.as_str()).collect();
        text.push_str(&format!(" Code: {}.", functions.join(", ")));
    }
    format!("{text} {}", report.advice)
}
