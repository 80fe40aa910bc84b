//! The files that are mapped, and which of them an image copies. The parent looks: a child asks neither loader nor disk.

use super::maps::{Line, parse_line};
use heapimage::{FILE_PATH_BYTES, FileRecord, MOST_FILES, NO_FILE};
use std::ffi::{OsStr, c_int, c_void};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout};

/// Smaller files are copied: they are not worth finding again.
const LARGE: u64 = 16 << 20;

/// A file as `maps` shows it, and what is done with it.
#[derive(Debug, Clone, Copy, FromZeros, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Known {
    pub(super) device: [u64; 2],
    pub(super) inode: u64,
    /// Its [`FileRecord`], or [`NO_FILE`].
    pub(super) record: u32,
    pub(super) treatment: Treatment,
}

/// What an image has of a file's private mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, KnownLayout, Immutable, IntoBytes)]
#[repr(u32)]
pub(super) enum Treatment {
    /// Pages that were written to. The rest is not needed: it is data of the application.
    PrivatePages = 0,
    /// The same, and the file is mapped again.
    Reference = 1,
    /// All of it.
    Copy = 2,
}

/// What is mapped.
pub(super) struct Files {
    pub(super) known: Vec<Known>,
    pub(super) records: Vec<FileRecord>,
    /// Where the loaded objects lie, their zeros (.bss) included: a child that gives pages back keeps these.
    pub(super) objects: Vec<Range<u64>>,
    /// How many mappings there are.
    pub(super) mappings: usize,
}

impl Files {
    /// Of this process, now. `all`: Node's binary and large libraries are copied, too.
    ///
    /// # Errors
    ///
    /// Where /proc/self/maps cannot be read.
    pub(super) fn of_this_process(all: bool) -> io::Result<Files> {
        let maps = fs::read("/proc/self/maps")?;
        let objects = loaded_objects();
        let mut files =
            Files { known: Vec::new(), records: Vec::new(), objects: Vec::new(), mappings: 0 };
        for line in maps.split(|&byte| byte == b'\n').filter_map(parse_line) {
            files.mappings += 1;
            let is_known = files.find(&line).is_some();
            if line.inode != 0 && line.name.starts_with(b"/") && !line.shared && !is_known {
                files.add(&line, &objects, all);
            }
        }
        files.objects = objects.into_iter().flat_map(|object| object.segments).collect();
        Ok(files)
    }

    /// What they add to an image.
    pub(super) fn copied_bytes(&self) -> u64 {
        self.records.iter().filter(|record| record.embedded != 0).map(|record| record.size).sum()
    }

    fn find(&self, line: &Line<'_>) -> Option<&Known> {
        self.known.iter().find(|known| known.is(line))
    }

    fn add(&mut self, line: &Line<'_>, objects: &[Object], all: bool) {
        // A later mapping of a file may be the one that is loaded: data files are seldom ELF, and ELF files rarely data.
        let object = objects.iter().find(|object| object.contains(line.start));
        let mut path = line.name;
        let mut found = fs::metadata(Path::new(OsStr::from_bytes(path))).ok();
        if found.is_none() {
            path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        }
        let build_id = object.map(|object| &*object.build_id).unwrap_or_default();
        let is_same_file = || {
            !build_id.is_empty()
                && build_id_on_disk(path).is_some_and(|on_disk| on_disk == build_id)
        };
        let size = found.as_ref().map_or(0, fs::Metadata::len);
        let treatment = match object {
            Some(_) if !all && size >= LARGE && is_same_file() => Treatment::Reference,
            Some(_) => Treatment::Copy,
            None if size < LARGE && found.is_some() => Treatment::Copy,
            None => Treatment::PrivatePages,
        };
        let record = self.record(path, found.take().as_ref(), build_id, treatment);
        let treatment = if record == NO_FILE && treatment == Treatment::Reference {
            Treatment::Copy
        } else {
            treatment
        };
        self.known.push(Known { device: line.device, inode: line.inode, record, treatment });
    }

    /// [`NO_FILE`] where there is no room for it.
    fn record(
        &mut self,
        path: &[u8],
        found: Option<&fs::Metadata>,
        build_id: &[u8],
        treatment: Treatment,
    ) -> u32 {
        let mut record = FileRecord::new_zeroed();
        let number = u32::try_from(self.records.len()).unwrap_or(NO_FILE);
        let (Some(to), Ok(path_bytes)) = (record.path.get_mut(..path.len()), path.len().try_into())
        else {
            return NO_FILE;
        };
        if path.len() >= FILE_PATH_BYTES || number >= MOST_FILES {
            return NO_FILE;
        }
        to.copy_from_slice(path);
        record.path_bytes = path_bytes;
        if let (Some(to), Ok(bytes)) =
            (record.build_id.get_mut(..build_id.len()), build_id.len().try_into())
        {
            to.copy_from_slice(build_id);
            record.build_id_bytes = bytes;
        }
        if let Some(found) = found {
            record.size = found.len();
            record.modified = found.mtime().try_into().unwrap_or(0);
            record.inode = found.ino();
        }
        record.embedded = u32::from(treatment == Treatment::Copy);
        self.records.push(record);
        number
    }
}

impl Known {
    pub(super) fn is(&self, line: &Line<'_>) -> bool {
        self.inode == line.inode && self.device == line.device
    }
}

/// An object as the dynamic loader has loaded it.
struct Object {
    segments: Vec<Range<u64>>,
    build_id: Vec<u8>,
}

impl Object {
    fn contains(&self, address: u64) -> bool {
        // A mapping begins at a whole page, and a segment inside it perhaps.
        let page = |at: u64| at / heapimage::PAGE;
        self.segments
            .iter()
            .any(|range| (page(range.start)..=page(range.end)).contains(&page(address)))
    }
}

fn loaded_objects() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: `collect` has the right signature, and the vector outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut objects).cast()) };
    objects
}

unsafe extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    objects: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr(3) passes a valid info, whose header table is as long as it says, and the pointer that
    // `loaded_objects` gave it.
    let (base, headers, objects) = unsafe {
        let info = &*info;
        let headers = if info.dlpi_phdr.is_null() {
            &[][..]
        } else {
            std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum))
        };
        (info.dlpi_addr, headers, &mut *objects.cast::<Vec<Object>>())
    };
    let mut object = Object { segments: Vec::new(), build_id: Vec::new() };
    for header in headers {
        let start = base.wrapping_add(header.p_vaddr);
        let end = start.wrapping_add(header.p_memsz);
        if header.p_type == libc::PT_LOAD {
            object.segments.push(start..end);
        }
    }
    for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
        let start = base.wrapping_add(header.p_vaddr);
        let bytes = usize::try_from(header.p_memsz).unwrap_or(0);
        let is_loaded = object.segments.iter().any(|segment| {
            segment.contains(&start) && start.wrapping_add(header.p_memsz) <= segment.end
        });
        if is_loaded && object.build_id.is_empty() {
            // SAFETY: inside a segment that is loaded, and notes are never in one that cannot be read.
            let notes = unsafe { std::slice::from_raw_parts(start as *const u8, bytes) };
            object.build_id = build_id_of(notes).unwrap_or_default().to_vec();
        }
    }
    objects.push(object);
    0
}

/// The build-id among ELF notes (elf(5): `Elf64_Nhdr`, then name and description, each to four bytes).
fn build_id_of(mut notes: &[u8]) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    const LONGEST: usize = 64;
    while let Some((&[name, description, kind], rest)) = first_words(notes) {
        let (name, description) = (name as usize, description as usize);
        let description_at = name.checked_next_multiple_of(4)?;
        let end = description_at.checked_add(description)?;
        if kind == NT_GNU_BUILD_ID && rest.get(..name)? == b"GNU\0" && description <= LONGEST {
            return rest.get(description_at..end);
        }
        notes = rest.get(end.checked_next_multiple_of(4)?..)?;
    }
    None
}

fn first_words(bytes: &[u8]) -> Option<(&[u32; 3], &[u8])> {
    use zerocopy::FromBytes;
    <[u32; 3]>::ref_from_prefix(bytes).ok()
}

/// The same, of an ELF file of 64 bits.
fn build_id_on_disk(path: &[u8]) -> Option<Vec<u8>> {
    const MOST_NOTES: u64 = 1 << 20;
    let file = File::open(Path::new(OsStr::from_bytes(path))).ok()?;
    let read = |at: u64, bytes: u64| {
        let mut found = vec![0; usize::try_from(bytes).ok()?];
        file.read_exact_at(&mut found, at).ok()?;
        Some(found)
    };
    let header = read(0, 64)?;
    let word =
        |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let half =
        |at: usize| Some(u64::from(u16::from_le_bytes(header.get(at..at + 2)?.try_into().ok()?)));
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, entry, count) = (word(&header, 32)?, half(54)?, half(56)?);
    (0..count).find_map(|index| {
        let segment = read(table.checked_add(index * entry)?, 56)?;
        let is_note = segment.get(..4)? == libc::PT_NOTE.to_le_bytes();
        let bytes = word(&segment, 32)?;
        if !is_note || bytes > MOST_NOTES {
            return None;
        }
        Some(build_id_of(&read(word(&segment, 8)?, bytes)?)?.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], description: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [name.len(), description.len(), kind as usize] {
            note.extend(u32::try_from(word).expect("short").to_le_bytes());
        }
        for part in [name, description] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn finds_the_build_id_behind_other_notes() {
        let notes =
            [note(1, b"GNU\0", b"abi"), note(3, b"Go\0\0", b"no"), note(3, b"GNU\0", b"the id!")];
        assert_eq!(build_id_of(&notes.concat()), Some(&b"the id!"[..]));
        assert_eq!(build_id_of(&notes[..2].concat()), None);
        assert_eq!(build_id_of(&[0xff; 40]), None);
    }

    #[test]
    fn a_loaded_library_is_found_with_its_build_id_and_that_of_its_file() {
        let files = Files::of_this_process(false).expect("maps");
        let libc = files
            .records
            .iter()
            .find(|record| record.path().windows(5).any(|part| part == b"libc."))
            .expect("this program has a libc");
        assert!(!libc.build_id().is_empty());
        assert_eq!(build_id_on_disk(libc.path()).as_deref(), Some(libc.build_id()));
        assert_eq!((libc.embedded, libc.check()), (1, Ok(())));
        let here = finds_the_build_id_behind_other_notes as *const () as u64;
        assert!(files.objects.iter().any(|object| object.contains(&here)));
    }
}
