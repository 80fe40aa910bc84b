//! What a command runs in: where its answer goes, and how it loads a snapshot.

use std::io::{Read, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use heapsnapshot::{Identities, LoadOptions, Snapshot};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::error::{Error, Result};
use crate::source_maps::SourceMaps;

pub(crate) struct Session<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
    /// Where places come from, if that was asked for.
    pub(crate) source_maps: Option<Arc<SourceMaps>>,
    /// What opens encrypted files.
    pub(crate) identities: Option<Arc<Identities>>,
    progress: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, progress: bool) -> Self {
        Session { out, err, source_maps: None, identities: None, progress }
    }

    /// Loads a file; says on `err` what is missing from one that is salvaged.
    pub(crate) fn load(&mut self, path: &Path, salvage: bool) -> Result<Snapshot> {
        let bars = self.progress.then(MultiProgress::new);
        let options = self.options().salvage(salvage);
        let mut snapshot = open(path, options, bars.as_ref())?;
        self.tell_missing(path, &snapshot)?;
        self.map_places(&mut snapshot);
        Ok(snapshot)
    }

    /// Loads several files, two at a time where there are two cores, and computes what comparing
    /// them will ask for.
    pub(crate) fn load_all(&mut self, paths: &[&Path], salvage: bool) -> Result<Vec<Snapshot>> {
        let bars = self.progress.then(MultiProgress::new);
        let options = self.options().salvage(salvage);
        let work = |path: &Path| {
            let snapshot = open(path, options.clone(), bars.as_ref())?;
            let _ = snapshot.total_size();
            Ok(snapshot)
        };
        let two = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        let mut snapshots = Vec::with_capacity(paths.len());
        for pair in paths.chunks(if two { 2 } else { 1 }) {
            let loaded: Vec<Result<Snapshot>> = match pair {
                [one, other] => std::thread::scope(|scope| {
                    let other = scope.spawn(|| work(other));
                    let one = work(one);
                    let other = other.join().unwrap_or_else(|panic| resume_unwind(panic));
                    vec![one, other]
                }),
                single => single.iter().map(|path| work(path)).collect(),
            };
            for (path, snapshot) in pair.iter().zip(loaded) {
                let mut snapshot = snapshot?;
                self.tell_missing(path, &snapshot)?;
                self.map_places(&mut snapshot);
                snapshots.push(snapshot);
            }
        }
        Ok(snapshots)
    }

    /// The bytes of a file, decrypted and unpacked.
    pub(crate) fn unpacked(&self, path: &Path) -> Result<Box<dyn Read>> {
        self.options().unpacked(path).map_err(|error| Error::load(path, error))
    }

    fn options(&self) -> LoadOptions {
        LoadOptions::new().identities(self.identities.clone())
    }

    fn map_places(&self, snapshot: &mut Snapshot) {
        if let Some(maps) = &self.source_maps {
            maps.apply(snapshot);
        }
    }

    fn tell_missing(&mut self, path: &Path, snapshot: &Snapshot) -> Result<()> {
        for problem in snapshot.missing() {
            writeln!(self.err, "heapdump-rs: {}: salvaged: {problem}", path.display())?;
        }
        Ok(())
    }
}

fn open(path: &Path, mut options: LoadOptions, bars: Option<&MultiProgress>) -> Result<Snapshot> {
    let bar = bars.and_then(|bars| bar(path, bars));
    if let Some(bar) = bar.clone() {
        options = options.on_progress(move |bytes| bar.set_position(bytes));
    }
    let snapshot = options.open(path);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    snapshot.map_err(|source| Error::load(path, source))
}

fn bar(path: &Path, bars: &MultiProgress) -> Option<ProgressBar> {
    let bar = ProgressBar::new(path.metadata().ok()?.len());
    let style = "{spinner} {msg} {bar:30} {bytes}/{total_bytes}";
    bar.set_style(ProgressStyle::with_template(style).ok()?);
    bar.set_message(path.file_name()?.to_string_lossy().into_owned());
    Some(bars.add(bar))
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
