//! Figures that are looked at many times a second: their files stay open.

use super::memory::{Group, MemorySources, Version, field, most_used, page_size};
use crate::process::GroupUse;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Resident memory of this process, and what its control groups use.
pub(crate) struct Gauges {
    statm: Option<File>,
    groups: Vec<GroupGauge>,
}

/// The files of one group; cgroup-v2.rst and cgroup-v1/memory.rst.
struct GroupGauge {
    version: Version,
    usage: File,
    limits: Vec<File>,
    stat: File,
}

impl Gauges {
    pub(crate) fn open() -> Gauges {
        Gauges::of(&MemorySources::find(Path::new("/")))
    }

    pub(super) fn of(sources: &MemorySources) -> Gauges {
        Gauges {
            statm: File::open("/proc/self/statm").ok(),
            groups: sources.groups().iter().filter_map(GroupGauge::open).collect(),
        }
    }

    /// Resident memory of this process, in bytes.
    pub(crate) fn resident(&self) -> Option<u64> {
        let pages: u64 = read(self.statm.as_ref()?)?.split(' ').nth(1)?.parse().ok()?;
        pages.checked_mul(page_size() as u64)
    }

    /// What the group that is nearest to its limit uses, file cache counted: at least what [`Gauges::group_use`] says, for a
    /// tenth of its price.
    pub(crate) fn group_use_with_cache(&self) -> Option<GroupUse> {
        most_used(self.groups.iter().filter_map(GroupGauge::with_cache))
    }

    /// The same without clean file pages, which the kernel drops first.
    pub(crate) fn group_use(&self) -> Option<GroupUse> {
        most_used(self.groups.iter().filter_map(GroupGauge::without_cache))
    }
}

impl GroupGauge {
    fn open(group: &Group) -> Option<GroupGauge> {
        let open = |name: &&str| File::open(group.directory.join(name)).ok();
        let (usage, limits) = group.version.files();
        Some(GroupGauge {
            version: group.version,
            usage: open(&usage)?,
            limits: limits.iter().filter_map(open).collect(),
            stat: open(&"memory.stat")?,
        })
    }

    fn with_cache(&self) -> Option<GroupUse> {
        // No limit is the word "max", or a number that is no limit.
        let limit = self.limits.iter().filter_map(number).min()?;
        Some(GroupUse { used: number(&self.usage)?, limit })
    }

    fn without_cache(&self) -> Option<GroupUse> {
        let GroupUse { used, limit } = self.with_cache()?;
        let reclaimable =
            read(&self.stat).and_then(|text| field(&text, self.version.reclaimable()));
        Some(GroupUse { used: used.saturating_sub(reclaimable.unwrap_or(0)), limit })
    }
}

fn number(file: &File) -> Option<u64> {
    read(file)?.trim().parse().ok()
}

/// From the beginning: such a file is made anew at each reading.
fn read(file: &File) -> Option<String> {
    let mut bytes = vec![0; 8 << 10];
    let length = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}
