//! The first part of an image: its header and tables.

use crate::input::Input;
use crate::stop::Stop;
use heapimage::{
    Fault, FileRecord, HEADER_BYTES, Header, Mapping, Sum, check_mappings, table_bytes,
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
    let mut begin = [0; heapimage::MAGIC.len()];
    let read = input.read_at(0, &mut begin).map_err(Stop::Unreadable)?;
    if read < begin.len() || begin != heapimage::MAGIC {
        return Err(Fault::NotAnImage.into());
    }
    input.read_exactly(0, header.as_mut_bytes())?;
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
        check_entry(header, mappings)?;
        Ok(Tables { mappings, files, end: HEADER_BYTES as u64 + room.len() as u64 })
    }

    /// The mapping that an address is in.
    #[must_use]
    pub fn mapping_at(&self, address: u64) -> Option<&'a Mapping> {
        find(self.mappings, address)
    }
}

fn find(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    let behind = mappings.partition_point(|mapping| mapping.end <= address);
    mappings.get(behind).filter(|mapping| mapping.start <= address)
}

/// The restored process begins in its own code, on a stack of its own.
fn check_entry(header: &Header, mappings: &[Mapping]) -> Result<(), Fault> {
    const EXECUTABLE: u32 = 4;
    const WRITABLE: u32 = 2;
    let entry = &header.entry;
    // Below a stack pointer its first frame.
    let stack = find(mappings, entry.stack.saturating_sub(8));
    if stack.is_none_or(|mapping| mapping.protection & WRITABLE == 0) {
        return Err(Fault::Malformed("its stack is no memory that can be written"));
    }
    let code = find(mappings, entry.function);
    let runs = code.is_some_and(|mapping| mapping.protection & EXECUTABLE != 0);
    if header.origin() == Some(heapimage::Origin::Child) && !runs {
        return Err(Fault::Malformed("it does not begin in code"));
    }
    Ok(())
}
