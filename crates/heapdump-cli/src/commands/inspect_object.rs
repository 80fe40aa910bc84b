//! `inspect-object`: one object, its fields, what holds it, and the way to it.

use crate::args::{ObjectInFile, SortKey};
use crate::error::Result;
use crate::report::{self, ObjectReport, PathReport, Reference};
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &ObjectInFile, session: &mut Session<'_>) -> Result<u8> {
    let path = &args.file.file;
    let snapshot = session.load(path, args.file.output.salvage)?;
    let node = super::find(&snapshot, args.object_id, path)?;
    let rows = super::rows(&args.listing, SortKey::Retained);
    let report = report::inspect(&snapshot, node, &rows);
    if args.file.output.json {
        json::write(session.out, "inspect-object", &report)?;
    } else {
        write(&report, session)?;
    }
    Ok(crate::EXIT_FINE)
}

fn write(report: &ObjectReport, session: &mut Session<'_>) -> Result<()> {
    let object = &report.object;
    let out = &mut *session.out;
    text::title(out, &format!("{} @{}", text::name(&object.name), object.id))?;
    writeln!(out, "class       {} ({})", text::name(&object.class), object.kind)?;
    writeln!(out, "shallow     {}", text::size(object.shallow_size))?;
    writeln!(out, "retained    {}", text::size(object.retained_size))?;
    writeln!(out, "distance    {}", text::distance(object.distance))?;
    let dominator = &report.dominator;
    writeln!(out, "dominator   {} @{}", text::name(&dominator.name), dominator.id)?;
    if let Some(place) = &report.location {
        let script = place.script.as_deref().map_or_else(
            || format!("script {}", place.script_id),
            |name| text::escape(name).into_owned(),
        );
        writeln!(out, "location    {script}:{}:{}", place.line, place.column)?;
    }
    if !report.allocated_by.is_empty() {
        writeln!(out)?;
        text::title(out, "Allocated by")?;
        for frame in &report.allocated_by {
            let function = text::name(&frame.function);
            let script = text::escape(&frame.script);
            writeln!(out, "  {function} {script}:{}:{}", frame.line, frame.column)?;
        }
    }
    writeln!(out)?;
    text::title(out, &format!("References ({})", text::number(report.reference_count)))?;
    writeln!(out, "{}", references(&report.references))?;
    writeln!(out)?;
    text::title(out, &format!("Retainers ({})", text::number(report.retainer_count)))?;
    writeln!(out, "{}", references(&report.retainers))?;
    writeln!(out)?;
    path(&report.path, session)
}

pub(crate) fn references(list: &[Reference]) -> String {
    let rows = list
        .iter()
        .map(|reference| {
            let object = &reference.object;
            vec![
                format!(
                    "{} {}  {} @{}",
                    reference.kind,
                    text::name(&reference.name),
                    text::name(&object.name),
                    object.id
                ),
                text::distance(object.distance),
                text::size(object.shallow_size),
                text::size(object.retained_size),
            ]
        })
        .collect();
    text::table(&["Reference", "Distance", "Shallow", "Retained"], rows)
}

/// A way from a root: first in words, then step by step.
pub(crate) fn path(path: &PathReport, session: &mut Session<'_>) -> Result<()> {
    let out = &mut *session.out;
    text::title(out, "Path from a root")?;
    writeln!(out, "{}", text::escape(&path.text))?;
    for step in &path.steps {
        let object = &step.object;
        let (kind, edge) = (&step.kind, text::name(&step.name));
        writeln!(out, "  {kind} {edge}  {} @{}", text::name(&object.name), object.id)?;
    }
    Ok(())
}
