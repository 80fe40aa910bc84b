//! Where a snapshot goes: a file that appears whole or not at all, a character device, or a pipe.

use crate::error::SnapshotError;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// An output that is open.
#[derive(Debug)]
pub(crate) enum Output {
    File(FileTarget),
    /// A character device, such as /dev/null or /dev/full: written in place.
    Device(File, PathBuf),
    /// The writing end of a pipe.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Pipe(File),
}

impl Output {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Output::File(target) => Some(&target.path),
            Output::Device(_, path) => Some(path),
            Output::Pipe(_) => None,
        }
    }

    /// The open file behind it.
    pub(crate) fn file(&self) -> &File {
        match self {
            Output::File(target) => &target.file,
            Output::Device(file, _) | Output::Pipe(file) => file,
        }
    }

    /// Device and inode of the open file, whatever its name is; of a file alone.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        #[cfg(unix)]
        if let Output::File(target) = self {
            use std::os::unix::fs::MetadataExt;
            return target.file.metadata().ok().map(|found| (found.dev(), found.ino()));
        }
        None
    }

    /// Back to the beginning, for another attempt.
    pub(crate) fn rewind(&self) -> io::Result<()> {
        if let Output::File(FileTarget { file, .. }) = self {
            file.set_len(0)?;
            let mut file = file;
            file.rewind()?;
        }
        Ok(())
    }

    /// Everything is written: makes it durable and visible. [`Output::sync_directory`] is the last step.
    pub(crate) fn publish(&self) -> Result<(), PublishError> {
        match self {
            Output::File(target) => target.publish(),
            Output::Device(..) | Output::Pipe(_) => Ok(()),
        }
    }

    /// Makes the new name durable.
    pub(crate) fn sync_directory(&self) {
        if let Output::File(target) = self {
            sync_directory(target.path.parent().unwrap_or(Path::new(".")));
        }
    }

    /// Whether the file stands under its name already.
    #[cfg(unix)]
    pub(crate) fn is_published(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Output::File(target) = self else { return false };
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let open = target.file.metadata().map(identity).ok();
        open.is_some() && open == fs::symlink_metadata(&target.path).map(identity).ok()
    }

    /// The file is complete under its name; there is nothing left to remove.
    pub(crate) fn keep(&self) {
        if let Output::File(target) = self {
            target.kept.store(true, Relaxed);
        }
    }

    /// The temporary file's path, where there is one.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        match self {
            Output::File(target) => Some(&target.temporary),
            Output::Device(..) | Output::Pipe(_) => None,
        }
    }

    /// Opens `path`, absolute, for a snapshot. What stands there is left alone until [`Output::publish`].
    pub(crate) fn open(path: &Path, mode: u32) -> Result<Output, SnapshotError> {
        let open_error = |source| SnapshotError::io("open", path, source);
        match check_existing(path)? {
            Existing::Device => {
                let file = OpenOptions::new().write(true).open(path).map_err(open_error)?;
                #[cfg(unix)]
                let file = above_standard(file).map_err(open_error)?;
                Ok(Output::Device(file, path.to_owned()))
            }
            Existing::NoneOrFile => {
                let name =
                    path.file_name().ok_or_else(|| open_error(io::ErrorKind::NotFound.into()))?;
                FileTarget::create(path, mode, |attempt| temporary_name(name, Some(attempt)))
                    .map(Output::File)
            }
        }
    }
}

/// Which step of publishing failed.
#[derive(Debug)]
pub(crate) struct PublishError {
    pub(crate) step: PublishStep,
    pub(crate) source: io::Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishStep {
    Sync,
    Rename,
}

/// A file under a temporary name beside the one it is for. Removed when dropped, unless it was kept.
#[derive(Debug)]
pub(crate) struct FileTarget {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    kept: AtomicBool,
}

impl FileTarget {
    /// Reserves the first of `names` that is free in `directory`, for default names: two processes never agree on one,
    /// because its temporary file is the reservation.
    pub(crate) fn reserve(
        directory: &Path,
        mode: u32,
        mut names: impl Iterator<Item = String>,
    ) -> Result<(FileTarget, String), SnapshotError> {
        loop {
            let Some(name) = names.next() else {
                return Err(SnapshotError::Internal("there is no free name left".to_owned()));
            };
            let path = directory.join(&name);
            if fs::symlink_metadata(&path).is_ok() {
                continue;
            }
            match FileTarget::create(&path, mode, |_| temporary_name(name.as_ref(), None)) {
                // Another process may have completed it since it was looked for; from here on nobody can.
                Ok(_) if fs::symlink_metadata(&path).is_ok() => {}
                Ok(target) => return Ok((target, name)),
                Err(SnapshotError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn create(
        path: &Path,
        mode: u32,
        temporary_name: impl Fn(u32) -> OsString,
    ) -> Result<FileTarget, SnapshotError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let directory = path.parent().unwrap_or(Path::new("."));
        for _ in 0..64 {
            let temporary = directory.join(temporary_name(NEXT.fetch_add(1, Relaxed)));
            match open_exclusive(&temporary, mode) {
                Ok(file) => {
                    return Ok(FileTarget {
                        path: path.to_owned(),
                        temporary,
                        file,
                        kept: AtomicBool::new(false),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(SnapshotError::io("open", path, error)),
            }
        }
        Err(SnapshotError::io("open", path, io::ErrorKind::AlreadyExists.into()))
    }

    /// fsync, rename, fsync of the directory (PostgreSQL's `durable_rename`).
    fn publish(&self) -> Result<(), PublishError> {
        self.file.sync_all().map_err(|source| PublishError { step: PublishStep::Sync, source })?;
        fs::rename(&self.temporary, &self.path)
            .map_err(|source| PublishError { step: PublishStep::Rename, source })?;
        Ok(())
    }
}

impl Drop for FileTarget {
    fn drop(&mut self) {
        if !self.kept.load(Relaxed) {
            // Nothing more can be done when that fails.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// What stands at a path that a snapshot may take.
enum Existing {
    /// Nothing, a regular file or a link to one: replaced.
    NoneOrFile,
    Device,
}

#[cfg(unix)]
fn check_existing(path: &Path) -> Result<Existing, SnapshotError> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let io_error = |source| SnapshotError::io("open", path, source);
    let os_error = |errno| SnapshotError::io("open", path, io::Error::from_raw_os_error(errno));
    if path.as_os_str().is_empty() {
        return Err(os_error(libc::ENOENT));
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // As open(2) with O_CREAT does: a name that ends in a slash cannot become a file.
        Err(_) if path.as_os_str().as_bytes().ends_with(b"/") => {
            return Err(os_error(libc::EISDIR));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Existing::NoneOrFile),
        Err(error) => return Err(io_error(error)),
    };
    let link = found.file_type().is_symlink();
    let what = match fs::metadata(path) {
        Ok(what) => what,
        Err(_) if link => return Ok(Existing::NoneOrFile),
        Err(error) => return Err(io_error(error)),
    };
    let kind = what.file_type();
    if kind.is_dir() {
        return Err(os_error(libc::EISDIR));
    }
    // /dev/stdout and its like: a rename over them would replace them for the whole machine.
    if link && (path.starts_with("/dev") || path.starts_with("/proc")) {
        return Err(SnapshotError::NotAFile {
            path: path.to_owned(),
            found: "a link of the system's",
        });
    }
    if kind.is_char_device() && !link {
        return Ok(Existing::Device);
    }
    if !kind.is_file() {
        let found = match (kind.is_fifo(), kind.is_socket(), link) {
            (true, ..) => "a FIFO",
            (_, true, _) => "a socket",
            (.., true) => "a link to a device",
            _ => "a device",
        };
        return Err(SnapshotError::NotAFile { path: path.to_owned(), found });
    }
    // The directory may let anybody rename over it, but a stranger's file is not ours to replace.
    let own = effective_user();
    if own != 0 && found.uid() != own {
        return Err(os_error(libc::EACCES));
    }
    Ok(Existing::NoneOrFile)
}

#[cfg(windows)]
fn check_existing(path: &Path) -> Result<Existing, SnapshotError> {
    if path.as_os_str().is_empty() {
        return Err(SnapshotError::io("open", path, io::ErrorKind::NotFound.into()));
    }
    if path.is_dir() {
        return Err(SnapshotError::io("open", path, io::ErrorKind::IsADirectory.into()));
    }
    Ok(Existing::NoneOrFile)
}

#[cfg(unix)]
fn effective_user() -> u32 {
    crate::process::effective_user()
}

fn open_exclusive(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(mode & 0o600).open(path)?;
        // open(2) subtracts the umask; what was asked for is what the file gets, where the file system knows modes.
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
        above_standard(file).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }
    #[cfg(windows)]
    {
        let _ = mode;
        options.open(path)
    }
}

/// Not in the place of a closed standard descriptor, where anybody's text would land in it.
#[cfg(unix)]
pub(crate) fn above_standard(file: File) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    // try_clone gives the lowest free descriptor from 3 on (F_DUPFD_CLOEXEC).
    if file.as_raw_fd() > 2 { Ok(file) } else { file.try_clone() }
}

fn sync_directory(directory: &Path) {
    // Some file systems cannot; the file's own fsync has succeeded and the name is there.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// `.NAME.tmp`, or unique in the machine with `attempt`; cut so that it fits wherever NAME fits.
fn temporary_name(name: &std::ffi::OsStr, attempt: Option<u32>) -> OsString {
    let suffix = match attempt {
        Some(attempt) => format!(".{}-{attempt}.tmp", std::process::id()),
        None => ".tmp".to_owned(),
    };
    let room = 254_usize.saturating_sub(suffix.len());
    let mut temporary = OsString::from(".");
    if name.len() <= room {
        temporary.push(name);
    } else {
        temporary.push("heapdump");
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
        assert!(temporary_name(long.as_ref(), Some(7)).len() <= 255);
        assert_eq!(temporary_name("a.heapsnapshot".as_ref(), None), ".a.heapsnapshot.tmp");
    }

    #[test]
    fn a_dropped_target_leaves_nothing() {
        let directory =
            std::env::temp_dir().join(format!("heapdump-target-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let output = Output::open(&directory.join("a"), 0o600).expect("opens");
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 1);
        drop(output);
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 0);
        fs::remove_dir(&directory).expect("empty");
    }

    #[test]
    fn default_names_are_reserved_once() {
        let directory =
            std::env::temp_dir().join(format!("heapdump-reserve-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let names = || ["a".to_owned(), "b".to_owned()].into_iter();
        let (first, first_name) =
            FileTarget::reserve(&directory, 0o600, names()).expect("reserves");
        let (second, second_name) =
            FileTarget::reserve(&directory, 0o600, names()).expect("reserves");
        assert_eq!((first_name.as_str(), second_name.as_str()), ("a", "b"));
        drop((first, second));
        fs::remove_dir(&directory).expect("empty");
    }
}
