//! The files that an image names: found here, and known by their build-id.

use super::Descriptor;
use super::say::Findings;
use crate::arguments::{Arguments, Place};
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
    /// It has no build-id, and this size or another time.
    Size(u64),
}

impl OpenFiles {
    /// Opens each that is mapped. What is not here is told.
    pub fn find(
        tables: &Tables<'_>,
        arguments: &Arguments<'_>,
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
            match open(record, arguments) {
                Ok(file) => files.0[index] = Some(file),
                Err(other) => {
                    let path = Text(record.path());
                    findings.add("file", format_args!("{path}: {}", Reason(record, &other)));
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

    /// Closes them.
    pub fn close(&self) {
        self.0.iter().flatten().for_each(|file| file.close());
    }
}

/// Where the image says, or a `--map`; else the first `--file` that has the same build-id.
fn open(record: &FileRecord, arguments: &Arguments<'_>) -> Result<Descriptor, Other> {
    let mut room = [0; 2 * FILE_PATH_BYTES];
    let here = arguments.path_here(record.path(), &mut room).ok_or(Other::Path);
    let other = match here.and_then(|path| open_same(path, record)) {
        Ok(file) => return Ok(file),
        Err(other) => other,
    };
    for place in arguments.places() {
        let Place::File(path) = place else { continue };
        if record.build_id().is_empty() {
            continue;
        }
        let Some(copy) = room.get_mut(..=path.len()) else { continue };
        copy[..path.len()].copy_from_slice(path);
        copy[path.len()] = 0;
        let same = CStr::from_bytes_until_nul(copy).ok().map(|path| open_same(path, record));
        if let Some(Ok(file)) = same {
            return Ok(file);
        }
    }
    Err(other)
}

fn open_same(path: &CStr, record: &FileRecord) -> Result<Descriptor, Other> {
    let file = Descriptor::open(path).map_err(Other::Closed)?;
    let found = if record.build_id().is_empty() {
        match file.size_and_time() {
            Ok(found) if found == (record.size, record.modified) => return Ok(file),
            Ok((size, _)) => Other::Size(size),
            Err(error) => Other::Closed(error),
        }
    } else {
        let found = build_id(&file);
        if found.is_some_and(|(id, length)| id.get(..length) == Some(record.build_id())) {
            return Ok(file);
        }
        Other::Build(found)
    };
    file.close();
    Err(found)
}

struct Reason<'a>(&'a FileRecord, &'a Other);

impl Display for Reason<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> core::fmt::Result {
        let wanted = Hex(self.0.build_id());
        match self.1 {
            Other::Closed(error) => {
                write!(to, "cannot be opened (error {error})")?;
                if self.0.build_id().is_empty() {
                    Ok(())
                } else {
                    write!(to, "; build-id {wanted}")
                }
            }
            Other::Path => to.write_str("its path is too long here"),
            Other::Build(None) => write!(to, "has no build-id; the image's has {wanted}"),
            Other::Build(Some((id, length))) => {
                let found = Hex(id.get(..*length).unwrap_or_default());
                write!(to, "is another build: its build-id is {found}, and the image's {wanted}")
            }
            Other::Size(size) => {
                let wanted = self.0.size;
                write!(to, "changed: it has {size} bytes or another time; the image's had {wanted}")
            }
        }
    }
}
