//! The GNU build-id of an ELF file (elf(5): a note of type NT_GNU_BUILD_ID in a PT_NOTE segment).

use crate::input::Input;

/// The longest that is looked at; those of linkers have 8 to 32 bytes.
pub const MOST_BYTES: usize = 64;

const PT_NOTE: u32 = 4;
const NT_GNU_BUILD_ID: u32 = 3;

/// Reads it; `None` where a file has none or is no 64-bit little-endian ELF.
#[must_use]
pub fn build_id(file: &impl Input) -> Option<([u8; MOST_BYTES], usize)> {
    let header: [u8; 64] = bytes_at(file, 0)?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let (offset, size, count) = (u64_at(&header, 32)?, u16_at(&header, 54)?, u16_at(&header, 56)?);
    if size < 56 {
        return None;
    }
    (0..u64::from(count)).find_map(|index| {
        let place = offset.checked_add(index * u64::from(size))?;
        let segment: [u8; 56] = bytes_at(file, place)?;
        if u32_at(&segment, 0)? != PT_NOTE {
            return None;
        }
        in_notes(file, u64_at(&segment, 8)?, u64_at(&segment, 32)?)
    })
}

/// Looks through the notes of a segment: name and contents each fill up to a multiple of 4 bytes.
fn in_notes(file: &impl Input, start: u64, bytes: u64) -> Option<([u8; MOST_BYTES], usize)> {
    const MOST_NOTES: usize = 64;
    let mut at = start;
    let end = start.checked_add(bytes)?;
    for _ in 0..MOST_NOTES {
        if at >= end {
            return None;
        }
        let note: [u8; 16] = bytes_at(file, at)?;
        let (name, contents) = (u32_at(&note, 0)?, u32_at(&note, 4)?);
        let place = at.checked_add(12)?.checked_add(u64::from(name).next_multiple_of(4))?;
        let length = usize::try_from(contents).ok()?;
        if u32_at(&note, 8)? == NT_GNU_BUILD_ID && name == 4 && note[12..] == *b"GNU\0" {
            let mut id = [0; MOST_BYTES];
            file.read_exactly(place, id.get_mut(..length)?).ok()?;
            return Some((id, length));
        }
        at = place.checked_add(u64::from(contents).next_multiple_of(4))?;
    }
    None
}

fn bytes_at<const N: usize>(file: &impl Input, offset: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exactly(offset, &mut bytes).ok()?;
    Some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
