//! The values of a column in a row group as Parquet's pages, compressed. The `parquet` crate writes their headers; our encoders are
//! used because a snapshot's texts are numbered already, and hashing them anew took most of the time.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::dictionary::{ABSENT, Dictionary};
use super::encode;

/// Rows of a page.
const PAGE: usize = 1 << 16;
const LEVEL: i32 = 1;
/// A row without a number.
pub(super) const MISSING: i64 = i64::MIN;

pub(super) struct Chunks {
    compressor: Compressor<'static>,
}

/// The values of a group, as they are encoded.
pub(super) enum Group<'a> {
    Bools(&'a [bool]),
    Ints(&'a [i64]),
    Longs(&'a [i64]),
    Texts(&'a Dictionary, usize),
}

/// A column of a group that is complete.
pub(super) struct Chunk {
    pub(super) pages: Bytes,
    pub(super) close: ColumnCloseResult,
}

impl Chunks {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Chunks { compressor: Compressor::new(LEVEL)? })
    }

    pub(super) fn chunk(
        &mut self,
        column: ColumnDescPtr,
        group: &Group<'_>,
    ) -> Result<Chunk, ParquetError> {
        let optional = column.max_def_level() > 0;
        let mut sink = TrackedWrite::new(Vec::new());
        let mut sizes = Sizes::default();
        let mut pages = SerializedPageWriter::new(&mut sink);
        if let Group::Texts(dictionary, _) = group {
            let page = self.dictionary(dictionary)?;
            sizes.add(pages.write_page(page)?);
        }
        let first = sizes.compressed;
        for from in (0..group.rows()).step_by(PAGE) {
            let page = self.data(group, from..group.rows().min(from + PAGE), optional)?;
            sizes.add(pages.write_page(page)?);
        }
        let rows = group.rows() as u64;
        let metadata = ColumnChunkMetaData::builder(column)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, group.encoding()])
            .set_total_compressed_size(sizes.compressed)
            .set_total_uncompressed_size(sizes.uncompressed)
            .set_num_values(signed(rows))
            .set_data_page_offset(first)
            .set_dictionary_page_offset((first > 0).then_some(0));
        let metadata = match group.statistics() {
            Some(statistics) => metadata.set_statistics(statistics),
            None => metadata,
        };
        let close = ColumnCloseResult {
            bytes_written: sizes.compressed.cast_unsigned(),
            rows_written: rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(Chunk { pages: sink.into_inner()?.into(), close })
    }

    fn dictionary(&mut self, dictionary: &Dictionary) -> Result<CompressedPage, ParquetError> {
        let page = Page::DictionaryPage {
            buf: self.compressed(&dictionary.page)?,
            num_values: count(dictionary.len()),
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        Ok(CompressedPage::new(page, dictionary.page.len()))
    }

    fn data(
        &mut self,
        group: &Group<'_>,
        rows: std::ops::Range<usize>,
        optional: bool,
    ) -> Result<CompressedPage, ParquetError> {
        let num_values = count(rows.len());
        let plain = group.encoded(rows, optional);
        let page = Page::DataPage {
            buf: self.compressed(&plain)?,
            num_values,
            encoding: group.encoding(),
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        Ok(CompressedPage::new(page, plain.len()))
    }

    fn compressed(&mut self, plain: &[u8]) -> Result<Bytes, ParquetError> {
        let compressed = self.compressor.compress(plain);
        Ok(compressed.map_err(|error| ParquetError::External(Box::new(error)))?.into())
    }
}

impl Group<'_> {
    fn rows(&self) -> usize {
        match self {
            Group::Bools(values) => values.len(),
            Group::Ints(values) | Group::Longs(values) => values.len(),
            Group::Texts(_, rows) => *rows,
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            Group::Bools(_) => Encoding::PLAIN,
            Group::Ints(_) | Group::Longs(_) => Encoding::DELTA_BINARY_PACKED,
            Group::Texts(..) => Encoding::RLE_DICTIONARY,
        }
    }

    fn encoded(&self, rows: std::ops::Range<usize>, optional: bool) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Group::Bools(values) => encode::bits(&values[rows], &mut out),
            Group::Ints(values) | Group::Longs(values) => {
                let values = &values[rows];
                if optional {
                    levels(values.iter().map(|&value| value != MISSING), &mut out);
                    encode::deltas(&kept(values, MISSING), &mut out);
                } else {
                    encode::deltas(values, &mut out);
                }
            }
            Group::Texts(dictionary, _) => {
                let values = &dictionary.rows[rows];
                let width = encode::width(dictionary.len().saturating_sub(1) as u64);
                if optional {
                    levels(values.iter().map(|&value| value != ABSENT), &mut out);
                    out.push(width.to_le_bytes()[0]);
                    encode::hybrid(&kept(values, ABSENT), width, &mut out);
                } else {
                    out.push(width.to_le_bytes()[0]);
                    encode::hybrid(values, width, &mut out);
                }
            }
        }
        out
    }

    /// By which a reader leaves out groups that have nothing for it.
    fn statistics(&self) -> Option<Statistics> {
        match self {
            Group::Bools(values) => {
                let (least, greatest) = (values.iter().min(), values.iter().max());
                Some(Statistics::boolean(least.copied(), greatest.copied(), None, Some(0), false))
            }
            Group::Ints(values) => {
                let (least, greatest, missing) = bounds(values);
                let int = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
                Some(Statistics::int32(int(least), int(greatest), None, Some(missing), false))
            }
            Group::Longs(values) => {
                let (least, greatest, missing) = bounds(values);
                Some(Statistics::int64(least, greatest, None, Some(missing), false))
            }
            Group::Texts(dictionary, rows) => {
                let (least, greatest) = dictionary.bounds()?;
                let missing = dictionary.rows[..*rows].iter().filter(|&&row| row == ABSENT);
                let missing = Some(missing.count() as u64);
                let bound = |text: &[u8]| Some(text.to_vec().into());
                Some(Statistics::byte_array(bound(least), bound(greatest), None, missing, false))
            }
        }
    }
}

#[derive(Default)]
struct Sizes {
    compressed: i64,
    uncompressed: i64,
}

impl Sizes {
    fn add(&mut self, written: parquet::column::page::PageWriteSpec) {
        self.compressed += signed(written.compressed_size as u64);
        self.uncompressed += signed(written.uncompressed_size as u64);
    }
}

/// Which rows have a value: runs of a bit, after their length.
fn levels(present: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let present: Vec<u32> = present.map(u32::from).collect();
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    encode::hybrid(&present, 1, out);
    let length = count(out.len() - at - 4);
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn kept<T: Copy + PartialEq>(values: &[T], missing: T) -> Vec<T> {
    values.iter().copied().filter(|&value| value != missing).collect()
}

fn bounds(values: &[i64]) -> (Option<i64>, Option<i64>, u64) {
    let (mut least, mut greatest, mut missing) = (i64::MAX, i64::MIN, 0);
    for &value in values {
        if value == MISSING {
            missing += 1;
        } else {
            least = least.min(value);
            greatest = greatest.max(value);
        }
    }
    let any = least <= greatest;
    (any.then_some(least), any.then_some(greatest), missing)
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
