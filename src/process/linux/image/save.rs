//! The pass over the memory of a child, in the child. Nothing here allocates, panics, locks or uses a thread-local but errno.

use super::Buffers;
use super::files::{Known, Treatment};
use super::maps::{Line, Lines, Use, parse_line};
use super::output::{Packing, Sink};
use super::pagemap::{PageEntry, read_entries};
use super::{Start, end, machine, system};
use crate::process::{Failure, Progress, Stage};
use heapimage::{BLOCK_RUNS, table_bytes};
use heapimage::{Block, FLOOR, Kind, MOST_MAPPINGS, Mapping, NO_FILE, PAGE, Sum, Trailer};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout};

/// Pages that are copied before they are hashed and written: those of the running stack change meanwhile.
const BATCH: usize = 256;
const PAGE_BYTES: usize = 4096;
const _: () = assert!(PAGE_BYTES as u64 == PAGE);

/// Memory that other processes have too is copied up to here: nothing of V8's is in it.
const MOST_SHARED: u64 = 16 << 20;

/// The restored process' stack begins so far below this one: beyond what it still uses.
const BELOW: u64 = 32 << 10;

/// Room to work in.
#[derive(FromZeros)]
#[repr(C)]
pub(super) struct Scratch {
    block: Block,
    pages: [[u8; PAGE_BYTES]; BATCH],
    /// Whether a run of the block is given back.
    dropped: [u8; BLOCK_RUNS],
    entries: [u64; 8192],
    /// Whether these pages are in memory.
    resident: [u8; 8192],
    text: [u8; 64 << 10],
}

/// What is written of a mapping.
#[derive(Debug, Clone, Copy, FromZeros, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Contents {
    pages: Wanted,
    flags: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, Immutable, KnownLayout)]
#[repr(u32)]
enum Wanted {
    Nothing = 0,
    /// What was written to, be it zeros: its file is mapped below it.
    Private = 1,
    /// What has contents and is not zeros.
    Used = 2,
    /// What is not zeros, be it read from a file.
    All = 3,
}

/// Contents can be given back: anonymous memory that the writer does not need.
const CAN_GO: u32 = 1;
/// Its pages can be read where they are; others only through /proc/self/mem.
const READABLE: u32 = 2;
/// A file is below it.
const OF_FILE: u32 = 4;
/// Some of its pages are on a swap device (guards are not counted as such).
const SWAPPED: u32 = 8;
/// Other processes may have it: what this one has not touched has contents too.
const SHARED: u32 = 16;

/// What an image came to.
pub(super) struct Saved {
    pub(super) names: Option<end::Names>,
}

/// Writes the image of this process into `file`. What fails has an errno.
pub(super) fn save(
    buffers: Buffers,
    file: RawFd,
    start: Start,
    give_back: bool,
    progress: &'static Progress,
) -> Result<Saved, (Failure, i32)> {
    progress.enter(Stage::Writing);
    // Any page may have to come back from a swap device, and the watcher takes a wait outside write(2) for a hung child.
    progress.writing.store(true, Relaxed);
    let opened = [c"/proc/self/smaps", c"/proc/self/pagemap", c"/proc/self/mem"].map(system::open);
    let [Ok(smaps), Ok(pagemap), Ok(memory)] = opened else {
        return Err((Failure::Image, system::errno()));
    };
    let Buffers {
        header,
        mappings,
        contents,
        records,
        known,
        objects,
        scratch,
        packing,
        sealing,
        names,
        small_cache,
        rseq,
        range,
    } = buffers;
    let packing = packing.map(|(workspace, packed)| Packing { workspace, packed });
    let mut writer = match Sink::new(file, progress, packing, sealing, small_cache) {
        Ok(sink) => Writer {
            sink,
            scratch,
            memory,
            sums: Sum::new(),
            blocks: 0,
            pages: 0,
            filled: 0,
            new_mapping: true,
            give_back,
        },
        Err(errno) => return Err((Failure::Image, errno)),
    };
    machine::note_thread(&mut header.entry);
    let here = (&raw const range).addr() as u64;
    let mut table = Table {
        mappings,
        contents,
        count: 0,
        most_pages: 0,
        known,
        objects,
        buffers: range,
        needed: [here, header.entry.thread_pointer],
    };
    if let Err(errno) = table.read(smaps, &mut writer.scratch.text) {
        return Err((Failure::Image, errno));
    }
    header.memory.brk = machine::current_break();
    if let Some((offset, bytes)) = rseq {
        header.memory.rseq_address = header.entry.thread_pointer.wrapping_add_signed(offset);
        header.memory.rseq_bytes = bytes;
    }
    header.entry.function = start.function as usize as u64;
    header.entry.argument = start.argument as u64;
    header.entry.stack = (here - BELOW) & !15;
    header.entry.output = start.output.unsigned_abs();
    header.thread = start.thread;
    header.heap_used = start.heap_used;
    system::each_descriptor(&mut writer.scratch.text, |descriptor| {
        if [smaps, pagemap, memory].iter().all(|own| own.unsigned_abs() != descriptor) {
            header.note_descriptor(descriptor);
        }
    });
    let mappings = table.mappings.get(..table.count).unwrap_or_default();
    header.machine.highest = mappings.last().map_or(0, |mapping| mapping.end);
    header.most_pages = table.most_pages;
    header.mapping_count = u32::try_from(table.count).unwrap_or(u32::MAX);
    header.file_count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let tables = [mappings.as_bytes(), records.as_bytes(), padding(mappings.len(), records.len())];
    let mut sum = Sum::new();
    tables.iter().for_each(|part| sum.add(part));
    header.tables_sum = sum.finish();
    header.seal();
    let written = writer.begin(header, &tables).and_then(|()| {
        for (mapping, contents) in mappings.iter().zip(&*table.contents) {
            writer.add(mapping, *contents, pagemap)?;
        }
        writer.end()
    });
    for own in [smaps, pagemap, memory] {
        system::close(own);
    }
    match written {
        Ok(digest) => {
            progress.set_digest(digest);
            progress.private_bytes.store(end::private_memory(), Relaxed);
            Ok(Saved { names })
        }
        Err(Stop::Write(errno)) => Err((Failure::Write, errno)),
        Err(Stop::Read(errno)) => Err((Failure::Image, errno)),
    }
}

/// Why a pass ended early, with its errno.
enum Stop {
    Write(i32),
    Read(i32),
}

/// The zeros behind both tables.
fn padding(mappings: usize, records: usize) -> &'static [u8] {
    static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let used = mappings * size_of::<Mapping>() + records * size_of::<heapimage::FileRecord>();
    let whole = usize::try_from(table_bytes(count(mappings), count(records))).unwrap_or(0);
    ZEROS.get(..whole.saturating_sub(used)).unwrap_or_default()
}

/// The mappings, as they are read.
struct Table<'a> {
    mappings: &'a mut [Mapping],
    contents: &'a mut [Contents],
    count: usize,
    most_pages: u64,
    known: &'a [Known],
    objects: &'a [[u64; 2]],
    /// Not in the image.
    buffers: std::ops::Range<u64>,
    /// Addresses whose mappings the writer needs to its end: stack and thread-locals.
    needed: [u64; 2],
}

impl Table<'_> {
    fn read(&mut self, smaps: RawFd, text: &mut [u8]) -> Result<(), i32> {
        let mut lines = Lines::new(smaps, text);
        // The last mapping's lines are complete when the next one begins.
        let mut last: Option<(Mapping, Contents, Use)> = None;
        while let Some(line) = lines.next_line() {
            match (parse_line(line), &mut last) {
                (Some(line), _) => {
                    self.push(last.take())?;
                    last = self.begin(&line);
                }
                (None, Some((.., found))) => found.note(line),
                (None, None) => {}
            }
        }
        let error = lines.error;
        self.push(last)?;
        match error {
            Some(errno) => Err(errno),
            None if self.count == 0 => Err(libc::ENOENT),
            None => Ok(()),
        }
    }

    /// What a mapping becomes; `None` for one that an image does not have.
    fn begin(&self, line: &Line<'_>) -> Option<(Mapping, Contents, Use)> {
        let Line { start, end, protection, offset, name, .. } = *line;
        let left_out = [&b"[vvar"[..], b"[vsyscall", b"[uprobes"];
        let is_ours = self.buffers.start <= start && end <= self.buffers.end;
        if is_ours || start < FLOOR || left_out.iter().any(|other| name.starts_with(other)) {
            return None;
        }
        let (kind, pages, file) = self.sort(line);
        let is_needed = self.needed.iter().any(|address| (start..end).contains(address))
            || self.objects.iter().any(|&[from, to]| from < end && start < to);
        let can_go = !line.shared && line.inode == 0 && kind == Kind::Memory && !is_needed;
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(can_go, CAN_GO)
            | flag(protection & 1 == 1, READABLE)
            | flag(line.inode != 0, OF_FILE)
            | flag(line.shared, SHARED);
        let mapping = Mapping {
            start,
            end,
            offset,
            protection,
            kind: Mapping::kind_number(kind),
            file,
            reserved: [0; 3],
        };
        Some((mapping, Contents { pages, flags }, Use::default()))
    }

    fn sort(&self, line: &Line<'_>) -> (Kind, Wanted, u32) {
        match line.name {
            b"[vdso]" => return (Kind::Vdso, Wanted::All, NO_FILE),
            b"[stack]" => return (Kind::Stack, Wanted::Used, NO_FILE),
            _ => {}
        }
        if line.shared {
            // Not a file's: databases are mapped so, and may be larger than memory.
            let anonymous = [&b"/dev/zero"[..], b"/memfd:", b"/SYSV", b"[anon_shmem"];
            let small = line.end - line.start <= MOST_SHARED;
            let copied = small && anonymous.iter().any(|name| line.name.starts_with(name));
            let pages = if copied { Wanted::All } else { Wanted::Nothing };
            return (Kind::Memory, pages, NO_FILE);
        }
        if line.inode == 0 || !line.name.starts_with(b"/") {
            return (Kind::Memory, Wanted::Used, NO_FILE);
        }
        match self.known.iter().find(|known| known.is(line)) {
            Some(known) => match known.treatment {
                Treatment::Reference => (Kind::File, Wanted::Private, known.record),
                Treatment::Copy => (Kind::Memory, Wanted::All, known.record),
                Treatment::PrivatePages => (Kind::Memory, Wanted::Used, known.record),
            },
            // Mapped while the parent was about to fork.
            None => (Kind::Memory, Wanted::Used, NO_FILE),
        }
    }

    fn push(&mut self, last: Option<(Mapping, Contents, Use)>) -> Result<(), i32> {
        let Some((mapping, mut contents, found)) = last else { return Ok(()) };
        let all = (mapping.end - mapping.start) / PAGE;
        let there = (found.resident + found.swapped).div_ceil(PAGE / 1024);
        let private = (found.anonymous + found.swapped).div_ceil(PAGE / 1024);
        if found.dont_dump && mapping.kind() != Some(Kind::Vdso) || found.device {
            contents.pages = Wanted::Nothing;
        }
        if found.swapped > 0 {
            contents.flags |= SWAPPED;
        }
        if found.has_key {
            contents.flags &= !READABLE;
        }
        let most = match contents.pages {
            Wanted::Nothing => 0,
            Wanted::Private => private,
            Wanted::Used => there,
            Wanted::All => all,
        };
        if most == 0 {
            contents.pages = Wanted::Nothing;
        }
        // A stack may grow meanwhile.
        self.most_pages += most.min(all) + if mapping.kind() == Some(Kind::Stack) { 64 } else { 0 };
        let (Some(to), Some(of)) =
            (self.mappings.get_mut(self.count), self.contents.get_mut(self.count))
        else {
            return Err(libc::ENOMEM);
        };
        (*to, *of) = (mapping, contents);
        self.count += 1;
        if self.count > MOST_MAPPINGS as usize { Err(libc::ENOMEM) } else { Ok(()) }
    }
}

struct Writer<'a> {
    sink: Sink<'a>,
    scratch: &'a mut Scratch,
    /// /proc/self/mem: reads what has no access, and fails where a load would be a signal.
    memory: RawFd,
    sums: Sum,
    blocks: u64,
    pages: u64,
    /// Pages of the block that is being filled.
    filled: usize,
    new_mapping: bool,
    give_back: bool,
}

impl Writer<'_> {
    fn begin(&mut self, header: &heapimage::Header, tables: &[&[u8]]) -> Result<(), Stop> {
        self.scratch.block.begin();
        self.sums.add(&header.sum.to_le_bytes());
        self.sums.add(&header.tables_sum.to_le_bytes());
        self.sink.begin().and_then(|()| self.sink.write(header.as_bytes())).map_err(Stop::Write)?;
        tables.iter().try_for_each(|part| self.sink.write(part)).map_err(Stop::Write)
    }

    /// Adds what is wanted of a mapping.
    fn add(&mut self, mapping: &Mapping, contents: Contents, pagemap: RawFd) -> Result<(), Stop> {
        self.new_mapping = true;
        let mut at = mapping.start;
        while contents.pages != Wanted::Nothing && at < mapping.end {
            let entries = &mut self.scratch.entries;
            let left = usize::try_from((mapping.end - at) / PAGE).unwrap_or(usize::MAX);
            let wanted = entries.get_mut(..left.min(8192)).unwrap_or_default();
            let read = read_entries(pagemap, at, wanted).map_err(Stop::Read)?;
            if read == 0 {
                return Err(Stop::Read(libc::EIO));
            }
            // To read what is not there would make it, at the cost of all who share it.
            let is_sparse = contents.flags & (SHARED | SWAPPED) == SHARED;
            let resident = self.scratch.resident.get_mut(..read).unwrap_or_default();
            if !is_sparse || system::find_resident(at, resident).is_err() {
                resident.fill(1);
            }
            for index in 0..read {
                let entry = PageEntry(self.scratch.entries.get(index).copied().unwrap_or(0));
                let is_wanted = match contents.pages {
                    Wanted::Nothing => false,
                    Wanted::Private => entry.has_contents() && entry.is_private(),
                    Wanted::Used => entry.has_contents(),
                    Wanted::All => {
                        self.scratch.resident.get(index).is_none_or(|page| page & 1 == 1)
                    }
                };
                if is_wanted {
                    self.add_page(at, entry, contents)?;
                }
                at += PAGE;
            }
        }
        if self.give_back && contents.flags & CAN_GO != 0 {
            // All of it is copied. With it go the page tables, which a control group is charged for.
            system::unmap(mapping.start, mapping.end - mapping.start);
        }
        Ok(())
    }

    fn add_page(&mut self, at: u64, entry: PageEntry, contents: Contents) -> Result<(), Stop> {
        if self.filled == BATCH || self.scratch.block.runs().len() == BLOCK_RUNS {
            self.flush()?;
        }
        let Scratch { block, pages, dropped, .. } = &mut *self.scratch;
        let Some(page) = pages.get_mut(self.filled) else { return Err(Stop::Read(libc::EIO)) };
        if entry.is_present() && contents.flags & READABLE != 0 {
            let from = std::ptr::with_exposed_provenance::<u8>(usize::try_from(at).unwrap_or(0));
            // SAFETY: a page of this process that the kernel says is in memory and can be read; nothing else runs that could
            // change that. It is not one of the scratch pages, which are left out with all buffers.
            unsafe { std::ptr::copy_nonoverlapping(from, page.as_mut_ptr(), PAGE_BYTES) };
        } else {
            match system::read_at(self.memory, page, at) {
                Ok(PAGE_BYTES) => {}
                Ok(_) | Err(libc::EIO | libc::EFAULT) if may_be_nothing(entry, contents) => {
                    return Ok(());
                }
                Ok(_) => return Err(Stop::Read(libc::EIO)),
                Err(errno) => return Err(Stop::Read(errno)),
            }
        }
        if contents.pages != Wanted::Private && is_zero(page) {
            return Ok(());
        }
        // A run does not go beyond its mapping, though the next one may begin there.
        let added = if self.new_mapping { block.begin_run(at) } else { block.add_page(at) };
        self.new_mapping = false;
        if let Some(dropped) = dropped.get_mut(block.runs().len().wrapping_sub(1)) {
            *dropped = u8::from(contents.flags & CAN_GO != 0);
        }
        self.filled += 1;
        if added { Ok(()) } else { Err(Stop::Read(libc::EIO)) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let Scratch { block, pages, dropped, .. } = &mut *self.scratch;
        if self.filled == 0 {
            return Ok(());
        }
        let pages = pages.get(..self.filled).unwrap_or_default().as_flattened();
        let mut sum = block.begin_sum();
        sum.add(pages);
        block.seal(&sum);
        self.sums.add(&block.sum().to_le_bytes());
        self.sink.write(block.as_bytes()).map_err(Stop::Write)?;
        self.sink.write(pages).map_err(Stop::Write)?;
        for (run, dropped) in block.runs().iter().zip(&*dropped) {
            if self.give_back && *dropped != 0 {
                // From here on the parent's next write to them needs no copy, and copies that it has made are free again.
                system::give_back(run.address, run.pages * PAGE);
            }
        }
        self.blocks += 1;
        self.pages += self.filled as u64;
        self.filled = 0;
        block.begin();
        Ok(())
    }

    /// Writes what is left and the trailer; the SHA-256 of all.
    fn end(mut self) -> Result<[u8; 32], Stop> {
        self.flush()?;
        let mut trailer = Trailer::new_zeroed();
        trailer.begin(self.blocks, self.pages, self.sums.finish());
        self.sink.write(trailer.as_bytes()).map_err(Stop::Write)?;
        self.sink.finish().map_err(Stop::Write)
    }
}

/// Whether a page that cannot be read has no contents: it is behind the end of its file, or a guard that a kernel before Linux
/// 6.15 shows as swapped out. Otherwise its swap device has failed, or the kernel forbids to read what has no access
/// (`proc_mem.force_override`), and an image without it would be taken for whole.
fn may_be_nothing(entry: PageEntry, contents: Contents) -> bool {
    let is_lost = entry.is_present() || contents.flags & SWAPPED != 0 && entry.has_contents();
    contents.flags & OF_FILE != 0 || !is_lost
}

fn is_zero(page: &[u8; PAGE_BYTES]) -> bool {
    // Most pages end this at their first words.
    page.as_chunks::<64>().0.iter().all(|chunk| *chunk == [0; 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_lost_unless_there_is_nothing() {
        let nothing = |bits: u64, flags| {
            may_be_nothing(PageEntry(bits), Contents { pages: Wanted::Used, flags })
        };
        let (present, swapped) = (1 << 63, 1 << 62);
        assert!(!nothing(present, READABLE) && !nothing(present, 0));
        assert!(!nothing(swapped, SWAPPED));
        // A guard of Linux 6.13, memory that nobody touched, and the end of a file.
        assert!(nothing(swapped, 0) && nothing(0, SWAPPED) && nothing(present, OF_FILE));
    }
}
