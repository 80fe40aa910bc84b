//! From a core file to a heap image: which files of the system are looked at, and in what order. What a core is, `heapimage-core`
//! knows.

mod paths;

use crate::process::MappedFile;
use heapimage_core::{Core, CoreFault, Image, Opened, Options};
pub(crate) use paths::Paths;
use paths::{is_code, is_locale};
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    #[error("{}: {source}", .path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}: it is compressed with {by}; unpack it first ({how})", .path.display())]
    Packed { path: PathBuf, by: &'static str, how: &'static str },
    #[error("{}: {fault}", .path.display())]
    Core { path: PathBuf, fault: CoreFault },
    #[error("the image of it cannot be written: {0}")]
    Write(io::Error),
}

/// What was made.
pub(crate) struct Made {
    /// What a person may want to know, a line each.
    pub(crate) remarks: Vec<String>,
}

/// Makes the image of the core file `core`, which is named so and not compressed, and writes it to `image`.
///
/// # Errors
///
/// [`CoreError`].
pub(crate) fn make_image(
    name: &Path,
    core: &File,
    paths: &Paths,
    image: impl Write,
) -> Result<Made, CoreError> {
    let failed = |source| CoreError::Open { path: name.to_owned(), source };
    let metadata = core.metadata().map_err(failed)?;
    let bytes = MappedFile::open(core).map_err(failed)?;
    if let Some((by, how)) = packed(&bytes) {
        return Err(CoreError::Packed { path: name.to_owned(), by, how });
    }
    let fault = |fault| CoreError::Core { path: name.to_owned(), fault };
    let parsed = Core::parse(&bytes).map_err(fault)?;
    let files = open_files(&parsed, paths);
    let opened: Vec<_> = files.iter().map(Found::opened).collect();
    let options = Options {
        time: milliseconds(&metadata),
        output: OUTPUT,
        writer: concat!("heapdump-rs ", env!("CARGO_PKG_VERSION")),
    };
    let mut made = Image::of(&parsed, &opened, &options).map_err(fault)?;
    let remarks = std::mem::take(&mut made.remarks);
    made.write(BufWriter::with_capacity(1 << 20, image)).map_err(CoreError::Write)?;
    Ok(Made { remarks })
}

/// What a core was compressed with, and what unpacks it: systemd-coredump used these before zstd.
fn packed(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    match bytes {
        [0x04, 0x22, 0x4d, 0x18, ..] => Some(("lz4", "lz4 -d")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some(("xz", "xz -dk")),
        [0x1f, 0x8b, ..] => Some(("gzip", "gunzip -k")),
        _ => None,
    }
}

/// The restorer is given the output as this descriptor.
const OUTPUT: u32 = 1;

/// A file that the process had, and that is here.
struct Found {
    path: Vec<u8>,
    here: PathBuf,
    bytes: MappedFile,
    metadata: Metadata,
}

impl Found {
    fn opened(&self) -> Opened<'_> {
        Opened {
            path: self.path.clone(),
            here: self.here.as_os_str().as_bytes().to_vec(),
            bytes: &self.bytes,
            modified: u64::try_from(self.metadata.mtime()).unwrap_or(0),
            inode: self.metadata.ino(),
        }
    }
}

/// Programs and libraries, and the system's locales. Nothing else of what a core names is taken: its text may be a stranger's,
/// and what is in the restored process' memory may end up in the snapshot.
fn open_files(core: &Core<'_>, paths: &Paths) -> Vec<Found> {
    let named = core.files().into_iter();
    named
        .filter_map(|named| {
            let here = paths.find(named.path, named.is_program)?;
            let metadata = here.metadata().ok().filter(Metadata::is_file)?;
            let bytes = MappedFile::open(&File::open(&here).ok()?).ok()?;
            let is_wanted = is_code(&bytes) || is_locale(named.path, &here);
            is_wanted.then(|| Found { path: named.path.to_vec(), here, bytes, metadata })
        })
        .collect()
}

fn milliseconds(metadata: &Metadata) -> u64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}
