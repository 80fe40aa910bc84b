//! The heap by package or by script.

use std::cmp::Reverse;

use heapsnapshot::Snapshot;
use heapsnapshot::packages::{Origin, Share};
use serde::Serialize;

use super::{Rows, Sort};

/// What to sum up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// By npm package.
    Package,
    /// By script.
    Script,
}

/// The heap by whose code made and holds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharesReport {
    /// What it is summed up by.
    pub by: By,
    /// All bytes that the snapshot accounts for.
    pub total_size: u64,
    /// How many packages or scripts there are.
    pub share_count: u64,
    /// Those that were asked for.
    pub shares: Vec<ShareRow>,
}

/// What belongs to a package or a script.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareRow {
    /// The package, `(application)`, `(node)` or `(unknown)`.
    pub package: String,
    /// Its version, where the scripts' paths have it.
    pub version: Option<String>,
    /// The script; only by script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// How many objects.
    pub count: u64,
    /// The sum of their own bytes.
    pub shallow_size: u64,
    /// What would be freed with all of them; null for what belongs to nobody.
    pub retained_size: Option<u64>,
}

/// Sums up the heap by package or by script.
#[must_use]
pub fn shares(snapshot: &Snapshot, by: By, rows: &Rows) -> SharesReport {
    let found = match by {
        By::Package => snapshot.by_package(),
        By::Script => snapshot.by_script(),
    };
    let share_count = found.len() as u64;
    let mut shares: Vec<ShareRow> = found.into_iter().map(row).collect();
    shares.retain(|row| {
        rows.wants(row.script.as_deref().unwrap_or_default()) || rows.wants(&row.package)
    });
    shares.sort_by(|a, b| {
        (&a.package, &a.version, &a.script).cmp(&(&b.package, &b.version, &b.script))
    });
    match rows.sort {
        Sort::Retained => shares.sort_by_key(|row| Reverse((row.retained_size, row.shallow_size))),
        Sort::Shallow => shares.sort_by_key(|row| Reverse(row.shallow_size)),
        Sort::Count => shares.sort_by_key(|row| Reverse(row.count)),
        Sort::Name => {}
    }
    rows.cut(&mut shares);
    SharesReport { by, total_size: snapshot.total_size(), share_count, shares }
}

fn row(share: Share) -> ShareRow {
    let (package, version) = match share.origin {
        Origin::Package { name, version } => (name, version),
        other => (other.to_string(), None),
    };
    ShareRow {
        package,
        version,
        script: share.script,
        count: share.count,
        shallow_size: share.shallow_size,
        retained_size: share.retained_size,
    }
}
