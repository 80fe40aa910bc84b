//! Single numbers out of /proc.

use std::fs;
use std::path::Path;

/// A `Name:   123 kB` line of a status-like file, in bytes.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A file that holds one number.
pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// State letter and CPU time (user and system, in clock ticks) of a process, from /proc/PID/stat.
pub(super) fn state_and_ticks(pid: i32) -> Option<(u8, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &str) -> Option<(u8, u64)> {
    // The command name may hold spaces and parentheses: fields are counted from the last one.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let mut times = fields.skip(10);
    let (user, system) = (times.next()?.parse::<u64>().ok()?, times.next()?.parse::<u64>().ok()?);
    Some((state, user + system))
}

/// Whether a process waits for a lock that nobody can give it: its only thread is inside futex(2). `None` where /proc does
/// not say (it may not be traced).
pub(super) fn waits_for_nobody(pid: i32) -> Option<bool> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.count();
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    Some(threads == 1 && call.split(' ').next()?.parse() == Ok(libc::SYS_futex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_status() {
        assert_eq!(kilobytes("VmPeak:\t 10 kB\nVmData:\t   20 kB\n", "VmData"), Some(20 * 1024));
        assert_eq!(kilobytes("VmPeak:\t 10 kB\n", "VmData"), None);
    }

    #[test]
    fn reads_stat_behind_an_odd_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 0 1 2 3 4 50 60 0 0 20 0";
        assert_eq!(parse_stat(stat), Some((b'S', 110)));
    }
}
