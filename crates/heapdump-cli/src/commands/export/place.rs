//! Where tables go: `DIR/nodes/service=api/app.parquet`, so that `DIR/nodes/**/*.parquet` is one table over many snapshots.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::args::{Label, Table};
use crate::error::{Error, Result};

pub(super) struct Place {
    directory: PathBuf,
    partitions: PathBuf,
    name: String,
    force: bool,
}

/// A table that is complete.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub(super) table: Table,
    pub(super) file: PathBuf,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Place {
    pub(super) fn new(
        directory: &Path,
        snapshot: &Path,
        labels: &[Label],
        label_directories: bool,
        force: bool,
    ) -> Self {
        let partitions = if label_directories { labels } else { &[] };
        Place {
            directory: directory.to_owned(),
            partitions: partitions.iter().map(Label::directory).collect(),
            name: format!("{}.parquet", stem(snapshot)),
            force,
        }
    }

    fn of(&self, table: Table) -> PathBuf {
        self.directory.join(table.name()).join(&self.partitions).join(&self.name)
    }

    /// Before the snapshot is loaded: an older file is in nobody's way unless that was said.
    pub(super) fn check(&self, tables: &[Table]) -> Result<()> {
        let older = tables.iter().map(|&table| self.of(table)).find(|path| path.exists());
        match older {
            Some(path) if !self.force => Err(Error::Usage(format!(
                "{} is there already; --force replaces it",
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    /// A file that appears whole, or not at all; a heap's text is for its owner alone.
    pub(super) fn write(
        &self,
        table: Table,
        fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<u64>,
    ) -> Result<Written> {
        let file = self.of(table);
        let at = |source| Error::File { path: file.clone(), source };
        let unfinished = file.with_extension(format!("parquet.{}.tmp", std::process::id()));
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory).map_err(at)?;
        }
        let rows = create(&unfinished)
            .and_then(|open| filled(open, fill))
            .and_then(|rows| fs::rename(&unfinished, &file).map(|()| rows));
        let rows = rows.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            at(error)
        })?;
        let bytes = file.metadata().map_err(at)?.len();
        Ok(Written { table, file, rows, bytes })
    }
}

fn filled(
    file: File,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<u64>,
) -> io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    let rows = fill(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(rows)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// `app` of `/var/heap/app.heapsnapshot.gz`.
pub(super) fn stem(snapshot: &Path) -> String {
    let name = snapshot.file_name().unwrap_or_default().to_string_lossy();
    let whole = name.trim_end_matches(".zst").trim_end_matches(".gz");
    let stem = whole.strip_suffix(".heapsnapshot").unwrap_or(whole);
    if stem.is_empty() { "snapshot".to_owned() } else { stem.to_owned() }
}
