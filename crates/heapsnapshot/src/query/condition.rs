//! What must hold for an object, and whether it does.

use std::borrow::Cow;

use super::matching;
use super::named::Named;
use super::pattern::Pattern;
use crate::graph::BitSet;
use crate::{Detachedness, NodeOrdinal, Snapshot, word};

/// A condition such as `retained > 1MB and edges > 100`. It is made by `parse()`; the fields are
/// `shallow`, `retained`, `distance`, `edges`, `id`, `name`, `class`, `kind` and `detached`.
#[derive(Clone, Debug)]
pub struct Condition(pub(super) Term);

#[derive(Clone, Debug)]
pub(super) enum Term {
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Not(Box<Term>),
    Compare(NumberField, Order, f64),
    Text(TextField, Pattern),
    Detached,
    /// Of classes that fit a pattern, for one snapshot.
    ClassIn(BitSet),
    /// Of names that fit a pattern, for one snapshot.
    Named(Named),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberField {
    Shallow,
    Retained,
    Distance,
    Edges,
    Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextField {
    Name,
    Class,
    Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    More,
}

impl Condition {
    /// The same, with all that is to be known of a snapshot's classes and names looked up.
    pub(super) fn prepare(&self, snapshot: &Snapshot) -> Condition {
        Condition(self.0.prepare(snapshot))
    }

    /// Of sixty-four nodes, for which of the wanted ones it holds.
    pub(super) fn word(&self, snapshot: &Snapshot, first: u32, wanted: u64) -> u64 {
        self.0.word(snapshot, first, wanted)
    }

    /// Whether it holds for a node.
    #[must_use]
    pub fn holds(&self, snapshot: &Snapshot, node: NodeOrdinal) -> bool {
        let at = node.0 % word::WIDTH;
        self.word(snapshot, node.0 - at, 1 << at) != 0
    }
}

impl Term {
    fn prepare(&self, snapshot: &Snapshot) -> Term {
        let both = |a: &Term, b: &Term| (Box::new(a.prepare(snapshot)), b.prepare(snapshot));
        match self {
            Term::And(a, b) => {
                let (a, b) = both(a, b);
                Term::And(a, Box::new(b))
            }
            Term::Or(a, b) => {
                let (a, b) = both(a, b);
                Term::Or(a, Box::new(b))
            }
            Term::Not(term) => Term::Not(Box::new(term.prepare(snapshot))),
            Term::Text(TextField::Class, pattern) => {
                Term::ClassIn(matching(snapshot.classes(), pattern))
            }
            Term::Text(TextField::Name, pattern) => Term::Named(Named::find(snapshot, pattern)),
            other => other.clone(),
        }
    }

    fn word(&self, snapshot: &Snapshot, first: u32, wanted: u64) -> u64 {
        if wanted == 0 {
            return 0;
        }
        let each = |holds: &dyn Fn(NodeOrdinal) -> bool| word::each(first, wanted, holds);
        match self {
            Term::And(a, b) => b.word(snapshot, first, a.word(snapshot, first, wanted)),
            Term::Or(a, b) => {
                let found = a.word(snapshot, first, wanted);
                found | b.word(snapshot, first, wanted & !found)
            }
            Term::Not(term) => wanted & !term.word(snapshot, first, wanted),
            Term::Compare(field, order, value) => {
                each(&|node| order.holds(field.of(snapshot, node), *value))
            }
            Term::Text(field, pattern) => each(&|node| pattern.fits(&field.of(snapshot, node))),
            Term::Detached => each(&|node| snapshot.detachedness(node) == Detachedness::Detached),
            Term::Named(names) => wanted & names.word(snapshot, first),
            Term::ClassIn(classes) => wanted & snapshot.classes().word(first, classes),
        }
    }
}

impl NumberField {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53, and compared as JavaScript does"
    )]
    fn of(self, snapshot: &Snapshot, node: NodeOrdinal) -> f64 {
        match self {
            NumberField::Shallow => snapshot.shallow_size(node) as f64,
            NumberField::Retained => snapshot.retained_size(node) as f64,
            // What nothing leads to is farther away than all else.
            NumberField::Distance => snapshot.distance(node).map_or(f64::INFINITY, f64::from),
            NumberField::Edges => snapshot.reference_count(node) as f64,
            NumberField::Id => snapshot.id(node).0 as f64,
        }
    }
}

impl TextField {
    fn of(self, snapshot: &Snapshot, node: NodeOrdinal) -> Cow<'_, str> {
        match self {
            TextField::Name => snapshot.display_name(node),
            TextField::Class => Cow::Borrowed(snapshot.class_name(node)),
            TextField::Kind => Cow::Borrowed(snapshot.kind_name(node)),
        }
    }
}

impl Order {
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Order::Less => a < b,
            Order::AtMost => a <= b,
            Order::Equal => a == b,
            Order::Unequal => a != b,
            Order::AtLeast => a >= b,
            Order::More => a > b,
        }
    }
}
