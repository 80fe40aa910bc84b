//! `objects`: the objects that fit a question.

use heapsnapshot::query::Query;

use crate::args::{Objects, SortKey};
use crate::error::{Error, Result};
use crate::report::{self, FoundObject, ObjectRef, ObjectsQuestion, SelectionReport};
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &Objects, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(&args.file.file, args.file.output.salvage)?;
    let question = ObjectsQuestion {
        query: Query {
            class: args.class.clone(),
            condition: args.condition.clone(),
            properties: args.properties.clone(),
            within: None,
        },
        selection: args.selected.selection(),
        sort: args.sort.into(),
        page: args.page,
    };
    let rows = super::rows(&args.listing, SortKey::Retained);
    let report = report::objects(&snapshot, &question, &rows).map_err(Error::Usage)?;
    if args.file.output.json {
        json::write(session.out, "objects", &report)?;
        return Ok(crate::EXIT_FINE);
    }
    let without = report.selection.as_ref().filter(|selection| selection.without.is_some());
    if let Some(report) = without {
        selection(report, session)?;
    }
    let heading = format!(
        "{}, {}, retain {}",
        objects(report.count),
        text::size(report.shallow_size),
        text::size(report.retained_size)
    );
    text::title(session.out, &heading)?;
    let mut header = vec!["Object", "Class", "Distance", "Edges", "Shallow", "Retained"];
    header.extend(args.properties.iter().map(String::as_str));
    let rows = report.objects.iter().map(|object| row(object, &args.properties)).collect();
    writeln!(session.out, "{}", text::table(&header, rows))?;
    if report.pages > 1 {
        let (page, pages) = (text::number(report.page), text::number(report.pages));
        writeln!(session.out, "page {page} of {pages}; --page N shows another, --limit 0 all")?;
    }
    Ok(crate::EXIT_FINE)
}

/// What was selected, in a line.
pub(crate) fn selection(report: &SelectionReport, session: &mut Session<'_>) -> Result<()> {
    let (found, size) = (objects(report.objects), text::size(report.shallow_size));
    let line = match report.without {
        Some(gone) => format!("Without {}, {size} in {found} would be freed", objects(gone)),
        None => {
            format!("Selected: {found}, {size}, retain {}", text::size(report.retained_size))
        }
    };
    writeln!(session.out, "{line}")?;
    Ok(())
}

fn objects(count: u64) -> String {
    match count {
        1 => "1 object".to_owned(),
        count => format!("{} objects", text::number(count)),
    }
}

fn row(found: &FoundObject, properties: &[String]) -> Vec<String> {
    let object = &found.object;
    let mut cells = vec![
        text::object(object),
        text::name(&object.class),
        text::distance(object.distance),
        text::number(found.edges),
        text::size(object.shallow_size),
        text::size(object.retained_size),
    ];
    cells.extend(
        properties.iter().map(|name| found.properties.get(name).map_or_else(String::new, value)),
    );
    cells
}

/// A text as it is, all else by name and id.
fn value(value: &ObjectRef) -> String {
    match value.class.as_str() {
        "(string)" | "(concatenated string)" | "(sliced string)" => {
            format!("\"{}\"", text::name(&value.name))
        }
        _ => text::object(value),
    }
}
