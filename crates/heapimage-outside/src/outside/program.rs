//! What of a process is in files: Node.js, its libraries, and where V8 is.

use super::fault::Fault;
use super::mapped::Mapped;
use super::maps::{Row, base_name, version_of};
use super::pages::{Entry, Pages};
use super::process::Process;
use super::rooted::Root;
use heapimage::{FILE_PATH_BYTES, FileRecord, MOST_FILES, V8Functions};
use heapimage_core::{CURRENT_BREAK, NAMES, Object, THREADS_ISOLATE, functions};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use zerocopy::FromZeros;

/// The program and its libraries.
pub(crate) struct Program {
    pub(crate) v8: V8Functions,
    /// Of glibc's malloc(3); 0 with another C library.
    pub(crate) current_break: u64,
    /// Where a thread notes its isolate, from its thread pointer; nothing where the program does not tell.
    pub(crate) isolate: Option<u64>,
    /// As `24.19.0`; nothing where the program does not say.
    pub(crate) version: String,
    /// Files that an image can name, by their path.
    pub(crate) files: HashMap<String, FileRecord>,
}

impl Program {
    /// Looks for all of it.
    pub(crate) fn of(process: &Process, rows: &[Row]) -> Result<Program, Fault> {
        let mut program = Program {
            v8: V8Functions::new_zeroed(),
            current_break: 0,
            isolate: None,
            version: String::new(),
            files: HashMap::new(),
        };
        let mut addresses = HashMap::new();
        let mut is_x64 = true;
        // Files are found as the process finds them: it may be in a container.
        let root = Root::of(process.pid).ok();
        for (path, first) in beginnings(rows) {
            let is_program = is_program(process.pid, path);
            // The program itself is there even if it was replaced.
            let file = if is_program {
                File::open(format!("/proc/{}/exe", process.pid)).ok()
            } else {
                root.as_ref().and_then(|root| root.open(path).ok())
            };
            let Some(file) = file else { continue };
            let Some(bytes) = Mapped::of(&file).ok() else { continue };
            let Some(object) = Object::parse(&bytes) else { continue };
            let in_memory = process.read(first.start, 4096).unwrap_or_default();
            let in_memory = Object::parse(&in_memory).and_then(|object| object.build_id());
            let is_same_build = object.build_id().is_some() && in_memory == object.build_id();
            // The file of that name may be another by now. Of some file systems the kernel tells another device or number in `maps`
            // than stat(2) does (btrfs; overlayfs before Linux 6.8).
            if !is_program && !is_same_build && !is_of(first, &file) {
                continue;
            }
            if may_have_symbols(path) || is_program {
                is_x64 &= object.is_x64();
                let bias = object.bias(first.start);
                for (name, value) in object.symbols(&NAMES) {
                    addresses.entry(name).or_insert(value.wrapping_add(bias));
                }
                // A library's variables are elsewhere. The loader may be the program, as the kernel sees it.
                if is_program || base_name(path).starts_with("node") {
                    program.isolate = program.isolate.or(object.thread_local(THREADS_ISOLATE));
                }
                if program.version.is_empty() {
                    program.version = version_of(&bytes).unwrap_or_default();
                }
            }
            if let Some(id) = object.build_id()
                && is_same_build
                && let Some(record) = record(path, id, &file)
                && program.files.len() < MOST_FILES as usize
            {
                program.files.insert(path.to_owned(), record);
            }
        }
        if !is_x64 {
            return Err(Fault::Architecture);
        }
        program.current_break = addresses.get(CURRENT_BREAK).copied().unwrap_or(0);
        program.v8 = functions(&addresses, |table| object_of(process, rows, table))
            .map_err(Fault::NotNode)?;
        Ok(program)
    }
}

/// The first mapping of each file's beginning.
fn beginnings(rows: &[Row]) -> HashMap<&str, &Row> {
    let mut found = HashMap::new();
    for row in rows.iter().filter(|row| row.offset == 0) {
        if let Some(path) = row.file() {
            found.entry(path).or_insert(row);
        }
    }
    found
}

/// Whether it is that file which is mapped.
fn is_of(row: &Row, file: &File) -> bool {
    file.metadata().is_ok_and(|file| {
        let device = (libc::major(file.dev()), libc::minor(file.dev()));
        (device, file.ino()) == (row.device, row.inode)
    })
}

fn is_program(pid: i32, path: &str) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program.as_os_str() == path)
}

/// Node.js, as a program or as a library, and the C library.
fn may_have_symbols(path: &str) -> bool {
    let name = base_name(path);
    ["node", "libnode", "libv8", "libc.so", "libc-2"].iter().any(|begin| name.starts_with(begin))
}

fn record(path: &str, id: &[u8], file: &File) -> Option<FileRecord> {
    let metadata = file.metadata().ok()?;
    let mut record = FileRecord::new_zeroed();
    record.size = metadata.len();
    record.modified = u64::try_from(metadata.mtime()).unwrap_or(0);
    record.inode = metadata.ino();
    record.build_id.get_mut(..id.len())?.copy_from_slice(id);
    record.build_id_bytes = u32::try_from(id.len()).ok()?;
    let path = path.as_bytes();
    // One that was removed is embedded.
    if path.len() >= FILE_PATH_BYTES || path.ends_with(b" (deleted)") {
        return None;
    }
    record.path.get_mut(..path.len())?.copy_from_slice(path);
    record.path_bytes = u32::try_from(path.len()).ok()?;
    Some(record)
}

/// The first object in memory whose class has its functions at `table`. Only pages that are there are looked at: to read others
/// would make them. malloc(3) has it, so its own memory comes first.
fn object_of(process: &Process, rows: &[Row], table: u64) -> Option<u64> {
    let finder = memchr::memmem::Finder::new(&table.to_le_bytes()).into_owned();
    let is_one = |row: &&Row| row.is_copied() && row.protection & 3 == 3 && row.inode == 0;
    let mut rows: Vec<&Row> = rows.iter().filter(is_one).collect();
    rows.sort_by_key(|row| row.name != "[heap]");
    let mut pages = Pages::of(process.pid).ok()?;
    rows.into_iter().find_map(|row| {
        let mut found = None;
        let looked = pages.for_each_run(row, Entry::is_there, |start, bytes| {
            let mut at = finder.find_iter(bytes).filter(|at| at.is_multiple_of(8));
            found = found.or(at.next().map(|at| start + at as u64));
            Ok(found.is_none())
        });
        looked.ok().and(found)
    })
}
