//! What a command runs in: where its answer goes, and how it loads a snapshot.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use heapsnapshot::{LoadOptions, Snapshot};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};

pub(crate) struct Session<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
    progress: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, progress: bool) -> Self {
        Session { out, err, progress }
    }

    /// Loads a file; says on `err` what is missing from one that is salvaged.
    pub(crate) fn load(&mut self, path: &Path, salvage: bool) -> Result<Snapshot> {
        let options = LoadOptions::new().salvage(salvage);
        let failed = |source| Error::Snapshot { path: path.to_owned(), source };
        let snapshot = match self.bar(path) {
            Some((bar, file)) => {
                let snapshot = options.read(bar.wrap_read(file)).map_err(failed);
                bar.finish_and_clear();
                snapshot?
            }
            None => options.open(path).map_err(failed)?,
        };
        for problem in snapshot.missing() {
            writeln!(self.err, "heapdump-rs: {}: salvaged: {problem}", path.display())?;
        }
        Ok(snapshot)
    }

    fn bar(&self, path: &Path) -> Option<(ProgressBar, File)> {
        if !self.progress {
            return None;
        }
        let file = File::open(path).ok()?;
        let bar = ProgressBar::new(file.metadata().ok()?.len());
        let style = "{spinner} {msg} {bar:30} {bytes}/{total_bytes}";
        bar.set_style(ProgressStyle::with_template(style).ok()?);
        bar.set_message(path.file_name()?.to_string_lossy().into_owned());
        Some((bar, file))
    }
}

/// Passes on what is written without colours.
pub(crate) struct Plain<'a> {
    inner: &'a mut dyn Write,
    state: anstream::adapter::StripBytes,
}

impl<'a> Plain<'a> {
    pub(crate) fn new(inner: &'a mut dyn Write) -> Self {
        Plain { inner, state: anstream::adapter::StripBytes::new() }
    }
}

impl Write for Plain<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for plain in self.state.strip_next(bytes) {
            self.inner.write_all(plain)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
