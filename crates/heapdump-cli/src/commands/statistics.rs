//! `statistics`: what the memory is used for.

use crate::args::OneFile;
use crate::error::Result;
use crate::report;
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &OneFile, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(&args.file, args.output.salvage)?;
    let sums = report::statistics(&snapshot);
    if args.output.json {
        json::write(session.out, "statistics", &sums)?;
        return Ok(crate::EXIT_FINE);
    }
    let row = |name: &str, bytes: u64| {
        vec![name.to_owned(), text::size(bytes), text::share(bytes, sums.total)]
    };
    let rows = vec![
        row("Total", sums.total),
        row("V8 heap", sums.v8_heap),
        row("  code", sums.code),
        row("  strings", sums.strings),
        row("  JS arrays", sums.js_arrays),
        row("  system", sums.system),
        row("Native", sums.native),
        row("  typed arrays", sums.typed_arrays),
    ];
    writeln!(session.out, "{}", text::table(&["Memory", "Size", "Share"], rows))?;
    Ok(crate::EXIT_FINE)
}
