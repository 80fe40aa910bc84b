//! The tables, and what is in their columns. Sizes are bytes; ordinals, lines and columns count as the snapshot does, from 0.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use heapsnapshot::packages::{Origin, Owners};
use heapsnapshot::{
    ClassIndex, Detachedness, Edge, EdgeIndex, Location, NodeOrdinal, Snapshot, StringIndex,
};

use super::chunk::MISSING;
use super::dictionary::{NONE, Texts};
use super::parquet::{Column, Of, Rows, Values};
use super::place;
use super::texts::{Distinct, Kinds, at};
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
        let labels = self.labels.iter().map(|label| (label.key.as_str(), label.value.as_str()));
        let texts = std::iter::once(("snapshot", self.snapshot.as_str())).chain(labels);
        let mut columns: Vec<Column<'_>> = texts
            .map(|(name, value)| text(name, 1, |_| 0, move |_| Cow::Borrowed(value)))
            .collect();
        let time = self.taken_at.unwrap_or(MISSING);
        let values = Values::Time(Box::new(move |rows| vec![time; rows.len()]));
        columns.insert(1, column("taken_at", true, values));
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
    let packages = Rc::new(Distinct::new(origins));
    let package = packages.clone();
    let classes = snapshot.classes();
    let names = (0..).map_while(|index| Some(classes.get(ClassIndex(index))?.key.name.clone()));
    let names = Rc::new(Distinct::new(names));
    let name = names.clone();
    let kinds = Rc::new(Kinds::default());
    let kind = kinds.clone();
    vec![
        int("ordinal", count),
        long("id", |row| signed(snapshot.id(node(row)).0)),
        text(
            "type",
            FEW,
            move |row| kinds.key(snapshot.kind_name(node(row))),
            move |key| kind.text(key),
        ),
        text(
            "class",
            classes.len(),
            move |row| names.key(classes.of(node(row)).0 as usize),
            move |key| name.text(key),
        ),
        text(
            "name",
            snapshot.strings().len(),
            |row| u64::from(snapshot.name_index(node(row)).0),
            |key| string(snapshot, key),
        ),
        long("shallow_size", |row| signed(snapshot.shallow_size(node(row)))),
        long("retained_size", |row| signed(snapshot.retained_size(node(row)))),
        int("dominator", |row| count(snapshot.dominator(node(row)).index())),
        column(
            "distance",
            true,
            int_values(|row| snapshot.distance(node(row)).map_or(MISSING, i64::from)),
        ),
        maybe_text(
            "package",
            FEW,
            Box::new(move |rows| {
                let key = |row| owners.script_of(node(row)).map_or(NONE, |at| packages.key(at));
                rows.map(key).collect()
            }),
            move |key| package.text(key),
        ),
        script(snapshot),
        place(snapshot, "line", |place| place.line),
        place(snapshot, "column", |place| place.column),
        int("edge_count", |row| count(snapshot.reference_count(node(row)))),
        detached(snapshot),
    ]
}

fn node(row: usize) -> NodeOrdinal {
    NodeOrdinal(u32::try_from(row).unwrap_or(u32::MAX))
}

fn string(snapshot: &Snapshot, key: u64) -> Cow<'_, str> {
    snapshot.strings().get(StringIndex(u32::try_from(key).unwrap_or(u32::MAX)))
}

fn detached(snapshot: &Snapshot) -> Column<'_> {
    let is_detached = |row| snapshot.detachedness(node(row)) == Detachedness::Detached;
    let values = Values::Bool(Box::new(move |rows| rows.map(is_detached).collect()));
    column("detached", false, values)
}

fn place<'a>(snapshot: &'a Snapshot, name: &str, of: fn(&Location) -> u32) -> Column<'a> {
    let number = move |_, place: &Location| i64::from(of(place));
    let values = Values::Int(Box::new(move |rows| places(snapshot, rows, MISSING, number)));
    column(name, true, values)
}

/// The name of the script that a node has a place in.
fn script(snapshot: &Snapshot) -> Column<'_> {
    let known = Rc::new(RefCell::new((HashMap::new(), Vec::new())));
    let names = known.clone();
    let key = move |node, place: &Location| {
        let (keys, names) = &mut *known.borrow_mut();
        *keys.entry(place.script_id).or_insert_with(|| {
            let script = snapshot.source_place(node).and_then(|place| place.script);
            let Some(script) = script else { return NONE };
            names.push(script.as_str().to_owned());
            names.len() as u64 - 1
        })
    };
    let keys: Of<'_, u64> = Box::new(move |rows| places(snapshot, rows, NONE, &key));
    let text = move |key| at(&names.borrow().1, key).to_owned().into();
    maybe_text("script", FEW, keys, text)
}

/// Few nodes have a place: their list is walked beside the rows.
fn places<T: Copy>(
    snapshot: &Snapshot,
    rows: Range<usize>,
    missing: T,
    of: impl Fn(NodeOrdinal, &Location) -> T,
) -> Vec<T> {
    let from = rows.start;
    let mut values = vec![missing; rows.len()];
    let places = snapshot.locations();
    let first = places.partition_point(|(node, _)| node.index() < from);
    for (node, place) in &places[first..] {
        let Some(value) = values.get_mut(node.index() - from) else { break };
        *value = of(*node, place);
    }
    values
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
            i64::from(node.0)
        };
        rows.map(owner).collect()
    }));
    let kinds = Rc::new(Kinds::default());
    let kind = kinds.clone();
    vec![
        long("edge", |row| i64::try_from(row).unwrap_or(i64::MAX)),
        column("from", false, owners),
        int("to", move |row| edge(row).map_or(0, |edge| count(edge.to.index()))),
        text(
            "type",
            FEW,
            move |row| kinds.key(edge(row).map_or("", |edge| snapshot.edge_kind_name(edge))),
            move |key| kind.text(key),
        ),
        text(
            "name",
            SMALL + snapshot.strings().len(),
            move |row| edge(row).map_or(0, |edge| name_key(snapshot, edge)),
            |key| name_of(snapshot, key),
        ),
    ]
}

/// Elements before this one are named by most that have a number.
const SMALL: usize = 1 << 16;
const LARGE: u64 = 1 << 40;

/// Small numbers of elements, then the string table, then large numbers.
fn name_key(snapshot: &Snapshot, edge: Edge) -> u64 {
    let number = snapshot.edge_name_number(edge);
    match snapshot.edge_name_index(edge) {
        Some(index) => SMALL as u64 + u64::from(index.0),
        None if number < SMALL as u64 => number,
        None => number.saturating_add(LARGE),
    }
}

fn name_of(snapshot: &Snapshot, key: u64) -> Cow<'_, str> {
    match key {
        LARGE.. => (key - LARGE).to_string().into(),
        _ => match key.checked_sub(SMALL as u64) {
            Some(index) => string(snapshot, index),
            None => key.to_string().into(),
        },
    }
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
        let of = move |key| {
            let row = list.get(usize::try_from(key).unwrap_or(usize::MAX));
            row.map_or_else(String::new, |row| of(row).to_owned()).into()
        };
        text(name, self.len(), |row| row as u64, of)
    }

    fn long<'a>(&self, name: &str, of: impl Fn(&T) -> i64 + 'a) -> Column<'a>
    where
        T: 'a,
    {
        let list = self.0.clone();
        let values = Values::Long(Box::new(move |rows| list[rows].iter().map(&of).collect()));
        column(name, false, values)
    }

    fn maybe_long<'a>(&self, name: &str, of: impl Fn(&T) -> Option<i64> + 'a) -> Column<'a>
    where
        T: 'a,
    {
        let list = self.0.clone();
        let of = move |row: &T| of(row).unwrap_or(MISSING);
        let values = Values::Long(Box::new(move |rows| list[rows].iter().map(&of).collect()));
        column(name, true, values)
    }
}

/// So many texts fit into a small dictionary.
const FEW: usize = 1 << 10;

fn column<'a>(name: &str, optional: bool, values: Values<'a>) -> Column<'a> {
    Column { name: name.to_owned(), values, optional }
}

fn int<'a>(name: &str, of: impl Fn(usize) -> i64 + 'a) -> Column<'a> {
    column(name, false, int_values(of))
}

fn int_values<'a>(of: impl Fn(usize) -> i64 + 'a) -> Values<'a> {
    Values::Int(Box::new(move |rows| rows.map(&of).collect()))
}

fn long<'a>(name: &str, of: impl Fn(usize) -> i64 + 'a) -> Column<'a> {
    column(name, false, Values::Long(Box::new(move |rows| rows.map(&of).collect())))
}

/// A text by its key; most keys are below `dense`.
fn text<'a>(
    name: &str,
    dense: usize,
    key: impl Fn(usize) -> u64 + 'a,
    text: impl Fn(u64) -> Cow<'a, str> + 'a,
) -> Column<'a> {
    let keys: Of<'a, u64> = Box::new(move |rows| rows.map(&key).collect());
    column(name, false, Values::Text(Texts { keys, text: Box::new(text), dense }))
}

fn maybe_text<'a>(
    name: &str,
    dense: usize,
    keys: Of<'a, u64>,
    text: impl Fn(u64) -> Cow<'a, str> + 'a,
) -> Column<'a> {
    column(name, true, Values::Text(Texts { keys, text: Box::new(text), dense }))
}

/// Nodes and their edges are fewer than 2³¹ in any file that fits into memory.
fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// V8's ids and sizes are below 2⁵³.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
