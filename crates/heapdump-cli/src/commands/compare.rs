//! `compare`: what changed from one snapshot to the next.

use crate::args::Compare;
use crate::error::Result;
use crate::report::{self, ClassChange, CompareReport};
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &Compare, session: &mut Session<'_>) -> Result<u8> {
    let files = [args.base.as_path(), args.target.as_path()];
    let snapshots = session.load_all(&files, args.output.salvage)?;
    let [base, target] = snapshots.as_slice() else { return Ok(crate::EXIT_FINE) };
    let rows = super::rows(&args.listing, args.sort);
    let matching = super::matching(args.matching);
    let report = report::compare(base, target, matching, &rows, args.objects);
    if args.output.json {
        json::write(session.out, "compare", &report)?;
    } else {
        write(&report, session)?;
    }
    let grown = super::growth(report.base_size, report.target_size);
    Ok(match args.fail_on_growth {
        Some(limit) if grown > limit => crate::EXIT_FINDINGS,
        _ => crate::EXIT_FINE,
    })
}

/// Why single objects are not spoken of.
pub(crate) const NO_IDS: &str = "The ids of these snapshots do not name the same objects (they come \
    from two processes, or from forked copies of one): compared by class only.";

fn write(report: &CompareReport, session: &mut Session<'_>) -> Result<()> {
    let heading = format!(
        "{} -> {} ({:+.1}%), {} classes changed",
        text::size(report.base_size),
        text::size(report.target_size),
        100.0 * super::growth(report.base_size, report.target_size),
        text::number(report.changed_classes)
    );
    text::title(session.out, &heading)?;
    if !report.ids_comparable {
        let note = if report.matched_by_id {
            "The ids of these snapshots hardly agree: added and removed may be wrong."
        } else {
            NO_IDS
        };
        text::warning(session.out, note)?;
    }
    let count = |value: Option<u64>, sign: &str| match value {
        Some(0) => "0".to_owned(),
        Some(count) => format!("{sign}{}", text::number(count)),
        None => "?".to_owned(),
    };
    let rows = report
        .classes
        .iter()
        .map(|class| {
            vec![
                text::name(&class.name),
                count(class.added, "+"),
                count(class.removed, "-"),
                text::number_delta(class.count_delta),
                text::size_delta(class.size_delta),
                text::size_delta(class.retained_delta),
            ]
        })
        .collect();
    let header = ["Class", "Added", "Removed", "Objects", "Shallow", "Retained"];
    writeln!(session.out, "{}", text::table(&header, rows))?;
    for class in report.classes.iter().filter(|class| !class.objects.is_empty()) {
        objects(class, session)?;
    }
    Ok(())
}

fn objects(class: &ClassChange, session: &mut Session<'_>) -> Result<()> {
    writeln!(session.out)?;
    text::title(session.out, &text::name(&class.name))?;
    let rows = class
        .objects
        .iter()
        .map(|object| {
            vec![
                format!("{} {} @{}", object.change, text::name(&object.name), object.id),
                text::size(object.shallow_size),
                text::size(object.retained_size),
            ]
        })
        .collect();
    writeln!(session.out, "{}", text::table(&["Object", "Shallow", "Retained"], rows))?;
    Ok(())
}
