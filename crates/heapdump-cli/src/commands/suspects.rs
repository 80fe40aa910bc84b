//! `suspects`: what retains a large part of one heap.

use crate::args::Suspects;
use crate::error::Result;
use crate::report::{self, FunctionReport, HeapSuspectReport, InspectionReport, ObjectRef};
use crate::reporters::{json, text};
use crate::session::Session;

/// So many functions are shown; `--json` has more.
const FUNCTIONS: usize = 3;

pub(crate) fn run(args: &Suspects, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(&args.file.file, args.file.output.salvage)?;
    let report = report::suspects(&snapshot, args.threshold);
    if args.file.output.json {
        json::write(session.out, "suspects", &report)?;
        return Ok(crate::EXIT_FINE);
    }
    if report.suspects.is_empty() {
        let part = 100.0 * args.threshold;
        writeln!(session.out, "Nothing retains {part}% of the heap or more.")?;
    }
    for (index, suspect) in report.suspects.iter().enumerate() {
        if index > 0 {
            writeln!(session.out)?;
        }
        write(suspect, report.total_size, session)?;
    }
    for found in &report.inspections {
        inspection(found, session)?;
    }
    Ok(crate::EXIT_FINE)
}

fn write(suspect: &HeapSuspectReport, total: u64, session: &mut Session<'_>) -> Result<()> {
    let what = match suspect.count {
        1 => text::object(&suspect.object),
        count => format!("{} {}", text::number(count), text::name(&suspect.class)),
    };
    let heading = format!(
        "{what}: {} ({})",
        text::size(suspect.retained_size),
        text::share(suspect.retained_size, total)
    );
    text::title(session.out, &heading)?;
    let below = |point: &&ObjectRef| point.id != suspect.object.id;
    if let Some(point) = suspect.accumulation_point.as_ref().filter(below) {
        let size = text::size(point.retained_size);
        writeln!(session.out, "accumulated in {} ({size})", text::object(point))?;
    }
    writeln!(session.out, "held by {}", text::escape(&suspect.path.text))?;
    functions(&suspect.functions, session)?;
    writeln!(session.out, "to do   {}", suspect.advice)?;
    Ok(())
}

fn inspection(found: &InspectionReport, session: &mut Session<'_>) -> Result<()> {
    writeln!(session.out)?;
    text::title(session.out, &text::escape(&found.what))?;
    if let Some(instrument) = found.instrument {
        writeln!(session.out, "left by {}", instrument.in_words())?;
    }
    writeln!(session.out, "held by {}", text::escape(&found.path.text))?;
    functions(&found.functions, session)?;
    writeln!(session.out, "to do   {}", found.advice)?;
    Ok(())
}

fn functions(held: &[FunctionReport], session: &mut Session<'_>) -> Result<()> {
    for (index, function) in held.iter().take(FUNCTIONS).enumerate() {
        let label = if index == 0 { "code" } else { "" };
        writeln!(session.out, "{label:7} {}", text::escape(&function.text))?;
    }
    Ok(())
}
