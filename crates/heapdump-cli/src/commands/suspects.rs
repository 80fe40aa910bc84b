//! `suspects`: what retains a large part of one heap.

use crate::args::Suspects;
use crate::error::Result;
use crate::report::{self, HeapSuspectReport, ObjectRef};
use crate::reporters::{json, text};
use crate::session::Session;

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
    Ok(())
}
