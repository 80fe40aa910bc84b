//! `summary`: the heap, class by class.

use crate::args::{ByKey, Summary};
use crate::error::{Error, Result};
use crate::report::{self, By, ShareRow, SharesReport};
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &Summary, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(&args.file.file, args.file.output.salvage)?;
    let rows = super::rows(&args.listing, args.sort);
    if let Some(by) = args.by {
        let by = match by {
            ByKey::Package => By::Package,
            ByKey::Script => By::Script,
        };
        return write_shares(&report::shares(&snapshot, by, &rows), args, session);
    }
    let report = report::summary(&snapshot, &rows, &args.selected.selection());
    let report = report.map_err(Error::Usage)?;
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
    if let Some(how) = snapshot.redaction() {
        writeln!(session.out, "{}", super::validate::redacted(how))?;
    }
    if let Some(selection) = &report.selection {
        super::objects::selection(selection, session)?;
    }
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

fn write_shares(report: &SharesReport, args: &Summary, session: &mut Session<'_>) -> Result<u8> {
    if args.file.output.json {
        json::write(session.out, "summary", report)?;
        return Ok(crate::EXIT_FINE);
    }
    text::title(session.out, &format!("{} in all", text::size(report.total_size)))?;
    let name = |row: &ShareRow| {
        let version = row.version.as_ref().map(|version| format!("@{version}"));
        let package = format!("{}{}", row.package, version.unwrap_or_default());
        text::name(row.script.as_deref().unwrap_or(&package))
    };
    let rows = report
        .shares
        .iter()
        .map(|row| {
            let retained = row.retained_size.map_or_else(|| "-".to_owned(), text::size);
            vec![
                name(row),
                text::number(row.count),
                text::size(row.shallow_size),
                text::share(row.shallow_size, report.total_size),
                retained,
            ]
        })
        .collect();
    let first = if report.by == By::Package { "Package" } else { "Script" };
    let header = [first, "Objects", "Shallow", "Share", "Retained"];
    writeln!(session.out, "{}", text::table(&header, rows))?;
    let hidden = report.share_count.saturating_sub(report.shares.len() as u64);
    if hidden > 0 {
        writeln!(session.out, "{} more; --limit 0 shows all", text::number(hidden))?;
    }
    Ok(crate::EXIT_FINE)
}
