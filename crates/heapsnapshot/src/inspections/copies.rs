//! One package, loaded from several places.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::Scan;
use super::{Inspection, InspectionKind};
use crate::packages::Origin;
use crate::{NodeKind, Snapshot};

pub(super) fn inspect(snapshot: &Snapshot, _: &Scan) -> Vec<Inspection> {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for script in snapshot.script_names() {
        let Origin::Package { name, .. } = Origin::of_script(script) else { continue };
        let path = script.replace('\\', "/");
        let path = path.strip_prefix("file://").unwrap_or(&path);
        let within = format!("node_modules/{name}/");
        if let Some(at) = path.rfind(&within) {
            places.entry(name).or_default().insert(path[..at + within.len()].to_owned());
        }
    }
    places.retain(|_, roots| roots.len() > 1);
    if places.is_empty() {
        return Vec::new();
    }
    let shares = snapshot.by_script();
    let found = places.into_iter().filter_map(|(name, roots)| {
        let of_root = |root: &String| {
            let own = shares.iter().filter(|share| {
                share.script.as_deref().is_some_and(|script| {
                    script
                        .replace('\\', "/")
                        .strip_prefix("file://")
                        .unwrap_or(script)
                        .starts_with(root)
                })
            });
            own.fold(0, |sum: u64, share| sum.saturating_add(share.shallow_size))
        };
        let mut sizes: Vec<u64> = roots.iter().map(of_root).collect();
        sizes.sort_unstable();
        // All but the largest could go.
        sizes.pop();
        let bytes = sizes.into_iter().fold(0, u64::saturating_add);
        let last = roots.iter().next_back()?;
        let is_of = |&node: &crate::NodeOrdinal| {
            snapshot
                .source_place(node)
                .and_then(|place| place.script)
                .is_some_and(|script| script.replace('\\', "/").contains(last.as_str()))
        };
        let closures = snapshot.locations().iter().map(|&(node, _)| node);
        let mut closures = closures.filter(|&n| snapshot.kind(n) == NodeKind::Closure);
        let example = closures.find(is_of)?;
        let found = Inspection::new(InspectionKind::PackageCopies, roots.len(), bytes, example);
        Some(found.named(name))
    });
    found.collect()
}
