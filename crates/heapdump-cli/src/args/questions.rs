//! Arguments of the commands that select objects.

use clap::{Args as ClapArgs, ValueEnum};
use heapsnapshot::query::{Condition, Pattern};
use heapsnapshot::{NamedFilter, NodeId};

use super::{Listing, OneFile, object_id};
use crate::report::{ObjectSort, Selection, Selector};

/// Which objects an answer is about.
#[derive(Debug, ClapArgs)]
pub(crate) struct Selected {
    /// Only what a filter of DevTools' summary shows
    #[arg(long, value_enum, value_name = "FILTER")]
    pub(crate) only: Option<FilterName>,
    /// Only what would be freed without an object (@ID) or all of a class (NAME or /REGEX/); repeatable
    #[arg(long, value_name = "CLASS|@ID", value_parser = selector)]
    pub(crate) without: Vec<Selector>,
}

impl Selected {
    pub(crate) fn selection(&self) -> Selection {
        Selection { only: self.only.map(Into::into), without: self.without.clone() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilterName {
    /// Duplicated strings
    DuplicatedStrings,
    /// Objects retained by detached DOM nodes
    DetachedDomNodes,
    /// Objects retained by DevTools console
    Console,
    /// Objects retained by event handlers
    EventHandlers,
    /// Objects retained by contexts, which hold the variables of functions
    Contexts,
}

impl From<FilterName> for NamedFilter {
    fn from(name: FilterName) -> Self {
        match name {
            FilterName::DuplicatedStrings => NamedFilter::DuplicatedStrings,
            FilterName::DetachedDomNodes => NamedFilter::DetachedDomNodes,
            FilterName::Console => NamedFilter::Console,
            FilterName::EventHandlers => NamedFilter::EventHandlers,
            FilterName::Contexts => NamedFilter::Contexts,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Objects {
    #[command(flatten)]
    pub(crate) file: OneFile,
    /// Only of this class: NAME or /REGEX/, with i after it for any case
    #[arg(long, value_name = "CLASS", value_parser = pattern)]
    pub(crate) class: Option<Pattern>,
    /// Only where this holds: shallow, retained, distance, edges and id with < <= = != >= >, name,
    /// class and kind with = != ~ !~ and 'TEXT' or /REGEX/, and detached; with and, or, not, brackets
    #[arg(long = "where", value_name = "CONDITION", value_parser = condition)]
    pub(crate) condition: Option<Condition>,
    /// Only with this property or variable, whose value is shown; repeatable
    #[arg(long = "property", value_name = "NAME")]
    pub(crate) properties: Vec<String>,
    #[command(flatten)]
    pub(crate) selected: Selected,
    /// What to sort by
    #[arg(long, value_enum, default_value_t = ObjectSortKey::Retained)]
    pub(crate) sort: ObjectSortKey,
    #[command(flatten)]
    pub(crate) listing: Listing,
    /// Which page of --limit objects
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) page: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectSortKey {
    Retained,
    Shallow,
    Distance,
    Edges,
    Name,
    Class,
    Id,
}

impl From<ObjectSortKey> for ObjectSort {
    fn from(key: ObjectSortKey) -> Self {
        match key {
            ObjectSortKey::Retained => ObjectSort::Retained,
            ObjectSortKey::Shallow => ObjectSort::Shallow,
            ObjectSortKey::Distance => ObjectSort::Distance,
            ObjectSortKey::Edges => ObjectSort::Edges,
            ObjectSortKey::Name => ObjectSort::Name,
            ObjectSortKey::Class => ObjectSort::Class,
            ObjectSortKey::Id => ObjectSort::Id,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Retainers {
    #[command(flatten)]
    pub(crate) file: OneFile,
    /// The object's id, such as @123456
    #[arg(long, value_name = "@ID", value_parser = object_id)]
    pub(crate) object_id: NodeId,
    /// Leave out this object and all that leads through it, as DevTools' "Ignore this retainer"; repeatable
    #[arg(long, value_name = "@ID", num_args = 1.., value_parser = object_id)]
    pub(crate) ignore: Vec<NodeId>,
    /// Only objects and functions, without what V8 keeps between
    #[arg(long)]
    pub(crate) js_only: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

fn pattern(text: &str) -> Result<Pattern, String> {
    text.parse()
}

fn selector(text: &str) -> Result<Selector, String> {
    text.parse()
}

fn condition(text: &str) -> Result<Condition, String> {
    text.parse().map_err(|error: heapsnapshot::query::QueryError| error.to_string())
}
