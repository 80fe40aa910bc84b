//! Tables as Parquet, by the `parquet` crate: zstd, statistics, and row groups of which one at a time is in memory.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, Type};

/// Rows of a group: its columns are made one after the other.
const GROUP: usize = 1 << 18;

/// The values of a column, of some rows.
pub(super) enum Values<'a> {
    Bool(Box<dyn Fn(Range<usize>) -> Vec<bool> + 'a>),
    Int(Box<dyn Fn(Range<usize>) -> Vec<i32> + 'a>),
    MaybeInt(Box<dyn Fn(Range<usize>) -> Optional<i32> + 'a>),
    Long(Box<dyn Fn(Range<usize>) -> Vec<i64> + 'a>),
    MaybeLong(Box<dyn Fn(Range<usize>) -> Optional<i64> + 'a>),
    /// Milliseconds since 1970, of all rows the same.
    Time(Option<i64>),
    Text(Box<dyn Fn(Range<usize>) -> Vec<ByteArray> + 'a>),
    MaybeText(Box<dyn Fn(Range<usize>) -> Optional<ByteArray> + 'a>),
}

/// Values that are there, and for each row whether one is.
pub(super) struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> FromIterator<Option<T>> for Optional<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(rows: I) -> Self {
        let mut values = Vec::new();
        let levels = rows.into_iter().map(|value| {
            let level = i16::from(value.is_some());
            values.extend(value);
            level
        });
        let levels = levels.collect();
        Optional { values, levels }
    }
}

pub(super) struct Column<'a> {
    pub(super) name: String,
    pub(super) values: Values<'a>,
    /// Whether few texts or numbers are in many rows.
    pub(super) repeats: bool,
}

pub(super) struct Rows<'a> {
    pub(super) table: &'static str,
    pub(super) count: usize,
    pub(super) columns: Vec<Column<'a>>,
}

/// Writes all rows, and `record`, the JSON beside the snapshot, as metadata.
pub(super) fn write(
    rows: &Rows<'_>,
    record: Option<&str>,
    out: &mut (dyn Write + Send),
) -> io::Result<u64> {
    write_rows(rows, record, out).map_err(|error| match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    })
}

fn write_rows(
    rows: &Rows<'_>,
    record: Option<&str>,
    out: &mut (dyn Write + Send),
) -> Result<u64, ParquetError> {
    let fields = rows.columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder(rows.table).with_fields(fields).build()?;
    let properties = properties(rows, record)?;
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
    for from in (0..rows.count).step_by(GROUP) {
        let range = from..rows.count.min(from + GROUP);
        let mut group = file.next_row_group()?;
        for column in &rows.columns {
            let Some(mut writer) = group.next_column()? else { break };
            write_column(&mut writer, &column.values, range.clone())?;
            writer.close()?;
        }
        group.close()?;
    }
    file.close()?;
    Ok(rows.count as u64)
}

fn properties(rows: &Rows<'_>, record: Option<&str>) -> Result<WriterProperties, ParquetError> {
    let version = env!("CARGO_PKG_VERSION");
    let mut metadata = vec![KeyValue::new("heapdump-rs.version".to_owned(), version.to_owned())];
    if let Some(record) = record {
        metadata.push(KeyValue::new("heapdump-rs.record".to_owned(), record.to_owned()));
    }
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("heapdump-rs {version}"))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_key_value_metadata(Some(metadata));
    for column in rows.columns.iter().filter(|column| !column.repeats) {
        let path = ColumnPath::from(column.name.as_str());
        properties = properties.set_column_dictionary_enabled(path, false);
    }
    Ok(properties.build())
}

fn field(column: &Column<'_>) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical, repetition) = match column.values {
        Values::Bool(_) => (Physical::BOOLEAN, None, Repetition::REQUIRED),
        Values::Int(_) => (Physical::INT32, None, Repetition::REQUIRED),
        Values::MaybeInt(_) => (Physical::INT32, None, Repetition::OPTIONAL),
        Values::Long(_) => (Physical::INT64, None, Repetition::REQUIRED),
        Values::MaybeLong(_) => (Physical::INT64, None, Repetition::OPTIONAL),
        Values::Time(_) => {
            let logical = LogicalType::timestamp(true, TimeUnit::MILLIS);
            (Physical::INT64, Some(logical), Repetition::OPTIONAL)
        }
        Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED),
        Values::MaybeText(_) => {
            (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL)
        }
    };
    let builder = Type::primitive_type_builder(&column.name, physical);
    Ok(Arc::new(builder.with_repetition(repetition).with_logical_type(logical).build()?))
}

fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    values: &Values<'_>,
    rows: Range<usize>,
) -> Result<(), ParquetError> {
    match values {
        Values::Bool(of) => writer.typed::<BoolType>().write_batch(&of(rows), None, None)?,
        Values::Int(of) => writer.typed::<Int32Type>().write_batch(&of(rows), None, None)?,
        Values::MaybeInt(of) => {
            let Optional { values, levels } = of(rows);
            writer.typed::<Int32Type>().write_batch(&values, Some(&levels), None)?
        }
        Values::Long(of) => writer.typed::<Int64Type>().write_batch(&of(rows), None, None)?,
        Values::MaybeLong(of) => {
            let Optional { values, levels } = of(rows);
            writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?
        }
        Values::Time(time) => {
            let Optional { values, levels } = rows.map(|_| *time).collect();
            writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?
        }
        Values::Text(of) => writer.typed::<ByteArrayType>().write_batch(&of(rows), None, None)?,
        Values::MaybeText(of) => {
            let Optional { values, levels } = of(rows);
            writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?
        }
    };
    Ok(())
}

/// Texts that share one piece of memory.
pub(super) fn in_one_piece<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> Vec<ByteArray> {
    let mut all = Vec::new();
    let ends = texts.map(|text| {
        all.extend_from_slice(text.as_ref().as_bytes());
        all.len()
    });
    let ends: Vec<usize> = ends.collect();
    let all = ByteArray::from(all);
    let mut from = 0;
    let slices = ends.into_iter().map(|end| {
        let slice = all.slice(from, end - from);
        from = end;
        slice
    });
    slices.collect()
}
