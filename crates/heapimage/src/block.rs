use crate::{Fault, Mapping, PAGE, Sum};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most runs of a block.
pub const BLOCK_RUNS: usize = 254;
/// Most pages of a block: 16 MiB.
pub const BLOCK_PAGES: u64 = 4096;

const BLOCK_MAGIC: [u8; 8] = *b"HEAPBLK\0";
const TRAILER_MAGIC: [u8; 8] = *b"HEAPEND\0";

/// Pages of memory that lie beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Run {
    /// The address of the first.
    pub address: u64,
    /// How many.
    pub pages: u64,
}

/// What the pages that follow it in the file are.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Block {
    magic: [u8; 8],
    /// Of the block with this field zero, then of its pages.
    sum: u64,
    /// How many runs are in it: at least one.
    run_count: u64,
    runs: [Run; BLOCK_RUNS],
    reserved: [u64; 1],
}

/// The end of a whole image.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Trailer {
    magic: [u8; 8],
    /// Of the trailer with this field zero.
    sum: u64,
    /// How many blocks.
    pub blocks: u64,
    /// How many pages they have.
    pub pages: u64,
    /// The checksums of header, tables and all blocks, hashed in their order: none can be another image's.
    pub sums: u64,
    reserved: [u64; 507],
}

const _: () = assert!(size_of::<Block>() as u64 == PAGE && size_of::<Trailer>() as u64 == PAGE);

impl Block {
    /// Makes an empty one of what lies at `self`.
    pub fn begin(&mut self) {
        self.magic = BLOCK_MAGIC;
        self.sum = 0;
        self.run_count = 0;
        self.runs = [Run { address: 0, pages: 0 }; BLOCK_RUNS];
        self.reserved = [0];
    }

    /// Adds a page of the mapping that the last one was of; `false` when the block is full and must be written first.
    pub fn add_page(&mut self, address: u64) -> bool {
        if self.pages() >= BLOCK_PAGES {
            return false;
        }
        let count = usize::try_from(self.run_count).unwrap_or(BLOCK_RUNS);
        if let Some(last) = count.checked_sub(1).and_then(|last| self.runs.get_mut(last))
            && last.address + last.pages * PAGE == address
        {
            last.pages += 1;
            return true;
        }
        self.begin_run(address)
    }

    /// Adds the first page of another mapping: a run is of one mapping, though they lie beside each other.
    pub fn begin_run(&mut self, address: u64) -> bool {
        if self.pages() >= BLOCK_PAGES {
            return false;
        }
        let count = usize::try_from(self.run_count).unwrap_or(BLOCK_RUNS);
        let Some(next) = self.runs.get_mut(count) else { return false };
        *next = Run { address, pages: 1 };
        self.run_count += 1;
        true
    }

    /// Its runs.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        let count = usize::try_from(self.run_count).unwrap_or(0);
        self.runs.get(..count).unwrap_or_default()
    }

    /// How many pages follow it.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.runs().iter().fold(0, |sum, run| run.pages.saturating_add(sum))
    }

    /// Begins its checksum, to which its pages are added, in order.
    #[must_use]
    pub fn begin_sum(&self) -> Sum {
        let mut sum = Sum::new();
        sum.add(&self.magic);
        sum.add(&[0; 8]);
        sum.add(self.run_count.as_bytes());
        sum.add(self.runs.as_bytes());
        sum.add(self.reserved.as_bytes());
        sum
    }

    /// Sets the checksum of it and its pages.
    pub fn seal(&mut self, sum: &Sum) {
        self.sum = sum.finish();
    }

    /// Its checksum.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Whether this is a block (not a trailer, nor damaged beyond that), of runs that a restorer may fill. `order` is the
    /// same for all blocks of an image.
    ///
    /// # Errors
    ///
    /// The first fault that is found.
    pub fn check(&self, mappings: &[Mapping], order: &mut Order) -> Result<(), Fault> {
        if self.magic != BLOCK_MAGIC {
            return Err(Fault::Malformed("a block does not begin as one"));
        }
        let count = self.run_count;
        if count == 0 || count > BLOCK_RUNS as u64 || self.pages() > BLOCK_PAGES {
            return Err(Fault::Malformed("the length of a block is impossible"));
        }
        for run in self.runs() {
            order.follow(mappings, run)?;
        }
        Ok(())
    }

    /// Whether its pages are those that were written.
    ///
    /// # Errors
    ///
    /// [`Fault::Damaged`].
    pub fn check_sum(&self, sum: &Sum) -> Result<(), Fault> {
        if self.sum == sum.finish() { Ok(()) } else { Err(Fault::Damaged("a block of pages")) }
    }
}

/// Runs come in ascending order, each inside one mapping.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order {
    mapping: usize,
    free_from: u64,
}

impl Order {
    /// The mapping that the last run was in.
    #[must_use]
    pub fn mapping(&self) -> usize {
        self.mapping
    }

    /// # Errors
    ///
    /// [`Fault::Malformed`] when the run is before the last one or in no mapping.
    pub fn follow(&mut self, mappings: &[Mapping], run: &Run) -> Result<(), Fault> {
        const WRONG: Fault = Fault::Malformed("pages lie outside of their mapping");
        let bytes = run.pages.checked_mul(PAGE).ok_or(WRONG)?;
        let end = run.address.checked_add(bytes).ok_or(WRONG)?;
        if bytes == 0 || !run.address.is_multiple_of(PAGE) || run.address < self.free_from {
            return Err(WRONG);
        }
        while mappings.get(self.mapping).is_some_and(|mapping| mapping.end <= run.address) {
            self.mapping += 1;
        }
        let mapping = mappings.get(self.mapping).ok_or(WRONG)?;
        if run.address < mapping.start || end > mapping.end {
            return Err(WRONG);
        }
        self.free_from = end;
        Ok(())
    }
}

impl Trailer {
    /// Makes one of what lies at `self`.
    pub fn begin(&mut self, blocks: u64, pages: u64, sums: u64) {
        *self = Trailer { magic: TRAILER_MAGIC, sum: 0, blocks, pages, sums, reserved: [0; 507] };
        self.sum = Sum::of(self.as_bytes());
    }

    /// Whether these 4 KiB are a trailer rather than a block.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.magic == TRAILER_MAGIC
    }

    /// Whether it is the end of what was read.
    ///
    /// # Errors
    ///
    /// [`Fault::Damaged`].
    pub fn check(&self, blocks: u64, pages: u64, sums: u64) -> Result<(), Fault> {
        let mut blank = *self;
        blank.sum = 0;
        if self.sum != Sum::of(blank.as_bytes()) {
            return Err(Fault::Damaged("the end"));
        }
        if self.blocks != blocks || self.pages != pages || self.sums != sums {
            return Err(Fault::Damaged("the whole"));
        }
        Ok(())
    }
}
