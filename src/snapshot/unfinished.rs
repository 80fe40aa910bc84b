//! A file that is being written: it has no name, or a temporary one, until it is complete.
//!
//! Where the file system can, it has none (`O_TMPFILE` of open(2)), so nothing is left of it whatever ends its processes.
//! Elsewhere it has a temporary one and a lock, by which [`super::leftovers`] sees that nobody holds it any more.

use super::leftovers::{remove_names_of, reserving_name, unique_name};
use crate::process::Held;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Which step of publishing failed.
#[derive(Debug)]
pub(crate) struct PublishError {
    pub(crate) step: PublishStep,
    pub(crate) source: io::Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishStep {
    Sync,
    Link,
    Rename,
}

impl PublishStep {
    pub(crate) fn syscall(self) -> &'static str {
        match self {
            PublishStep::Sync => "fsync",
            PublishStep::Link => "link",
            PublishStep::Rename => "rename",
        }
    }
}

impl PublishError {
    fn at(step: PublishStep) -> impl FnOnce(io::Error) -> PublishError {
        move |source| PublishError { step, source }
    }
}

impl From<PublishError> for io::Error {
    fn from(error: PublishError) -> io::Error {
        error.source
    }
}

/// Device and inode.
pub(crate) type Identity = (u64, u64);

/// An open file, gone when it is dropped before it was given its name.
#[derive(Debug)]
pub(crate) struct Unfinished {
    file: File,
    directory: PathBuf,
    /// `None`: it has no name.
    temporary: Option<PathBuf>,
    /// What has the name in its place.
    copied: OnceLock<Identity>,
    kept: AtomicBool,
}

/// Names that are tried: other processes of this pid, in other containers, may have the first ones.
const TRIES: u32 = 64;

impl Unfinished {
    /// A file that will be `path`, or stand in its directory. `mode` whatever the umask.
    ///
    /// # Errors
    ///
    /// What open(2) says.
    pub(crate) fn create(path: &Path, mode: u32) -> io::Result<Unfinished> {
        let directory = directory_of(path);
        match nameless(directory, mode) {
            Some(file) => Ok(Unfinished::new(file, directory, None)),
            None => Unfinished::create_named(path, mode),
        }
    }

    /// The same; where it has to have a temporary name, that is `path`'s alone, and fails with `AlreadyExists` where
    /// another has it.
    pub(super) fn reserve(path: &Path, mode: u32) -> io::Result<Unfinished> {
        let directory = directory_of(path);
        match nameless(directory, mode) {
            Some(file) => Ok(Unfinished::new(file, directory, None)),
            None => {
                let temporary = directory.join(reserving_name(name_of(path)));
                Ok(Unfinished::new(open_held(&temporary, mode)?, directory, Some(temporary)))
            }
        }
    }

    /// The same, with a temporary name for those who cannot write to what is open here.
    ///
    /// # Errors
    ///
    /// What open(2) says.
    pub(crate) fn create_named(path: &Path, mode: u32) -> io::Result<Unfinished> {
        let directory = directory_of(path);
        let (file, temporary) = with_unique_name(path, |temporary| open_held(temporary, mode))?;
        Ok(Unfinished::new(file, directory, Some(temporary)))
    }

    fn new(file: File, directory: &Path, temporary: Option<PathBuf>) -> Unfinished {
        Unfinished {
            file,
            directory: directory.to_owned(),
            temporary,
            copied: OnceLock::new(),
            kept: AtomicBool::new(false),
        }
    }

    /// Moved out of the place of a closed standard descriptor; for files that stay open for long.
    ///
    /// # Errors
    ///
    /// `EMFILE` where there is no other place.
    pub(crate) fn above_standard(self) -> io::Result<Unfinished> {
        #[cfg(unix)]
        {
            let mut moved = self;
            if let Some(file) = place_above_standard(&moved.file)? {
                moved.file = file;
            }
            Ok(moved)
        }
        #[cfg(windows)]
        Ok(self)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The temporary name, where it has one.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        self.temporary.as_deref()
    }

    /// Of the file, or of the copy that has the name in its place.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.copied().or_else(|| identity_of(&self.file))
    }

    pub(super) fn copied(&self) -> Option<Identity> {
        self.copied.get().copied()
    }

    /// A child has given its name to a copy.
    pub(super) fn set_copied(&self, copy: Identity) {
        // Another attempt's child would have begun anew.
        let _ = self.copied.set(copy);
    }

    /// It has its name: there is nothing to remove.
    pub(super) fn keep(&self) {
        self.kept.store(true, Relaxed);
    }

    /// What is written reaches the disk before the name does.
    pub(super) fn sync(&self) -> Result<(), PublishError> {
        self.file.sync_all().map_err(PublishError::at(PublishStep::Sync))
    }

    /// Gives it the name `path`, in place of what has it. In a forked child too.
    pub(crate) fn replace(&self, path: &Path) -> Result<(), PublishError> {
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, path).map_err(PublishError::at(PublishStep::Rename))?;
        } else {
            match self.link(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.replace_by_rename(path)?;
                }
                Err(error) if is_about_links(&error) => {
                    self.name_copy(path, Unfinished::replace)?;
                }
                Err(error) => return Err(PublishError::at(PublishStep::Link)(error)),
            }
        }
        self.keep();
        Ok(())
    }

    /// Gives it the name `path` if that is free; `AlreadyExists` where it is not. In a forked child too.
    pub(crate) fn place(&self, path: &Path) -> Result<(), PublishError> {
        if let Some(temporary) = &self.temporary {
            place_named(temporary, path)?;
        } else {
            match self.link(path) {
                Ok(()) => {}
                Err(error) if is_about_links(&error) => {
                    self.name_copy(path, Unfinished::place)?;
                }
                Err(error) => return Err(PublishError::at(PublishStep::Link)(error)),
            }
        }
        self.keep();
        Ok(())
    }

    /// linkat(2) replaces nothing, so it gets a temporary name for a moment.
    fn replace_by_rename(&self, path: &Path) -> Result<(), PublishError> {
        let linked = with_unique_name(path, |temporary| self.link(temporary));
        let ((), temporary) = linked.map_err(PublishError::at(PublishStep::Link))?;
        fs::rename(&temporary, path).map_err(|source| {
            let _ = fs::remove_file(&temporary);
            PublishError { step: PublishStep::Rename, source }
        })
    }

    #[cfg(target_os = "linux")]
    fn link(&self, path: &Path) -> io::Result<()> {
        crate::process::link_open_file(&self.file, path)
    }

    #[cfg(not(target_os = "linux"))]
    fn link(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A security module let it be made, and does not let it be named (AppArmor without `mediate_deleted`).
    fn name_copy(
        &self,
        path: &Path,
        name: impl FnOnce(&Unfinished, &Path) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let copy = self.copy(path)?;
        name(&copy, path)?;
        if let Some(identity) = copy.identity() {
            self.set_copied(identity);
        }
        Ok(())
    }

    fn copy(&self, path: &Path) -> Result<Unfinished, PublishError> {
        let copy = || -> io::Result<Unfinished> {
            let mode = mode_of(&self.file)?;
            let copy = Unfinished::create_named(path, mode)?;
            io::Seek::rewind(&mut &self.file)?;
            io::copy(&mut &self.file, &mut &copy.file)?;
            Ok(copy)
        };
        let copy = copy().map_err(PublishError::at(PublishStep::Link))?;
        copy.sync()?;
        Ok(copy)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.kept.load(Relaxed) {
            return;
        }
        match &self.temporary {
            // Nothing more can be done when that fails.
            Some(temporary) => drop(fs::remove_file(temporary)),
            // Its child may have been ended in the middle of `replace_by_rename`.
            None if has_a_name(&self.file) => remove_names_of(&self.file, &self.directory),
            None => {}
        }
    }
}

/// Not in the place of a closed standard descriptor, where anybody's text would land in it.
#[cfg(unix)]
pub(crate) fn above_standard(file: File) -> io::Result<File> {
    Ok(place_above_standard(&file)?.unwrap_or(file))
}

#[cfg(unix)]
fn place_above_standard(file: &File) -> io::Result<Option<File>> {
    use std::os::fd::AsRawFd;
    // try_clone gives the lowest free descriptor from 3 on (F_DUPFD_CLOEXEC).
    if file.as_raw_fd() > 2 { Ok(None) } else { file.try_clone().map(Some) }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn name_of(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

fn with_unique_name<T>(
    path: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(T, PathBuf)> {
    for _ in 0..TRIES {
        let temporary = path.with_file_name(unique_name(name_of(path)));
        match make(&temporary) {
            Ok(made) => return Ok((made, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// `None` where that cannot be: the file system (EOPNOTSUPP) or the kernel (EISDIR, EINVAL) knows no such files, or /proc, by
/// which they are named, is not there. What is wrong with the directory itself is told when a name is tried.
#[cfg(target_os = "linux")]
fn nameless(directory: &Path, mode: u32) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    // Readable, for `Unfinished::copy`.
    options.read(true).write(true).custom_flags(libc::O_TMPFILE).mode(mode & 0o600);
    let file = options.open(directory).ok()?;
    fs::symlink_metadata(crate::process::open_file_path(&file)).ok()?;
    give_mode(&file, mode);
    // For the moment in which it has a temporary name.
    let _ = crate::process::hold(&file);
    Some(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_directory: &Path, _mode: u32) -> Option<File> {
    None
}

/// A new file that is held by this process; `AlreadyExists` where it is not.
fn open_held(path: &Path, mode: u32) -> io::Result<File> {
    let file = open_exclusive(path, mode)?;
    // Before it was held somebody may have taken it for abandoned: it is gone, or about to be.
    match crate::process::hold(&file) {
        Held::ByAnother => Err(io::ErrorKind::AlreadyExists.into()),
        Held::ByUs if !has_a_name(&file) => Err(io::ErrorKind::AlreadyExists.into()),
        _ => Ok(file),
    }
}

fn open_exclusive(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let file = options.mode(mode & 0o600).open(path)?;
        give_mode(&file, mode);
        Ok(file)
    }
    #[cfg(windows)]
    {
        let _ = mode;
        options.open(path)
    }
}

/// open(2) subtracts the umask; what was asked for is what the file gets, where the file system knows modes.
#[cfg(unix)]
fn give_mode(file: &File, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let _ = file.set_permissions(fs::Permissions::from_mode(mode));
}

#[cfg(unix)]
fn mode_of(file: &File) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.mode() & 0o7777)
}

#[cfg(windows)]
fn mode_of(_file: &File) -> io::Result<u32> {
    Ok(0o600)
}

#[cfg(unix)]
fn identity_of(file: &File) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    file.metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(windows)]
fn identity_of(_file: &File) -> Option<Identity> {
    None
}

#[cfg(unix)]
fn has_a_name(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|found| found.nlink() > 0)
}

#[cfg(windows)]
fn has_a_name(_file: &File) -> bool {
    true
}

/// Not about the disk or the new name.
#[cfg(target_os = "linux")]
fn is_about_links(error: &io::Error) -> bool {
    const REFUSED: [i32; 6] =
        [libc::ENOENT, libc::EPERM, libc::EACCES, libc::EXDEV, libc::EOPNOTSUPP, libc::ELOOP];
    error.raw_os_error().is_some_and(|number| REFUSED.contains(&number))
}

#[cfg(not(target_os = "linux"))]
fn is_about_links(_error: &io::Error) -> bool {
    false
}

/// A second name that replaces nothing, then without the first one. Where the file system knows no links (vfat), a rename.
fn place_named(temporary: &Path, path: &Path) -> Result<(), PublishError> {
    match fs::hard_link(temporary, path) {
        // What is left of it otherwise is nobody's, and a later process removes it.
        Ok(()) => drop(fs::remove_file(temporary)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(PublishError::at(PublishStep::Link)(error));
        }
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            return Err(PublishError::at(PublishStep::Link)(io::ErrorKind::AlreadyExists.into()));
        }
        Err(_) => fs::rename(temporary, path).map_err(PublishError::at(PublishStep::Rename))?,
    }
    Ok(())
}
