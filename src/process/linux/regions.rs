//! Pages that V8 has marked as not to be inherited by a child (`MADV_DONTFORK`).
//!
//! V8 does so for all it maps (`platform-posix.cc`, V8_ENABLE_PRIVATE_MAPPING_FORK_OPTIMIZATION): a plain child faults
//! at once. The flag (`dc` in `VmFlags`) is only in /proc/self/smaps, whose reading costs 8 ms of CPU at 200 MB. So it
//! is read on a helper thread, and the thread that forks reads the much cheaper /proc/self/maps to see what has
//! changed since.

use std::fs;
use std::io;

/// `MADV_DONTFORK` regions of this process at the moment of the scan.
pub(crate) struct Regions {
    scanned: Vec<Region>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Region {
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
        Ok(Regions { scanned })
    }

    /// Runs `fork` while every region can be inherited, then marks again what was marked before.
    ///
    /// # Errors
    ///
    /// Where /proc/self/maps cannot be read; `fork` is not run then.
    pub(super) fn while_forkable<T>(&self, fork: impl FnOnce() -> T) -> io::Result<T> {
        let (inherit, restore) = plan(&self.scanned, &parse_maps(&fs::read("/proc/self/maps")?));
        advise(&inherit, libc::MADV_DOFORK);
        let result = fork();
        advise(&restore, libc::MADV_DONTFORK);
        Ok(result)
    }
}

/// What to make inheritable and what of it to mark again: mappings as they are now against the scan.
///
/// Every mapping is made inheritable, also one that the scan saw unmarked: V8 maps and marks in two steps, and whoever
/// scans between them (the second waits for the same lock) sees a page of the heap without its mark. Marked again is
/// only what has not changed since the scan: where V8 has unmapped a page, malloc may have mapped its own, which must
/// stay inheritable for the application's own forks; V8's pages do not mind, for them the mark only makes forks cheaper.
fn plan(scanned: &[Region], now: &[Range]) -> (Vec<Range>, Vec<Range>) {
    let (mut inherit, mut restore) = (Vec::new(), Vec::new());
    let mut first = 0;
    for &mapping in now {
        inherit.push(mapping);
        while scanned.get(first).is_some_and(|region| region.range.end <= mapping.start) {
            first += 1;
        }
        if scanned.get(first).is_some_and(|region| region.range == mapping && region.dontfork) {
            restore.push(mapping);
        }
    }
    (inherit, restore)
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
    const OTHERS: [&[u8]; 5] = [b"[vvar]", b"[vvar_vclock]", b"[vdso]", b"[vsyscall]", b" /dev/"];
    text.split(|&byte| byte == b'\n')
        .filter(|line| {
            !OTHERS.iter().any(|name| line.windows(name.len()).any(|part| part == *name))
        })
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
    fn inherits_and_restores_what_was_marked() {
        let scanned = [region(10, 20, true), region(20, 30, false)];
        let (inherit, restore) = plan(&scanned, &[range(10, 20), range(20, 30)]);
        assert_eq!((inherit, restore), (vec![range(10, 20), range(20, 30)], vec![range(10, 20)]));
    }

    #[test]
    fn a_split_mapping_is_inherited_but_not_marked() {
        let (inherit, restore) = plan(&[region(10, 30, true)], &[range(10, 15), range(15, 30)]);
        assert_eq!((inherit, restore), (vec![range(10, 15), range(15, 30)], vec![]));
    }

    #[test]
    fn a_mapping_that_was_not_marked_may_have_been_marked_since() {
        let (inherit, restore) = plan(&[region(10, 30, false)], &[range(10, 30)]);
        assert_eq!((inherit, restore), (vec![range(10, 30)], vec![]));
    }

    #[test]
    fn a_new_mapping_is_inherited_but_not_marked() {
        let (inherit, restore) = plan(&[region(10, 20, true)], &[range(10, 20), range(40, 50)]);
        assert_eq!((inherit, restore), (vec![range(10, 20), range(40, 50)], vec![range(10, 20)]));
    }

    #[test]
    fn a_grown_mapping_is_inherited_but_not_marked() {
        let (inherit, restore) = plan(&[region(10, 20, true)], &[range(10, 40)]);
        assert_eq!((inherit, restore), (vec![range(10, 40)], vec![]));
    }
}
