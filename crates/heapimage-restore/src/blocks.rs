//! The second part of an image: blocks of pages, and the end that says that it is whole.

use crate::input::Input;
use crate::stop::Stop;
use crate::tables::Tables;
use heapimage::{Block, Fault, Header, Order, PAGE, Run, Sum, Trailer};
use zerocopy::{FromZeros, IntoBytes};

/// What becomes of pages.
pub trait Pages {
    /// Gives `sum` the pages of `run`, which are at `offset` of the image and in the mapping of that index.
    ///
    /// # Errors
    ///
    /// What stops everything.
    fn take(
        &mut self,
        input: &impl Input,
        offset: u64,
        run: &Run,
        mapping: usize,
        sum: &mut Sum,
    ) -> Result<(), Stop>;
}

/// Hands all pages to `pages`, and checks everything about them. Gives their number.
///
/// # Errors
///
/// At the first block that is not as it was written, or when the end is missing.
pub fn read_blocks(
    input: &impl Input,
    header: &Header,
    tables: &Tables<'_>,
    pages: &mut impl Pages,
) -> Result<u64, Stop> {
    let mut at = tables.end;
    let mut order = Order::default();
    let mut sums = Sum::new();
    sums.add(&header.sum.to_le_bytes());
    sums.add(&header.tables_sum.to_le_bytes());
    let mut totals = (0_u64, 0_u64);
    let mut block = Block::new_zeroed();
    loop {
        input.read_exactly(at, block.as_mut_bytes())?;
        at += PAGE;
        let trailer: &Trailer = zerocopy::transmute_ref!(&block);
        if trailer.is_one() {
            trailer.check(totals.0, totals.1, sums.finish())?;
            break;
        }
        // Before its pages, which may be anywhere, the runs are checked: each is inside its mapping.
        let mut places = order;
        block.check(tables.mappings, &mut order)?;
        let mut sum = block.begin_sum();
        for run in block.runs() {
            places.follow(tables.mappings, run)?;
            pages.take(input, at, run, places.mapping(), &mut sum)?;
            at += run.pages * PAGE;
        }
        block.check_sum(&sum)?;
        sums.add(&block.sum().to_le_bytes());
        totals = (totals.0 + 1, totals.1 + block.pages());
        if totals.1 > header.most_pages {
            return Err(Fault::Malformed("it has more pages than it announces").into());
        }
    }
    if input.read_at(at, &mut [0]).map_err(Stop::Unreadable)? != 0 {
        return Err(Fault::Malformed("something follows its end").into());
    }
    Ok(totals.1)
}

/// The first time: pages are looked at and go nowhere.
pub struct OnlyChecked<'a>(
    /// Room for some of them.
    pub &'a mut [u8],
);

impl Pages for OnlyChecked<'_> {
    fn take(
        &mut self,
        input: &impl Input,
        mut offset: u64,
        run: &Run,
        _mapping: usize,
        sum: &mut Sum,
    ) -> Result<(), Stop> {
        let mut left = run.pages * PAGE;
        while left > 0 {
            let count = self.0.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = &mut self.0[..count];
            input.read_exactly(offset, bytes)?;
            sum.add(bytes);
            offset += count as u64;
            left -= count as u64;
        }
        Ok(())
    }
}
