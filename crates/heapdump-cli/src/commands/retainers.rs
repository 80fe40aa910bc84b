//! `retainers`: what holds an object.

use serde::Serialize;

use super::inspect_object;
use crate::args::{Retainers, SortKey};
use crate::error::Result;
use crate::report::{self, ObjectRef, PathReport, Reference, View};
use crate::reporters::{json, text};
use crate::session::Session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    object: ObjectRef,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<ObjectRef>,
    retainers: Vec<Reference>,
    path: PathReport,
}

pub(crate) fn run(args: &Retainers, session: &mut Session<'_>) -> Result<u8> {
    let path = &args.file.file;
    let snapshot = session.load(path, args.file.output.salvage)?;
    let node = super::find(&snapshot, args.object_id, path)?;
    let ignored = args.ignore.iter().map(|&id| super::find(&snapshot, id, path));
    let ignored = ignored.collect::<Result<Vec<_>>>()?;
    let view = View::new(&snapshot, &ignored, args.js_only);
    let rows = super::rows(&args.listing, SortKey::Retained);
    let answer = Answer {
        object: view.object(&snapshot, node),
        ignored: ignored.into_iter().map(|node| ObjectRef::new(&snapshot, node)).collect(),
        retainers: report::retainers(&snapshot, node, &rows, &view),
        path: report::path(&snapshot, node, &view),
    };
    if args.file.output.json {
        json::write(session.out, "retainers", &answer)?;
        return Ok(crate::EXIT_FINE);
    }
    let heading = format!("Retainers of {} @{}", text::name(&answer.object.name), answer.object.id);
    text::title(session.out, &heading)?;
    if answer.object.distance.is_none() && !answer.ignored.is_empty() {
        writeln!(session.out, "Nothing but what is ignored holds it.")?;
        return Ok(crate::EXIT_FINE);
    }
    writeln!(session.out, "{}\n", inspect_object::references(&answer.retainers))?;
    inspect_object::path(&answer.path, session)?;
    Ok(crate::EXIT_FINE)
}
