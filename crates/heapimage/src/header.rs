use crate::{FLOOR, Fault, MOST_FILES, MOST_MAPPINGS, PAGE, Sum};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The first bytes of every image.
pub const MAGIC: [u8; 8] = *b"HEAPIMG\0";
/// The format described here.
pub const VERSION: u32 = 1;
/// The size of a [`Header`].
pub const HEADER_BYTES: usize = 8192;
/// EM_X86_64 (elf.h).
pub const ARCHITECTURE_X64: u32 = 62;
/// EM_AARCH64 (elf.h).
pub const ARCHITECTURE_ARM64: u32 = 183;

/// Descriptors that can be recorded as open.
const DESCRIPTORS: usize = 32768;

/// What an image is, what it needs of a machine, and where the restored process begins.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// An ELF machine number: [`ARCHITECTURE_X64`] or [`ARCHITECTURE_ARM64`].
    pub architecture: u32,
    /// Of the header, with this field zero.
    pub sum: u64,
    /// Of the tables of mappings and files, with the zeros after them.
    pub tables_sum: u64,
    /// Bytes in a page of the process.
    pub page_size: u32,
    /// How many [`Mapping`](crate::Mapping)s.
    pub mapping_count: u32,
    /// How many [`FileRecord`](crate::FileRecord)s.
    pub file_count: u32,
    /// What made the image: an [`Origin`].
    pub origin: u32,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// The process that it is of.
    pub pid: u32,
    /// The thread of it whose isolate the snapshot is of.
    pub thread: u32,
    /// V8's used heap of that isolate, in bytes; 0 where it is not known.
    pub heap_used: u64,
    /// The most pages that the blocks can have; the trailer says how many there are.
    pub most_pages: u64,
    /// `process.version`, without the `v`; zeros behind it, as in all texts here.
    pub node_version: [u8; 32],
    /// `process.versions.v8`.
    pub v8_version: [u8; 32],
    /// Who wrote it, as `heapdump-rs 0.1.0`.
    pub writer: [u8; 32],
    /// `uname -r`.
    pub kernel: [u8; 64],
    /// `process.title` or the program's name, for people.
    pub title: [u8; 64],
    /// What the machine must have.
    pub machine: Machine,
    /// What the kernel notes of a process' memory.
    pub memory: MemoryMarks,
    /// Where the restored process begins.
    pub entry: Entry,
    /// What the restorer calls itself where no code of ours is in the image ([`Origin::Core`]).
    pub v8: V8Functions,
    /// Zeros, for what comes.
    pub reserved: [u8; RESERVED],
    /// A bit for each descriptor that was open, the lowest bit of the first byte for descriptor 0.
    pub descriptors: [u8; DESCRIPTORS / 8],
}

const RESERVED: usize = HEADER_BYTES
    - DESCRIPTORS / 8
    - (8 + 2 * 4 + 2 * 8 + 4 * 4 + 8 + 2 * 4 + 2 * 8 + 3 * 32 + 2 * 64)
    - size_of::<Machine>()
    - size_of::<MemoryMarks>()
    - size_of::<Entry>()
    - size_of::<V8Functions>();

const _: () = assert!(size_of::<Header>() == HEADER_BYTES);

/// What made an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A forked child of heapdump-rs: its own code goes on at [`Entry`].
    Child,
    /// A core file: the restorer calls V8 by [`V8Functions`] on the stack of [`Entry`].
    Core,
}

/// What the machine must have for the image to run there.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Machine {
    /// CPUID of x86-64: leaf 1 ecx, edx; leaf 7 ebx, ecx, edx; XCR0's low word; leaf 0x80000001 ecx, edx. Zeros where
    /// it is not known. (Intel SDM, volume 2A, CPUID.)
    pub cpu: [u32; 8],
    /// The end of the highest mapping: above 47 bits only with five-level page tables.
    pub highest: u64,
    /// Bytes of the largest XSAVE area in the image; 0 where there is none.
    pub xsave_bytes: u32,
    /// Zero.
    pub reserved: u32,
}

/// What the kernel notes of a process' memory (proc(5), `stat`; `prctl_mm_map` in prctl.h), and glibc and the kernel of a
/// thread.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the kernel's own names")]
pub struct MemoryMarks {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    /// The address of glibc's `__curbrk`; 0 with another libc. Where the kernel refuses PR_SET_MM_MAP, a value there
    /// that lies above all memory makes the next sbrk(3) fail, and malloc(3) uses mmap(2) from then on.
    pub glibc_current_break: u64,
    /// The thread's rseq(2) area; 0 where it has none.
    pub rseq_address: u64,
    /// Its length in bytes.
    pub rseq_bytes: u64,
}

/// Where the restored process begins.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Entry {
    /// A function that is given `argument` and never returns; for [`Origin::Core`] nothing (0).
    pub function: u64,
    /// Its argument.
    pub argument: u64,
    /// Its stack pointer, a multiple of 16; below it is room.
    pub stack: u64,
    /// The thread pointer (x86-64 FS base, arm64 TPIDR_EL0).
    pub thread_pointer: u64,
    /// x86-64 GS base.
    pub gs_base: u64,
    /// SSE control and status, and the x87 control word; 0 means the ABI's (0x1f80, 0x37f).
    pub mxcsr: u32,
    /// See `mxcsr`.
    pub x87_control: u32,
    /// The descriptor that the snapshot is written to.
    pub output: u32,
    /// How many [`ThreadRecord`](crate::ThreadRecord)s lie at `threads`: threads that go on.
    pub thread_count: u32,
    /// The address of their records, in a mapping of the image; 0 where there are none.
    pub threads: u64,
}

/// Addresses in the image's process. 0 where a version has no such function. For [`Origin::Core`] alone.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct V8Functions {
    /// The isolate; 0: the thread's current one, by `current_isolate`.
    pub isolate: u64,
    /// `v8::Isolate::TryGetCurrent()`, or `GetCurrent()`.
    pub current_isolate: u64,
    /// `v8::Isolate::GetHeapProfiler()`.
    pub heap_profiler: u64,
    /// `HeapProfiler::TakeHeapSnapshot(const HeapSnapshotOptions&)`.
    pub take_with_options: u64,
    /// `HeapProfiler::TakeHeapSnapshot(ActivityControl*, ObjectNameResolver*, bool, bool)`.
    pub take_positional: u64,
    /// `HeapSnapshot::Serialize(OutputStream*, SerializationFormat)`.
    pub serialize: u64,
    /// `Isolate::AddNearHeapLimitCallback(NearHeapLimitCallback, void*)`.
    pub add_near_heap_limit_callback: u64,
    /// `Isolate::RequestInterrupt(InterruptCallback, void*)`.
    pub request_interrupt: u64,
    /// The `node::NodePlatform` object; 0 where it was not found.
    pub platform: u64,
    /// Its class' table of virtual functions (`_ZTVN4node12NodePlatformE`), header included.
    pub platform_table: u64,
    /// The function in that table that takes tasks for worker threads.
    pub post_task: u64,
    /// 1 where that function has no priority argument (Node 18 and 20).
    pub post_task_is_plain: u64,
}

impl Header {
    /// All zeros but what is the same in every image.
    #[must_use]
    pub fn new(architecture: u32, origin: Origin) -> Header {
        let mut header = Header::new_zeroed();
        header.begin(architecture, origin);
        header
    }

    /// The same for one that lies somewhere already, and is zeros.
    pub fn begin(&mut self, architecture: u32, origin: Origin) {
        self.magic = MAGIC;
        self.version = VERSION;
        self.architecture = architecture;
        self.page_size = 4096;
        self.origin = match origin {
            Origin::Child => 0,
            Origin::Core => 1,
        };
    }

    /// Sets the checksum: the last thing before it is written.
    pub fn seal(&mut self) {
        self.sum = 0;
        self.sum = Sum::of(self.as_bytes());
    }

    /// Whether this is a header that a restorer for `architecture` may follow.
    ///
    /// # Errors
    ///
    /// The first fault that is found.
    pub fn check(&self, architecture: u32) -> Result<(), Fault> {
        if self.magic != MAGIC {
            return Err(Fault::NotAnImage);
        }
        if self.version != VERSION {
            return Err(Fault::Version(self.version));
        }
        if self.sum != self.own_sum() {
            return Err(Fault::Damaged("the header"));
        }
        if self.architecture != architecture {
            return Err(Fault::Architecture { found: self.architecture, here: architecture });
        }
        if self.page_size != 4096 {
            return Err(Fault::PageSize(self.page_size));
        }
        if self.origin().is_none() {
            return Err(Fault::Malformed("its origin is unknown"));
        }
        if self.mapping_count == 0 || self.mapping_count > MOST_MAPPINGS {
            return Err(Fault::Malformed("its number of mappings is impossible"));
        }
        if self.file_count > MOST_FILES {
            return Err(Fault::Malformed("its number of files is impossible"));
        }
        if self.machine.highest < FLOOR || !self.machine.highest.is_multiple_of(PAGE) {
            return Err(Fault::Malformed("its highest address is impossible"));
        }
        if !self.entry.stack.is_multiple_of(16) || self.entry.stack < FLOOR {
            return Err(Fault::Malformed("its stack pointer is impossible"));
        }
        if self.entry.output as usize >= DESCRIPTORS {
            return Err(Fault::Malformed("its output's number is impossible"));
        }
        Ok(())
    }

    /// What made the image; `None` in a header that was not checked.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        match self.origin {
            0 => Some(Origin::Child),
            1 => Some(Origin::Core),
            _ => None,
        }
    }

    /// Notes that a descriptor was open. Higher ones than the header has bits for are left out: V8 uses none of them.
    pub fn note_descriptor(&mut self, descriptor: u32) {
        if let Some(byte) = self.descriptors.get_mut(descriptor as usize / 8) {
            *byte |= 1 << (descriptor % 8);
        }
    }

    /// The descriptors that were open, ascending.
    pub fn open_descriptors(&self) -> impl Iterator<Item = u32> + '_ {
        let bit = |&number: &u32| {
            self.descriptors
                .get(number as usize / 8)
                .is_some_and(|byte| byte >> (number % 8) & 1 == 1)
        };
        (0..).take(DESCRIPTORS).filter(bit)
    }

    fn own_sum(&self) -> u64 {
        const FIELD: usize = core::mem::offset_of!(Header, sum);
        let bytes = self.as_bytes();
        let mut sum = Sum::new();
        sum.add(&bytes[..FIELD]);
        sum.add(&[0; 8]);
        sum.add(&bytes[FIELD + 8..]);
        sum.finish()
    }
}
