//! The address space: this program's own goes, the image's comes.

use super::files::OpenFiles;
use super::{call, errno};
use crate::arch::{address, number};
use crate::blocks::Pages;
use crate::input::Input;
use crate::room;
use crate::stop::Stop;
use core::slice::from_raw_parts_mut;
use heapimage::{FLOOR, Kind, Mapping, PAGE, Run, Sum};

/// The end of what a process has with four levels of page tables; with five it has no more unless it asks
/// (Documentation/arch/x86/x86_64/5level-paging.rst).
pub const TOP: u64 = 0x7fff_ffff_f000;

const PROT_READ: u32 = 1;
const PROT_WRITE: u32 = 2;
/// mmap(2). NOREPLACE is of 4.17; an older kernel takes it for a hint, and the address is compared.
const PRIVATE: usize = 0x02;
const ANONYMOUS: usize = 0x20;
const NORESERVE: usize = 0x4000;
const FIXED_NOREPLACE: usize = 0x10_0000;
const NO_FILE: usize = usize::MAX;

/// Memory of zeros somewhere, for good.
///
/// # Errors
///
/// [`Stop::Memory`].
pub fn reserve(bytes: u64) -> Result<&'static mut [u8], Stop> {
    let protection = (PROT_READ | PROT_WRITE) as usize;
    let how = [0, address(bytes), protection, PRIVATE | ANONYMOUS, NO_FILE, 0];
    // SAFETY: new memory, wherever the kernel likes.
    let place = unsafe { call(number::MMAP, how) };
    let place = place.map_err(|error| Stop::Memory { address: 0, bytes, error })?;
    // SAFETY: this memory is nobody else's.
    Ok(unsafe { from_raw_parts_mut(place as *mut u8, address(bytes)) })
}

/// Whether a page can be had there.
#[must_use]
pub fn can_have(place: u64) -> bool {
    let mapped = map_at(place, PAGE, 0, ANONYMOUS | NORESERVE, NO_FILE, 0).is_ok();
    if mapped {
        unmap(place, place + PAGE);
    }
    mapped
}

/// Moves what [`reserve`] gave to another place, whatever is there now.
///
/// # Safety
///
/// Nothing that is needed may be at `place`.
///
/// # Errors
///
/// [`Stop::Collision`].
pub unsafe fn relocate(memory: &'static mut [u8], place: u64) -> Result<&'static mut [u8], Stop> {
    const MAYMOVE_FIXED: usize = 1 | 2;
    let length = memory.len();
    let how = [memory.as_mut_ptr() as usize, length, length, MAYMOVE_FIXED, address(place), 0];
    // SAFETY: the old place is this slice, which nobody has any more; the new one as the caller says.
    match unsafe { call(number::MREMAP, how) } {
        // SAFETY: it is there now.
        Ok(moved) => Ok(unsafe { from_raw_parts_mut(moved as *mut u8, length) }),
        Err(_) => Err(Stop::Collision(place)),
    }
}

/// Rids the process of all above [`FLOOR`] but `kept`: the stack that the kernel gave it, its vdso and vvar.
///
/// # Safety
///
/// Nothing there may be used any more: not the arguments, not the environment.
pub unsafe fn clear(kept: (u64, u64)) {
    unmap(FLOOR, kept.0);
    unmap(kept.1, TOP);
}

/// By halves where the kernel refuses a part: it may have sealed its own (CONFIG_MSEAL_SYSTEM_MAPPINGS, Linux 6.16). That
/// matters only where the image needs the place.
fn unmap(start: u64, end: u64) {
    if start >= end {
        return;
    }
    // SAFETY: the callers have said that nothing there is needed.
    let done = unsafe { call(number::MUNMAP, [address(start), address(end - start), 0, 0, 0, 0]) };
    if done.is_err() && end - start > PAGE {
        let middle = start + (end - start) / 2 / PAGE * PAGE;
        unmap(start, middle);
        unmap(middle, end);
    }
}

/// Gives back what [`reserve`] gave.
pub fn release(memory: &'static mut [u8]) {
    let start = memory.as_mut_ptr() as u64;
    unmap(start, start + memory.len() as u64);
}

/// Maps everything, still without its pages.
///
/// # Errors
///
/// [`Stop::Memory`] or [`Stop::Collision`] at the first that cannot be.
pub fn map_all(mappings: &[Mapping], files: &OpenFiles) -> Result<(), Stop> {
    for (index, mapping) in mappings.iter().enumerate() {
        let start = room::start_of(mappings, index);
        let bytes = mapping.end - start;
        let file = match mapping.kind() {
            Some(Kind::File) => files.get(mapping.file),
            _ => None,
        };
        match file {
            Some(file) => {
                let offset = address(mapping.offset);
                map_at(start, bytes, mapping.protection, 0, file.0 as usize, offset)?;
            }
            None => map_at(start, bytes, mapping.protection, ANONYMOUS | NORESERVE, NO_FILE, 0)?,
        }
    }
    Ok(())
}

fn map_at(
    place: u64,
    bytes: u64,
    protection: u32,
    how: usize,
    file: usize,
    offset: usize,
) -> Result<(), Stop> {
    let flags = PRIVATE | FIXED_NOREPLACE | how;
    let arguments = [address(place), address(bytes), protection as usize, flags, file, offset];
    // SAFETY: new memory where there is none.
    match unsafe { call(number::MMAP, arguments) } {
        Ok(found) if found == address(place) => Ok(()),
        Ok(found) => {
            unmap(found as u64, found as u64 + bytes);
            Err(Stop::Collision(place))
        }
        Err(errno::EEXIST) => Err(Stop::Collision(place)),
        Err(error) => Err(Stop::Memory { address: place, bytes, error }),
    }
}

/// Reads pages to where they were. A mapping that nobody may write to can be written to meanwhile.
pub struct Filled<'a> {
    mappings: &'a [Mapping],
    opened: Option<usize>,
}

impl<'a> Filled<'a> {
    /// For an image whose mappings are all there ([`map_all`]).
    ///
    /// # Safety
    ///
    /// They must be there, and nobody else's.
    #[must_use]
    pub unsafe fn new(mappings: &'a [Mapping]) -> Filled<'a> {
        Filled { mappings, opened: None }
    }

    /// Protects the last mapping again.
    ///
    /// # Errors
    ///
    /// [`Stop::Memory`].
    pub fn finish(mut self) -> Result<(), Stop> {
        self.open(None)
    }

    /// Makes a mapping writable, and what was made so before what it was.
    fn open(&mut self, index: Option<usize>) -> Result<(), Stop> {
        if self.opened == index {
            return Ok(());
        }
        let at = |index: Option<usize>| index.and_then(|index| self.mappings.get(index));
        if let Some(before) = at(self.opened) {
            protect(before, before.protection)?;
        }
        if let Some(now) = at(index) {
            protect(now, PROT_READ | PROT_WRITE)?;
        }
        self.opened = index;
        Ok(())
    }
}

impl Pages for Filled<'_> {
    fn take(
        &mut self,
        input: &impl Input,
        offset: u64,
        run: &Run,
        mapping: usize,
        sum: &mut Sum,
    ) -> Result<(), Stop> {
        self.open(Some(mapping))?;
        let bytes = address(run.pages * PAGE);
        // SAFETY: the run is inside this mapping ([`heapimage::Order`]), which is there and can be written to.
        let pages = unsafe { from_raw_parts_mut(address(run.address) as *mut u8, bytes) };
        input.read_exactly(offset, pages)?;
        sum.add(pages);
        Ok(())
    }
}

/// Lets `change` write to all of a mapping that is there.
///
/// # Safety
///
/// It must be there, and nobody else's.
///
/// # Errors
///
/// [`Stop::Memory`], or what `change` says.
pub unsafe fn rewrite<T>(
    mapping: &Mapping,
    change: impl FnOnce(&mut [u8]) -> Result<T, Stop>,
) -> Result<T, Stop> {
    protect(mapping, PROT_READ | PROT_WRITE)?;
    let bytes = address(mapping.end - mapping.start);
    // SAFETY: as the caller says, and it can be written to now.
    let memory = unsafe { from_raw_parts_mut(address(mapping.start) as *mut u8, bytes) };
    let changed = change(memory)?;
    protect(mapping, mapping.protection)?;
    Ok(changed)
}

fn protect(mapping: &Mapping, protection: u32) -> Result<(), Stop> {
    let bytes = mapping.end - mapping.start;
    if mapping.protection & (PROT_READ | PROT_WRITE) == PROT_READ | PROT_WRITE {
        return Ok(());
    }
    let arguments = [address(mapping.start), address(bytes), protection as usize, 0, 0, 0];
    // SAFETY: a mapping of the image.
    match unsafe { call(number::MPROTECT, arguments) } {
        Ok(_) => Ok(()),
        Err(error) => Err(Stop::Memory { address: mapping.start, bytes, error }),
    }
}
