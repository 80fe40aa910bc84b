//! `strings`: texts that are in memory more than once.

use crate::args::Strings;
use crate::error::Result;
use crate::report;
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &Strings, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(&args.file.file, args.file.output.salvage)?;
    let report = report::strings(&snapshot, &super::rows(&args.listing, args.sort));
    if args.file.output.json {
        json::write(session.out, "strings", &report)?;
        return Ok(crate::EXIT_FINE);
    }
    let heading = format!(
        "{} texts are there more than once; one of each would save {}",
        text::number(report.duplicates),
        text::size(report.wasted_size)
    );
    text::title(session.out, &heading)?;
    let rows = report
        .strings
        .iter()
        .map(|row| {
            vec![
                format!("\"{}\"", text::name(&row.text)),
                text::number(row.count),
                text::size(row.shallow_size),
                text::size(row.wasted_size),
                format!("@{}", row.example_id),
            ]
        })
        .collect();
    let header = ["Text", "Strings", "Shallow", "Wasted", "Example"];
    writeln!(session.out, "{}", text::table(&header, rows))?;
    Ok(crate::EXIT_FINE)
}
