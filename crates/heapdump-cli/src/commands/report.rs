//! `report`: all that a report shows, as JSON; `npx heapdump-rs report` makes pages of it.

use heapsnapshot::Snapshot;
use heapsnapshot::leaks::LeakOptions;
use serde::Serialize;

use crate::args::Report;
use crate::error::{Error, Result};
use crate::report::{
    self, HeapLimits, HeapReport, Hide, LeaksReport, Rows, Series, TrendReport, TrendRun,
};
use crate::reporters::json;
use crate::session::Session;
use crate::times;

/// So many groups that grew, and so many leaks, are told.
const GROUPS: usize = 40;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Whether contents of strings are in it.
    values: bool,
    /// The files, the earliest first.
    files: Vec<String>,
    /// The last of them.
    heap: HeapReport,
    /// Over all of them, where there are several.
    trend: Option<TrendReport>,
    /// In the first, the one in the middle and the last.
    leaks: Option<LeaksReport>,
}

pub(crate) fn run(args: &Report, session: &mut Session<'_>) -> Result<u8> {
    let files: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
    let (heap, trend, leaks) = match args.files.as_slice() {
        [only] => (heap(&session.load(only, args.salvage)?, args.values)?, None, None),
        [first, between @ .., last] => {
            let loaded = session.load_all(&[first, last], args.salvage)?;
            let [first, last] = loaded.as_slice() else {
                return Err(Error::Usage("two snapshots are needed".to_owned()));
            };
            let mut run = TrendRun::new(first, last);
            let mut middle = None;
            for (index, path) in between.iter().enumerate() {
                let snapshot = session.load(path, args.salvage)?;
                run.measure(&snapshot);
                // No more than three are in memory.
                if index == between.len() / 2 {
                    middle = Some(snapshot);
                }
            }
            let hide = Hide::new(last, args.values);
            let mut trend = run.finish(&files, times::of(&args.files), args.per);
            let series = Series::from(&trend);
            trend.groups.truncate(GROUPS);
            hide.trend(&mut trend);
            let of: Vec<&Snapshot> =
                [Some(first), middle.as_ref(), Some(last)].into_iter().flatten().collect();
            let rows = Rows { limit: GROUPS, ..Rows::default() };
            let mut leaks =
                report::find_leaks(&of, &LeakOptions::default(), &rows, false, Some(&series));
            hide.leaks(&mut leaks);
            (heap(last, args.values)?, Some(trend), Some(leaks))
        }
        [] => return Err(Error::Usage("a snapshot is needed".to_owned())),
    };
    let answer = Answer { values: args.values, files, heap, trend, leaks };
    json::write(session.out, "report", &Hide::json(args.values, &answer)?)?;
    Ok(crate::EXIT_FINE)
}

fn heap(snapshot: &Snapshot, values: bool) -> Result<HeapReport> {
    let mut heap = report::heap(snapshot, &HeapLimits::default()).map_err(Error::Usage)?;
    Hide::new(snapshot, values).heap(&mut heap);
    Ok(heap)
}
