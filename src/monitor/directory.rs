//! The directory of automatic snapshots: `heap-<reason>-<ms>.heapsnapshot`, or `.heapimage`, with `.json` and perhaps
//! `.report.html` beside each. What is in it is what outlives a restart. Other files are not ours and are left alone. Where a pattern names them, see [`named`].

mod named;

use super::rules::Reason;
use crate::filename::NamePattern;
use crate::snapshot::{clear, made_for};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Snapshots at most.
    pub(crate) files: u32,
    /// Bytes at most; the newest snapshot stays whatever its size.
    pub(crate) bytes: u64,
}

/// Milliseconds since 1970.
pub(crate) fn wall_clock() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The name of a snapshot, without the compression's extension.
pub(crate) fn snapshot_name(reason: Reason, time: u64) -> String {
    format!("{}.heapsnapshot", stem(reason, time))
}

/// When the last dump for a threshold was begun: whole, failed or cut short by the end of its process.
/// Other programs' do not count.
pub(super) fn newest_for_a_threshold(
    directory: &Path,
    name: Option<&NamePattern>,
    program: Option<&str>,
) -> Option<u64> {
    newest(directory, name, program, |record| record.reason != Reason::Schedule)
}

pub(super) fn newest_scheduled(
    directory: &Path,
    name: Option<&NamePattern>,
    program: Option<&str>,
) -> Option<u64> {
    newest(directory, name, program, |record| record.reason == Reason::Schedule)
}

fn newest(
    directory: &Path,
    name: Option<&NamePattern>,
    program: Option<&str>,
    counts: impl Fn(&Record) -> bool,
) -> Option<u64> {
    let mut records: Vec<_> = read(directory, name).into_iter().filter(|it| counts(it)).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.begun()));
    // Its JSON is read from the newest on: most often of that alone.
    records.iter().find(|record| record.may_be_of(program)).map(Record::begun)
}

/// Removes what no living process writes any more, then the oldest until what is left may stay. At a monitor's start too: processes
/// that were killed did not get to it.
pub(super) fn prune(directory: &Path, name: Option<&NamePattern>, keep: Keep) {
    clear(directory);
    let (mut whole, mut records): (Vec<_>, Vec<_>) =
        read(directory, name).into_iter().partition(|record| record.has_snapshot);
    whole.sort_by_key(|record| std::cmp::Reverse(record.begun()));
    records.sort_by_key(|record| std::cmp::Reverse(record.begun()));
    let mut bytes = 0_u64;
    for (index, record) in whole.iter().enumerate() {
        bytes = bytes.saturating_add(record.bytes);
        let fits = bytes <= keep.bytes && index < keep.files as usize;
        if !fits && index > 0 {
            record.remove();
        }
    }
    // Of dumps that failed.
    for record in records.iter().skip(keep.files as usize) {
        record.remove();
    }
}

/// One dump: its files have one stem.
#[derive(Debug)]
struct Record {
    reason: Reason,
    time: u64,
    files: Vec<PathBuf>,
    has_snapshot: bool,
    bytes: u64,
    modified: u64,
}

impl Record {
    /// The name of a snapshot at V8's limit is made when the process starts.
    fn begun(&self) -> u64 {
        if self.reason == Reason::Oom { self.time.max(self.modified) } else { self.time }
    }

    /// A snapshot may be anybody's where nothing says which program took it.
    fn may_be_of(&self, program: Option<&str>) -> bool {
        let said = self.files.iter().filter(|file| file.extension().is_some_and(|it| it == "json"));
        let said = said.filter_map(|file| program_of(file)).next();
        program.is_none_or(|program| said.is_none_or(|said| said == program))
    }

    fn remove(&self) {
        for file in &self.files {
            // Somebody else may have removed it.
            let _ = fs::remove_file(file);
        }
    }
}

fn read(directory: &Path, name: Option<&NamePattern>) -> Vec<Record> {
    if let Some(pattern) = name {
        return named::read(directory, pattern);
    }
    let mut records: BTreeMap<(u64, &'static str), Record> = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        // One that is being written, or cannot be removed, takes room as others do.
        let unfinished = made_for(&name).and_then(|name| std::str::from_utf8(name).ok());
        let Some((reason, time, kind)) = unfinished.or(name.to_str()).and_then(parse) else {
            continue;
        };
        // Of the entry itself: a link is not ours.
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let record = records.entry((time, reason.name())).or_insert_with(|| Record {
            reason,
            time,
            files: Vec::new(),
            has_snapshot: false,
            bytes: 0,
            modified: 0,
        });
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if unfinished.is_none() {
            record.files.push(entry.path());
        }
        record.has_snapshot |= kind == Kind::Snapshot;
        record.bytes = record.bytes.saturating_add(metadata.len());
        if kind == Kind::Page {
            // Made later, perhaps by another process: no cooldown goes by it.
            continue;
        }
        record.modified = record.modified.max(modified.map_or(0, millis));
    }
    records.into_values().collect()
}

/// Bytes: many times what one has.
const MOST_OF_A_SIDECAR: u64 = 4 << 20;

/// As a sidecar says it.
fn program_of(sidecar: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        program: Option<String>,
    }
    let mut text = Vec::new();
    fs::File::open(sidecar).ok()?.take(MOST_OF_A_SIDECAR).read_to_end(&mut text).ok()?;
    serde_json::from_slice::<Said>(&text).ok()?.program
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Or an image: retention makes no difference.
    Snapshot,
    Sidecar,
    /// The report that may be left beside it.
    Page,
}

/// What a report's name ends in.
const REPORT: &str = "report.html";

/// Only what this module names, to the letter.
fn parse(name: &str) -> Option<(Reason, u64, Kind)> {
    let (stem, extension) = name.split_once('.')?;
    let extension = extension.strip_suffix(heapcrypt::EXTENSION).unwrap_or(extension);
    let kind = match extension {
        "heapsnapshot" | "heapsnapshot.gz" | "heapsnapshot.zst" => Kind::Snapshot,
        "heapimage" | "heapimage.zst" => Kind::Snapshot,
        // The second is the record of a heap at its limit.
        "json" | "heapsnapshot.json" => Kind::Sidecar,
        REPORT => Kind::Page,
        _ => return None,
    };
    let (reason, time) = stem.strip_prefix("heap-")?.split_once('-')?;
    let (reason, time) = (Reason::from_name(reason)?, time.parse().ok()?);
    (self::stem(reason, time) == stem).then_some((reason, time, kind))
}

fn stem(reason: Reason, time: u64) -> String {
    format!("heap-{}-{time}", reason.name())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of a test's own.
    pub(super) struct Scratch(pub(super) PathBuf);

    impl Scratch {
        pub(super) fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("heapdump-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory");
            Scratch(path)
        }

        fn file(&self, name: &str, size: usize) {
            fs::write(self.0.join(name), vec![b'x'; size]).expect("a file");
        }

        pub(super) fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("readable").flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_own_names_are_read() {
        assert_eq!(parse("heap-rss-17.heapsnapshot.gz"), Some((Reason::Rss, 17, Kind::Snapshot)));
        for image in
            ["heap-rss-17.heapimage", "heap-rss-17.heapimage.zst", "heap-rss-17.heapimage.zst.age"]
        {
            assert_eq!(parse(image), Some((Reason::Rss, 17, Kind::Snapshot)));
        }
        assert_eq!(parse("heap-used-17.json"), Some((Reason::Used, 17, Kind::Sidecar)));
        assert_eq!(parse("heap-used-17.report.html"), Some((Reason::Used, 17, Kind::Page)));
        for other in [
            "heap-used-17.html",
            "heap-auto-17.heapsnapshot",
            "heap-rss-017.heapsnapshot",
            "heap-rss-17.heapsnapshot.bak",
            "heap-rss-17.heapimage.gz",
            "heap-rss-x.heapsnapshot",
            "heapdump-17.17.heapsnapshot",
            "heap-rss-+17.json",
            "heap-rss--17.json",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_oldest_go_first_and_strangers_stay() {
        let directory = Scratch::new("prune");
        for (time, end) in
            [(1, "heapimage.zst"), (2, "heapsnapshot"), (3, "heapsnapshot"), (4, "heapimage")]
        {
            directory.file(&format!("heap-rss-{time}.{end}"), 10);
            directory.file(&format!("heap-rss-{time}.json"), 1);
        }
        directory.file("heap-rss-0.json", 1);
        directory.file("heap-alert-1.heapsnapshot", 1);
        prune(&directory.0, None, Keep { files: 2, bytes: u64::MAX });
        assert_eq!(
            directory.names(),
            [
                "heap-alert-1.heapsnapshot",
                "heap-rss-0.json",
                "heap-rss-3.heapsnapshot",
                "heap-rss-3.json",
                "heap-rss-4.heapimage",
                "heap-rss-4.json"
            ]
        );
        prune(&directory.0, None, Keep { files: 2, bytes: 5 });
        assert!(directory.names().contains(&"heap-rss-4.heapimage".to_owned()));
        assert!(!directory.names().contains(&"heap-rss-3.json".to_owned()));
    }

    #[test]
    fn a_report_goes_with_its_snapshot_and_no_cooldown_goes_by_it() {
        let directory = Scratch::new("reports");
        for time in 1..=2 {
            directory.file(&format!("heap-rss-{time}.heapsnapshot.gz"), 10);
            directory.file(&format!("heap-rss-{time}.report.html"), 10);
        }
        directory.file("heap-oom-3.report.html", 1);
        assert_eq!(newest_for_a_threshold(&directory.0, None, None), Some(3));
        prune(&directory.0, None, Keep { files: 2, bytes: 30 });
        assert_eq!(
            directory.names(),
            ["heap-oom-3.report.html", "heap-rss-2.heapsnapshot.gz", "heap-rss-2.report.html"]
        );
    }

    #[test]
    fn what_a_killed_process_left_goes_and_a_living_ones_counts() {
        let directory = Scratch::new("killed");
        let held = ".heap-rss-9.heapsnapshot.gz.heapdump-1-0.tmp";
        directory.file(".heap-rss-1.heapsnapshot.heapdump-1-0.tmp", 10);
        directory.file(held, 10);
        for time in 2..=4 {
            directory.file(&format!("heap-rss-{time}.heapsnapshot"), 10);
        }
        let writer = fs::OpenOptions::new().write(true).open(directory.0.join(held));
        let writer = writer.expect("opens");
        if crate::process::hold(&writer) != crate::process::Held::ByUs {
            return;
        }
        prune(&directory.0, None, Keep { files: 2, bytes: u64::MAX });
        assert_eq!(directory.names(), [held, "heap-rss-4.heapsnapshot"]);
        prune(&directory.0, None, Keep { files: 2, bytes: 15 });
        assert_eq!(directory.names(), [held]);
    }

    #[test]
    fn the_clock_of_thresholds_is_not_that_of_the_schedule() {
        let directory = Scratch::new("newest");
        directory.file("heap-schedule-9.heapsnapshot", 1);
        directory.file("heap-growth-7.json", 1);
        assert_eq!(newest_for_a_threshold(&directory.0, None, Some("/app.js")), Some(7));
        assert_eq!(newest_scheduled(&directory.0, None, Some("/app.js")), Some(9));
    }

    #[test]
    fn the_clock_of_a_program_is_its_own() {
        let directory = Scratch::new("program");
        let write = |name: &str, text: &str| fs::write(directory.0.join(name), text);
        let newest = |program| newest_for_a_threshold(&directory.0, None, program);
        write("heap-rss-1.json", r#"{ "program": "/app.js" }"#).expect("a file");
        write("heap-oom-2.heapsnapshot.json", r#"{ "program": "/job.js" }"#).expect("a file");
        let modified = newest(None);
        assert!(modified > Some(2), "a heap at its limit counts from when it was written");
        assert_eq!(newest(Some("/job.js")), modified);
        assert_eq!(newest(Some("/app.js")), Some(1));
        assert_eq!(newest(Some("/other.js")), None);
        // Of whom nothing is known.
        write("heap-rss-3.json", "{}").expect("a file");
        write("heap-rss-4.json", "cut o").expect("a file");
        assert_eq!(newest(Some("/other.js")), Some(4));
    }
}
