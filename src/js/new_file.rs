//! Files that JavaScript writes, with the guarantees of a snapshot's.

use super::unpack::Unpack;
use super::values::{JsError, buffer_of, path_of};
use crate::error::SnapshotError;
use crate::snapshot::{Unfinished, clear_in_background};
use napi::bindgen_prelude::Buffer;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// See [`crate::NewFile`].
pub(crate) struct JsNewFile {
    path: PathBuf,
    unfinished: Option<Unfinished>,
    /// Who fills it stops.
    is_stopped: Arc<AtomicBool>,
}

/// A file that another thread fills, until JavaScript has that stop.
pub(crate) struct Filling {
    file: File,
    is_stopped: Arc<AtomicBool>,
}

impl Filling {
    /// # Errors
    ///
    /// It is to stop.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.is_stopped.load(Ordering::Relaxed) { Err(closed()) } else { Ok(()) }
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn closed() -> io::Error {
    io::Error::other("the file is closed")
}

impl JsNewFile {
    pub(crate) fn open(path: &[u8], mode: u32, named: bool) -> Result<JsNewFile, SnapshotError> {
        let path = path_of(path);
        let open = if named { Unfinished::create_named } else { Unfinished::create };
        let unfinished = open(&path, mode)
            .and_then(Unfinished::above_standard)
            .map_err(|error| SnapshotError::io("open", &path, error))?;
        if let Some(directory) = path.parent() {
            clear_in_background(directory);
        }
        let is_stopped = Arc::new(AtomicBool::new(false));
        Ok(JsNewFile { path, unfinished: Some(unfinished), is_stopped })
    }

    pub(crate) fn descriptor(&self) -> Option<i32> {
        self.unfinished.as_ref().map(|unfinished| descriptor(unfinished.file()))
    }

    pub(crate) fn temporary(&self) -> Option<Buffer> {
        self.unfinished.as_ref().and_then(Unfinished::temporary).map(buffer_of)
    }

    /// Has what a file holds that may be compressed and encrypted put into it.
    pub(crate) fn unpack(&self, from: &[u8], identities: Vec<PathBuf>) -> Unpack {
        Unpack { from: path_of(from), identities, to: self.fill() }
    }

    /// For another thread to fill.
    pub(crate) fn fill(&self) -> io::Result<Filling> {
        let to = self.unfinished.as_ref().ok_or_else(closed)?;
        Ok(Filling { file: to.file().try_clone()?, is_stopped: Arc::clone(&self.is_stopped) })
    }

    /// Where the file system cannot, it keeps the time that it has.
    pub(crate) fn set_modified(&self, milliseconds: f64) {
        let since = Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
        let time = since.and_then(|since| UNIX_EPOCH.checked_add(since));
        if let (Some(unfinished), Some(time)) = (&self.unfinished, time) {
            let _ = unfinished.file().set_modified(time);
        }
    }

    pub(crate) fn publish(&self, replace: bool) -> Option<JsError> {
        let unfinished = self.unfinished.as_ref()?;
        let published =
            if replace { unfinished.replace(&self.path) } else { unfinished.place(&self.path) };
        let error = published.err()?;
        Some(SnapshotError::io(error.step.syscall(), &self.path, error.source).into())
    }

    /// Apart from `close`: while a thread fills it, JavaScript's hold on it is shared.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn close(&mut self) {
        self.stop();
        self.unfinished = None;
    }
}

#[cfg(unix)]
fn descriptor(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

/// Windows has handles, which Node.js cannot write to: it opens the temporary name.
#[cfg(windows)]
fn descriptor(_file: &File) -> i32 {
    -1
}
