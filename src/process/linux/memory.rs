//! How much memory this process may still use before something ends it.
//!
//! Sources: cgroup-v2.rst and cgroup-v1/memory.rst of the kernel, proc(5), getrlimit(2). Read below a root that tests
//! replace by a fixture tree.

use super::procfs::{kilobytes, number};
use crate::process::{GroupUse, MemoryLeft};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(page_size() as u64)
}

/// What the control group that is nearest to its limit uses; `None` where none has one.
pub(crate) fn group_use() -> Option<GroupUse> {
    own_sources().group_use()
}

/// What is left below the nearest limit.
pub(crate) fn memory_left() -> Option<MemoryLeft> {
    let headroom = own_sources().headroom()?;
    Some(MemoryLeft {
        available: headroom.available,
        below: headroom.bound.describe(),
        dies_as_one: headroom.oom_group,
        anonymous: headroom.anonymous,
    })
}

fn own_sources() -> &'static MemorySources {
    static SOURCES: OnceLock<MemorySources> = OnceLock::new();
    SOURCES.get_or_init(|| MemorySources::find(Path::new("/")))
}

pub(super) fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Which limit is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// MemAvailable of /proc/meminfo.
    Machine,
    /// A memory control group, version 1 or 2.
    Cgroup,
    /// RLIMIT_AS.
    AddressSpace,
    /// RLIMIT_DATA.
    DataSegment,
}

impl Bound {
    /// As it stands in an error message.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Bound::Machine => "the machine's available memory",
            Bound::Cgroup => "the memory control group",
            Bound::AddressSpace => "RLIMIT_AS (ulimit -v)",
            Bound::DataSegment => "RLIMIT_DATA (ulimit -d)",
        }
    }
}

/// What is left below the nearest limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headroom {
    /// Bytes.
    pub(crate) available: u64,
    pub(crate) bound: Bound,
    /// `memory.oom.group`: a kill for lack of memory takes the whole control group.
    pub(crate) oom_group: bool,
    /// Anonymous memory of this process, in bytes: what a child copies at most as either side writes to it.
    pub(crate) anonymous: u64,
    /// Its page tables, in bytes, of which a child has as many.
    pub(crate) page_tables: u64,
    /// File cache that counts as used and goes when it must, once it is on the disk.
    pub(crate) active_cache: u64,
}

/// Where the numbers are, looked up once: the process does not change its control group on its own.
#[derive(Debug, Clone)]
pub(crate) struct MemorySources {
    proc: PathBuf,
    groups: Vec<Group>,
}

/// One directory of a memory control group hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) directory: PathBuf,
    pub(super) version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Version {
    /// The file that says what a group uses, and those that say its limit: the smallest of them. No limit is a number near 2^63
    /// (version 1) or the word "max". Above `memory.high` the kernel slows every member down.
    pub(super) fn files(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Version::V1 => ("memory.usage_in_bytes", &["memory.limit_in_bytes"]),
            Version::V2 => ("memory.current", &["memory.max", "memory.high"]),
        }
    }

    /// The line of `memory.stat` that says what counts as used but goes first: clean file pages.
    pub(super) fn reclaimable(self) -> &'static str {
        match self {
            Version::V1 => "total_inactive_file",
            Version::V2 => "inactive_file",
        }
    }

    /// The same for file pages that were used lately, which go last.
    fn active_file(self) -> &'static str {
        match self {
            Version::V1 => "total_active_file",
            Version::V2 => "active_file",
        }
    }
}

impl MemorySources {
    /// The sources of this process below `root`: `/`, or a fixture.
    pub(crate) fn find(root: &Path) -> MemorySources {
        let proc = root.join("proc");
        let mountinfo = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
        let cgroup = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let groups = mountinfo
            .lines()
            .filter_map(parse_mount)
            .filter_map(|mount| Some((membership(&cgroup, mount.version)?, mount)))
            .flat_map(|(path, mount)| mount.directories(root, path))
            .collect();
        MemorySources { proc, groups }
    }

    /// Reads every limit now and gives the nearest. `None` where there is no /proc.
    pub(crate) fn headroom(&self) -> Option<Headroom> {
        let status = fs::read_to_string(self.proc.join("self/status")).ok()?;
        let limits = fs::read_to_string(self.proc.join("self/limits")).unwrap_or_default();
        let left = |limit: &str, used: &str| {
            Some(soft_limit(&limits, limit)?.saturating_sub(kilobytes(&status, used)?))
        };
        let machine = fs::read_to_string(self.proc.join("meminfo"))
            .ok()
            .and_then(|text| kilobytes(&text, "MemAvailable"));
        let lefts = self.groups.iter().filter_map(|group| Some((group.left()?, group)));
        let group = lefts.min_by_key(|&(left, _)| left);
        let bounds = [
            (Bound::Machine, machine),
            (Bound::Cgroup, group.map(|(left, _)| left)),
            (Bound::AddressSpace, left("Max address space", "VmSize")),
            (Bound::DataSegment, left("Max data size", "VmData")),
        ];
        let (bound, available) = bounds
            .into_iter()
            .filter_map(|(bound, left)| Some((bound, left?)))
            .min_by_key(|&(_, left)| left)?;
        Some(Headroom {
            available,
            bound,
            oom_group: self.groups.iter().any(Group::kills_as_one),
            anonymous: kilobytes(&status, "RssAnon").unwrap_or(0),
            page_tables: kilobytes(&status, "VmPTE").unwrap_or(0),
            active_cache: match group {
                Some((_, group)) if bound == Bound::Cgroup => {
                    group.stat(group.version.active_file())
                }
                _ => 0,
            },
        })
    }

    /// What the group that is nearest to its limit uses of it.
    pub(crate) fn group_use(&self) -> Option<GroupUse> {
        most_used(self.groups.iter().filter_map(Group::usage))
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How often the kernel has killed a process of these groups or of the machine for lack of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let in_group = |group: &Group| {
            let file = match group.version {
                Version::V1 => "memory.oom_control",
                Version::V2 => "memory.events",
            };
            fs::read_to_string(group.directory.join(file))
                .ok()
                .and_then(|text| field(&text, "oom_kill"))
        };
        let groups = self.groups.iter().filter_map(in_group).max().unwrap_or(0);
        let machine = fs::read_to_string(self.proc.join("vmstat"))
            .ok()
            .and_then(|text| field(&text, "oom_kill"));
        groups + machine.unwrap_or(0)
    }
}

impl Group {
    fn left(&self) -> Option<u64> {
        self.usage().map(|usage| usage.limit.saturating_sub(usage.used))
    }

    fn usage(&self) -> Option<GroupUse> {
        let read = |file: &str| number(&self.directory.join(file));
        let (usage, limits) = self.version.files();
        let limit = limits.iter().filter_map(|file| read(file)).min()?;
        let reclaimable = self.stat(self.version.reclaimable());
        Some(GroupUse { used: read(usage)?.saturating_sub(reclaimable), limit })
    }

    fn stat(&self, name: &str) -> u64 {
        fs::read_to_string(self.directory.join("memory.stat"))
            .ok()
            .and_then(|text| field(&text, name))
            .unwrap_or(0)
    }

    fn kills_as_one(&self) -> bool {
        self.version == Version::V2 && number(&self.directory.join("memory.oom.group")) == Some(1)
    }
}

/// By what is used of the limit, compared without a division; without a limit a group does not count.
pub(super) fn most_used(groups: impl Iterator<Item = GroupUse>) -> Option<GroupUse> {
    // Without a limit, version 1 shows a number near 2^63.
    const NO_LIMIT: u64 = 1 << 60;
    groups.filter(|group| group.limit > 0 && group.limit < NO_LIMIT).max_by(|a, b| {
        let product = |x: u64, y: u64| u128::from(x) * u128::from(y);
        product(a.used, b.limit).cmp(&product(b.used, a.limit))
    })
}

struct Mount {
    version: Version,
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// The process's group and those above it, as far as this mount shows them.
    fn directories(&self, root: &Path, path: &str) -> Vec<Group> {
        let point = root.join(self.point.strip_prefix("/").unwrap_or(&self.point));
        // In a container without a namespace of its own the path is the host's and the mount shows only the group.
        let below = Path::new(path).strip_prefix(&self.root).unwrap_or(Path::new(""));
        let own = Some(point.join(below))
            .filter(|directory| directory.is_dir())
            .unwrap_or_else(|| point.clone());
        own.ancestors()
            .take_while(|directory| directory.starts_with(&point))
            .map(|directory| Group { directory: directory.to_owned(), version: self.version })
            .collect()
    }
}

/// A line of mountinfo that mounts a hierarchy with the memory controller.
fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut right = right.split(' ');
    let version = match right.next()? {
        "cgroup2" => Version::V2,
        "cgroup" if right.nth(1)?.split(',').any(|option| option == "memory") => Version::V1,
        _ => return None,
    };
    Some(Mount { version, root: root.into(), point: point.into() })
}

/// The process's path in a hierarchy, from /proc/self/cgroup.
fn membership(cgroup: &str, version: Version) -> Option<&str> {
    cgroup.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let wanted = match version {
            Version::V1 => controllers.split(',').any(|controller| controller == "memory"),
            Version::V2 => controllers.is_empty(),
        };
        wanted.then_some(path)
    })
}

/// The soft limit of a line of /proc/self/limits; `None` for "unlimited".
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// A `name number` line.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
