//! `dominators`: the objects that retain most, or what one object dominates.

use serde::Serialize;

use crate::args::{Dominators, SortKey};
use crate::error::Result;
use crate::report::{self, ObjectRef};
use crate::reporters::{json, text};
use crate::session::Session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    total_size: u64,
    objects: Vec<ObjectRef>,
}

pub(crate) fn run(args: &Dominators, session: &mut Session<'_>) -> Result<u8> {
    let path = &args.file.file;
    let snapshot = session.load(path, args.file.output.salvage)?;
    let of = args.object_id.map(|id| super::find(&snapshot, id, path)).transpose()?;
    let rows = super::rows(&args.listing, SortKey::Retained);
    let answer = Answer {
        total_size: snapshot.total_size(),
        objects: report::dominators(&snapshot, of, &rows),
    };
    if args.file.output.json {
        json::write(session.out, "dominators", &answer)?;
        return Ok(crate::EXIT_FINE);
    }
    let rows = answer
        .objects
        .iter()
        .map(|object| {
            vec![
                text::object(object),
                object.kind.clone(),
                text::distance(object.distance),
                text::size(object.shallow_size),
                text::size(object.retained_size),
                text::share(object.retained_size, answer.total_size),
            ]
        })
        .collect();
    let header = ["Object", "Type", "Distance", "Shallow", "Retained", "Share"];
    writeln!(session.out, "{}", text::table(&header, rows))?;
    Ok(crate::EXIT_FINE)
}
