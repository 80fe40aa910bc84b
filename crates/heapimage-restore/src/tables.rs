//! The first part of an image: its header and tables.

use crate::input::Input;
use crate::room;
use crate::stop::Stop;
use heapimage::{
    Fault, FileRecord, HEADER_BYTES, Header, Kind, LEAST_XSAVE_BYTES, MOST_THREADS,
    MOST_XSAVE_BYTES, Mapping, Origin, PAGE, Sum, ThreadRecord, check_mappings, register,
    table_bytes, thread_bytes,
};
use zerocopy::FromBytes;

/// The header of an image for `architecture`.
///
/// # Errors
///
/// When it is none.
pub fn read_header(input: &impl Input, architecture: u32, header: &mut Header) -> Result<(), Stop> {
    use zerocopy::IntoBytes;
    // A file too short for a header is told apart from an image that was cut: by how it begins.
    let (begin, rest) = header.as_mut_bytes().split_at_mut(heapimage::MAGIC.len());
    match input.read_exactly(0, begin) {
        Err(Stop::Image(Fault::CutShort)) => return Err(Fault::NotAnImage.into()),
        read => read?,
    }
    if begin != heapimage::MAGIC {
        return Err(Fault::NotAnImage.into());
    }
    input.read_exactly(heapimage::MAGIC.len() as u64, rest)?;
    Ok(header.check(architecture)?)
}

/// How much room [`Tables::read`] needs.
#[must_use]
pub fn room_for(header: &Header) -> u64 {
    table_bytes(header.mapping_count, header.file_count)
}

/// What is mapped, and of which files.
#[derive(Clone, Copy)]
pub struct Tables<'a> {
    /// Ascending.
    pub mappings: &'a [Mapping],
    /// What they name.
    pub files: &'a [FileRecord],
    /// Where the blocks begin.
    pub end: u64,
}

impl<'a> Tables<'a> {
    /// Reads them into `room`, which begins at a multiple of 8 and is [`room_for`] this header.
    ///
    /// # Errors
    ///
    /// When they are not what the header announces.
    pub fn read(
        input: &impl Input,
        header: &Header,
        room: &'a mut [u8],
    ) -> Result<Tables<'a>, Stop> {
        input.read_exactly(HEADER_BYTES as u64, room)?;
        if Sum::of(room) != header.tables_sum {
            return Err(Fault::Damaged("the list of mappings").into());
        }
        Self::view(header, room)
    }

    /// The same of bytes that were read before.
    ///
    /// # Errors
    ///
    /// As [`Tables::read`].
    pub fn view(header: &Header, room: &'a [u8]) -> Result<Tables<'a>, Stop> {
        const SHORT: Stop = Stop::Image(Fault::Malformed("its tables do not fit"));
        let count = header.mapping_count as usize;
        let (mappings, rest) =
            <[Mapping]>::ref_from_prefix_with_elems(room, count).map_err(|_| SHORT)?;
        let count = header.file_count as usize;
        let (files, _) =
            <[FileRecord]>::ref_from_prefix_with_elems(rest, count).map_err(|_| SHORT)?;
        check_mappings(header, mappings)?;
        for file in files {
            file.check()?;
        }
        check_files(mappings, files)?;
        check_entry(header, mappings)?;
        check_records(header, mappings)?;
        Ok(Tables { mappings, files, end: HEADER_BYTES as u64 + room.len() as u64 })
    }

    /// The mapping that an address is in.
    #[must_use]
    pub fn mapping_at(&self, address: u64) -> Option<&'a Mapping> {
        find(self.mappings, address)
    }

    /// Whether a thread of a core can go on: on memory of the image that can be written to, with its red zone and the words
    /// that are put below it.
    ///
    /// # Errors
    ///
    /// [`Fault::Malformed`] where its stack pointer is anywhere else.
    pub fn check_thread(&self, record: &ThreadRecord) -> Result<(), Fault> {
        const FAULT: Fault =
            Fault::Malformed("the stack of a thread is no memory that can be written");
        let top = record.registers[register::RSP];
        let lowest = top.checked_sub(ThreadRecord::BELOW_STACK).ok_or(FAULT)?;
        let index = self.mappings.partition_point(|mapping| mapping.end <= lowest);
        let mapping = self.mappings.get(index).ok_or(FAULT)?;
        let is_inside = room::start_of(self.mappings, index) <= lowest && top <= mapping.end;
        if is_inside && mapping.protection & WRITABLE != 0 { Ok(()) } else { Err(FAULT) }
    }
}

fn find(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    let behind = mappings.partition_point(|mapping| mapping.end <= address);
    mappings.get(behind).filter(|mapping| mapping.start <= address)
}

const WRITABLE: u32 = 2;
const EXECUTABLE: u32 = 4;

/// Only what is known by its build-id is mapped.
fn check_files(mappings: &[Mapping], files: &[FileRecord]) -> Result<(), Fault> {
    let is_known = |mapping: &Mapping| {
        files.get(mapping.file as usize).is_some_and(|file| !file.build_id().is_empty())
    };
    let mut mapped = mappings.iter().filter(|mapping| mapping.kind() == Some(Kind::File));
    if mapped.all(is_known) {
        return Ok(());
    }
    Err(Fault::Malformed("a file that it needs has no build-id"))
}

/// The restored process begins in its own code, on a stack of its own.
fn check_entry(header: &Header, mappings: &[Mapping]) -> Result<(), Fault> {
    let entry = &header.entry;
    // Below a stack pointer its first frame.
    let stack = find(mappings, entry.stack.saturating_sub(8));
    if stack.is_none_or(|mapping| mapping.protection & WRITABLE == 0) {
        return Err(Fault::Malformed("its stack is no memory that can be written"));
    }
    let code = find(mappings, entry.function);
    let runs = code.is_some_and(|mapping| mapping.protection & EXECUTABLE != 0);
    if header.origin() == Some(Origin::Child) && !runs {
        return Err(Fault::Malformed("it does not begin in code"));
    }
    Ok(())
}

/// The records of threads lie in one mapping, all of them.
fn check_records(header: &Header, mappings: &[Mapping]) -> Result<(), Fault> {
    let (entry, xsave_bytes) = (&header.entry, header.machine.xsave_bytes);
    if entry.thread_count == 0 {
        return Ok(());
    }
    if header.origin() != Some(Origin::Core) || entry.thread_count > MOST_THREADS {
        return Err(Fault::Malformed("its number of threads is impossible"));
    }
    if !(LEAST_XSAVE_BYTES..=MOST_XSAVE_BYTES).contains(&xsave_bytes) {
        return Err(Fault::Malformed("the registers of its threads are of an impossible length"));
    }
    let bytes = u64::from(entry.thread_count) * thread_bytes(xsave_bytes);
    let holds = |mapping: &Mapping| {
        let end = entry.threads.checked_add(bytes);
        mapping.kind() == Some(Kind::Memory)
            && mapping.protection & WRITABLE != 0
            && end.is_some_and(|end| end <= mapping.end)
    };
    if !entry.threads.is_multiple_of(PAGE) || !find(mappings, entry.threads).is_some_and(holds) {
        return Err(Fault::Malformed("its threads are recorded outside of its memory"));
    }
    Ok(())
}
