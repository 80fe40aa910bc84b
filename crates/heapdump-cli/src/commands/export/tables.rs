//! The tables, and what is in their columns. Sizes are bytes; ordinals, lines and columns count as the snapshot does, from 0.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use heapsnapshot::packages::{Origin, Owners};
use heapsnapshot::{ClassIndex, Detachedness, EdgeIndex, Location, NodeOrdinal, Snapshot};
use parquet::data_type::ByteArray;

use super::parquet::{Column, Optional, Rows, Values, in_one_piece};
use super::place;
use crate::args::{Label, Table};
use crate::report;
use crate::times;

/// What is the same in all rows.
pub(super) struct About {
    snapshot: String,
    taken_at: Option<i64>,
    labels: Vec<Label>,
    record: Option<String>,
}

impl About {
    pub(super) fn new(file: &Path, labels: &[Label]) -> Self {
        let time = times::of(&[file.to_owned()]).and_then(|(times, _)| times.first().copied());
        About {
            snapshot: place::stem(file),
            taken_at: time.map(milliseconds),
            labels: labels.to_vec(),
            record: times::record(file),
        }
    }

    pub(super) fn record(&self) -> Option<&str> {
        self.record.as_deref()
    }

    fn columns(&self) -> Vec<Column<'_>> {
        let labels = self.labels.iter().map(|label| (label.key.clone(), label.value.as_str()));
        let snapshot = ("snapshot".to_owned(), self.snapshot.as_str());
        let texts = std::iter::once(snapshot).chain(labels);
        let mut columns: Vec<Column<'_>> = texts
            .map(|(name, value)| {
                let value = ByteArray::from(value);
                let values = Values::Text(Box::new(move |rows| vec![value.clone(); rows.len()]));
                Column { name, values, repeats: true }
            })
            .collect();
        let values = Values::Time(self.taken_at);
        columns.insert(1, Column { name: "taken_at".to_owned(), values, repeats: true });
        columns
    }
}

#[expect(clippy::cast_possible_truncation, reason = "years after 1970 in milliseconds fit")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

pub(super) fn rows<'a>(snapshot: &'a Snapshot, table: Table, about: &'a About) -> Rows<'a> {
    let (count, columns) = match table {
        Table::Nodes => (snapshot.node_count(), nodes(snapshot)),
        Table::Edges => (snapshot.edge_count(), edges(snapshot)),
        Table::Strings => strings(snapshot),
        Table::Classes => classes(snapshot),
        Table::Suspects => suspects(snapshot),
    };
    let columns = about.columns().into_iter().chain(columns).collect();
    Rows { table: table.name(), count, columns }
}

fn nodes(snapshot: &Snapshot) -> Vec<Column<'_>> {
    let owners = Owners::of_nodes(snapshot);
    let origins = owners.scripts().iter().map(|script| Origin::of_script(script).to_string());
    let packages = shared(origins);
    let classes = snapshot.classes();
    let names = shared((0..).map_while(|index| Some(&classes.get(ClassIndex(index))?.key.name)));
    let kinds = Known::new(|node| snapshot.kind_name(node));
    let script = Values::MaybeText(Box::new(|rows| {
        let names = RefCell::new(HashMap::new());
        let name = |&node: &NodeOrdinal, place: &Location| {
            let mut names = names.borrow_mut();
            let known = names.entry(place.script_id).or_insert_with(|| {
                let script = snapshot.source_place(node)?.script?;
                Some(ByteArray::from(script.as_str()))
            });
            known.clone()
        };
        places(snapshot, rows, name)
    }));
    vec![
        int("ordinal", number),
        long("id", |row| signed(snapshot.id(node(row)).0)),
        text("type", true, move |rows| rows.map(|row| kinds.of(node(row))).collect()),
        text("class", true, move |rows| {
            rows.map(|row| at(&names, classes.of(node(row)).0 as usize)).collect()
        }),
        text("name", true, |rows| in_one_piece(rows.map(|row| snapshot.name(node(row))))),
        long("shallow_size", |row| signed(snapshot.shallow_size(node(row)))),
        long("retained_size", |row| signed(snapshot.retained_size(node(row)))),
        int("dominator", |row| number(snapshot.dominator(node(row)).index())),
        maybe_int("distance", true, |row| snapshot.distance(node(row)).map(fit)),
        maybe_text("package", move |row| packages.get(owners.script_of(node(row))?).cloned()),
        Column { name: "script".to_owned(), values: script, repeats: true },
        place(snapshot, "line", |place| place.line),
        place(snapshot, "column", |place| place.column),
        int("edge_count", |row| number(snapshot.reference_count(node(row)))),
        detached(snapshot),
    ]
}

fn node(row: usize) -> NodeOrdinal {
    NodeOrdinal(u32::try_from(row).unwrap_or(u32::MAX))
}

fn detached(snapshot: &Snapshot) -> Column<'_> {
    let is_detached = |row| snapshot.detachedness(node(row)) == Detachedness::Detached;
    let values = Values::Bool(Box::new(move |rows| rows.map(is_detached).collect()));
    Column { name: "detached".to_owned(), values, repeats: false }
}

fn place<'a>(snapshot: &'a Snapshot, name: &str, of: fn(&Location) -> u32) -> Column<'a> {
    let number = move |_: &NodeOrdinal, place: &Location| Some(fit(of(place)));
    let values = Values::MaybeInt(Box::new(move |rows| places(snapshot, rows, number)));
    Column { name: name.to_owned(), values, repeats: false }
}

/// Few nodes have a place: their list is walked beside the rows.
fn places<T>(
    snapshot: &Snapshot,
    rows: Range<usize>,
    of: impl Fn(&NodeOrdinal, &Location) -> Option<T>,
) -> Optional<T> {
    let places = snapshot.locations();
    let mut next = places.partition_point(|(node, _)| node.index() < rows.start);
    let value = |row| {
        let (node, place) = places.get(next)?;
        if node.index() != row {
            return None;
        }
        next += 1;
        of(node, place)
    };
    rows.map(value).collect()
}

fn edges(snapshot: &Snapshot) -> Vec<Column<'_>> {
    let edge = |row: usize| snapshot.edge(EdgeIndex(u32::try_from(row).unwrap_or(u32::MAX)));
    let owners = Values::Int(Box::new(move |rows| {
        let Some(first) = edge(rows.start) else { return Vec::new() };
        let mut node = snapshot.edge_owner(first.index);
        let mut left = snapshot.edges(node).filter(|edge| edge.index >= first.index).count();
        let owner = |_| {
            while left == 0 {
                node.0 += 1;
                left = snapshot.reference_count(node);
            }
            left -= 1;
            fit(node.0)
        };
        rows.map(owner).collect()
    }));
    let kind = move |row| edge(row).map_or("", |edge| snapshot.edge_kind_name(edge));
    let name = move |row| edge(row).map_or(Cow::Borrowed(""), |edge| snapshot.edge_name(edge));
    vec![
        long("edge", |row| i64::try_from(row).unwrap_or(i64::MAX)),
        Column { name: "from".to_owned(), values: owners, repeats: true },
        int("to", move |row| edge(row).map_or(0, |edge| number(edge.to.index()))),
        text("type", true, move |rows| in_one_piece(rows.map(kind))),
        text("name", true, move |rows| in_one_piece(rows.map(name))),
    ]
}

/// The texts of the heap, each once.
fn strings(snapshot: &Snapshot) -> (usize, Vec<Column<'_>>) {
    let list = List::new(snapshot.texts());
    let columns = vec![
        list.text("text", |text| &text.text),
        list.long("count", |text| i64::try_from(text.nodes.len()).unwrap_or(i64::MAX)),
        list.long("shallow_size", |text| signed(text.shallow_size)),
        list.long("retained_size", |text| signed(text.retained_size)),
        list.long("wasted_size", |text| signed(text.wasted())),
        list.long("example_id", |text| {
            text.nodes.first().map_or(0, |&node| signed(snapshot.id(node).0))
        }),
    ];
    (list.len(), columns)
}

fn classes(snapshot: &Snapshot) -> (usize, Vec<Column<'_>>) {
    let (all, selection) = (report::Rows::default(), report::Selection::default());
    let summary = report::summary(snapshot, &all, &selection);
    let list = List::new(summary.map(|summary| summary.classes).unwrap_or_default());
    let columns = vec![
        list.text("class", |class| &class.name),
        list.text("key", |class| &class.key),
        list.long("count", |class| signed(class.count)),
        list.long("shallow_size", |class| signed(class.shallow_size)),
        list.long("retained_size", |class| signed(class.retained_size)),
        list.long("distance", |class| i64::from(class.distance)),
        list.maybe_long("line", |class| Some(i64::from(class.location?.line))),
        list.maybe_long("column", |class| Some(i64::from(class.location?.column))),
    ];
    (list.len(), columns)
}

/// What keeps a hundredth of the heap, or more.
fn suspects(snapshot: &Snapshot) -> (usize, Vec<Column<'_>>) {
    const LEAST: f64 = 0.01;
    let list = List::new(report::suspects(snapshot, LEAST).suspects);
    let columns = vec![
        list.text("class", |suspect| &suspect.class),
        list.long("count", |suspect| signed(suspect.count)),
        list.long("retained_size", |suspect| signed(suspect.retained_size)),
        list.long("object_id", |suspect| signed(suspect.object.id)),
        list.maybe_long("accumulated_in_id", |suspect| {
            Some(signed(suspect.accumulation_point.as_ref()?.id))
        }),
        list.text("path", |suspect| &suspect.path.text),
    ];
    (list.len(), columns)
}

/// Rows that are there already; its columns share them.
struct List<T>(Rc<Vec<T>>);

impl<T> List<T> {
    fn new(rows: Vec<T>) -> Self {
        List(Rc::new(rows))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn text<'a>(&self, name: &str, of: impl Fn(&T) -> &str + 'a) -> Column<'a>
    where
        T: 'a,
    {
        let list = self.0.clone();
        text(name, false, move |rows| in_one_piece(list[rows].iter().map(&of)))
    }

    fn long<'a>(&self, name: &str, of: impl Fn(&T) -> i64 + 'a) -> Column<'a>
    where
        T: 'a,
    {
        let list = self.0.clone();
        let values = Values::Long(Box::new(move |rows| list[rows].iter().map(&of).collect()));
        Column { name: name.to_owned(), values, repeats: false }
    }

    fn maybe_long<'a>(&self, name: &str, of: impl Fn(&T) -> Option<i64> + 'a) -> Column<'a>
    where
        T: 'a,
    {
        let list = self.0.clone();
        let values = Values::MaybeLong(Box::new(move |rows| list[rows].iter().map(&of).collect()));
        Column { name: name.to_owned(), values, repeats: false }
    }
}

/// A few texts, each made a value once.
struct Known<'a, F> {
    of: F,
    values: RefCell<Vec<(&'a str, ByteArray)>>,
}

impl<'a, F: Fn(NodeOrdinal) -> &'a str> Known<'a, F> {
    fn new(of: F) -> Self {
        Known { of, values: RefCell::new(Vec::new()) }
    }

    fn of(&self, node: NodeOrdinal) -> ByteArray {
        let text = (self.of)(node);
        let mut values = self.values.borrow_mut();
        // The same text is at the same place.
        let known = values.iter().find(|(other, _)| std::ptr::eq(*other, text));
        if let Some((_, value)) = known {
            return value.clone();
        }
        values.push((text, ByteArray::from(text)));
        ByteArray::from(text)
    }
}

fn shared<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> Vec<ByteArray> {
    texts.map(|text| ByteArray::from(text.as_ref())).collect()
}

fn at(values: &[ByteArray], index: usize) -> ByteArray {
    values.get(index).cloned().unwrap_or_else(|| ByteArray::from(""))
}

fn int<'a>(name: &str, of: impl Fn(usize) -> i32 + 'a) -> Column<'a> {
    let values = Values::Int(Box::new(move |rows| rows.map(&of).collect()));
    Column { name: name.to_owned(), values, repeats: false }
}

fn maybe_int<'a>(name: &str, repeats: bool, of: impl Fn(usize) -> Option<i32> + 'a) -> Column<'a> {
    let values = Values::MaybeInt(Box::new(move |rows| rows.map(&of).collect()));
    Column { name: name.to_owned(), values, repeats }
}

fn long<'a>(name: &str, of: impl Fn(usize) -> i64 + 'a) -> Column<'a> {
    let values = Values::Long(Box::new(move |rows| rows.map(&of).collect()));
    Column { name: name.to_owned(), values, repeats: false }
}

fn text<'a>(
    name: &str,
    repeats: bool,
    of: impl Fn(Range<usize>) -> Vec<ByteArray> + 'a,
) -> Column<'a> {
    Column { name: name.to_owned(), values: Values::Text(Box::new(of)), repeats }
}

fn maybe_text<'a>(name: &str, of: impl Fn(usize) -> Option<ByteArray> + 'a) -> Column<'a> {
    let values = Values::MaybeText(Box::new(move |rows| rows.map(&of).collect()));
    Column { name: name.to_owned(), values, repeats: true }
}

/// Nodes and their edges are fewer than 2³¹ in any file that fits into memory.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn fit(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// V8's ids and sizes are below 2⁵³.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
