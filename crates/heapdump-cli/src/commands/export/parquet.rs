//! Tables as Parquet, by the `parquet` crate: schema, row groups and metadata. Of the row groups one at a time is in memory.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::chunk::{Chunks, Group};
use super::dictionary::{Dictionary, Texts};

/// Rows of a group, where their texts are not too many: its columns are made one after the other.
const GROUP: usize = 1 << 18;

/// The values of a column, of some rows.
pub(super) enum Values<'a> {
    Bool(Of<'a, bool>),
    /// Those of numbers that fit into 31 bits.
    Int(Of<'a, i64>),
    Long(Of<'a, i64>),
    /// Milliseconds since 1970.
    Time(Of<'a, i64>),
    Text(Texts<'a>),
}

pub(super) type Of<'a, T> = Box<dyn Fn(Range<usize>) -> Vec<T> + 'a>;

pub(super) struct Column<'a> {
    pub(super) name: String,
    pub(super) values: Values<'a>,
    /// Whether a row may have none: `chunk::MISSING`, or `dictionary::NONE`.
    pub(super) optional: bool,
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
    let properties = Arc::new(properties(record));
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), properties)?;
    let mut chunks = Chunks::new()?;
    let mut dictionaries: Vec<_> = rows.columns.iter().map(|_| Dictionary::default()).collect();
    let mut from = 0;
    while from < rows.count {
        let mut to = rows.count.min(from + GROUP);
        for (column, dictionary) in rows.columns.iter().zip(&mut dictionaries) {
            if let Values::Text(texts) = &column.values {
                to = from + dictionary.fill(texts, from..to);
            }
        }
        let descriptions = file.schema_descr().columns().to_vec();
        let mut group = file.next_row_group()?;
        for ((column, dictionary), description) in
            rows.columns.iter().zip(&dictionaries).zip(descriptions)
        {
            let chunk = match &column.values {
                Values::Bool(of) => chunks.chunk(description, &Group::Bools(&of(from..to))),
                Values::Int(of) => chunks.chunk(description, &Group::Ints(&of(from..to))),
                Values::Long(of) | Values::Time(of) => {
                    chunks.chunk(description, &Group::Longs(&of(from..to)))
                }
                Values::Text(_) => chunks.chunk(description, &Group::Texts(dictionary, to - from)),
            }?;
            group.append_column(&chunk.pages, chunk.close)?;
        }
        group.close()?;
        from = to;
    }
    file.close()?;
    Ok(rows.count as u64)
}

fn properties(record: Option<&str>) -> WriterProperties {
    let version = env!("CARGO_PKG_VERSION");
    let mut metadata = vec![KeyValue::new("heapdump-rs.version".to_owned(), version.to_owned())];
    if let Some(record) = record {
        metadata.push(KeyValue::new("heapdump-rs.record".to_owned(), record.to_owned()));
    }
    WriterProperties::builder()
        .set_created_by(format!("heapdump-rs {version}"))
        .set_key_value_metadata(Some(metadata))
        .build()
}

fn field(column: &Column<'_>) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match column.values {
        Values::Bool(_) => (Physical::BOOLEAN, None),
        Values::Int(_) => (Physical::INT32, None),
        Values::Long(_) => (Physical::INT64, None),
        Values::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let repetition = if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let builder = Type::primitive_type_builder(&column.name, physical);
    Ok(Arc::new(builder.with_repetition(repetition).with_logical_type(logical).build()?))
}
