//! Pages that V8 has marked as not to be inherited by a child (`MADV_DONTFORK`).
//!
//! V8 does so for all it maps (`platform-posix.cc`, V8_ENABLE_PRIVATE_MAPPING_FORK_OPTIMIZATION): a plain child faults
//! at once. The flag (`dc` in `VmFlags`) is only in /proc/self/smaps, whose reading costs 8 ms of CPU at 200 MB. So it
//! is read on a helper thread while JavaScript runs on, and the thread that forks reads the much cheaper /proc/self/maps
//! to see what has changed since. A thread that would only wait for the helper finds out by itself, in a third of the time.

use super::memory::page_size;
use super::procfs::number;
use std::fs;
use std::io;
use std::path::Path;

/// This process's mappings at a moment before a fork, and what tells the `MADV_DONTFORK` ones.
pub(crate) enum Regions {
    /// Their flags.
    Scanned(Vec<Region>),
    /// The kernel has split them behind their first page since then.
    Probed(Vec<Range>),
}

/// Addresses of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    start: usize,
    end: usize,
}

/// A mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    range: Range,
    dontfork: bool,
}

impl Regions {
    /// Reads /proc/self/smaps. For a helper thread.
    ///
    /// # Errors
    ///
    /// Where there is no /proc, or it is hidden.
    pub(crate) fn scan() -> io::Result<Regions> {
        let scanned = parse_smaps(&fs::read("/proc/self/smaps")?);
        if scanned.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "/proc/self/smaps is empty"));
        }
        Ok(Regions::Scanned(scanned))
    }

    /// The same without smaps: makes the first page of each mapping inheritable, and the kernel has to split those that were
    /// marked. For the thread that forks soon.
    ///
    /// # Errors
    ///
    /// As [`Regions::scan`].
    pub(crate) fn probe() -> io::Result<Regions> {
        let mappings = mappings()?;
        // Other threads must be able to map something while there are up to twice as many.
        let most = number(Path::new("/proc/sys/vm/max_map_count")).unwrap_or(0);
        if mappings.len() as u64 * 4 > most {
            return Regions::scan();
        }
        let page = page_size();
        for mapping in &mappings {
            // One that is gone meanwhile does not matter. One of a single page cannot be told, and loses its mark.
            let _ = advise_one(mapping.start, mapping.start + page, libc::MADV_DOFORK);
        }
        Ok(Regions::Probed(mappings))
    }

    /// Runs `fork` while every region can be inherited, then marks again what was marked before.
    ///
    /// # Errors
    ///
    /// Where /proc/self/maps cannot be read; `fork` is not run then.
    pub(super) fn while_forkable<T>(&self, fork: impl FnOnce() -> T) -> io::Result<T> {
        let now = mappings()?;
        let restore = match self {
            Regions::Scanned(scanned) => marked(scanned, &now),
            Regions::Probed(before) => split_behind_first_page(before, &now, page_size()),
        };
        // Also what was seen unmarked: V8 maps and marks in two steps, and whoever looks between them (the second waits
        // for the same lock) sees a page of the heap without its mark.
        advise(&now, libc::MADV_DOFORK);
        let result = fork();
        advise(&restore, libc::MADV_DONTFORK);
        Ok(result)
    }
}

fn mappings() -> io::Result<Vec<Range>> {
    Ok(parse_maps(&fs::read("/proc/self/maps")?))
}

/// The mappings of `before` whose rest, without the first page, is one of its own `now`.
fn split_behind_first_page(before: &[Range], now: &[Range], page: usize) -> Vec<Range> {
    let is_split = |mapping: &&Range| {
        let rest = Range { start: mapping.start + page, end: mapping.end };
        now.binary_search_by_key(&rest.start, |range| range.start)
            .is_ok_and(|index| now.get(index) == Some(&rest))
    };
    before.iter().filter(is_split).copied().collect()
}

/// What of `now` was marked at the scan and has not changed since. Where V8 has unmapped a page, malloc may have mapped its
/// own, which must stay inheritable for the application's own forks; V8's pages do not mind, for them the mark only makes
/// forks cheaper.
fn marked(scanned: &[Region], now: &[Range]) -> Vec<Range> {
    let mut first = 0;
    let was_marked = |mapping: &&Range| {
        while scanned.get(first).is_some_and(|region| region.range.end <= mapping.start) {
            first += 1;
        }
        scanned.get(first).is_some_and(|region| region.range == **mapping && region.dontfork)
    };
    now.iter().filter(was_marked).copied().collect()
}

/// Adjacent ranges in one call: a heap of 1 GB has thousands.
fn advise(ranges: &[Range], advice: i32) {
    for run in ranges.chunk_by(|one, next| one.end == next.start) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        // A mapping of a driver (io_uring's rings) refuses, and ends the call at itself. One that is gone meanwhile
        // does not matter.
        if advise_one(first.start, last.end, advice) == Err(libc::EINVAL) && run.len() > 1 {
            for range in run {
                let _ = advise_one(range.start, range.end, advice);
            }
        }
    }
}

fn advise_one(start: usize, end: usize, advice: i32) -> Result<(), i32> {
    // SAFETY: MADV_DOFORK and MADV_DONTFORK change neither contents nor protection of a mapping.
    let result = unsafe { libc::madvise(start as *mut libc::c_void, end - start, advice) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)) }
}

fn parse_smaps(text: &[u8]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        match line.first() {
            Some(b'0'..=b'9' | b'a'..=b'f') => {
                if let Some(range) = parse_range(line) {
                    regions.push(Region { range, dontfork: false });
                }
            }
            Some(b'V') if line.starts_with(b"VmFlags:") => {
                if let Some(region) = regions.last_mut() {
                    region.dontfork =
                        line[8..].split(|&byte| byte == b' ').any(|flag| flag == b"dc");
                }
            }
            _ => {}
        }
    }
    regions
}

/// Mappings that can hold data of V8: the kernel's own and those of devices are left out, as their drivers may have
/// marked them for good reason.
fn parse_maps(text: &[u8]) -> Vec<Range> {
    const OTHERS: [&[u8]; 5] = [b"[vvar]", b"[vvar_vclock]", b"[vdso]", b"[vsyscall]", b"/dev/"];
    let is_other = |line: &[u8]| {
        let name = line.iter().position(|&byte| byte == b'[' || byte == b'/');
        name.is_some_and(|start| OTHERS.iter().any(|other| line[start..].starts_with(other)))
    };
    text.split(|&byte| byte == b'\n')
        .filter(|line| !is_other(line))
        .filter_map(parse_range)
        .collect()
}

fn parse_range(line: &[u8]) -> Option<Range> {
    let end = line.iter().position(|&byte| byte == b' ')?;
    let (start, end) = std::str::from_utf8(&line[..end]).ok()?.split_once('-')?;
    Some(Range {
        start: usize::from_str_radix(start, 16).ok()?,
        end: usize::from_str_radix(end, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: usize, end: usize) -> Range {
        Range { start, end }
    }
    fn region(start: usize, end: usize, dontfork: bool) -> Region {
        Region { range: range(start, end), dontfork }
    }

    /// Four pages of anonymous memory, between two that keep it a mapping of its own.
    fn map_pages(mark: bool) -> Range {
        let page = page_size();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice, and calls on pages of its own.
        let start = unsafe {
            let guard = libc::mmap(std::ptr::null_mut(), 6 * page, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(guard, libc::MAP_FAILED);
            let start = guard.byte_add(page);
            assert_eq!(libc::mprotect(start, 4 * page, libc::PROT_READ | libc::PROT_WRITE), 0);
            if mark {
                assert_eq!(libc::madvise(start, 4 * page, libc::MADV_DONTFORK), 0);
            }
            start as usize
        };
        range(start, start + 4 * page)
    }

    fn is_marked(wanted: Range) -> bool {
        let Ok(Regions::Scanned(regions)) = Regions::scan() else { panic!("no smaps") };
        let mut inside = regions
            .iter()
            .filter(|region| region.range.start < wanted.end && region.range.end > wanted.start)
            .peekable();
        assert!(inside.peek().is_some(), "{wanted:x?} is mapped");
        inside.all(|region| region.dontfork)
    }

    #[test]
    fn finds_out_what_is_marked_without_a_scan() {
        let (marked, unmarked) = (map_pages(true), map_pages(false));
        let regions = Regions::probe().expect("maps");
        assert!(matches!(regions, Regions::Probed(_)));
        let meanwhile = regions.while_forkable(|| is_marked(marked)).expect("maps");
        assert!(!meanwhile);
        assert!(is_marked(marked));
        assert!(!is_marked(unmarked));
    }

    #[test]
    fn a_mapping_that_changes_during_the_probe_is_not_marked() {
        let before = [range(10, 20), range(30, 40), range(50, 60)];
        // Split, grown, not split.
        let now = [range(10, 11), range(11, 20), range(30, 31), range(31, 45), range(50, 60)];
        assert_eq!(split_behind_first_page(&before, &now, 1), [range(10, 20)]);
    }

    #[test]
    fn reads_the_flag_from_smaps() {
        let text = b"1000-2000 rw-p 00000000 00:00 0 \nRss: 4 kB\nVmFlags: rd wr mr mw me dc ac \n\
            2000-3000 r--p 00000000 08:01 7 /lib/x\nVmFlags: rd mr \n";
        assert_eq!(
            parse_smaps(text),
            [region(0x1000, 0x2000, true), region(0x2000, 0x3000, false)]
        );
    }

    #[test]
    fn leaves_out_mappings_of_the_kernel_and_of_devices() {
        let text = b"6000-7000 rw-s 0 00:00 0 /dev/nvidia0\n8000-9000 rw-p 0 00:00 0 [anon:v8]\n1000-2000 rw-p 0 00:00 0 [heap]\n3000-4000 r--p 0 00:00 0 [vvar]\n5000-6000 rw-p 0 00:00 0 \n";
        assert_eq!(
            parse_maps(text),
            [range(0x8000, 0x9000), range(0x1000, 0x2000), range(0x5000, 0x6000)]
        );
    }

    #[test]
    fn what_was_marked_is_marked_again() {
        let scanned = [region(10, 20, true), region(20, 30, false)];
        assert_eq!(marked(&scanned, &[range(10, 20), range(20, 30)]), [range(10, 20)]);
    }

    #[test]
    fn what_has_changed_since_the_scan_is_not_marked_again() {
        let scanned = [region(10, 30, true), region(40, 50, true)];
        // Split, new, grown.
        let now = [range(10, 15), range(15, 30), range(32, 36), range(40, 60)];
        assert_eq!(marked(&scanned, &now), []);
    }
}
