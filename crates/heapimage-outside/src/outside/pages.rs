//! The pages of a process that are there (proc(5), `pagemap` and `mem`).

use super::maps::Row;
use heapimage::PAGE;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Which pages there are, and what is in them.
pub(crate) struct Pages {
    map: File,
    memory: File,
    entries: Vec<u8>,
    bytes: Vec<u8>,
}

/// An entry of pagemap (Documentation/admin-guide/mm/pagemap.rst).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(u64);

impl Entry {
    /// It is in memory or swapped out.
    pub(crate) fn is_there(self) -> bool {
        self.0 >> 62 != 0
    }

    /// It is there, and not as its file has it.
    pub(crate) fn is_own(self) -> bool {
        self.is_there() && self.0 >> 61 & 1 == 0
    }
}

/// So many pages are looked up at once, and read at once.
const LOOKED_UP: u64 = 1 << 16;
const READ: usize = 256;
const PAGE_BYTES: usize = 4096;
const _: () = assert!(PAGE_BYTES as u64 == PAGE);
/// A reservation of so many bytes without access holds nothing: to look at it would take longer than everything else.
const RESERVATION: u64 = 64 << 30;

impl Pages {
    pub(crate) fn of(pid: i32) -> io::Result<Pages> {
        let open = |name: &str| File::open(format!("/proc/{pid}/{name}"));
        Ok(Pages {
            map: open("pagemap")?,
            memory: open("mem")?,
            entries: vec![0; 8 * usize::try_from(LOOKED_UP).unwrap_or(0)],
            bytes: vec![0; READ * PAGE_BYTES],
        })
    }

    /// Hands `take` the pages of a mapping that are `wanted`, some at once, with their address, until it wants no more. Pages that
    /// cannot be read (a device's) are left out.
    pub(crate) fn for_each_run(
        &mut self,
        row: &Row,
        wanted: impl Fn(Entry) -> bool,
        mut take: impl FnMut(u64, &[u8]) -> io::Result<bool>,
    ) -> io::Result<()> {
        if row.protection == 0 && row.end - row.start >= RESERVATION {
            return Ok(());
        }
        let mut at = row.start;
        while at < row.end {
            let count = ((row.end - at) / PAGE).min(LOOKED_UP);
            let length = 8 * usize::try_from(count).unwrap_or(0);
            let entries = self.entries.get_mut(..length).unwrap_or_default();
            self.map.read_exact_at(entries, at / PAGE * 8)?;
            let is_wanted: Vec<bool> = entries
                .chunks_exact(8)
                .map(|word| Entry(u64::from_le_bytes(word.try_into().unwrap_or_default())))
                .map(&wanted)
                .collect();
            let mut first = 0;
            while let Some(skipped) = is_wanted.iter().skip(first).position(|wanted| *wanted) {
                first += skipped;
                let run = is_wanted.iter().skip(first).take_while(|wanted| **wanted).take(READ);
                let pages = run.count();
                let address = at + (first * PAGE_BYTES) as u64;
                let bytes = self.bytes.get_mut(..pages * PAGE_BYTES).unwrap_or_default();
                let read = read_from(&self.memory, bytes, address)?;
                if !take(address, bytes.get(..read).unwrap_or_default())? {
                    return Ok(());
                }
                // One that cannot be read is left out.
                let whole = read / PAGE_BYTES;
                first += whole + usize::from(whole < pages);
            }
            at += count * PAGE;
        }
        Ok(())
    }
}

/// Whole pages, as many as can be read. Where its process has ended that is an error.
fn read_from(memory: &File, bytes: &mut [u8], address: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match memory.read_at(rest, address + read as u64) {
            // No memory is left: proc(5) says so by an end.
            Ok(0) if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read / PAGE_BYTES * PAGE_BYTES)
}
