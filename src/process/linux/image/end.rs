//! How a child ends whose heap is gone: its file is on the disk, and has its name.

use super::maps::{Lines, decimal};
use super::save::Saved;
use super::system;
use crate::process::{Failure, Progress, Stage};
use std::ffi::{CStr, CString, c_int};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;

/// What a file may be called, as its parent knows it.
#[derive(Debug, Default)]
pub(crate) struct FileNames {
    /// What it is called while it is being written; `None`: it has no name (`O_TMPFILE`).
    pub(crate) temporary: Option<CString>,
    /// A free name beside it, for a moment: linkat(2) replaces nothing.
    pub(crate) passing: CString,
    /// Where its names are.
    pub(crate) directory: CString,
    /// It takes the place of what has its name; otherwise it gets the first of its names that is free.
    pub(crate) replaces: bool,
    pub(crate) names: Vec<CString>,
}

/// The same in the buffers: text without end, names behind each other.
#[derive(Debug)]
pub(super) struct Names {
    has_temporary: bool,
    replaces: bool,
    /// Each with its zero: `temporary` (empty where there is none), `passing`, `directory`, the names.
    text: &'static [u8],
}

impl FileNames {
    fn parts(&self) -> impl Iterator<Item = &CStr> {
        let first = self.temporary.as_deref().unwrap_or_default();
        [first, &self.passing, &self.directory]
            .into_iter()
            .chain(self.names.iter().map(|name| &**name))
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts().map(|part| part.to_bytes_with_nul().len()).sum()
    }

    pub(super) fn copy_into(&self, text: &'static mut [u8]) -> Names {
        let mut at = 0;
        for part in self.parts() {
            let part = part.to_bytes_with_nul();
            text[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Names { has_temporary: self.temporary.is_some(), replaces: self.replaces, text }
    }
}

impl Names {
    pub(super) fn temporary(&self) -> Option<&'static CStr> {
        self.has_temporary.then(|| self.parts().next()).flatten()
    }

    fn parts(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        let mut text = self.text;
        std::iter::from_fn(move || {
            let part = CStr::from_bytes_until_nul(text).ok()?;
            text = text.get(part.to_bytes_with_nul().len()..)?;
            Some(part)
        })
    }

    /// Gives the open `file` its name; which of the names it is.
    fn publish(&self, file: RawFd) -> Result<usize, (Failure, i32)> {
        let mut parts = self.parts();
        let (Some(temporary), Some(passing), Some(_)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err((Failure::Internal, 0));
        };
        let mut shown = [0; 32];
        let source = if self.has_temporary { temporary } else { shown_in_proc(file, &mut shown) };
        if self.replaces {
            let Some(name) = parts.next() else { return Err((Failure::Internal, 0)) };
            let from = if self.has_temporary {
                source
            } else {
                system::link(source, passing).map_err(|errno| (Failure::Link, errno))?;
                passing
            };
            return system::rename(from, name).map(|()| 0).map_err(|errno| {
                if !self.has_temporary {
                    system::unlink(passing);
                }
                (Failure::Rename, errno)
            });
        }
        let mut placed = Err(libc::ENOENT);
        for (index, name) in parts.enumerate() {
            placed = match system::link(source, name) {
                Ok(()) if self.has_temporary => {
                    system::unlink(temporary);
                    Ok(index)
                }
                Err(errno) if self.has_temporary && errno != libc::EEXIST => {
                    // The file system knows no second names (vfat).
                    system::rename_to_free(temporary, name).map(|()| index)
                }
                linked => linked.map(|()| index),
            };
            if placed != Err(libc::EEXIST) {
                break;
            }
        }
        placed.map_err(|errno| (Failure::Link, errno))
    }

    /// Makes the new name durable, as far as the file system can.
    fn sync_directory(&self) {
        let Some(directory) = self.parts().nth(2) else { return };
        if let Ok(directory) = system::open(directory) {
            let _ = system::sync(directory);
            system::close(directory);
        }
    }
}

/// Ends the child that has saved its image, or not.
pub(super) fn end(
    saved: Result<Saved, (Failure, i32)>,
    file: RawFd,
    progress: &'static Progress,
) -> ! {
    const COMPLETE: c_int = 0;
    const FAILED: c_int = 1;
    let ended = saved.and_then(|saved| {
        if saved.names.is_some() {
            // As long as it likes, as a write may.
            progress.writing.store(true, Relaxed);
            system::sync(file).map_err(|errno| (Failure::Sync, errno))?;
        }
        Ok(saved.names)
    });
    let status = match ended {
        Ok(Some(names)) => match names.publish(file) {
            Ok(name) => {
                progress.set_published(name, None);
                progress.enter(Stage::Complete);
                names.sync_directory();
                COMPLETE
            }
            // It may have other ways, and tells if it has none.
            Err(_) if !super::super::child::is_alone() => {
                progress.enter(Stage::Complete);
                COMPLETE
            }
            // All of it is on the disk: what has a temporary name keeps that.
            Err((failure, errno)) => {
                progress.fail(failure, errno);
                FAILED
            }
        },
        Ok(None) => {
            progress.enter(Stage::Complete);
            COMPLETE
        }
        Err((failure, errno)) => {
            progress.fail(failure, errno);
            super::super::child::clean_up_alone();
            FAILED
        }
    };
    // SAFETY: _exit runs no destructor and no atexit handler of the parent's.
    unsafe { libc::_exit(status) }
}

/// What this process alone has in memory, in bytes (smaps_rollup of proc(5)); 0 where it is not told. Without pages of files
/// that nobody else has mapped: they are the page cache's.
pub(super) fn private_memory() -> u64 {
    let mut text = [0; 2048];
    let Ok(file) = system::open(c"/proc/self/smaps_rollup") else { return 0 };
    let mut lines = Lines::new(file, &mut text);
    let mut kilobytes = 0;
    while let Some(line) = lines.next_line() {
        if let Some(mut number) = line.strip_prefix(b"Private_Dirty:") {
            number = number.trim_ascii_start();
            kilobytes += decimal(&mut number).unwrap_or(0);
        }
    }
    system::close(file);
    kilobytes * 1024
}

/// `/proc/self/fd/N`.
fn shown_in_proc(file: RawFd, text: &mut [u8; 32]) -> &CStr {
    const DIRECTORY: &[u8] = b"/proc/self/fd/";
    let mut digits = [0; 10];
    let mut left = file.unsigned_abs();
    let mut count = 0;
    for digit in &mut digits {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    let digits = digits.iter().take(count).rev();
    for (to, byte) in text.iter_mut().zip(DIRECTORY.iter().chain(digits)) {
        *to = *byte;
    }
    CStr::from_bytes_until_nul(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    fn text(path: &Path) -> CString {
        CString::new(path.as_os_str().as_bytes()).expect("no zeros")
    }

    fn publish(directory: &Path, temporary: bool, replaces: bool) -> Result<usize, (Failure, i32)> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = fs::OpenOptions::new();
        let options = options.write(true);
        let at = directory.join("temporary");
        let file = if temporary {
            options.create_new(true).open(&at)
        } else {
            options.custom_flags(libc::O_TMPFILE).open(directory)
        };
        let file = file.expect("a file");
        let names = FileNames {
            temporary: temporary.then(|| text(&at)),
            passing: text(&directory.join("passing")),
            directory: text(directory),
            replaces,
            names: ["a", "b"].map(|name| text(&directory.join(name))).into(),
        };
        names.copy_into(vec![0; names.bytes()].leak()).publish(file.as_raw_fd())
    }

    fn names_in(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("readable");
        let name = |entry: Result<fs::DirEntry, _>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_gets_its_name_with_and_without_a_temporary_one() {
        for temporary in [false, true] {
            let directory = directory("heapdump-end-replace");
            fs::write(directory.join("a"), "old").expect("written");
            assert_eq!(publish(&directory, temporary, true), Ok(0));
            assert_eq!(names_in(&directory), ["a"]);
            assert_eq!(fs::read(directory.join("a")).expect("readable"), b"");
            fs::remove_dir_all(&directory).expect("removed");
        }
    }

    #[test]
    fn nothing_is_replaced_that_is_not_to_be() {
        for temporary in [false, true] {
            let directory = directory("heapdump-end-place");
            fs::write(directory.join("a"), "old").expect("written");
            assert_eq!(publish(&directory, temporary, false), Ok(1));
            assert_eq!(names_in(&directory), ["a", "b"]);
            assert_eq!(publish(&directory, temporary, false), Err((Failure::Link, libc::EEXIST)));
            assert_eq!(fs::read(directory.join("a")).expect("readable"), b"old");
            fs::remove_dir_all(&directory).expect("removed");
        }
    }

    #[test]
    fn where_there_are_no_links_a_rename_replaces_nothing() {
        let directory = directory("heapdump-end-rename");
        let [from, to] = ["from", "to"].map(|name| text(&directory.join(name)));
        fs::write(directory.join("from"), "new").expect("written");
        fs::write(directory.join("to"), "old").expect("written");
        assert_eq!(system::rename_to_free(&from, &to), Err(libc::EEXIST));
        assert_eq!(fs::read(directory.join("to")).expect("readable"), b"old");
        fs::remove_file(directory.join("to")).expect("removed");
        assert_eq!(system::rename_to_free(&from, &to), Ok(()));
        assert_eq!(names_in(&directory), ["to"]);
        fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn an_open_file_is_shown_by_its_number() {
        for number in [0, 7, 10, 1_000_000, i32::MAX] {
            let mut text = [0; 32];
            let shown = shown_in_proc(number, &mut text).to_str().expect("ASCII");
            assert_eq!(shown, format!("/proc/self/fd/{number}"));
        }
    }
}
