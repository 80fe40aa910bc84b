use crate::bytes::Bytes;

/// PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS (elf.h).
pub(crate) const LOAD: u32 = 1;
pub(crate) const DYNAMIC: u32 = 2;
pub(crate) const INTERPRETER: u32 = 3;
pub(crate) const NOTE: u32 = 4;
pub(crate) const THREAD_LOCAL: u32 = 7;

/// ET_EXEC, ET_CORE.
pub(crate) const FIXED: u16 = 2;
pub(crate) const CORE: u16 = 4;

/// EM_X86_64.
pub(crate) const X64: u16 = 62;

/// A little-endian ELF file of 64 bits: what its header says.
pub(crate) struct Elf<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    headers: u64,
    header_count: u64,
    pub(crate) sections: u64,
    pub(crate) section_count: u64,
}

/// A program header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProgramHeader {
    pub(crate) kind: u32,
    /// PF_X 1, PF_W 2, PF_R 4.
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) alignment: u64,
}

const PROGRAM_HEADER_BYTES: u64 = 56;
const SECTION_HEADER_BYTES: u64 = 64;
/// PN_XNUM: the number of program headers stands in the first section header, as its `sh_info`.
const MANY: u16 = 0xffff;

impl<'a> Elf<'a> {
    /// `None` where the bytes are something else.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Elf<'a>> {
        // ELFCLASS64, ELFDATA2LSB.
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let count = bytes.u16_at(56)?;
        let sections = bytes.u64_at(40)?;
        let header_count = match count {
            MANY => u64::from(bytes.u32_at(sections.checked_add(44)?)?),
            count => u64::from(count),
        };
        Some(Elf {
            bytes,
            kind: bytes.u16_at(16)?,
            machine: bytes.u16_at(18)?,
            headers: bytes.u64_at(32)?,
            header_count,
            sections,
            section_count: u64::from(bytes.u16_at(60)?),
        })
    }

    /// How long the file must be for its program headers.
    pub(crate) fn end_of_headers(&self) -> u64 {
        self.headers.saturating_add(self.header_count.saturating_mul(PROGRAM_HEADER_BYTES))
    }

    /// Those that the bytes have.
    pub(crate) fn program_headers(&self) -> impl Iterator<Item = ProgramHeader> + use<'a> {
        let (bytes, headers) = (self.bytes, self.headers);
        (0..self.header_count).map_while(move |at| {
            let offset = headers.checked_add(at.checked_mul(PROGRAM_HEADER_BYTES)?)?;
            let header = bytes.part(offset, PROGRAM_HEADER_BYTES)?;
            Some(ProgramHeader {
                kind: header.u32_at(0)?,
                flags: header.u32_at(4)?,
                offset: header.u64_at(8)?,
                address: header.u64_at(16)?,
                file_bytes: header.u64_at(32)?,
                memory_bytes: header.u64_at(40)?,
                alignment: header.u64_at(48)?,
            })
        })
    }

    /// `(type, offset, bytes, link)` of each section.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (u32, u64, u64, u32)> + use<'a> {
        let (bytes, sections) = (self.bytes, self.sections);
        (0..self.section_count).map_while(move |at| {
            let header = bytes
                .part(sections.checked_add(at * SECTION_HEADER_BYTES)?, SECTION_HEADER_BYTES)?;
            Some((header.u32_at(4)?, header.u64_at(24)?, header.u64_at(32)?, header.u32_at(40)?))
        })
    }
}

/// A note of a PT_NOTE segment.
pub(crate) struct Note<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: u32,
    pub(crate) value: &'a [u8],
}

/// The notes in `bytes`, up to the first that is cut.
pub(crate) fn notes(bytes: &[u8]) -> impl Iterator<Item = Note<'_>> {
    let mut at = 0_u64;
    std::iter::from_fn(move || {
        let name_bytes = u64::from(bytes.u32_at(at)?);
        let value_bytes = u64::from(bytes.u32_at(at.checked_add(4)?)?);
        let kind = bytes.u32_at(at.checked_add(8)?)?;
        let name_at = at.checked_add(12)?;
        let value_at = name_at.checked_add(name_bytes.next_multiple_of(4))?;
        let name = bytes.part(name_at, name_bytes)?;
        let value = bytes.part(value_at, value_bytes)?;
        at = value_at.checked_add(value_bytes.next_multiple_of(4))?;
        Some(Note { name: name.strip_suffix(b"\0").unwrap_or(name), kind, value })
    })
}
