use crate::bytes::Bytes;
use crate::elf::{self, Elf};
use heapimage::PAGE;
use std::collections::HashMap;

/// A program or library.
pub struct Object<'a>(Elf<'a>);

/// NT_GNU_BUILD_ID.
const BUILD_ID: u32 = 3;
/// SHT_SYMTAB, which a stripped file does not have, and SHT_DYNSYM.
const ALL_SYMBOLS: u32 = 2;
const DYNAMIC_SYMBOLS: u32 = 11;
/// STT_TLS.
const THREAD_LOCAL_SYMBOL: u8 = 6;
const SYMBOL_BYTES: usize = 24;
/// DT_NEEDED, DT_STRTAB.
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;

struct Symbol<'a> {
    name: &'a [u8],
    /// With what it is bound by (st_info).
    kind: u8,
    value: u64,
}

impl<'a> Object<'a> {
    /// `None` where the bytes are something else. The first page is enough for [`Object::build_id`].
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Object<'a>> {
        Elf::parse(bytes).map(Object)
    }

    /// Whether it is a program or library for x86-64.
    #[must_use]
    pub fn is_x64(&self) -> bool {
        self.0.machine == elf::X64
    }

    /// Its build-id (ELF note NT_GNU_BUILD_ID); never empty.
    #[must_use]
    pub fn build_id(&self) -> Option<&'a [u8]> {
        /// A program has a dozen headers, and notes of some hundred bytes; a file may say anything.
        const MOST_HEADERS: usize = 256;
        const MOST_BYTES: u64 = 64 << 10;
        let headers = self.0.program_headers().take(MOST_HEADERS);
        let notes =
            headers.filter(|header| header.kind == elf::NOTE && header.file_bytes <= MOST_BYTES);
        let segments =
            notes.filter_map(|header| self.0.bytes.part(header.offset, header.file_bytes));
        let id = segments
            .flat_map(elf::notes)
            .find(|note| note.name == b"GNU" && note.kind == BUILD_ID)?
            .value;
        (1..=64).contains(&id.len()).then_some(id)
    }

    /// What its addresses are moved by when its first page lies at `start`.
    #[must_use]
    pub fn bias(&self, start: u64) -> u64 {
        if self.0.kind == elf::FIXED {
            return 0;
        }
        let mut loads = self.0.program_headers().filter(|header| header.kind == elf::LOAD);
        let first = loads.find(|header| header.offset < PAGE);
        start.wrapping_sub(first.map_or(0, |header| header.address & !(PAGE - 1)))
    }

    /// Addresses of symbols that it defines for others, by name without version; those that it does not have are left out.
    #[must_use]
    pub fn symbols<'n>(&self, names: &[&'n str]) -> HashMap<&'n str, u64> {
        let wanted: HashMap<&[u8], &str> =
            names.iter().map(|name| (name.as_bytes(), *name)).collect();
        let mut found = HashMap::new();
        for symbol in self.table(DYNAMIC_SYMBOLS) {
            if let Some(name) = wanted.get(symbol.name) {
                found.entry(*name).or_insert(symbol.value);
            }
        }
        found
    }

    /// Where a variable that each thread has of its own lies in a program, from the thread pointer, which is above (Drepper, "ELF
    /// Handling For Thread-Local Storage", 3.4.6: the program's variables are the first below it). `None` where the name is not there.
    #[must_use]
    pub fn thread_local(&self, name: &str) -> Option<u64> {
        let mut headers = self.0.program_headers();
        let segment = headers.find(|header| header.kind == elf::THREAD_LOCAL)?;
        let bytes = segment.memory_bytes.checked_next_multiple_of(segment.alignment.max(1))?;
        let mut symbols =
            [DYNAMIC_SYMBOLS, ALL_SYMBOLS].into_iter().flat_map(|kind| self.table(kind));
        let is_it = |symbol: &Symbol<'_>| {
            symbol.name == name.as_bytes() && symbol.kind & 0xf == THREAD_LOCAL_SYMBOL
        };
        Some(symbols.find(is_it)?.value.wrapping_sub(bytes))
    }

    /// The symbols that it defines, of one table.
    fn table(&self, kind: u32) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let table = self.0.sections().find(|&(found, ..)| found == kind);
        let part = |(_, at, length, _): (u32, u64, u64, u32)| self.0.bytes.part(at, length);
        let symbols = table.and_then(part).unwrap_or_default();
        let strings = table.and_then(|(.., link)| self.0.sections().nth(link as usize));
        let strings = strings.and_then(part).unwrap_or_default();
        symbols.chunks_exact(SYMBOL_BYTES).filter_map(move |symbol| {
            // SHN_UNDEF: another object defines it.
            let is_defined = symbol.u16_at(6)? != 0;
            let name = strings.text_at(u64::from(symbol.u32_at(0)?)).filter(|_| is_defined)?;
            Some(Symbol { name, kind: *symbol.get(4)?, value: symbol.u64_at(8)? })
        })
    }

    /// The names of the libraries that it cannot do without, and of its loader.
    pub(crate) fn needed(&self) -> Vec<&'a [u8]> {
        let of = |kind| self.0.program_headers().find(move |header| header.kind == kind);
        let part = |header: elf::ProgramHeader| self.0.bytes.part(header.offset, header.file_bytes);
        let loader = of(elf::INTERPRETER).and_then(part).and_then(|path| path.text_at(0));
        let mut names: Vec<_> = loader.map(crate::core::base_name).into_iter().collect();
        let dynamic = of(elf::DYNAMIC).and_then(part).unwrap_or_default();
        let rows =
            || dynamic.chunks_exact(16).filter_map(|row| Some((row.u64_at(0)?, row.u64_at(8)?)));
        let strings =
            rows().find(|&(key, _)| key == STRINGS).and_then(|(_, at)| self.offset_of(at));
        let Some(strings) = strings else { return names };
        let needed = rows().filter(|&(key, _)| key == NEEDED);
        names.extend(
            needed.filter_map(|(_, name)| self.0.bytes.text_at(strings.checked_add(name)?)),
        );
        names
    }

    /// Where in the file the byte of an address is.
    fn offset_of(&self, address: u64) -> Option<u64> {
        let mut loads = self.0.program_headers().filter(|header| header.kind == elf::LOAD);
        let load = loads.find(|load| {
            address.checked_sub(load.address).is_some_and(|inside| inside < load.file_bytes)
        })?;
        load.offset.checked_add(address - load.address)
    }
}

/// The version in a text as `https://nodejs.org/download/release/v24.19.0/node-v24.19.0.tar.gz`, which Node.js has as a constant
/// and as `process.release.sourceUrl` (node_metadata.cc).
#[must_use]
pub fn version_in(bytes: &[u8]) -> Option<String> {
    let finder = memchr::memmem::Finder::new(b"/download/release/v");
    finder.find_iter(bytes).find_map(|at| {
        let rest = bytes.get(at + finder.needle().len()..)?;
        let version = rest.get(..rest.iter().take(20).position(|&byte| byte == b'/')?)?;
        let is_version = version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        (is_version && !version.is_empty()).then(|| crate::core::shown(version))
    })
}
