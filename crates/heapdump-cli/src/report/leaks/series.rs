//! A run of snapshots of which only some were searched for leaks: so many are not in memory at a time.

use heapsnapshot::leaks::Suspect;
use serde::Deserialize;

use crate::report::TrendReport;

/// All snapshots of a process, where the first, the one in the middle and the last of them were searched.
#[derive(Debug, Deserialize)]
pub struct Series {
    /// How many there are.
    pub(super) snapshots: usize,
    groups: Vec<Group>,
}

/// Objects of one class that are held by one class.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    class: String,
    held_by: Option<String>,
    /// How many there are in each snapshot.
    counts: Vec<u64>,
}

impl Series {
    /// How many of a suspect's objects there are in each snapshot, where that was counted.
    pub(super) fn counts(&self, found: &Suspect) -> Option<&[u64]> {
        let owner = found.group.owner.as_ref().map(|owner| &owner.name);
        // Two classes may have one name.
        let ends = (found.counts.first(), found.counts.last());
        let same = |group: &&Group| {
            group.class == found.group.class.name
                && group.held_by.as_ref() == owner
                && (group.counts.first(), group.counts.last()) == ends
        };
        self.groups.iter().find(same).map(|group| group.counts.as_slice())
    }
}

impl From<&TrendReport> for Series {
    fn from(trend: &TrendReport) -> Self {
        let groups = trend.groups.iter().map(|group| Group {
            class: group.class.clone(),
            held_by: group.held_by.clone(),
            counts: group.counts.clone(),
        });
        Series { snapshots: trend.snapshots.len(), groups: groups.collect() }
    }
}
