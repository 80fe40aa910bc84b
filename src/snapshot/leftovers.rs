//! Temporary names, and what processes that were killed have left under them.
//!
//! *Invariant: nothing is removed that does not have such a name, is no regular file of this user's, or is held by a process
//! that lives.* On the disks of this machine the file's lock tells that. Elsewhere (NFS, FUSE, other systems than Linux) it is left
//! alone until nobody has written to it for a day, by whatever clock.

use crate::process::{Held, hold, spawn_quiet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Nothing is written so slowly, and no clock of another machine is so wrong.
const UNTOUCHED: Duration = Duration::from_secs(24 * 3600);

/// Names of a directory that are looked at.
const MOST_NAMES: usize = 20_000;

/// Directories that one process looks after.
const MOST_DIRECTORIES: usize = 64;

/// `.NAME.heapdump-PID-N.tmp`: another one each time in this process.
pub(super) fn unique_name(name: &OsStr) -> OsString {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    temporary_name(name, &format!(".heapdump-{}-{number}.tmp", std::process::id()))
}

/// `.NAME.heapdump.tmp`: who has it has reserved NAME.
pub(super) fn reserving_name(name: &OsStr) -> OsString {
    temporary_name(name, ".heapdump.tmp")
}

/// What a temporary name was made for; `None` for other names. Empty where that was too long.
pub(crate) fn made_for(name: &OsStr) -> Option<&[u8]> {
    let stem = name.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(b".tmp")?;
    let mark = stem.rsplit(|&byte| byte == b'.').next()?;
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let mut parts = mark.split(|&byte| byte == b'-');
    let ours = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(b"heapdump"), None, ..) => true,
        (Some(b"heapdump"), Some(pid), Some(number), None) => is_number(pid) && is_number(number),
        _ => false,
    };
    let name = stem.get(..stem.len() - mark.len())?;
    ours.then(|| name.strip_suffix(b".").unwrap_or_default())
}

/// Removes what nobody holds any more. For threads that nobody waits for: a directory may be large, or far away.
pub(crate) fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten().take(MOST_NAMES) {
        if made_for(&entry.file_name()).is_some() {
            remove_if_abandoned(&entry.path());
        }
    }
}

/// The same, on a thread of its own, the first time in this process: what is left comes from processes before it. Where no thread
/// can be started it stays until another process comes.
pub(crate) fn clear_in_background(directory: &Path) {
    if is_first_time(directory) {
        let directory = directory.to_owned();
        let _ = spawn_quiet("heapdump-tidy", move || clear(&directory));
    }
}

fn is_first_time(directory: &Path) -> bool {
    static CLEARED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut cleared = CLEARED.lock().unwrap_or_else(PoisonError::into_inner);
    if cleared.len() >= MOST_DIRECTORIES || cleared.iter().any(|known| known == directory) {
        return false;
    }
    cleared.push(directory.to_owned());
    true
}

/// Removes the temporary names that `file` has: its process was ended between its link and its rename.
pub(super) fn remove_names_of(file: &File, directory: &Path) {
    let Ok(wanted) = file.metadata() else { return };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten().take(MOST_NAMES) {
        let of_file =
            || entry.metadata().is_ok_and(|found| found.is_file() && same_file(&found, &wanted));
        if made_for(&entry.file_name()).is_some() && of_file() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether both are of one file.
#[cfg(unix)]
pub(super) fn same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether both are of one file, as far as this system tells.
#[cfg(windows)]
pub(super) fn same_file(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && one.modified().ok() == other.modified().ok()
}

/// `path` has a temporary name.
fn remove_if_abandoned(path: &Path) {
    let Some(file) = open_own(path) else { return };
    let Ok(opened) = file.metadata() else { return };
    let abandoned = match hold(&file) {
        Held::ByUs => true,
        Held::ByAnother => false,
        Held::Unknown => is_untouched(&opened),
    };
    // Who held it until a moment ago may have given it its name, and another may have taken this one.
    if abandoned
        && fs::symlink_metadata(path).is_ok_and(|now| now.is_file() && same_file(&now, &opened))
    {
        let _ = fs::remove_file(path);
    }
}

/// A regular file of this user's; never through a link.
#[cfg(unix)]
fn open_own(path: &Path) -> Option<File> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let is_own =
        |found: &Metadata| found.is_file() && found.uid() == crate::process::effective_user();
    fs::symlink_metadata(path).ok().filter(is_own)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    file.metadata().is_ok_and(|found| is_own(&found)).then_some(file)
}

/// A regular file; never through a link.
#[cfg(windows)]
fn open_own(path: &Path) -> Option<File> {
    fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
    OpenOptions::new().read(true).open(path).ok()
}

fn is_untouched(file: &Metadata) -> bool {
    let age = file.modified().ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age >= UNTOUCHED)
}

/// Cut so that it fits wherever NAME fits.
fn temporary_name(name: &OsStr, suffix: &str) -> OsString {
    let room = 254_usize.saturating_sub(suffix.len());
    let mut temporary = OsString::new();
    if name.len() <= room {
        temporary.push(".");
        temporary.push(name);
    }
    temporary.push(suffix);
    temporary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_fits_where_the_name_fits() {
        let long = "x".repeat(255);
        assert!(unique_name(long.as_ref()).len() <= 255);
        assert_eq!(reserving_name("a.heapsnapshot".as_ref()), ".a.heapsnapshot.heapdump.tmp");
    }

    #[test]
    fn only_own_names_are_known() {
        let unique = unique_name("a.b".as_ref());
        assert_eq!(made_for(&unique), Some(&b"a.b"[..]));
        assert_eq!(made_for(&reserving_name("a".as_ref())), Some(&b"a"[..]));
        assert_eq!(made_for(&unique_name("x".repeat(255).as_ref())), Some(&b""[..]));
        for other in [
            ".a.tmp",
            ".a.1-2.tmp",
            "a.heapdump-1-2.tmp",
            ".a.heapdump-1-2.tmp.bak",
            ".a.heapdump-1.tmp",
            ".a.heapdump-1-2-3.tmp",
            ".a.heapdump-1-x.tmp",
            ".a.myheapdump-1-2.tmp",
            ".heap-rss-1.heapsnapshot",
        ] {
            assert_eq!(made_for(other.as_ref()), None, "{other}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_somebody_holds_and_what_is_not_ours_stays() {
        let directory =
            std::env::temp_dir().join(format!("heapdump-leftovers-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let at = |name: &str| directory.join(name);
        for name in [".a.heapdump-1-1.tmp", ".b.heapdump.tmp", ".held.heapdump-1-2.tmp", ".c.tmp"] {
            fs::write(at(name), "x").expect("a file");
        }
        std::os::unix::fs::symlink(".c.tmp", at(".link.heapdump-1-3.tmp")).expect("a link");
        fs::create_dir(at(".directory.heapdump-1-4.tmp")).expect("a directory");
        let held = OpenOptions::new().write(true).open(at(".held.heapdump-1-2.tmp"));
        let held = held.expect("opens");
        assert_eq!(hold(&held), Held::ByUs);
        clear(&directory);
        let mut names: Vec<_> = fs::read_dir(&directory)
            .expect("readable")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                ".c.tmp",
                ".directory.heapdump-1-4.tmp",
                ".held.heapdump-1-2.tmp",
                ".link.heapdump-1-3.tmp"
            ]
        );
        drop(held);
        clear(&directory);
        assert!(!at(".held.heapdump-1-2.tmp").exists());
        fs::remove_dir_all(&directory).expect("removable");
    }
}
