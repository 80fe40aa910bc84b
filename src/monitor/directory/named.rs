//! Snapshots that a pattern names (`name=`). Their names need tell nothing, so their JSON does: reason, time, and the
//! pattern by which they are ours. Only what the JSON's own name says is removed with it, whatever stands in it.

use super::{REPORT, Record, millis};
use crate::filename::{EXTENSION, IMAGE_EXTENSION, NamePattern, image_name};
use crate::monitor::rules::Reason;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A longer one is not ours.
const LONGEST_JSON: u64 = 1 << 20;

#[derive(Deserialize)]
struct Said {
    name: String,
    reason: String,
    time: String,
    /// Its name; without compression as long as its end is not known.
    snapshot: String,
    complete: Option<bool>,
}

/// Those of monitors with this very pattern, the other processes' of the directory included.
pub(super) fn read(directory: &Path, pattern: &NamePattern) -> Vec<Record> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let stem = name.strip_suffix(".json")?;
            stem.starts_with(pattern.beginning()).then(|| record(directory, stem, pattern))?
        })
        .collect()
}

fn record(directory: &Path, stem: &str, pattern: &NamePattern) -> Option<Record> {
    let sidecar = directory.join(format!("{stem}.json"));
    let metadata = fs::symlink_metadata(&sidecar).ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST_JSON || !is_own(&metadata) {
        return None;
    }
    let said: Said = serde_json::from_slice(&fs::read(&sidecar).ok()?).ok()?;
    if said.name != pattern.text() {
        return None;
    }
    let reason = Reason::from_name(&said.reason)?;
    let time = chrono::DateTime::parse_from_rfc3339(&said.time).ok()?.timestamp_millis();
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let mut record = Record {
        reason,
        time: u64::try_from(time).ok()?,
        files: vec![sidecar],
        has_snapshot: false,
        bytes: metadata.len(),
        modified: modified.map_or(0, millis),
    };
    for name in names_of(&said).filter(|_| is_name_for(&said.snapshot, stem)) {
        let snapshot = directory.join(name);
        let Ok(metadata) = fs::symlink_metadata(&snapshot) else { continue };
        if metadata.is_file() && is_own(&metadata) {
            record.has_snapshot = true;
            record.bytes = record.bytes.saturating_add(metadata.len());
            record.files.push(snapshot);
        }
    }
    let report = directory.join(format!("{stem}.{REPORT}"));
    if let Ok(metadata) = fs::symlink_metadata(&report)
        && metadata.is_file()
        && is_own(&metadata)
    {
        record.bytes = record.bytes.saturating_add(metadata.len());
        record.files.push(report);
    }
    Some(record)
}

/// The names that its file may have. Of a dump that failed there is none: a file of that name is of somebody who came later.
fn names_of(Said { snapshot, complete, .. }: &Said) -> impl Iterator<Item = String> {
    let image = image_name(Path::new(plain_name(snapshot))).to_string_lossy().into_owned();
    let names = match complete {
        Some(false) => Vec::new(),
        Some(true) => vec![snapshot.clone()],
        // Neither how it is compressed nor whether an image took its place.
        None => {
            let mut names: Vec<_> =
                ["", ".gz", ".zst"].map(|end| format!("{snapshot}{end}")).into();
            if image != *snapshot {
                names.extend(["", ".zst"].map(|end| format!("{image}{end}")));
            }
            let sealed: Vec<_> =
                names.iter().map(|name| format!("{name}{}", heapcrypt::EXTENSION)).collect();
            names.extend(sealed);
            names
        }
    };
    names.into_iter()
}

/// Without what tells how it is compressed and that it is encrypted.
fn plain_name(name: &str) -> &str {
    let name = name.strip_suffix(heapcrypt::EXTENSION).unwrap_or(name);
    [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Whether a snapshot may have the sidecar `stem.json`: its own name, or with the number that it got when another took that.
fn is_name_for(snapshot: &str, stem: &str) -> bool {
    let plain = plain_name(snapshot);
    let name = plain.strip_suffix(EXTENSION).or(plain.strip_suffix(IMAGE_EXTENSION));
    let Some(name) = name else { return false };
    let number = |rest: &str| {
        let digits = rest.strip_prefix('-').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    !snapshot.contains('/')
        && name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || number(rest))
}

/// Anybody may write into some directories.
#[cfg(unix)]
fn is_own(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(metadata) == crate::process::effective_user()
}

#[cfg(windows)]
fn is_own(_metadata: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::super::{Keep, newest_for_a_threshold, newest_scheduled, prune};
    use super::*;

    impl Scratch {
        fn dump(&self, stem: &str, pattern: &str, reason: &str, second: u32) {
            let snapshot = format!("{stem}.heapsnapshot.gz");
            self.sidecar(stem, pattern, reason, second, &snapshot, true);
            self.text(&snapshot, "snapshot");
        }

        fn sidecar(
            &self,
            stem: &str,
            pattern: &str,
            reason: &str,
            second: u32,
            snapshot: &str,
            complete: bool,
        ) {
            let json = serde_json::json!({
                "version": 1,
                "reason": reason,
                "time": format!("1970-01-01T00:00:{second:02}.5Z"),
                "name": pattern,
                "snapshot": snapshot,
                "complete": complete,
            });
            self.text(&format!("{stem}.json"), &json.to_string());
        }

        fn text(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).expect("a file");
        }
    }

    #[test]
    fn only_what_its_json_names_with_this_pattern_is_ours() {
        let directory = Scratch::new("named");
        let pattern = NamePattern::parse("a-{pid}").expect("a pattern");
        directory.dump("a-1", "a-{pid}", "rss", 1);
        directory.dump("a-2", "a-{pid}", "schedule", 2);
        directory.dump("a-3", "a-{pid}", "used", 3);
        directory.dump("a-4", "a-{time}", "used", 4);
        directory.dump("b-5", "a-{pid}", "used", 5);
        directory.text("a-6.heapsnapshot", "the user's");
        directory.text("a-7.json", "{");
        directory.text("heap-rss-9.heapsnapshot", "the default's");
        assert_eq!(newest_for_a_threshold(&directory.0, Some(&pattern), None), Some(3500));
        assert_eq!(newest_scheduled(&directory.0, Some(&pattern), None), Some(2500));
        let before = directory.names();
        prune(&directory.0, Some(&pattern), Keep { files: 1, bytes: u64::MAX });
        let gone: Vec<_> =
            before.into_iter().filter(|name| !directory.names().contains(name)).collect();
        assert_eq!(gone, ["a-1.heapsnapshot.gz", "a-1.json", "a-2.heapsnapshot.gz", "a-2.json"]);
        assert_eq!(newest_for_a_threshold(&directory.0, None, None), Some(9));
    }

    #[test]
    fn what_a_json_does_not_speak_of_stays() {
        let directory = Scratch::new("spoken");
        let pattern = NamePattern::parse("a-{pid}").expect("a pattern");
        // A dump that failed; later somebody's own has its name.
        directory.sidecar("a-1", "a-{pid}", "rss", 1, "a-1.heapsnapshot", false);
        directory.text("a-1.heapsnapshot", "the operator's");
        // Beside a compressed one a plain one of somebody else.
        directory.dump("a-2", "a-{pid}", "rss", 2);
        directory.text("a-2.heapsnapshot", "the operator's");
        // Its name was taken meanwhile, so it has a number.
        directory.sidecar("a-3", "a-{pid}", "rss", 3, "a-3-2.heapsnapshot", true);
        directory.text("a-3.heapsnapshot", "the operator's");
        directory.text("a-3-2.heapsnapshot", "snapshot");
        // No name of its own at all.
        directory.sidecar("a-4", "a-{pid}", "rss", 4, "a-1.heapsnapshot", true);
        directory.sidecar("a-5", "a-{pid}", "rss", 5, "../a-5.heapsnapshot", true);
        directory.dump("a-6", "a-{pid}", "rss", 6);
        prune(&directory.0, Some(&pattern), Keep { files: 1, bytes: u64::MAX });
        let kept = ["a-1.heapsnapshot", "a-2.heapsnapshot", "a-3.heapsnapshot", "a-5.json"];
        let last = ["a-6.heapsnapshot.gz", "a-6.json"];
        assert_eq!(directory.names(), [&kept[..], &last[..]].concat());
    }

    #[test]
    fn an_image_may_have_taken_the_place_of_a_snapshot_that_was_planned() {
        let directory = Scratch::new("planned");
        let pattern = NamePattern::parse("a-{pid}").expect("a pattern");
        // Its process ended before it could say what became of the dump.
        let begun = |stem: &str, second: u32| {
            let json = serde_json::json!({
                "reason": "rss",
                "time": format!("1970-01-01T00:00:{second:02}.5Z"),
                "name": "a-{pid}",
                "snapshot": format!("{stem}.heapsnapshot.zst.age"),
                "complete": null,
            });
            directory.text(&format!("{stem}.json"), &json.to_string());
        };
        begun("a-1", 1);
        directory.text("a-1.heapimage.zst.age", "image");
        directory.sidecar("a-2", "a-{pid}", "rss", 2, "a-2.heapimage", true);
        directory.text("a-2.heapimage", "image");
        directory.text("a-2.heapsnapshot", "the operator's");
        directory.dump("a-3", "a-{pid}", "rss", 3);
        prune(&directory.0, Some(&pattern), Keep { files: 1, bytes: u64::MAX });
        let left = ["a-2.heapsnapshot", "a-3.heapsnapshot.gz", "a-3.json"];
        assert_eq!(directory.names(), left);
    }
}
