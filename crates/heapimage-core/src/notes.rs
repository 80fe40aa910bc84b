use crate::bytes::Bytes;
use crate::elf::{Note, notes};
use heapimage::REGISTERS;

/// What the notes of a core say (fs/binfmt_elf.c, `fill_note_info`).
#[derive(Default)]
pub(crate) struct Notes<'a> {
    /// The one that the signal came to is the first in the kernel's cores.
    pub(crate) threads: Vec<Thread<'a>>,
    /// The process, which is the number of its main thread.
    pub(crate) pid: Option<u32>,
    /// Its command line, in part.
    pub(crate) arguments: &'a [u8],
    pub(crate) signal: Option<Signal>,
    pub(crate) auxiliary: &'a [u8],
    pub(crate) files: Vec<FileMapping<'a>>,
}

/// A thread: where it was.
pub struct Thread<'a> {
    /// See gettid(2).
    pub number: u32,
    /// As [`heapimage::ThreadRecord::registers`].
    pub registers: [u64; REGISTERS],
    /// The XSAVE area in its standard form; nothing where it is not known.
    pub xsave: &'a [u8],
}

/// What ended the process (`siginfo_t`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signal {
    pub(crate) number: i32,
    /// Above zero where the kernel sent it for a fault of the thread itself.
    pub(crate) code: i32,
}

/// A row of NT_FILE.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileMapping<'a> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where in the file, in bytes.
    pub(crate) offset: u64,
    pub(crate) path: &'a [u8],
}

/// Notes' types (elf.h).
const PRSTATUS: u32 = 1;
const PRPSINFO: u32 = 3;
const AUXV: u32 = 6;
const SIGINFO: u32 = 0x5349_4749;
const FILE: u32 = 0x4649_4c45;
const X86_XSTATE: u32 = 0x202;

/// As many threads and mapped files as are looked at.
const MOST: u64 = 1 << 17;

impl<'a> Notes<'a> {
    /// Adds what a PT_NOTE segment says. `None` for a note that is too short for what it is.
    pub(crate) fn add(&mut self, segment: &'a [u8]) -> Option<()> {
        for note in notes(segment) {
            self.add_note(&note)?;
        }
        Some(())
    }

    fn add_note(&mut self, note: &Note<'a>) -> Option<()> {
        let value = note.value;
        match (note.name, note.kind) {
            (b"CORE", PRSTATUS) => self.threads.push(thread(value)?),
            (b"CORE", PRPSINFO) => {
                self.pid = Some(value.u32_at(24)?);
                let arguments = value.part(56, 80)?;
                self.arguments = arguments.text_at(0).unwrap_or(arguments);
            }
            (b"CORE", SIGINFO) => {
                let [number, code] = [value.u32_at(0)?, value.u32_at(8)?].map(u32::cast_signed);
                self.signal = Some(Signal { number, code });
            }
            (b"CORE", AUXV) => self.auxiliary = value,
            (b"CORE", FILE) => self.files = files(value)?,
            // It follows the PRSTATUS of its thread.
            (b"LINUX", X86_XSTATE) => self.threads.last_mut()?.xsave = value,
            _ => {}
        }
        Some(())
    }

    /// A value of the auxiliary vector (getauxval(3)); 0 where it is not there.
    pub(crate) fn auxiliary(&self, key: u64) -> u64 {
        self.auxiliary
            .chunks_exact(16)
            .find(|pair| pair.u64_at(0) == Some(key))
            .and_then(|pair| pair.u64_at(8))
            .unwrap_or(0)
    }
}

/// `elf_prstatus`.
fn thread(value: &[u8]) -> Option<Thread<'_>> {
    let mut registers = [0; REGISTERS];
    for (register, at) in registers.iter_mut().zip((112..).step_by(8)) {
        *register = value.u64_at(at)?;
    }
    Some(Thread { number: value.u32_at(32)?, registers, xsave: &[] })
}

/// The count, the unit of offsets, rows of three words, and the paths one after the other.
fn files(value: &[u8]) -> Option<Vec<FileMapping<'_>>> {
    let (count, unit) = (value.u64_at(0)?, value.u64_at(8)?);
    if count > MOST {
        return None;
    }
    let mut path_at = count.checked_mul(24)?.checked_add(16)?;
    let mut files = Vec::new();
    for at in (0..count).map(|row| 16 + 24 * row) {
        let path = value.text_at(path_at)?;
        path_at += path.len() as u64 + 1;
        let (start, end) = (value.u64_at(at)?, value.u64_at(at + 8)?);
        let offset = value.u64_at(at + 16)?.checked_mul(unit)?;
        files.push(FileMapping { start, end, offset, path });
    }
    Some(files)
}
