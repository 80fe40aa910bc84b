//! What wakes a monitor's thread: another thread, or the kernel, which says that a control group fills.
//!
//! Where the kernel can say it: thresholds of version 1 (cgroup-v1/memory.rst, "Memory thresholds"), which want
//! `cgroup.event_control` to be writable; in version 2 `memory.events` (cgroup-v2.rst), which needs no right at all but first changes
//! when a group is full and file cache has to go, and pressure (psi.rst, "Monitoring for pressure thresholds"), where
//! `memory.pressure` may be written.

use super::memory::{Group, MemorySources, Version};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Parts of a limit whose crossing wakes, in either direction.
const THRESHOLDS: [u64; 6] = [40, 50, 60, 70, 80, 90];

/// A group that hovers about a threshold wakes this seldom.
const QUIET: Duration = Duration::from_millis(50);

/// Stalled for 50 ms of a second. An unprivileged process may use windows of whole multiples of 2 s alone.
const PRESSURE: [&[u8]; 2] = [b"some 50000 1000000\0", b"some 100000 2000000\0"];

/// Version 1 writes its limits as a number near 2^63 when there are none.
const NO_LIMIT: u64 = 1 << 60;

/// Rung by any thread; one thread waits for it.
pub(crate) struct Bell {
    /// eventfd(2).
    rung: File,
    groups: Vec<Source>,
}

/// A file that is ready when its group fills.
struct Source {
    file: File,
    /// What poll(2) says then.
    ready: libc::c_short,
    /// A count that is taken by reading (`eventfd`); the others are read from their beginning.
    is_counter: bool,
    /// Its group has been removed: it would be ready for ever.
    is_gone: AtomicBool,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    Rung,
    /// Memory of a control group.
    Filling,
    Time,
}

impl Bell {
    /// # Errors
    ///
    /// At a limit on descriptors.
    pub(crate) fn new() -> std::io::Result<Bell> {
        Ok(Bell { rung: event()?, groups: Vec::new() })
    }

    /// From here on the kernel wakes too, as far as it can.
    pub(crate) fn listen_to_groups(&mut self) {
        let sources = MemorySources::find(Path::new("/"));
        self.groups = sources.groups().iter().flat_map(sources_of).collect();
    }

    pub(crate) fn ring(&self) {
        // A count that is full rings already.
        let _ = (&self.rung).write(&1_u64.to_ne_bytes());
    }

    /// Until it is rung, a group fills or `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Woken {
        let start = Instant::now();
        loop {
            let now = Instant::now();
            let left = deadline.map(|at| at.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                return Woken::Time;
            }
            let quiet = QUIET.saturating_sub(now - start);
            let is_quiet = !quiet.is_zero() && !self.groups.is_empty();
            let left =
                if is_quiet { Some(left.map_or(quiet, |left| left.min(quiet))) } else { left };
            match self.poll(left, !is_quiet) {
                Some(0) => return Woken::Rung,
                Some(_) => return Woken::Filling,
                None => {}
            }
        }
    }

    /// The first that is ready: 0 is the bell itself.
    fn poll(&self, limit: Option<Duration>, with_groups: bool) -> Option<usize> {
        let groups: Vec<_> = if with_groups {
            self.groups.iter().filter(|group| !group.is_gone.load(Relaxed)).collect()
        } else {
            Vec::new()
        };
        let wanted = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut polled = vec![wanted(self.rung.as_raw_fd(), libc::POLLIN)];
        polled.extend(groups.iter().map(|group| wanted(group.file.as_raw_fd(), group.ready)));
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().cast_signed(),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: as many entries as are there, a time or none, and no signal mask.
        let ready = unsafe {
            libc::ppoll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, limit, std::ptr::null())
        };
        if ready <= 0 {
            return None;
        }
        // A group rather than the bell: whoever rang it is heard at the next wait, and what a group says is said once.
        let found = polled.iter().rposition(|entry| entry.revents != 0);
        for (index, _) in polled.iter().enumerate().filter(|(_, entry)| entry.revents != 0) {
            match index.checked_sub(1).and_then(|index| groups.get(index)) {
                Some(group) => group.take(),
                None => take_count(&self.rung),
            }
        }
        found
    }
}

impl Source {
    fn take(&self) {
        if self.is_counter {
            take_count(&self.file);
        } else {
            // Ready again when it has changed since.
            let gone = self.file.read_at(&mut [0; 512], 0).is_err();
            self.is_gone.store(gone, Relaxed);
        }
    }
}

fn take_count(mut file: &File) {
    let _ = file.read(&mut [0; 8]);
}

fn event() -> std::io::Result<File> {
    // SAFETY: eventfd has no preconditions.
    let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if event < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just opened and that nobody else has.
    Ok(unsafe { File::from_raw_fd(event) })
}

fn sources_of(group: &Group) -> Vec<Source> {
    match group.version {
        Version::V1 => thresholds(group).into_iter().collect(),
        Version::V2 => [changes(group), pressure(group)].into_iter().flatten().collect(),
    }
}

/// One event for all thresholds of a group with a limit.
fn thresholds(group: &Group) -> Option<Source> {
    let read = |name: &str| std::fs::read_to_string(group.directory.join(name)).ok();
    let limit: u64 = read("memory.limit_in_bytes")?.trim().parse().ok()?;
    if limit >= NO_LIMIT {
        return None;
    }
    let control = OpenOptions::new().write(true).open(group.directory.join("cgroup.event_control"));
    let (mut control, usage) =
        (control.ok()?, File::open(group.directory.join("memory.usage_in_bytes")).ok()?);
    let file = event().ok()?;
    for part in THRESHOLDS {
        let line = format!("{} {} {}", file.as_raw_fd(), usage.as_raw_fd(), limit / 100 * part);
        control.write_all(line.as_bytes()).ok()?;
    }
    Some(Source { file, ready: libc::POLLIN, is_counter: true, is_gone: AtomicBool::new(false) })
}

fn changes(group: &Group) -> Option<Source> {
    let file = File::open(group.directory.join("memory.events")).ok()?;
    let source =
        Source { file, ready: libc::POLLPRI, is_counter: false, is_gone: AtomicBool::new(false) };
    // What has been read counts as known.
    source.take();
    Some(source)
}

fn pressure(group: &Group) -> Option<Source> {
    let path = group.directory.join("memory.pressure");
    let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    PRESSURE.iter().any(|trigger| file.write(trigger).is_ok()).then_some(Source {
        file,
        ready: libc::POLLPRI,
        is_counter: false,
        is_gone: AtomicBool::new(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rung_before_the_wait_or_in_it() {
        let bell = std::sync::Arc::new(Bell::new().expect("an event"));
        bell.ring();
        assert_eq!(bell.wait(None), Woken::Rung);
        assert_eq!(bell.wait(Some(Instant::now() + Duration::from_millis(5))), Woken::Time);
        let other = std::sync::Arc::clone(&bell);
        let ringer = std::thread::spawn(move || other.ring());
        assert_eq!(bell.wait(None), Woken::Rung);
        ringer.join().expect("no panic");
    }

    /// A group with a limit, below the one that these tests run in; of version 2 beside it, because a group that has members
    /// cannot have groups with limits. Removed when dropped.
    struct OwnGroup(Group);

    impl OwnGroup {
        fn make(version: Version, limit: u64) -> Option<OwnGroup> {
            let sources = MemorySources::find(Path::new("/"));
            let mut groups = sources.groups().iter().filter(|group| group.version == version);
            let (above, file) = match version {
                Version::V1 => (groups.next()?, "memory.limit_in_bytes"),
                Version::V2 => (groups.nth(1)?, "memory.max"),
            };
            let directory = above.directory.join(format!("heapdump-bell-{}", std::process::id()));
            std::fs::create_dir(&directory).ok()?;
            let group = OwnGroup(Group { directory, version });
            std::fs::write(group.0.directory.join(file), limit.to_string()).ok()?;
            Some(group)
        }

        /// A process of the group takes so much memory, and ends.
        fn fill(&self, size: &str) -> std::process::Child {
            let fill =
                "echo $$ > \"$0/cgroup.procs\" && exec dd if=/dev/zero of=/dev/null bs=$1 count=1";
            std::process::Command::new("sh")
                .args(["-c", fill])
                .arg(&self.0.directory)
                .arg(size)
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("sh")
        }
    }

    impl Drop for OwnGroup {
        fn drop(&mut self) {
            // Its last member may be on its way out.
            for _ in 0..100 {
                if std::fs::remove_dir(&self.0.directory).is_ok() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn wakes_when_it_fills(group: &OwnGroup, sources: Vec<Source>, size: &str) {
        let mut bell = Bell::new().expect("an event");
        bell.groups = sources;
        assert_eq!(bell.groups.len(), 1);
        let soon = Instant::now() + Duration::from_millis(200);
        assert_eq!(bell.wait(Some(soon)), Woken::Time, "an empty group wakes nobody");
        let mut filling = group.fill(size);
        let late = Instant::now() + Duration::from_secs(60);
        assert_eq!(bell.wait(Some(late)), Woken::Filling);
        filling.wait().expect("dd ends");
    }

    #[test]
    fn version_1_wakes_when_a_group_fills() {
        // Where no group can be made there is nothing to hear.
        let Some(group) = OwnGroup::make(Version::V1, 64 << 20) else { return };
        wakes_when_it_fills(&group, sources_of(&group.0), "40M");
    }

    #[test]
    fn version_2_wakes_when_a_group_is_full() {
        let Some(group) = OwnGroup::make(Version::V2, 64 << 20) else { return };
        wakes_when_it_fills(&group, changes(&group.0).into_iter().collect(), "100M");
    }

    #[test]
    fn pressure_is_told_where_it_may_be_asked_for() {
        let directory = Path::new("/sys/fs/cgroup/unified").to_owned();
        let writable = OpenOptions::new().write(true).open(directory.join("memory.pressure"));
        let source = pressure(&Group { directory, version: Version::V2 });
        assert_eq!(source.is_some(), writable.is_ok());
    }
}
