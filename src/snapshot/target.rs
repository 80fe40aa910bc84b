//! Where a snapshot goes: a file that appears whole or not at all, a character device, or a pipe.

use super::unfinished::{Identity, PublishError, Unfinished};
use crate::error::SnapshotError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, PoisonError};

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
    /// Where it will be, and then where it is: a default name may be taken by another process meanwhile.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Output::File(target) => Some(target.path()),
            Output::Device(_, path) => Some(path),
            Output::Pipe(_) => None,
        }
    }

    /// The open file behind it.
    pub(crate) fn file(&self) -> &File {
        match self {
            Output::File(target) => target.unfinished.file(),
            Output::Device(file, _) | Output::Pipe(file) => file,
        }
    }

    /// Of the file, whatever its name is; of a file alone.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Output::File(target) => target.unfinished.identity(),
            Output::Device(..) | Output::Pipe(_) => None,
        }
    }

    /// Back to the beginning, for another attempt.
    pub(crate) fn rewind(&self) -> io::Result<()> {
        if let Output::File(target) = self {
            let mut file = target.unfinished.file();
            file.set_len(0)?;
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
            sync_directory(target.directory());
        }
    }

    /// Whether the file stands under its name already.
    pub(crate) fn is_published(&self) -> bool {
        matches!(self, Output::File(target) if target.find_published().is_some())
    }

    /// What [`Output::publish`] made of it: which of its names the file has, and which copy of it that is if it is one.
    pub(crate) fn published(&self) -> (usize, Option<Identity>) {
        match self {
            Output::File(target) => (target.taken.load(Relaxed), target.unfinished.copied()),
            Output::Device(..) | Output::Pipe(_) => (0, None),
        }
    }

    /// The file is complete under its name; there is nothing left to remove. `published`: what a child says of it, where it could.
    #[cfg(target_os = "linux")]
    pub(crate) fn keep_published(&self, published: Option<(usize, Option<Identity>)>) {
        let Output::File(target) = self else { return };
        if let Some((name, copy)) = published {
            target.taken.store(name, Relaxed);
            if let Some(copy) = copy {
                target.unfinished.set_copied(copy);
            }
        } else if let Some(name) = target.find_published() {
            target.taken.store(name, Relaxed);
        }
        target.unfinished.keep();
    }

    /// Whether it is a file that takes memory and no disk.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self, Output::File(target) if crate::process::is_in_memory(target.unfinished.file()))
    }

    /// The temporary file's path, where there is one.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        match self {
            Output::File(target) => target.unfinished.temporary(),
            Output::Device(..) | Output::Pipe(_) => None,
        }
    }

    /// Removes what earlier processes left in its directory, meanwhile.
    pub(crate) fn clear_directory(&self) {
        if let Output::File(target) = self {
            super::leftovers::clear_in_background(target.directory());
        }
    }

    /// The file will hold an image, and has an image's name. A device is written as it is, and so is a pipe.
    pub(crate) fn become_image(&self) {
        if let Output::File(target) = self {
            target.is_image.store(true, Relaxed);
        }
    }

    /// Opens `path`, absolute, for a snapshot; `image` is what it is called should it become one. What stands there is left
    /// alone until [`Output::publish`].
    pub(crate) fn open(
        path: &Path,
        image: Option<PathBuf>,
        mode: u32,
    ) -> Result<Output, SnapshotError> {
        let open_error = |source| SnapshotError::io("open", path, source);
        match check_existing(path)? {
            Existing::Device => {
                let file = OpenOptions::new().write(true).open(path).map_err(open_error)?;
                #[cfg(unix)]
                let file = super::unfinished::above_standard(file).map_err(open_error)?;
                Ok(Output::Device(file, path.to_owned()))
            }
            Existing::NoneOrFile => {
                path.file_name().ok_or_else(|| open_error(io::ErrorKind::NotFound.into()))?;
                // It is not to be found unfit when memory is short.
                image.as_deref().map(check_existing).transpose()?;
                let unfinished = Unfinished::create(path, mode)
                    .and_then(Unfinished::above_standard)
                    .map_err(open_error)?;
                Ok(Output::File(FileTarget {
                    names: vec![path.to_owned()],
                    image_names: image.into_iter().collect(),
                    is_image: AtomicBool::new(false),
                    taken: AtomicUsize::new(0),
                    unfinished,
                    reserved: Vec::new(),
                }))
            }
        }
    }
}

/// A file that is not there until it is complete.
#[derive(Debug)]
pub(crate) struct FileTarget {
    /// The name that it will have; a default one has others behind it.
    names: Vec<PathBuf>,
    /// Those that it has if it becomes an image instead.
    image_names: Vec<PathBuf>,
    is_image: AtomicBool,
    taken: AtomicUsize,
    unfinished: Unfinished,
    /// Its default names: it replaces nothing. None where the name was given.
    reserved: Vec<Reservation>,
}

/// A name that nobody chose.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) first: String,
    /// Should it become an image.
    pub(super) image: Option<String>,
}

/// Names that one dump may try at its end, when other processes have taken the ones before.
const SPARE_NAMES: usize = 64;

impl FileTarget {
    /// Reserves the first of `names` that is free in `directory`, for default names. Two dumps never share one: in this process
    /// it is on a list, and of two processes the later one takes its next name at the end.
    pub(super) fn reserve(
        directory: &Path,
        mode: u32,
        mut names: impl Iterator<Item = Name>,
    ) -> Result<(FileTarget, String), SnapshotError> {
        loop {
            let Some(name) = names.next() else {
                return Err(SnapshotError::Internal("there is no free name left".to_owned()));
            };
            let path = directory.join(&name.first);
            let image = name.image.map(|image| directory.join(image));
            let both = [Some(&path), image.as_ref()].into_iter().flatten();
            let reserved: Option<Vec<_>> = both.clone().map(|path| Reservation::of(path)).collect();
            let Some(reserved) = reserved else { continue };
            if both.into_iter().any(|path| fs::symlink_metadata(path).is_ok()) {
                continue;
            }
            match Unfinished::reserve(&path, mode).and_then(Unfinished::above_standard) {
                Ok(unfinished) => {
                    let spare: Vec<Name> = names.take(SPARE_NAMES).collect();
                    let spare_images = spare.iter().filter_map(|name| name.image.as_ref());
                    let image_names =
                        image.into_iter().chain(spare_images.map(|name| directory.join(name)));
                    let spare = spare.iter().map(|name| directory.join(&name.first));
                    let target = FileTarget {
                        names: std::iter::once(path).chain(spare).collect(),
                        image_names: image_names.collect(),
                        is_image: AtomicBool::new(false),
                        taken: AtomicUsize::new(0),
                        unfinished,
                        reserved,
                    };
                    return Ok((target, name.first));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(SnapshotError::io("open", &path, error)),
            }
        }
    }

    /// In the order in which they are tried.
    fn names(&self) -> &[PathBuf] {
        if self.is_image.load(Relaxed) { &self.image_names } else { &self.names }
    }

    fn path(&self) -> &Path {
        self.names().get(self.taken.load(Relaxed)).map_or(Path::new(""), PathBuf::as_path)
    }

    fn directory(&self) -> &Path {
        self.path().parent().unwrap_or(Path::new("."))
    }

    /// fsync and the name; fsync of the directory is a step of its own (PostgreSQL's `durable_rename`).
    fn publish(&self) -> Result<(), PublishError> {
        self.unfinished.sync()?;
        if self.reserved.is_empty() {
            return self.unfinished.replace(self.path());
        }
        let mut placed = Ok(());
        for (index, name) in self.names().iter().enumerate() {
            placed = self.unfinished.place(name);
            let is_taken =
                |error: &PublishError| error.source.kind() == io::ErrorKind::AlreadyExists;
            if !placed.as_ref().is_err_and(is_taken) {
                self.taken.store(index, Relaxed);
                break;
            }
        }
        placed
    }

    /// The names for a child whose heap is gone; `None` for paths that no system call takes.
    #[cfg(target_os = "linux")]
    pub(super) fn names_for_child(&self) -> Option<crate::process::FileNames> {
        use std::ffi::CString;
        use std::os::unix::ffi::OsStrExt;
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
        let temporary = self.unfinished.temporary();
        let passing =
            self.path().with_file_name(super::leftovers::unique_name(self.path().file_name()?));
        Some(crate::process::FileNames {
            temporary: match temporary {
                Some(path) => Some(text(path)?),
                None => None,
            },
            passing: text(&passing)?,
            directory: text(self.directory())?,
            replaces: self.reserved.is_empty(),
            names: self.names().iter().map(|name| text(name)).collect::<Option<_>>()?,
        })
    }

    /// Which of its names the file has.
    fn find_published(&self) -> Option<usize> {
        let open = self.unfinished.file().metadata().ok()?;
        self.names().iter().position(|name| {
            fs::symlink_metadata(name).is_ok_and(|found| super::leftovers::same_file(&found, &open))
        })
    }
}

/// Default names of this process whose files are not complete. Looked at for a moment alone: a directory may take long to answer,
/// and another dump is on its way to another one.
static RESERVED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A default name that no other dump of this process takes, until it is dropped.
#[derive(Debug)]
struct Reservation(PathBuf);

impl Reservation {
    /// `None` where another has it.
    fn of(path: &Path) -> Option<Reservation> {
        let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
        if reserved.iter().any(|other| other == path) {
            return None;
        }
        reserved.push(path.to_owned());
        Some(Reservation(path.to_owned()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.retain(|path| *path != self.0);
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

/// Whether a character device is there, such as /dev/null.
pub(super) fn is_device(path: &Path) -> bool {
    matches!(check_existing(path), Ok(Existing::Device))
}

#[cfg(unix)]
fn effective_user() -> u32 {
    crate::process::effective_user()
}

fn sync_directory(directory: &Path) {
    // Some file systems cannot; the file's own fsync has succeeded and the name is there.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests;
