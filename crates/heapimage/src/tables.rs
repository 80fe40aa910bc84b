use crate::{FLOOR, Fault, Header, PAGE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// As many as a process can have that was told so (vm.max_map_count is 65,530 by default).
pub const MOST_MAPPINGS: u32 = 1 << 20;
/// As many files as can be named.
pub const MOST_FILES: u32 = 4096;
/// What a [`Mapping`] names that has no file.
pub const NO_FILE: u32 = u32::MAX;
/// The longest path, in bytes.
pub const FILE_PATH_BYTES: usize = 4096 - 128;

/// One mapping of the process (proc(5), `maps`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// The address behind its last.
    pub end: u64,
    /// Where in its file it begins, in bytes.
    pub offset: u64,
    /// PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4.
    pub protection: u32,
    /// A [`Kind`].
    pub kind: u32,
    /// Which [`FileRecord`] it is of, or [`NO_FILE`].
    pub file: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// How a mapping comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Zeros, and the pages that the blocks have. Also embedded files, memory shared with other processes, and
    /// reservations without access.
    Memory,
    /// Its file, found by path and build-id, and over it the pages that the blocks have: private copies.
    File,
    /// The kernel's vdso: all of its pages are in the blocks; its functions are overwritten with system calls.
    Vdso,
    /// The main thread's stack: as [`Kind::Memory`], with room to grow below it.
    Stack,
}

impl Mapping {
    /// How it comes back; `None` where the number is unknown.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.kind {
            0 => Some(Kind::Memory),
            1 => Some(Kind::File),
            2 => Some(Kind::Vdso),
            3 => Some(Kind::Stack),
            _ => None,
        }
    }

    /// The number of a kind.
    #[must_use]
    pub fn kind_number(kind: Kind) -> u32 {
        match kind {
            Kind::Memory => 0,
            Kind::File => 1,
            Kind::Vdso => 2,
            Kind::Stack => 3,
        }
    }
}

/// A file that mappings name.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileRecord {
    /// In bytes; 0 where it could not be seen any more.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: u64,
    /// See stat(2).
    pub inode: u64,
    /// Bytes of the build-id: 0 where the file has none.
    pub build_id_bytes: u32,
    /// Bytes of the path.
    pub path_bytes: u32,
    /// The GNU build-id (ELF note NT_GNU_BUILD_ID).
    pub build_id: [u8; 64],
    /// 1 where its contents are in the blocks, so that the file is not needed.
    pub embedded: u32,
    /// Zero.
    pub reserved: [u8; 28],
    /// Zeros behind it, at least one.
    pub path: [u8; FILE_PATH_BYTES],
}

const _: () = assert!(size_of::<FileRecord>() == 4096 && size_of::<Mapping>() == 48);

impl FileRecord {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.path.get(..self.path_bytes as usize).unwrap_or_default()
    }

    /// The build-id; nothing where the file has none.
    #[must_use]
    pub fn build_id(&self) -> &[u8] {
        self.build_id.get(..self.build_id_bytes as usize).unwrap_or_default()
    }

    /// Whether its lengths fit.
    ///
    /// # Errors
    ///
    /// [`Fault::Malformed`].
    pub fn check(&self) -> Result<(), Fault> {
        let path = self.path();
        if path.is_empty() || path.len() >= FILE_PATH_BYTES || path.contains(&0) {
            return Err(Fault::Malformed("the path of a file is impossible"));
        }
        if self.path.get(path.len()) != Some(&0) || self.build_id_bytes as usize > 64 {
            return Err(Fault::Malformed("the record of a file is impossible"));
        }
        Ok(())
    }
}

/// How long both tables are in the file, with the zeros to a whole page.
#[must_use]
pub fn table_bytes(mapping_count: u32, file_count: u32) -> u64 {
    let mappings = u64::from(mapping_count) * size_of::<Mapping>() as u64;
    let files = u64::from(file_count) * size_of::<FileRecord>() as u64;
    (mappings + files).next_multiple_of(PAGE)
}

/// Whether the mappings are ones that a restorer may make: ascending, apart from each other, above [`FLOOR`], whole pages.
///
/// # Errors
///
/// [`Fault::Malformed`] at the first that is not.
pub fn check_mappings(header: &Header, mappings: &[Mapping]) -> Result<(), Fault> {
    let mut free_from = FLOOR;
    for mapping in mappings {
        let aligned =
            [mapping.start, mapping.end, mapping.offset].iter().all(|at| at.is_multiple_of(PAGE));
        if !aligned || mapping.start < free_from || mapping.end <= mapping.start {
            return Err(Fault::Malformed("the mappings are not in order"));
        }
        if mapping.end > header.machine.highest {
            return Err(Fault::Malformed("a mapping lies above the highest address"));
        }
        let Some(kind) = mapping.kind() else {
            return Err(Fault::Malformed("a mapping is of an unknown kind"));
        };
        if mapping.protection > 7 {
            return Err(Fault::Malformed("the protection of a mapping is impossible"));
        }
        let named = mapping.file < header.file_count;
        if !named && (kind == Kind::File || mapping.file != NO_FILE) {
            return Err(Fault::Malformed("a mapping names no file of the image"));
        }
        free_from = mapping.end;
    }
    Ok(())
}
