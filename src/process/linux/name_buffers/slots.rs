//! Global offset tables: the slots through which a loaded object calls functions of others. Only read here.

use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A word that holds a function's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) address: usize,
    /// What it holds now.
    pub(super) value: usize,
    /// Made read-only after loading (PT_GNU_RELRO).
    pub(super) read_only: bool,
    /// It is called through, but nothing takes the function's address from it.
    pub(super) jump: bool,
}

/// An object as the dynamic loader has loaded it. It must not be unloaded while this value is used: the executable and
/// the libraries that it needs never are.
pub(super) struct Object {
    base: usize,
    file_name: Vec<u8>,
    segments: Vec<Segment>,
    read_only: Option<(usize, usize)>,
    dynamic: Option<usize>,
}

struct Segment {
    start: usize,
    end: usize,
    readable: bool,
    writable: bool,
}

/// All loaded objects.
pub(super) fn loaded_objects() -> Vec<Object> {
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
    // SAFETY: dl_iterate_phdr passes a valid info, whose header table is as long as it says and whose name is a C
    // string or null, and the pointer that `loaded_objects` gave it.
    let (info, headers, name, objects) = unsafe {
        let info = &*info;
        let headers = if info.dlpi_phdr.is_null() {
            &[][..]
        } else {
            std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum))
        };
        let name = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
        (info, headers, name, &mut *objects.cast::<Vec<Object>>())
    };
    objects.push(Object::from_headers(address(info.dlpi_addr), name, headers));
    0
}

impl Object {
    fn from_headers(base: usize, name: &CStr, headers: &[libc::Elf64_Phdr]) -> Object {
        let path = Path::new(OsStr::from_bytes(name.to_bytes()));
        let mut object = Object {
            base,
            file_name: path.file_name().unwrap_or_default().as_bytes().to_vec(),
            segments: Vec::new(),
            read_only: None,
            dynamic: None,
        };
        for header in headers {
            let start = base.wrapping_add(address(header.p_vaddr));
            let end = start.wrapping_add(address(header.p_memsz));
            match header.p_type {
                libc::PT_LOAD => object.segments.push(Segment {
                    start,
                    end,
                    readable: header.p_flags & libc::PF_R != 0,
                    writable: header.p_flags & libc::PF_W != 0,
                }),
                libc::PT_DYNAMIC => object.dynamic = Some(start),
                // As the loader rounds it: a page that is only partly in the range stays writable.
                libc::PT_GNU_RELRO => object.read_only = Some((page_of(start), page_of(end))),
                _ => {}
            }
        }
        object
    }

    pub(super) fn file_name(&self) -> &[u8] {
        &self.file_name
    }

    pub(super) fn contains(&self, address: usize) -> bool {
        self.segments.iter().any(|segment| segment.start <= address && address < segment.end)
    }

    /// The slots for the functions of these names, each with its name's index. `None` when the object's tables are not
    /// understood.
    pub(super) fn slots(&self, names: &[&CStr]) -> Option<Vec<(usize, Slot)>> {
        let tables = Tables::of(self)?;
        let mut slots = Vec::new();
        for (start, size) in [tables.jump_slots, tables.others] {
            for offset in (0..size).step_by(RELOCATION_SIZE) {
                let relocation: Relocation = self.read(start + offset)?;
                let symbol = address(relocation.info >> 32);
                let jump = match relocation.info & 0xffff_ffff {
                    R_JUMP_SLOT => true,
                    R_GLOB_DAT | R_64 => false,
                    _ => continue,
                };
                if symbol == 0 || relocation.addend != 0 {
                    continue;
                }
                let symbol: libc::Elf64_Sym =
                    self.read(tables.symbols + symbol * size_of::<libc::Elf64_Sym>())?;
                let name = tables.strings + usize::try_from(symbol.st_name).ok()?;
                if let Some(index) = names.iter().position(|wanted| self.is_at(name, wanted)) {
                    let address = self.base.wrapping_add(address(relocation.offset));
                    slots.push((index, self.slot(address, jump)?));
                }
            }
        }
        Some(slots)
    }

    fn slot(&self, address: usize, jump: bool) -> Option<Slot> {
        let value = self.read(address)?;
        let read_only =
            self.read_only.is_some_and(|(start, end)| start <= address && address < end);
        let writable = self.segments.iter().any(|segment| {
            segment.writable
                && segment.start <= address
                && address + size_of::<usize>() <= segment.end
        });
        (writable && address.is_multiple_of(align_of::<usize>())).then_some(Slot {
            address,
            value,
            read_only,
            jump,
        })
    }

    fn is_at(&self, place: usize, text: &CStr) -> bool {
        let bytes = text.to_bytes_with_nul();
        self.is_readable(place, bytes.len())
            // SAFETY: these bytes lie in a readable segment of a loaded object (see `Object`).
            && unsafe { std::slice::from_raw_parts(place as *const u8, bytes.len()) } == bytes
    }

    /// A value out of the object's memory.
    fn read<T: Plain>(&self, place: usize) -> Option<T> {
        // SAFETY: the bytes lie in a readable segment of a loaded object (see `Object`), and any bytes are a valid T.
        self.is_readable(place, size_of::<T>())
            .then(|| unsafe { std::ptr::read_unaligned(place as *const T) })
    }

    fn is_readable(&self, place: usize, size: usize) -> bool {
        self.segments.iter().any(|segment| {
            segment.readable
                && segment.start <= place
                && place < segment.end
                && size <= segment.end - place
        })
    }
}

/// Where an object's dynamic section says that its tables are.
struct Tables {
    symbols: usize,
    strings: usize,
    /// Address and size of DT_JMPREL.
    jump_slots: (usize, usize),
    /// Address and size of DT_RELA.
    others: (usize, usize),
}

impl Tables {
    fn of(object: &Object) -> Option<Tables> {
        let mut tables = Tables { symbols: 0, strings: 0, jump_slots: (0, 0), others: (0, 0) };
        let mut place = object.dynamic?;
        loop {
            let [tag, value] = object.read::<[u64; 2]>(place)?;
            place += size_of::<[u64; 2]>();
            let number = address(value);
            // The loader has made addresses of these, except where the section is read-only.
            let pointer = if number < object.base { number + object.base } else { number };
            match tag {
                DT_NULL => break,
                DT_STRTAB => tables.strings = pointer,
                DT_SYMTAB => tables.symbols = pointer,
                DT_JMPREL => tables.jump_slots.0 = pointer,
                DT_PLTRELSZ => tables.jump_slots.1 = number,
                DT_RELA => tables.others.0 = pointer,
                DT_RELASZ => tables.others.1 = number,
                DT_PLTREL if value != DT_RELA => return None,
                DT_RELAENT if number != RELOCATION_SIZE => return None,
                _ => {}
            }
        }
        (tables.symbols != 0 && tables.strings != 0).then_some(tables)
    }
}

/// `Elf64_Rela`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Relocation {
    offset: u64,
    info: u64,
    addend: i64,
}

const RELOCATION_SIZE: usize = size_of::<Relocation>();

/// Types of which any bytes are a value.
trait Plain: Copy {}
impl Plain for usize {}
impl Plain for [u64; 2] {}
impl Plain for Relocation {}
impl Plain for libc::Elf64_Sym {}

const R_64: u64 = 1;
const R_GLOB_DAT: u64 = 6;
const R_JUMP_SLOT: u64 = 7;

const DT_NULL: u64 = 0;
const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELAENT: u64 = 9;
const DT_PLTREL: u64 = 20;
const DT_JMPREL: u64 = 23;

/// Of x86-64, always.
pub(super) const PAGE: usize = 4096;

pub(super) fn page_of(address: usize) -> usize {
    address & !(PAGE - 1)
}

/// Lossless on the one architecture that this is built for.
fn address(value: u64) -> usize {
    const { assert!(size_of::<usize>() == size_of::<u64>()) };
    usize::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_slots_of_this_program() {
        // Every Rust program reaches libc for these.
        let names = [c"absent_everywhere", c"write", c"memcpy"];
        let own = finds_the_slots_of_this_program as *const () as usize;
        let objects = loaded_objects();
        let object = objects.iter().find(|object| object.contains(own)).expect("itself");
        let slots = object.slots(&names).expect("understood");
        assert!(slots.iter().any(|&(index, _)| index == 1), "{slots:?}");
        for (index, slot) in slots {
            assert_ne!(index, 0);
            assert!(object.contains(slot.address));
            assert!(objects.iter().any(|object| object.contains(slot.value)), "{slot:?}");
        }
    }

    #[test]
    fn a_partly_protected_page_stays_writable() {
        // SAFETY: zero is a valid header.
        let mut header: libc::Elf64_Phdr = unsafe { std::mem::zeroed() };
        header.p_type = libc::PT_GNU_RELRO;
        header.p_vaddr = 0x1800;
        header.p_memsz = 0x2000;
        let object = Object::from_headers(0x10_0000, c"/lib/libx.so.6", &[header]);
        assert_eq!(object.read_only, Some((0x10_1000, 0x10_3000)));
        assert_eq!(object.file_name(), b"libx.so.6");
    }
}
