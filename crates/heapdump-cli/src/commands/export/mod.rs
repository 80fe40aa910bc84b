//! `export`: the heap for other programs, by the line or as tables of Parquet.

mod chunk;
mod dictionary;
mod encode;
mod lines;
mod parquet;
mod place;
mod tables;
mod texts;

use crate::args::{Export, Format, Table};
use crate::error::{Error, Result};
use crate::reporters::{json, text};
use crate::session::Session;

use place::Place;

pub(crate) fn run(args: &Export, session: &mut Session<'_>) -> Result<u8> {
    if args.format == Format::Parquet {
        return tables(args, session);
    }
    if args.output_directory.is_some() || !args.table.is_empty() || !args.label.is_empty() {
        let text = "--output, --table and --label are of --format parquet";
        return Err(Error::Usage(text.to_owned()));
    }
    let snapshot = session.load(&args.file.file, args.file.output.salvage)?;
    let format = if args.file.output.json { Format::Ndjson } else { args.format };
    if args.nodes {
        lines::nodes(&snapshot, format, session.out)?;
    } else {
        lines::edges(&snapshot, format, session.out)?;
    }
    Ok(crate::EXIT_FINE)
}

fn tables(args: &Export, session: &mut Session<'_>) -> Result<u8> {
    let Some(directory) = &args.output_directory else {
        return Err(Error::Usage("--format parquet needs --output DIR".to_owned()));
    };
    let file = &args.file.file;
    let place = Place::new(directory, file, &args.label, args.label_directories, args.force);
    let wanted = chosen(args);
    place.check(&wanted)?;
    let snapshot = session.load(file, args.file.output.salvage)?;
    let about = tables::About::new(file, if args.label_directories { &[] } else { &args.label });
    let mut written = Vec::new();
    for table in wanted {
        let rows = tables::rows(&snapshot, table, &about);
        written.push(place.write(table, |out| parquet::write(&rows, about.record(), out))?);
    }
    if args.file.output.json {
        json::write(session.out, "export", &serde_json::json!({ "tables": written }))?;
        return Ok(crate::EXIT_FINE);
    }
    for one in &written {
        let (rows, size) = (text::number(one.rows), text::size(one.bytes));
        writeln!(session.out, "{}: {rows} rows, {size}", one.file.display())?;
    }
    Ok(crate::EXIT_FINE)
}

/// All but the edges, which are most of the bytes, where nothing was chosen.
fn chosen(args: &Export) -> Vec<Table> {
    let mut wanted = args.table.clone();
    for (asked, table) in [(args.nodes, Table::Nodes), (args.edges, Table::Edges)] {
        if asked {
            wanted.push(table);
        }
    }
    if wanted.is_empty() {
        return vec![Table::Nodes, Table::Strings, Table::Classes, Table::Suspects];
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}
