//! `summary`: the heap, class by class.

use crate::args::Summary;
use crate::error::Result;
use crate::report;
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &Summary, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(&args.file.file, args.file.output.salvage)?;
    let report = report::summary(&snapshot, &super::rows(&args.listing, args.sort));
    if args.file.output.json {
        json::write(session.out, "summary", &report)?;
        return Ok(crate::EXIT_FINE);
    }
    let heading = format!(
        "{} in {} objects, {} references",
        text::size(report.total_size),
        text::number(report.nodes),
        text::number(report.edges)
    );
    text::title(session.out, &heading)?;
    let rows = report
        .classes
        .iter()
        .map(|class| {
            vec![
                text::name(&class.name),
                text::number(class.count),
                text::distance(u32::try_from(class.distance).ok()),
                text::size(class.shallow_size),
                text::size(class.retained_size),
                text::share(class.retained_size, report.total_size),
            ]
        })
        .collect();
    let header = ["Class", "Objects", "Distance", "Shallow", "Retained", "Share"];
    writeln!(session.out, "{}", text::table(&header, rows))?;
    let hidden = report.class_count.saturating_sub(report.classes.len() as u64);
    if hidden > 0 {
        writeln!(session.out, "{} more classes; --limit 0 shows all", text::number(hidden))?;
    }
    Ok(crate::EXIT_FINE)
}
