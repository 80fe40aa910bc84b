//! The copy, read into a heap image: as [`heapimage_core`] makes one of a core file.

use super::fault::Fault;
use super::fork::{Copy, Forked};
use super::maps::{ADDRESSES, Row, read};
use super::pages::{Entry, Pages};
use super::program::Program;
use super::ptrace;
use heapimage::{
    ARCHITECTURE_X64, FLOOR, FileRecord, Header, Kind, MOST_MAPPINGS, Mapping, MemoryMarks,
    NO_FILE, Origin, PAGE,
};
use heapimage_core::{CoreFault, ImageWriter, Thread, Threads};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use zerocopy::FromZeros;

/// The restorer is given the output as this descriptor.
const OUTPUT: u32 = 1;

/// Writes the image of the copy to `to`, of which a snapshot of `thread`'s isolate will be taken. Gives how many pages it has.
pub(crate) fn write(
    pid: i32,
    thread: i32,
    forked: &Forked<'_>,
    program: &Program,
    to: impl Write,
) -> Result<u64, Fault> {
    let copy = forked.copy.pid;
    let rows = read(copy, "maps").map_err(Fault::Unreadable)?;
    let mut image = Image::of(&rows, program)?;
    let mut header = Header::new(ARCHITECTURE_X64, Origin::Core);
    header.v8 = program.v8;
    let threads: Vec<Thread<'_>> = forked
        .threads
        .iter()
        .map(|thread| Thread {
            number: thread.number.cast_unsigned(),
            registers: thread.registers.0,
            xsave: &thread.xsave,
        })
        .collect();
    let chosen = Threads::of_stopped(&threads, thread.cast_unsigned()).ok_or(Fault::MainEnded)?;
    let records = chosen.record(&mut header, &image.mappings)?;
    if let Some((mapping, _)) = &records {
        image.insert(*mapping);
    }
    header.machine.cpu = with_registers_of(header.machine.cpu);
    fill(&mut header, pid, copy, &rows, program, &image);
    let output = Fault::Output;
    let mut writer =
        ImageWriter::begin(to, &mut header, &image.mappings, &image.files).map_err(output)?;
    let mut pages = Pages::of(copy).map_err(Fault::Unreadable)?;
    for (mapping, source) in image.mappings.iter().zip(&image.sources) {
        writer.begin_mapping();
        match source {
            Source::Records => {
                let bytes = records.as_ref().map(|(_, bytes)| &**bytes).unwrap_or_default();
                for (at, page) in (mapping.start..).step_by(4096).zip(bytes.chunks(4096)) {
                    writer.add_page(at, page, false).map_err(output)?;
                }
            }
            Source::Nothing => {}
            Source::Copy { row, pages: which } => {
                copy_row(&mut pages, row, *which, &mut writer, &forked.copy)?;
            }
        }
    }
    let count = writer.page_count();
    writer.end().map_err(output)?;
    Ok(count)
}

fn copy_row<W: Write>(
    pages: &mut Pages,
    row: &Row,
    which: Which,
    writer: &mut ImageWriter<W>,
    copy: &Copy<'_>,
) -> Result<(), Fault> {
    if ptrace::was_interrupted() {
        return Err(Fault::Interrupted);
    }
    let zeros_too = which != Which::There;
    let wanted = |entry: Entry| match which {
        Which::All => true,
        Which::There => entry.is_there(),
        Which::Own => entry.is_own(),
    };
    let mut failed = None;
    let looked = pages.for_each_run(row, wanted, |start, bytes| {
        for (at, page) in (start..).step_by(4096).zip(bytes.chunks(4096)) {
            if let Err(error) = writer.add_page(at, page, zeros_too) {
                failed = Some(error);
                return Ok(false);
            }
        }
        Ok(true)
    });
    if let Some(error) = failed {
        return Err(Fault::Output(error));
    }
    looked
        .map_err(|error| if copy.is_alive() { Fault::Unreadable(error) } else { Fault::CopyKilled })
}

/// Which pages of a mapping are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that are there, but zeros.
    There,
    /// Those that are not as its file has them.
    Own,
    All,
}

enum Source<'a> {
    Copy {
        row: &'a Row,
        pages: Which,
    },
    /// Memory shared with other processes, which is no part of the copy.
    Nothing,
    /// Of threads.
    Records,
}

struct Image<'a> {
    mappings: Vec<Mapping>,
    /// Beside `mappings`.
    sources: Vec<Source<'a>>,
    files: Vec<FileRecord>,
}

impl<'a> Image<'a> {
    fn of(rows: &'a [Row], program: &Program) -> Result<Image<'a>, Fault> {
        let mut image = Image { mappings: Vec::new(), sources: Vec::new(), files: Vec::new() };
        let mut indices = HashMap::new();
        let is_ours = |row: &&Row| {
            row.start >= FLOOR && row.end <= ADDRESSES && (row.is_vdso() || !row.is_kernels())
        };
        for row in rows.iter().filter(is_ours) {
            image.add(row, program, &mut indices);
        }
        if image.mappings.len() >= MOST_MAPPINGS as usize {
            return Err(CoreFault::TooMany("mappings").into());
        }
        Ok(image)
    }

    fn add(&mut self, row: &'a Row, program: &Program, indices: &mut HashMap<&'a str, u32>) {
        let mut mapping = Mapping {
            start: row.start,
            end: row.end,
            offset: 0,
            protection: row.protection,
            kind: Mapping::kind_number(Kind::Memory),
            file: NO_FILE,
            reserved: [0; 3],
        };
        let known = row.file().and_then(|path| Some((path, program.files.get(path)?)));
        let which = if let Some((path, record)) = known {
            let files = &mut self.files;
            let index = *indices.entry(path).or_insert_with(|| {
                files.push(*record);
                u32::try_from(files.len() - 1).unwrap_or(NO_FILE)
            });
            mapping.kind = Mapping::kind_number(Kind::File);
            mapping.offset = row.offset;
            mapping.file = index;
            Which::Own
        } else if row.is_vdso() {
            mapping.kind = Mapping::kind_number(Kind::Vdso);
            Which::All
        } else if row.is_stack() {
            mapping.kind = Mapping::kind_number(Kind::Stack);
            Which::There
        } else if row.file().is_some() {
            Which::All
        } else {
            Which::There
        };
        self.mappings.push(mapping);
        // Of what is shared nothing but what a parent shares with its children (MAP_SHARED | MAP_ANONYMOUS) is V8's or libuv's.
        let is_others = row.is_shared && !row.name.starts_with("/dev/zero");
        self.sources.push(match which {
            _ if is_others => Source::Nothing,
            pages => Source::Copy { row, pages },
        });
    }

    fn insert(&mut self, records: Mapping) {
        let at = self.mappings.partition_point(|other| other.start < records.start);
        self.mappings.insert(at, records);
        self.sources.insert(at, Source::Records);
    }
}

/// What this machine has; of the registers only what threads that go on need (the sixth word).
fn with_registers_of(known: [u32; 8]) -> [u32; 8] {
    let mut words = heapimage_restore::arch::cpu_words();
    if let (Some(to), Some(from)) = (words.get_mut(5), known.get(5)) {
        *to |= *from;
    }
    words
}

fn fill(
    header: &mut Header,
    pid: i32,
    copy: i32,
    rows: &[Row],
    program: &Program,
    image: &Image<'_>,
) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    header.time = u64::try_from(now.as_millis()).unwrap_or(0);
    header.pid = pid.cast_unsigned();
    header.entry.output = OUTPUT;
    header.memory = marks(copy, rows, program.current_break).unwrap_or(header.memory);
    header.machine.highest = image.mappings.last().map_or(0, |mapping| mapping.end);
    header.mapping_count = u32::try_from(image.mappings.len()).unwrap_or(u32::MAX);
    header.file_count = u32::try_from(image.files.len()).unwrap_or(u32::MAX);
    header.most_pages = image.mappings.iter().map(|row| (row.end - row.start) / PAGE).sum();
    text(&mut header.node_version, &program.version);
    text(&mut header.writer, concat!("heapdump-rs ", env!("CARGO_PKG_VERSION")));
    text(&mut header.kernel, line("/proc/sys/kernel/osrelease").trim_end());
    text(&mut header.title, line(&format!("/proc/{pid}/cmdline")).replace('\0', " ").trim_end());
}

/// What the kernel notes of the copy's memory (proc(5), `stat`), as of its process.
fn marks(copy: i32, rows: &[Row], current_break: u64) -> io::Result<MemoryMarks> {
    let stat = fs::read_to_string(format!("/proc/{copy}/stat"))?;
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<u64> = rest.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    // The first here is the third there.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    let mut marks = MemoryMarks::new_zeroed();
    [marks.start_code, marks.end_code, marks.start_stack] = [26, 27, 28].map(field);
    [marks.start_data, marks.end_data, marks.start_brk] = [45, 46, 47].map(field);
    [marks.arg_start, marks.arg_end, marks.env_start, marks.env_end] = [48, 49, 50, 51].map(field);
    let heap = rows.iter().filter(|row| row.name == "[heap]").map(|row| row.end).max();
    marks.brk = heap.unwrap_or(marks.start_brk);
    marks.glibc_current_break = current_break;
    Ok(marks)
}

fn line(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// As much as leaves a zero at the end.
fn text(to: &mut [u8], from: &str) {
    let bytes = from.len().min(to.len() - 1);
    if let (Some(to), Some(from)) = (to.get_mut(..bytes), from.as_bytes().get(..bytes)) {
        to.copy_from_slice(from);
    }
}
