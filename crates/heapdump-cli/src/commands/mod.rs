//! One file a command.

mod compare;
mod completions;
mod dominators;
mod export;
mod find_leaks;
mod inspect_object;
mod objects;
mod redact;
mod report;
mod retainers;
mod statistics;
mod strings;
mod summary;
mod suspects;
mod trend;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use heapsnapshot::{Identities, NodeId, NodeOrdinal, Snapshot};

use crate::args::{Args, Command, Listing, MatchKey, SortKey};
use crate::error::{Error, Result};
use crate::report::{Rows, Sort};
use crate::session::Session;
use crate::source_maps::SourceMaps;

/// Runs a command; gives the exit code.
pub(crate) fn run(args: Args, session: &mut Session<'_>) -> Result<u8> {
    if args.source_maps || args.source_root.is_some() {
        session.source_maps = Some(Arc::new(SourceMaps::new(args.source_root)));
    }
    session.identities = identities(&args.identity)?;
    match args.command {
        Command::Summary(args) => summary::run(&args, session),
        Command::Objects(args) => objects::run(&args, session),
        Command::Statistics(args) => statistics::run(&args, session),
        Command::Compare(args) => compare::run(&args, session),
        Command::FindLeaks(args) => find_leaks::run(&args, session),
        Command::Trend(args) => trend::run(&args, session),
        Command::InspectObject(args) => inspect_object::run(&args, session),
        Command::Retainers(args) => retainers::run(&args, session),
        Command::Dominators(args) => dominators::run(&args, session),
        Command::Strings(args) => strings::run(&args, session),
        Command::Suspects(args) => suspects::run(&args, session),
        Command::Report(args) => report::run(&args, session),
        Command::Redact(args) => redact::run(&args, session),
        Command::Validate(args) => validate::run(&args, session),
        Command::Export(args) => export::run(&args, session),
        Command::Completions { shell } => completions::run(shell, session),
    }
}

/// What the files have, all together; `None` where there is no file.
pub(crate) fn identities(files: &[PathBuf]) -> Result<Option<Arc<Identities>>> {
    let mut all: Option<Identities> = None;
    for path in files {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::File { path: path.clone(), source })?;
        let found = Identities::parse(&text)
            .map_err(|source| Error::Identity { path: path.clone(), source })?;
        match &mut all {
            Some(all) => all.extend(found),
            None => all = Some(found),
        }
    }
    Ok(all.map(Arc::new))
}

fn rows(listing: &Listing, sort: SortKey) -> Rows {
    Rows {
        limit: listing.limit,
        filter: listing.filter.clone(),
        sort: match sort {
            SortKey::Retained => Sort::Retained,
            SortKey::Shallow => Sort::Shallow,
            SortKey::Count => Sort::Count,
            SortKey::Name => Sort::Name,
        },
    }
}

fn matching(key: MatchKey) -> heapsnapshot::compare::Matching {
    use heapsnapshot::compare::Matching;
    match key {
        MatchKey::Auto => Matching::Auto,
        MatchKey::Id => Matching::ById,
        MatchKey::Class => Matching::ByClass,
    }
}

/// By what part `after` is more than `before`.
#[expect(clippy::cast_precision_loss, reason = "compared with a percentage")]
fn growth(before: u64, after: u64) -> f64 {
    if before == 0 { 0.0 } else { after as f64 / before as f64 - 1.0 }
}

fn find(snapshot: &Snapshot, id: NodeId, path: &Path) -> Result<NodeOrdinal> {
    snapshot.find(id).ok_or_else(|| Error::NoObject { id, path: path.to_owned() })
}
