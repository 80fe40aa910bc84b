//! `retainers`: what holds an object.

use serde::Serialize;

use super::inspect_object;
use crate::args::{ObjectInFile, SortKey};
use crate::error::Result;
use crate::report::{self, ObjectRef, PathReport, Reference};
use crate::reporters::{json, text};
use crate::session::Session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    object: ObjectRef,
    retainers: Vec<Reference>,
    path: PathReport,
}

pub(crate) fn run(args: &ObjectInFile, session: &mut Session<'_>) -> Result<u8> {
    let path = &args.file.file;
    let snapshot = session.load(path, args.file.output.salvage)?;
    let node = super::find(&snapshot, args.object_id, path)?;
    let rows = super::rows(&args.listing, SortKey::Retained);
    let answer = Answer {
        object: ObjectRef::new(&snapshot, node),
        retainers: report::retainers(&snapshot, node, &rows),
        path: PathReport::new(&snapshot, &snapshot.path_from_root(node)),
    };
    if args.file.output.json {
        json::write(session.out, "retainers", &answer)?;
        return Ok(crate::EXIT_FINE);
    }
    let heading = format!("Retainers of {} @{}", text::name(&answer.object.name), answer.object.id);
    text::title(session.out, &heading)?;
    writeln!(session.out, "{}\n", inspect_object::references(&answer.retainers))?;
    inspect_object::path(&answer.path, session)?;
    Ok(crate::EXIT_FINE)
}
