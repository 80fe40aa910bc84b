use crate::layout::Image;
use heapimage::{Block, FileRecord, Header, Mapping, PAGE, Sum, Trailer, table_bytes};
use std::io::{self, Write};
use zerocopy::{FromZeros, IntoBytes};

const ZEROS: [u8; 4096] = [0; 4096];
const _: () = assert!(ZEROS.len() as u64 == PAGE);

impl Image<'_> {
    /// Writes the heap image, in one pass.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write(mut self, to: impl Write) -> io::Result<()> {
        let mut writer = ImageWriter::begin(to, &mut self.header, &self.mappings, &self.files)?;
        for (mapping, contents) in self.mappings.iter().zip(&self.contents) {
            writer.begin_mapping();
            let pages = contents.bytes.chunks(ZEROS.len()).chain(contents.rest.chunks(ZEROS.len()));
            for (address, page) in (mapping.start..).step_by(ZEROS.len()).zip(pages) {
                writer.add_page(address, page, contents.zeros_too)?;
            }
        }
        writer.end()
    }
}

/// An image as it is written: the header and tables are out, pages come in ascending order.
pub struct ImageWriter<W> {
    to: W,
    block: Box<Block>,
    /// The pages of the block.
    pages: Vec<u8>,
    /// The next page is the first of its mapping.
    begins: bool,
    sums: Sum,
    block_count: u64,
    page_count: u64,
}

impl<W: Write> ImageWriter<W> {
    /// Seals the header and writes it, and the tables.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn begin(
        mut to: W,
        header: &mut Header,
        mappings: &[Mapping],
        files: &[FileRecord],
    ) -> io::Result<ImageWriter<W>> {
        let mut tables = mappings.as_bytes().to_vec();
        tables.extend_from_slice(files.as_bytes());
        let length = table_bytes(header.mapping_count, header.file_count);
        tables.resize(usize::try_from(length).unwrap_or(tables.len()), 0);
        header.tables_sum = Sum::of(&tables);
        header.seal();
        to.write_all(header.as_bytes())?;
        to.write_all(&tables)?;
        let mut block = Box::new(Block::new_zeroed());
        block.begin();
        let mut sums = Sum::new();
        sums.add(&header.sum.to_le_bytes());
        sums.add(&header.tables_sum.to_le_bytes());
        Ok(ImageWriter {
            to,
            block,
            pages: Vec::new(),
            begins: true,
            sums,
            block_count: 0,
            page_count: 0,
        })
    }

    /// The pages that follow are of the next mapping.
    pub fn begin_mapping(&mut self) {
        self.begins = true;
    }

    /// A page, which may be short of its last zeros. One of zeros is left out, unless `zeros_too`.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn add_page(&mut self, address: u64, page: &[u8], zeros_too: bool) -> io::Result<()> {
        if !zeros_too && ZEROS.starts_with(page) {
            return Ok(());
        }
        let is_first = std::mem::take(&mut self.begins);
        let added =
            if is_first { self.block.begin_run(address) } else { self.block.add_page(address) };
        if !added {
            self.finish_block()?;
            self.block.begin_run(address);
        }
        let end = self.pages.len() + ZEROS.len();
        self.pages.extend_from_slice(page);
        self.pages.resize(end, 0);
        Ok(())
    }

    /// Writes the end, without which it is no image.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn end(mut self) -> io::Result<()> {
        self.finish_block()?;
        let mut trailer = Trailer::new_zeroed();
        trailer.begin(self.block_count, self.page_count, self.sums.finish());
        self.to.write_all(trailer.as_bytes())?;
        self.to.flush()
    }

    /// How many pages were written.
    #[must_use]
    pub fn page_count(&self) -> u64 {
        self.page_count + (self.pages.len() / ZEROS.len()) as u64
    }

    fn finish_block(&mut self) -> io::Result<()> {
        if self.pages.is_empty() {
            return Ok(());
        }
        let mut sum = self.block.begin_sum();
        sum.add(&self.pages);
        self.block.seal(&sum);
        self.to.write_all(self.block.as_bytes())?;
        self.to.write_all(&self.pages)?;
        self.sums.add(&self.block.sum().to_le_bytes());
        self.block_count += 1;
        self.page_count += (self.pages.len() / ZEROS.len()) as u64;
        self.pages.clear();
        self.block.begin();
        Ok(())
    }
}
