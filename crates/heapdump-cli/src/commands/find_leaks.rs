//! `find-leaks`: what grows and is still held, and what holds it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use heapsnapshot::Snapshot;
use heapsnapshot::leaks::LeakOptions;

use super::compare::NO_IDS;
use crate::args::{FindLeaks, SortKey};
use crate::error::{Error, Result};
use crate::report::{self, LeaksReport, SuspectReport};
use crate::reporters::{json, text};
use crate::session::Session;

/// So many functions of a suspect are shown; `--json` has more.
const FUNCTIONS: usize = 3;

pub(crate) fn run(args: &FindLeaks, session: &mut Session<'_>) -> Result<u8> {
    let files = files(args)?;
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let snapshots = session.load_all(&paths, args.output.salvage)?;
    let snapshots: Vec<&Snapshot> = snapshots.iter().collect();
    let options =
        LeakOptions { matching: super::matching(args.matching), ..LeakOptions::default() };
    let rows = super::rows(&args.listing, SortKey::Retained);
    let report = report::find_leaks(&snapshots, &options, &rows, args.trace_all_objects, None);
    if args.output.json {
        json::write(session.out, "find-leaks", &report)?;
    } else {
        write(&files, &report, session)?;
    }
    let base = report.total_sizes.first().copied().unwrap_or(0);
    let grown = super::growth(base, base.saturating_add(report.growth));
    Ok(match args.fail_on_growth {
        Some(limit) if grown > limit => crate::EXIT_FINDINGS,
        _ => crate::EXIT_FINE,
    })
}

fn files(args: &FindLeaks) -> Result<Vec<PathBuf>> {
    if let Some(dir) = &args.snapshot_dir {
        return from_directory(dir);
    }
    Ok([&args.baseline, &args.target, &args.last].into_iter().flatten().cloned().collect())
}

/// The oldest, the middle and the newest snapshot of a directory.
fn from_directory(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::File { path: dir.to_owned(), source };
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if [".heapsnapshot", ".heapsnapshot.gz", ".heapsnapshot.zst"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            let time = path.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
            found.push((time, path));
        }
    }
    found.sort();
    let paths: Vec<PathBuf> = found.into_iter().map(|(_, path)| path).collect();
    match paths.as_slice() {
        [] | [_] => Err(Error::Usage(format!(
            "{}: two snapshots or more are needed, found {}",
            dir.display(),
            paths.len()
        ))),
        [oldest, newest] => Ok(vec![oldest.clone(), newest.clone()]),
        [oldest, .., newest] => {
            let middle = paths.get(paths.len() / 2).unwrap_or(newest);
            Ok(vec![oldest.clone(), middle.clone(), newest.clone()])
        }
    }
}

fn write(files: &[PathBuf], report: &LeaksReport, session: &mut Session<'_>) -> Result<()> {
    for (file, &size) in files.iter().zip(&report.total_sizes) {
        writeln!(session.out, "{}  {}", text::size(size), file.display())?;
    }
    if !report.matched_by_id {
        text::warning(session.out, NO_IDS)?;
    }
    writeln!(session.out)?;
    if report.suspects.is_empty() {
        writeln!(session.out, "No leak found.")?;
    }
    for (index, suspect) in report.suspects.iter().enumerate() {
        one(index + 1, suspect, session)?;
    }
    let hidden = report.suspect_count.saturating_sub(report.suspects.len() as u64);
    if hidden > 0 {
        writeln!(session.out, "{hidden} more suspects; --limit 0 shows all")?;
    }
    Ok(())
}

fn one(index: usize, suspect: &SuspectReport, session: &mut Session<'_>) -> Result<()> {
    let out = &mut *session.out;
    text::title(out, &format!("{index}. {}", text::escape(&suspect.what)))?;
    let (what, counts, sizes) = match &suspect.container {
        Some(container) => ("elements", &container.elements, &container.retained_sizes),
        None => ("objects", &suspect.counts, &suspect.retained_sizes),
    };
    let numbers: Vec<String> = counts.iter().map(|&count| text::number(count)).collect();
    let sizes: Vec<String> = sizes.iter().map(|&size| text::size(size)).collect();
    if counts.iter().any(|&count| count > 0) {
        writeln!(out, "   {what:9} {}", numbers.join(" -> "))?;
    }
    writeln!(out, "   retained  {}", sizes.join(" -> "))?;
    if let Some(held) = &suspect.held {
        writeln!(out, "   holder    {}", text::escape(held))?;
    }
    writeln!(out, "   path      {}", text::escape(&suspect.path.text))?;
    if let Some(place) = suspect.made_at() {
        let script = place.script.as_deref().unwrap_or("script");
        writeln!(out, "   made at   {}:{}:{}", text::escape(script), place.line, place.column)?;
    }
    for (index, function) in suspect.functions.iter().take(FUNCTIONS).enumerate() {
        let label = if index == 0 { "code" } else { "" };
        writeln!(out, "   {label:9} {}", text::escape(&function.text))?;
    }
    writeln!(out, "   example   @{} {}", suspect.example.id, text::name(&suspect.example.name))?;
    writeln!(out, "   to do     {}", suspect.advice)?;
    for traced in &suspect.objects {
        let object = &traced.object;
        let size = text::size(object.retained_size);
        writeln!(out, "   @{} {size}  {}", object.id, text::escape(&traced.path))?;
    }
    writeln!(out)?;
    Ok(())
}
