//! The files that an image names: found here, and known by their build-id.

use super::say::Findings;
use super::{Descriptor, errno};
use crate::arguments::{Arguments, MOST_PLACES, Place};
use crate::build_id::build_id;
use crate::tables::Tables;
use crate::text::{Hex, Text};
use core::ffi::CStr;
use core::fmt::{Display, Formatter};
use heapimage::{FILE_PATH_BYTES, FileRecord, Kind, MOST_FILES};

/// By their number in the image; `None` where nothing is mapped of one.
pub struct OpenFiles([Option<Descriptor>; MOST_FILES as usize]);

/// Why a file is not the image's.
enum Other {
    /// It cannot be opened: the number of the error.
    Closed(i32),
    /// Its path here is too long.
    Path,
    /// It has this build-id (of so many bytes), or none.
    Build(Option<([u8; 64], usize)>),
    /// It is a pipe, a device or a directory.
    Kind,
}

impl OpenFiles {
    /// Opens each that is mapped. What is not here is told; `is_nobody`: root's own files are closed to this process.
    pub fn find(
        tables: &Tables<'_>,
        arguments: &Arguments<'_>,
        named: &NamedFiles,
        is_nobody: bool,
        findings: &mut Findings,
    ) -> OpenFiles {
        let mut files = OpenFiles([None; MOST_FILES as usize]);
        let mut told = [false; MOST_FILES as usize];
        for mapping in tables.mappings {
            let index = mapping.file as usize;
            let Some(record) = tables.files.get(index) else { continue };
            if mapping.kind() != Some(Kind::File) || files.0[index].is_some() || told[index] {
                continue;
            }
            match open(record, arguments, named) {
                Ok(file) => files.0[index] = Some(file),
                Err(other) => {
                    let path = Text(record.path());
                    findings.add(
                        "file",
                        format_args!("{path}: {}", Reason { record, other: &other, is_nobody }),
                    );
                    told[index] = true;
                }
            }
        }
        files
    }

    /// The file of that number.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Descriptor> {
        self.0.get(index as usize).copied().flatten()
    }
}

/// What the arguments name, open: files (`--file`), and files and directories for others (`--map`).
pub struct NamedFiles([Option<Descriptor>; MOST_PLACES]);

impl NamedFiles {
    /// Opens those that are here.
    #[must_use]
    pub fn open(arguments: &Arguments<'_>) -> NamedFiles {
        let mut files = NamedFiles([None; MOST_PLACES]);
        for (to, place) in files.0.iter_mut().zip(arguments.places()) {
            let (Place::File(path) | Place::Map { new: path, .. }) = place;
            let mut room = [0; FILE_PATH_BYTES];
            *to = with_end(path, &mut room).and_then(|path| Descriptor::open(path).ok());
        }
        files
    }

    /// The first `--file` that has the build-id.
    fn find(&self, record: &FileRecord, arguments: &Arguments<'_>) -> Option<Descriptor> {
        let mut files = self.0.iter().zip(arguments.places());
        files.find_map(|(file, place)| {
            let file = file.filter(|_| matches!(place, Place::File(_)))?;
            same(file, record).ok()
        })
    }
}

/// Where the image says, or a `--map`; else a `--file`.
fn open(
    record: &FileRecord,
    arguments: &Arguments<'_>,
    named: &NamedFiles,
) -> Result<Descriptor, Other> {
    open_here(record, arguments, named)
        .and_then(|file| same(file, record))
        .or_else(|other| named.find(record, arguments).ok_or(other))
}

/// What is not the right file stays open until all others are closed.
fn open_here(
    record: &FileRecord,
    arguments: &Arguments<'_>,
    named: &NamedFiles,
) -> Result<Descriptor, Other> {
    let mut room = [0; 2 * FILE_PATH_BYTES];
    if let Some((index, below)) = arguments.mapped(record.path())
        && let Some(place) = named.0[index]
    {
        if below.is_empty() {
            return Ok(place);
        }
        let below = with_end(below, &mut room).ok_or(Other::Path)?;
        // A process that is copied may be anybody's, and this program root.
        let opened =
            if arguments.stream { place.open_inside(below) } else { place.open_below(below) };
        return opened.map_err(Other::Closed);
    }
    let path = arguments.path_here(record.path(), &mut room).ok_or(Other::Path)?;
    Descriptor::open(path).map_err(Other::Closed)
}

/// The file, if it is the one of the record.
fn same(file: Descriptor, record: &FileRecord) -> Result<Descriptor, Other> {
    if !file.is_regular() {
        return Err(Other::Kind);
    }
    let found = build_id(&file);
    if is_same(found, record) { Ok(file) } else { Err(Other::Build(found)) }
}

/// A path with a zero at its end; `None` where there is no room for it.
fn with_end<'r>(path: &[u8], room: &'r mut [u8]) -> Option<&'r CStr> {
    let room = room.get_mut(..=path.len())?;
    let (text, end) = room.split_at_mut(path.len());
    text.copy_from_slice(path);
    end.fill(0);
    CStr::from_bytes_with_nul(room).ok()
}

/// Of an ELF file alone: other files have no build-id, and are never mapped.
fn is_same(found: Option<([u8; 64], usize)>, record: &FileRecord) -> bool {
    let wanted = record.build_id();
    !wanted.is_empty() && found.is_some_and(|(id, length)| id.get(..length) == Some(wanted))
}

struct Reason<'a> {
    record: &'a FileRecord,
    other: &'a Other,
    is_nobody: bool,
}

impl Display for Reason<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> core::fmt::Result {
        let wanted = Hex(self.record.build_id());
        match self.other {
            Other::Closed(errno::EACCES) if self.is_nobody => write!(
                to,
                "cannot be opened by everybody (error 13), and root restores as nobody: make it readable, or name it with \
                 --node; build-id {wanted}"
            ),
            Other::Closed(error) => {
                write!(to, "cannot be opened (error {error}); build-id {wanted}")
            }
            Other::Path => to.write_str("its path is too long here"),
            Other::Kind => write!(to, "is no file; the image's has build-id {wanted}"),
            Other::Build(None) => write!(to, "has no build-id; the image's has {wanted}"),
            Other::Build(Some((id, length))) => {
                let found = Hex(id.get(..*length).unwrap_or_default());
                write!(to, "is another build: its build-id is {found}, and the image's {wanted}")
            }
        }
    }
}
