use crate::layout::{Contents, Image};
use heapimage::{Block, PAGE, Sum, Trailer, table_bytes};
use std::borrow::Cow;
use std::io::{self, Write};
use zerocopy::{FromZeros, IntoBytes};

impl Image<'_> {
    /// Writes the heap image, in one pass.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write(mut self, mut to: impl Write) -> io::Result<()> {
        let mut tables = self.mappings.as_bytes().to_vec();
        tables.extend_from_slice(self.files.as_bytes());
        let length = table_bytes(self.header.mapping_count, self.header.file_count);
        tables.resize(usize::try_from(length).unwrap_or(tables.len()), 0);
        self.header.tables_sum = Sum::of(&tables);
        self.header.seal();
        to.write_all(self.header.as_bytes())?;
        to.write_all(&tables)?;
        let mut blocks = Blocks::new(to);
        blocks.sums.add(&self.header.sum.to_le_bytes());
        blocks.sums.add(&self.header.tables_sum.to_le_bytes());
        for (mapping, contents) in self.mappings.iter().zip(&self.contents) {
            blocks.add_mapping(mapping.start, contents)?;
        }
        blocks.end()
    }
}

/// The second part of the file.
struct Blocks<'a, W> {
    to: W,
    block: Box<Block>,
    /// Of the block.
    pages: Vec<Cow<'a, [u8]>>,
    sums: Sum,
    block_count: u64,
    page_count: u64,
}

const ZEROS: [u8; 4096] = [0; 4096];
const _: () = assert!(ZEROS.len() as u64 == PAGE);

impl<'a, W: Write> Blocks<'a, W> {
    fn new(to: W) -> Self {
        let mut block = Box::new(Block::new_zeroed());
        block.begin();
        Blocks { to, block, pages: Vec::new(), sums: Sum::new(), block_count: 0, page_count: 0 }
    }

    fn add_mapping(&mut self, start: u64, contents: &'a Contents<'_>) -> io::Result<()> {
        let mut begins = true;
        for (address, page) in (start..)
            .step_by(ZEROS.len())
            .zip(contents.bytes.chunks(ZEROS.len()).chain(contents.rest.chunks(ZEROS.len())))
        {
            let mut page = Cow::Borrowed(page);
            if page.len() < ZEROS.len() {
                page.to_mut().resize(ZEROS.len(), 0);
            }
            if !contents.zeros_too && *page == ZEROS {
                continue;
            }
            let is_first = std::mem::take(&mut begins);
            let added =
                if is_first { self.block.begin_run(address) } else { self.block.add_page(address) };
            if !added {
                self.finish_block()?;
                self.block.begin_run(address);
            }
            self.pages.push(page);
        }
        Ok(())
    }

    fn finish_block(&mut self) -> io::Result<()> {
        if self.pages.is_empty() {
            return Ok(());
        }
        let mut sum = self.block.begin_sum();
        self.pages.iter().for_each(|page| sum.add(page));
        self.block.seal(&sum);
        self.to.write_all(self.block.as_bytes())?;
        self.pages.iter().try_for_each(|page| self.to.write_all(page))?;
        self.sums.add(&self.block.sum().to_le_bytes());
        self.block_count += 1;
        self.page_count += self.pages.len() as u64;
        self.pages.clear();
        self.block.begin();
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        self.finish_block()?;
        let mut trailer = Trailer::new_zeroed();
        trailer.begin(self.block_count, self.page_count, self.sums.finish());
        self.to.write_all(trailer.as_bytes())?;
        self.to.flush()
    }
}
