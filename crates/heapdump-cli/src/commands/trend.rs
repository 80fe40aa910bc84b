//! `trend`: what grows over any number of snapshots, and whether a fix helped.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::args::Trend;
use crate::error::{Error, Result};
use crate::report::{
    self, AgainstReport, Outcome, Rates, Rows, TimesFrom, TrendGroup, TrendReport, TrendRun,
};
use crate::reporters::{json, text};
use crate::session::Session;
use crate::times;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(flatten)]
    trend: TrendReport,
    /// How many groups grew in every step.
    every_step: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<AgainstReport>,
}

pub(crate) fn run(args: &Trend, session: &mut Session<'_>) -> Result<u8> {
    let now = measure(&args.files, args, session)?;
    let against = match args.against.as_slice() {
        [] => None,
        files => Some(report::against(&now, &measure(files, args, session)?)),
    };
    let every_step = now.groups.iter().filter(|group| group.every_step).count() as u64;
    let mut answer = Answer { trend: now, every_step, against };
    let rows = super::rows(&args.listing, crate::args::SortKey::Retained);
    let hidden = cut(&mut answer.trend.groups, &rows);
    if args.output.json {
        json::write(session.out, "trend", &answer)?;
    } else {
        write(&answer, hidden, session)?;
    }
    Ok(match answer.against {
        Some(AgainstReport { fixed: false, .. }) => crate::EXIT_FINDINGS,
        _ => crate::EXIT_FINE,
    })
}

fn cut(groups: &mut Vec<TrendGroup>, rows: &Rows) -> usize {
    groups.retain(|group| rows.wants(&group.class));
    let all = groups.len();
    rows.cut(groups);
    all - groups.len()
}

/// Loads the first and the last, then one after the other of those between.
fn measure(paths: &[PathBuf], args: &Trend, session: &mut Session<'_>) -> Result<TrendReport> {
    let (files, times) = in_order(paths)?;
    let salvage = args.output.salvage;
    let [first, between @ .., last] = files.as_slice() else {
        let first = paths.first().map_or_else(String::new, |path| path.display().to_string());
        return Err(Error::Usage(format!(
            "{first}: two snapshots or more are needed, found {}",
            files.len()
        )));
    };
    let mut run = match session.load_all(&[first, last], salvage)?.as_slice() {
        [first, last] => TrendRun::new(first, last),
        _ => return Err(Error::Usage("two snapshots or more are needed".to_owned())),
    };
    for path in between {
        run.measure(&session.load(path, salvage)?);
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Ok(run.finish(&names, times, args.per))
}

type Times = Option<(Vec<f64>, TimesFrom)>;

/// Files as they are given; those of a directory by their times.
fn in_order(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Times)> {
    let [dir] = paths else { return Ok((paths.to_vec(), times::of(paths))) };
    if !dir.is_dir() {
        return Ok((paths.to_vec(), None));
    }
    let files = snapshots_in(dir)?;
    let Some((times, from)) = times::of(&files) else { return Ok((files, None)) };
    let mut pairs: Vec<(f64, PathBuf)> = times.into_iter().zip(files).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let (times, files) = pairs.into_iter().unzip();
    Ok((files, Some((times, from))))
}

fn snapshots_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::File { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = [".heapsnapshot", ".heapsnapshot.gz", ".heapsnapshot.zst"];
        if ends.iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn write(answer: &Answer, hidden: usize, session: &mut Session<'_>) -> Result<()> {
    let trend = &answer.trend;
    let out = &mut *session.out;
    for snapshot in &trend.snapshots {
        let time = snapshot.time.map(|seconds| format!("  {}", clock(seconds)));
        let size = text::size(snapshot.total_size);
        writeln!(out, "{size}{}  {}", time.unwrap_or_default(), snapshot.file)?;
    }
    writeln!(out, "the heap {}\n", rates(&trend.growth))?;
    if trend.groups.is_empty() {
        writeln!(out, "Nothing grew.")?;
    }
    for (index, group) in trend.groups.iter().enumerate() {
        let what = match (&group.container, &group.held_by) {
            (Some(container), _) => container.clone(),
            (None, Some(holder)) => format!("{} held by {holder}", group.class),
            (None, None) => group.class.clone(),
        };
        let when = if group.every_step { "in every step" } else { "not in every step" };
        let what = text::escape(&what).into_owned();
        text::title(out, &format!("{}. {what} {}, {when}", index + 1, rates(&group.growth)))?;
        let series = |values: &[u64], show: fn(u64) -> String| {
            values.iter().map(|&value| show(value)).collect::<Vec<_>>().join(" -> ")
        };
        writeln!(out, "   objects   {}", series(&group.counts, text::number))?;
        writeln!(out, "   retained  {}", series(&group.retained_sizes, text::size))?;
        if let Some(place) = &group.location {
            let script = place.script.as_deref().unwrap_or("script");
            writeln!(out, "   made at   {}:{}:{}", text::escape(script), place.line, place.column)?;
        }
        writeln!(out, "   example   {}", text::object(&group.example))?;
        writeln!(out, "   held by   {}\n", text::escape(&group.path.text))?;
    }
    if hidden > 0 {
        writeln!(out, "{hidden} more groups; --limit 0 shows all")?;
    }
    if let Some(against) = &answer.against {
        write_against(against, session)?;
    }
    Ok(())
}

fn write_against(against: &AgainstReport, session: &mut Session<'_>) -> Result<()> {
    let title = if against.fixed { "Against before: fixed" } else { "Against before: not fixed" };
    text::title(session.out, title)?;
    let rows = against
        .verdicts
        .iter()
        .map(|verdict| {
            let holder = verdict.held_by.as_ref().map(|holder| format!(" held by {holder}"));
            let what = format!("{}{}", verdict.class, holder.unwrap_or_default());
            let word = match verdict.verdict {
                Outcome::Fixed => "fixed",
                Outcome::Better => "better",
                Outcome::Same => "same",
                Outcome::Worse => "worse",
                Outcome::New => "new",
            };
            let before = verdict.before.map_or_else(|| "-".to_owned(), bytes);
            vec![text::name(&what), word.to_owned(), before, bytes(verdict.now)]
        })
        .collect();
    let header = ["Grows", "Verdict", "Before, a step", "Now, a step"];
    writeln!(session.out, "{}", text::table(&header, rows))?;
    Ok(())
}

/// `+1.2 MB: 400.0 kB a step, 1.2 MB an hour, 400 B a unit`.
fn rates(rates: &Rates) -> String {
    let mut words = format!("{}: {} a step", text::size_delta(rates.total), bytes(rates.per_step));
    for (rate, unit) in [(rates.per_hour, "an hour"), (rates.per_unit, "a unit of work")] {
        if let Some(rate) = rate {
            words.push_str(&format!(", {} {unit}", bytes(rate)));
        }
    }
    words
}

#[expect(clippy::cast_possible_truncation, reason = "sizes are far from the limits")]
fn bytes(value: f64) -> String {
    text::size_delta(value.round() as i64)
}

/// `+1:02:03`, after the first.
#[expect(clippy::cast_possible_truncation, reason = "times are far from the limits")]
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as i64;
    let (sign, seconds) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
