//! When snapshots were taken: as the JSON beside them says, as their names say, or as old as the files are.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Serialize;

/// What the times of snapshots are taken from; of all of them the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimesFrom {
    /// The `time` of the JSON beside each.
    Records,
    /// Their names.
    Names,
    /// The files' modification times.
    Files,
}

/// The times of some files in seconds, from whatever start, and what they are taken from.
pub(crate) fn of(files: &[PathBuf]) -> Option<(Vec<f64>, TimesFrom)> {
    let all = |time: fn(&Path) -> Option<f64>| {
        files.iter().map(|file| time(file)).collect::<Option<Vec<f64>>>()
    };
    all(of_record)
        .map(|times| (times, TimesFrom::Records))
        .or_else(|| all(of_name).map(|times| (times, TimesFrom::Names)))
        .or_else(|| all(of_file).map(|times| (times, TimesFrom::Files)))
}

/// `a.heapsnapshot.json` or `a.json` beside `a.heapsnapshot`.
fn of_record(file: &Path) -> Option<f64> {
    let record: serde_json::Value = serde_json::from_str(&record(file)?).ok()?;
    iso(record.get("time")?.as_str()?)
}

/// The JSON beside a snapshot.
pub(crate) fn record(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let stem = name.split(".heapsnapshot").next()?;
    let read = |beside: String| std::fs::read_to_string(file.with_file_name(beside)).ok();
    read(format!("{name}.json")).or_else(|| read(format!("{stem}.json")))
}

/// The names that heapdump-rs, node-heapdump and Node itself give.
fn of_name(file: &Path) -> Option<f64> {
    let name = file.file_name()?.to_str()?;
    let numbers: Vec<&str> =
        name.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    if let [milliseconds, _] = numbers.as_slice()
        && name.starts_with("heapdump-")
    {
        return Some(milliseconds.parse::<f64>().ok()? / 1000.0);
    }
    // Milliseconds since 1970, as monitors name them.
    let since = numbers.iter().find(|digits| digits.len() == 13 && digits.starts_with('1'));
    if let Some(milliseconds) = since {
        return Some(milliseconds.parse::<f64>().ok()? / 1000.0);
    }
    // `Heap.20261127.010203.…` of Node; `20261127T010203456Z` of a pattern.
    let mut pairs = numbers.windows(2).filter_map(|pair| match pair {
        [date, time] if date.len() == 8 && (time.len() == 6 || time.len() == 9) => {
            seconds(date, time)
        }
        _ => None,
    });
    pairs.next()
}

fn of_file(file: &Path) -> Option<f64> {
    let modified = file.metadata().ok()?.modified().ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// `2026-11-21T12:03:04.567Z`.
fn iso(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (whole, part) = time.split_once('.').unwrap_or((time, "0"));
    let fraction: f64 = format!("0.{part}").parse().ok()?;
    Some(seconds(&date.replace('-', ""), &whole.replace(':', ""))? + fraction)
}

/// `20261121` and `120304` or `120304567` in seconds since 1970.
fn seconds(date: &str, time: &str) -> Option<f64> {
    let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let (year, month, day) = (number(date, 0, 4)?, number(date, 4, 6)?, number(date, 6, 8)?);
    let (hour, minute, second) = (number(time, 0, 2)?, number(time, 2, 4)?, number(time, 4, 6)?);
    if !(1970..3000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let milliseconds = if time.len() == 9 { number(time, 6, 9)? } else { 0 };
    let clock = f64::from(hour * 3600 + minute * 60 + second) + f64::from(milliseconds) / 1000.0;
    Some(f64::from(days(year, month, day)) * 86400.0 + clock)
}

/// Days since 1970 (Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `days_from_civil`).
fn days(year: u32, month: u32, day: u32) -> u32 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn dates() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(iso("2026-11-21T12:03:04.500Z").unwrap(), 1_795_262_584.5);
        assert_eq!(iso("2026-11-21T12:03:04"), None);
    }

    #[test]
    fn names_that_tell_a_time() {
        let time = |name: &str| of_name(Path::new(name));
        assert_eq!(time("d/heap-rss-1795262584567.heapsnapshot.gz"), Some(1_795_262_584.567));
        assert_eq!(time("heapdump-81402.236.heapsnapshot"), Some(81.402));
        assert_eq!(time("Heap.20261121.120304.77.0.001.heapsnapshot"), Some(1_795_262_584.0));
        assert_eq!(time("api-20261121T120304500Z.heapsnapshot"), Some(1_795_262_584.5));
        assert_eq!(time("before-2.heapsnapshot"), None);
    }
}
