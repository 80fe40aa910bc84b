//! A core file and a node binary, as small as they can be.

use std::collections::BTreeMap;

pub(crate) const NODE: &str = "/opt/bin/node";
pub(crate) const PROGRAM: u64 = 0x40_0000;
pub(crate) const HEAP: u64 = 0x1000_0000;
pub(crate) const WORKER_STACK: u64 = 0x2000_0000;
pub(crate) const VDSO: u64 = 0x7ff0_0000_0000;
pub(crate) const STACK: u64 = 0x7ffe_0000_0000;
const PAGE: usize = 4096;

#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) start: u64,
    /// PF_X 1, PF_W 2, PF_R 4.
    pub(crate) flags: u32,
    pub(crate) contents: Vec<u8>,
    pub(crate) pages: usize,
}

pub(crate) struct Thread {
    pub(crate) number: u32,
    pub(crate) call: i64,
    pub(crate) answer: i64,
    pub(crate) stack: u64,
    pub(crate) xsave: Vec<u8>,
}

pub(crate) struct CoreFile {
    pub(crate) segments: Vec<Segment>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) signal: Option<(i32, i32)>,
    /// PN_XNUM.
    pub(crate) many_headers: bool,
    /// Mapped from their beginnings, from an address to another.
    pub(crate) files: Vec<(u64, u64, &'static str)>,
}

impl CoreFile {
    /// Of a main thread that was sent SIGSEGV in user mode.
    pub(crate) fn new() -> CoreFile {
        let mut heap = vec![0; 3 * PAGE];
        heap[0] = 7;
        heap[64..72]
            .copy_from_slice(&(symbols_of_node()["_ZTVN4node12NodePlatformE"] + 16).to_le_bytes());
        let text = b"https://nodejs.org/download/release/v24.1.2/node-v24.1.2.tar.gz";
        heap[2 * PAGE..2 * PAGE + text.len()].copy_from_slice(text);
        let first_page = node(1)[..PAGE].to_vec();
        let segment = |start, flags, contents, pages| Segment { start, flags, contents, pages };
        let xsave = Vec::new();
        CoreFile {
            segments: vec![
                segment(PROGRAM, 5, first_page, 4),
                segment(HEAP, 6, heap, 3),
                segment(WORKER_STACK, 6, vec![1; PAGE], 1),
                segment(VDSO, 5, [vec![9; PAGE], vec![0; PAGE]].concat(), 2),
                segment(STACK, 6, vec![0; 2 * PAGE], 2),
            ],
            threads: vec![Thread {
                number: 1,
                call: -1,
                answer: 0,
                stack: STACK + 2 * PAGE as u64 - 256,
                xsave,
            }],
            signal: Some((11, 0)),
            many_headers: false,
            files: vec![(PROGRAM, PROGRAM + 4 * PAGE as u64, NODE)],
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let notes = self.notes();
        let count = self.segments.len() + 1;
        let sections = 64 + 56 * count;
        let mut at = (sections + 64 + notes.len()).next_multiple_of(PAGE);
        let mut file = header(4, 62, 64, count, if self.many_headers { sections } else { 0 });
        if self.many_headers {
            file[56..58].copy_from_slice(&0xffff_u16.to_le_bytes());
        }
        file.extend(program_header(4, 0, sections + 64, 0, notes.len(), 0));
        for segment in &self.segments {
            let (length, memory) = (segment.contents.len(), segment.pages * PAGE);
            file.extend(program_header(1, segment.flags, at, segment.start, length, memory));
            at += length.next_multiple_of(PAGE);
        }
        let mut section = vec![0; 64];
        section[44..48].copy_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
        file.extend(section);
        file.extend(notes);
        for segment in &self.segments {
            file.resize(file.len().next_multiple_of(PAGE), 0);
            file.extend(&segment.contents);
        }
        file
    }

    fn notes(&self) -> Vec<u8> {
        let mut notes = Vec::new();
        for (index, thread) in self.threads.iter().enumerate() {
            let mut status = vec![0; 336];
            status[32..36].copy_from_slice(&thread.number.to_le_bytes());
            let mut set = |register: usize, value: u64| {
                status[112 + 8 * register..][..8].copy_from_slice(&value.to_le_bytes());
            };
            set(10, thread.answer.cast_unsigned());
            set(15, thread.call.cast_unsigned());
            set(16, PROGRAM + 0x100);
            set(19, thread.stack);
            set(21, 0x7000);
            notes.extend(note("CORE", 1, &status));
            if index == 0 {
                let mut process = vec![0; 136];
                process[24] = 1;
                process[56..67].copy_from_slice(b"node app.js");
                notes.extend(note("CORE", 3, &process));
                if let Some((number, code)) = self.signal {
                    let mut information = vec![0; 128];
                    information[..4].copy_from_slice(&number.to_le_bytes());
                    information[8..12].copy_from_slice(&code.to_le_bytes());
                    notes.extend(note("CORE", 0x5349_4749, &information));
                }
                let auxiliary = [[9, PROGRAM + 0x100], [25, STACK + 0x1800], [33, VDSO], [0, 0]];
                notes.extend(note("CORE", 6, &words(auxiliary.as_flattened())));
                let mut files = words(&[self.files.len() as u64, PAGE as u64]);
                files
                    .extend(self.files.iter().flat_map(|&(start, end, _)| words(&[start, end, 0])));
                for (_, _, path) in &self.files {
                    files.extend(path.as_bytes());
                    files.push(0);
                }
                notes.extend(note("CORE", 0x4649_4c45, &files));
            }
            if !thread.xsave.is_empty() {
                notes.extend(note("LINUX", 0x202, &thread.xsave));
            }
        }
        notes
    }
}

/// What a node binary must define.
pub(crate) fn symbols_of_node() -> BTreeMap<&'static str, u64> {
    let names = [
        "_ZN2v87Isolate13TryGetCurrentEv",
        "_ZN2v87Isolate15GetHeapProfilerEv",
        "_ZN2v812HeapProfiler16TakeHeapSnapshotERKNS0_19HeapSnapshotOptionsE",
        "_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE",
        "_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_",
        "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_",
        "_ZTVN4node12NodePlatformE",
        "_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EE",
    ];
    names.into_iter().zip((PROGRAM + 0x1000..).step_by(16)).collect()
}

/// A binary with that byte in its build-id.
pub(crate) fn node(id: u8) -> Vec<u8> {
    node_without(id, "")
}

/// The same, that does not define a symbol.
pub(crate) fn node_without(id: u8, missing: &str) -> Vec<u8> {
    let note = note("GNU", 3, &[id; 4]);
    let (mut strings, mut symbols) = (vec![0], vec![0; 24]);
    for (name, value) in symbols_of_node() {
        if name == missing {
            continue;
        }
        symbols.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend(words(&[value, 8]));
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let notes_at = 64 + 2 * 56;
    let symbols_at = PAGE;
    let strings_at = symbols_at + symbols.len();
    let sections_at = (strings_at + strings.len()).next_multiple_of(8);
    let mut file = header(2, 62, 64, 2, sections_at);
    file[60..62].copy_from_slice(&2_u16.to_le_bytes());
    file.extend(program_header(1, 5, 0, PROGRAM, 4 * PAGE, 4 * PAGE));
    file.extend(program_header(4, 4, notes_at, PROGRAM, note.len(), note.len()));
    file.extend(note);
    file.resize(symbols_at, 0);
    file.extend(&symbols);
    file.extend(&strings);
    file.resize(sections_at, 0);
    file.extend(section(11, symbols_at, symbols.len(), 1));
    file.extend(section(3, strings_at, strings.len(), 0));
    file.resize(4 * PAGE, 0);
    file
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn header(kind: u16, machine: u16, headers: usize, count: usize, sections: usize) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    header[16..18].copy_from_slice(&kind.to_le_bytes());
    header[18..20].copy_from_slice(&machine.to_le_bytes());
    header[32..40].copy_from_slice(&(headers as u64).to_le_bytes());
    header[40..48].copy_from_slice(&(sections as u64).to_le_bytes());
    header[56..58].copy_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
    header
}

fn program_header(
    kind: u32,
    flags: u32,
    at: usize,
    address: u64,
    length: usize,
    memory: usize,
) -> Vec<u8> {
    let mut header = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
    header.extend(words(&[at as u64, address, 0, length as u64, memory as u64, PAGE as u64]));
    header
}

fn section(kind: u32, at: usize, length: usize, link: u32) -> Vec<u8> {
    let mut section = vec![0; 64];
    section[4..8].copy_from_slice(&kind.to_le_bytes());
    section[24..32].copy_from_slice(&(at as u64).to_le_bytes());
    section[32..40].copy_from_slice(&(length as u64).to_le_bytes());
    section[40..44].copy_from_slice(&link.to_le_bytes());
    section
}

fn note(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let [name_bytes, value_bytes] =
        [name.len() + 1, value.len()].map(|length| u32::try_from(length).unwrap());
    let mut note = [name_bytes, value_bytes, kind].map(u32::to_le_bytes).concat();
    note.extend(name.as_bytes());
    note.resize((note.len() + 1).next_multiple_of(4), 0);
    note.extend(value);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}
