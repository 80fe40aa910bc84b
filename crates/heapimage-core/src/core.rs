use crate::bytes::Bytes;
use crate::elf::{self, Elf};
use crate::notes::{FileMapping, Notes};
use crate::object::Object;
use crate::{CoreFault, object};
use heapimage::PAGE;
use std::borrow::Cow;

/// A core file.
pub struct Core<'a> {
    pub(crate) notes: Notes<'a>,
    /// Ascending, apart from each other.
    pub(crate) segments: Vec<Segment<'a>>,
}

/// A mapping of the process, and what the core has of its contents.
pub(crate) struct Segment<'a> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4.
    pub(crate) protection: u32,
    /// From its start; the rest is a file's, or zeros.
    pub(crate) contents: &'a [u8],
}

/// A file that was mapped.
pub struct NamedFile<'a> {
    /// Where the process had it.
    pub path: &'a [u8],
    /// It is the program itself: Node.js.
    pub is_program: bool,
}

/// getauxval(3).
pub(crate) const AT_ENTRY: u64 = 9;
pub(crate) const AT_RANDOM: u64 = 25;
pub(crate) const AT_SYSINFO_EHDR: u64 = 33;

/// Addresses of programs lie below; above is the kernel, and the old vsyscall page.
const TOP: u64 = 1 << 56;

impl<'a> Core<'a> {
    /// Reads the headers and notes.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn parse(bytes: &'a [u8]) -> Result<Core<'a>, CoreFault> {
        let elf =
            Elf::parse(bytes).filter(|elf| elf.kind == elf::CORE).ok_or(CoreFault::NotACore)?;
        if elf.machine != elf::X64 {
            return Err(CoreFault::Architecture(elf.machine));
        }
        let found = bytes.len() as u64;
        let ends =
            elf.program_headers().map(|header| header.offset.saturating_add(header.file_bytes));
        let expected = ends.max().unwrap_or(0).max(elf.end_of_headers());
        if expected > found {
            return Err(CoreFault::CutShort { expected, found });
        }
        let (mut notes, mut segments) = (Notes::default(), Vec::new());
        for header in elf.program_headers() {
            match header.kind {
                elf::NOTE => {
                    let segment = bytes.part(header.offset, header.file_bytes).unwrap_or_default();
                    notes.add(segment).ok_or(CoreFault::Malformed("a note is too short"))?;
                }
                elf::LOAD if header.memory_bytes > 0 && header.address < TOP => {
                    let contents =
                        bytes.part(header.offset, header.file_bytes.min(header.memory_bytes));
                    segments.push(segment(&header, contents.unwrap_or_default())?);
                }
                _ => {}
            }
        }
        segments.sort_by_key(|segment| segment.start);
        if segments.windows(2).any(|pair| matches!(pair, [one, next] if one.end > next.start)) {
            return Err(CoreFault::Malformed("its mappings overlap"));
        }
        if segments.is_empty() || notes.threads.is_empty() {
            return Err(CoreFault::Malformed("it has no memory or no threads"));
        }
        notes.files.sort_by_key(|file| file.start);
        Ok(Core { notes, segments })
    }

    /// The files that were mapped, each once. What the core does not hold of them is to be had elsewhere.
    #[must_use]
    pub fn files(&self) -> Vec<NamedFile<'a>> {
        let program = self.program();
        let mut paths: Vec<_> = self.notes.files.iter().map(|file| file.path).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
            .into_iter()
            .map(|path| NamedFile { path, is_program: Some(path) == program })
            .collect()
    }

    /// The version of Node.js, as `24.19.0`, where the memory tells: `process.release.sourceUrl`.
    #[must_use]
    pub fn node_version(&self) -> Option<String> {
        let writable = self.segments.iter().filter(|segment| segment.protection & 2 != 0);
        writable.into_iter().find_map(|segment| object::version_in(segment.contents))
    }

    /// The path of the program: the file that has its entry, or where a loader was started with it, the first whose name begins so.
    pub(crate) fn program(&self) -> Option<&'a [u8]> {
        let entry = self.notes.auxiliary(AT_ENTRY);
        let of_entry = self.file_at(entry).map(|file| file.path);
        let is_loader = of_entry.is_some_and(|path| base_name(path).starts_with(b"ld-"));
        let mut named = self.notes.files.iter().map(|file| file.path);
        let mut node = || named.find(|path| base_name(path).starts_with(b"node"));
        if is_loader || of_entry.is_none() { node().or(of_entry) } else { of_entry }
    }

    /// The file that was mapped at an address.
    pub(crate) fn file_at(&self, address: u64) -> Option<FileMapping<'a>> {
        let after = self.notes.files.partition_point(|file| file.start <= address);
        let file = *self.notes.files.get(after.checked_sub(1)?)?;
        (address < file.end).then_some(file)
    }

    /// The mapping that an address is in.
    pub(crate) fn segment_at(&self, address: u64) -> Option<&Segment<'a>> {
        let after = self.segments.partition_point(|segment| segment.start <= address);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        (address < segment.end).then_some(segment)
    }

    /// What the core has from an address on, to the end of the mapping's contents.
    pub(crate) fn memory_from(&self, address: u64) -> Option<&'a [u8]> {
        let segment = self.segment_at(address)?;
        segment.contents.get(usize::try_from(address - segment.start).ok()?..)
    }

    /// The first mapping of a file's beginning.
    pub(crate) fn first_of(&self, path: &[u8]) -> Option<FileMapping<'a>> {
        self.notes.files.iter().find(|file| file.path == path && file.offset == 0).copied()
    }

    /// The build-id of a file as the process had it: the kernel keeps the first page of a program or library (bit 4 of
    /// /proc/PID/coredump_filter, which is set unless somebody clears it).
    pub(crate) fn build_id(&self, path: &[u8]) -> Option<Vec<u8>> {
        let start = self.memory_from(self.first_of(path)?.start)?;
        Object::parse(start)?.build_id().map(<[u8]>::to_vec)
    }
}

/// What follows the last slash.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// The name of a library without its version: `libc` of `libc.so.6` and of `libc-2.31.so`.
pub(crate) fn library_name(path: &[u8]) -> &[u8] {
    let name = base_name(path);
    let name = memchr::memmem::find(name, b".so").and_then(|at| name.get(..at)).unwrap_or(name);
    let version = name.windows(2).position(|pair| matches!(pair, [b'-', b'0'..=b'9']));
    version.and_then(|at| name.get(..at)).unwrap_or(name)
}

/// `text` for people.
pub(crate) fn shown(text: &[u8]) -> String {
    match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

fn segment<'a>(header: &elf::ProgramHeader, contents: &'a [u8]) -> Result<Segment<'a>, CoreFault> {
    let start = header.address;
    let end = start.checked_add(header.memory_bytes).filter(|&end| end <= TOP);
    let end = end.ok_or(CoreFault::Malformed("a mapping ends above all addresses"))?;
    if !start.is_multiple_of(PAGE) || !end.is_multiple_of(PAGE) {
        return Err(CoreFault::Malformed("a mapping is not of whole pages of 4096 bytes"));
    }
    let flags = header.flags;
    let protection = (flags >> 2 & 1) | (flags & 2) | (flags & 1) << 2;
    Ok(Segment { start, end, protection, contents })
}
