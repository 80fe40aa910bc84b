//! The process that is looked at, and whether anything may be injected into it.

use super::arch::Gadgets;
use super::fault::Fault;
use super::maps::Row;
use super::ptrace;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// A process, and its memory.
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) memory: File,
    /// It has a seccomp filter.
    pub(crate) has_filter: bool,
}

/// The flags of clone(2) by which the copy is made: CLONE_FILES, CLONE_FS and CLONE_IO, and no signal at its end. It shares the
/// table of descriptors: with one of its own, what the process closes would stay open as long as the copy lives.
pub(crate) const CLONE_FLAGS: u64 = 0x8000_0600;

impl Process {
    /// Opens its memory, which the kernel permits to whom it permits ptrace(2), and looks what would be in the way.
    pub(crate) fn open(pid: i32) -> Result<Process, Fault> {
        let path = format!("/proc/{pid}/mem");
        let memory = OpenOptions::new().read(true).write(true).open(path);
        let memory = memory.map_err(|error| Fault::opening("to read its memory", &error))?;
        let status = status(pid)?;
        let line = |name: &str| value(&status, name).unwrap_or_default();
        if line("State").starts_with(['Z', 'X']) {
            return Err(Fault::Ended);
        }
        if let tracer @ 1.. = line("TracerPid").parse().unwrap_or(0) {
            return Err(Fault::Traced(tracer));
        }
        if line("x86_Thread_features").contains("shstk") {
            return Err(Fault::ShadowStacks);
        }
        // Strict mode ends whoever does more than read and write.
        if line("Seccomp") == "1" {
            return Err(Fault::Filter);
        }
        Ok(Process { pid, memory, has_filter: line("Seccomp") == "2" })
    }

    /// Whether no filter can end it for what is injected: it has the filters of the container, this process was started in the
    /// same one, and a child of its own survives the same calls. As many filters are not the same ones, but filters
    /// are only ever added: who has no more than the first process of the container has no others than the container gave it.
    pub(crate) fn filter_is_mild(&self) -> bool {
        let filters = |pid: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            Some((
                value(&status, "Seccomp")?.to_owned(),
                value(&status, "Seccomp_filters")?.to_owned(),
            ))
        };
        let is_same = |namespace: &str| {
            let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).ok();
            of("self").is_some_and(|own| of(&self.pid.to_string()) == Some(own))
        };
        let own = filters("self");
        own.is_some()
            && own == filters(&self.pid.to_string())
            && own == filters("1")
            && ["mnt", "pid"].into_iter().all(is_same)
            && ptrace::survives_calls(CLONE_FLAGS)
    }

    /// Bytes of its memory.
    pub(crate) fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.memory.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    pub(crate) fn word(&self, at: u64) -> Option<u64> {
        let bytes = self.read(at, 8).ok()?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    /// The instructions by which calls are made: of the C library or the loader, or of the program where that has one in itself.
    pub(crate) fn gadgets(&self, rows: &[Row]) -> Result<Gadgets, Fault> {
        const MOST: u64 = 256 << 20;
        let is_library = |row: &Row| {
            let name = super::maps::base_name(&row.name);
            ["libc.", "libc-", "ld-musl", "libpthread"].iter().any(|begin| name.starts_with(begin))
        };
        let mut code: Vec<&Row> =
            rows.iter().filter(|row| row.protection & 5 == 5 && row.is_files()).collect();
        code.sort_by_key(|row| !is_library(row));
        let mut gadgets = Gadgets::default();
        for row in code.into_iter().filter(|row| row.end - row.start <= MOST) {
            let length = usize::try_from(row.end - row.start).unwrap_or(0);
            if let Ok(bytes) = self.read(row.start, length) {
                gadgets.look_in(&bytes, row.start);
            }
            if gadgets.are_complete() {
                return Ok(gadgets);
            }
        }
        Err(Fault::NoGadgets)
    }

    /// Whether they are still there: it may have become another program since.
    pub(crate) fn still_has(&self, gadgets: Gadgets) -> bool {
        gadgets
            .bytes()
            .iter()
            .all(|(at, bytes)| self.read(*at, bytes.len()).is_ok_and(|found| found == *bytes))
    }

    /// Numbers of its threads, without the tasks of io_uring, which the kernel lists and which never leave it
    /// (`create_io_thread`, kernel/fork.c). A thread may call itself as they are called.
    pub(crate) fn threads(&self) -> Result<Vec<i32>, Fault> {
        let directory = format!("/proc/{}/task", self.pid);
        let entries = fs::read_dir(directory).map_err(|_| Fault::Ended)?;
        let numbers =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(numbers.filter(|thread| !self.is_kernels(*thread)).collect())
    }

    fn is_kernels(&self, thread: i32) -> bool {
        /// PF_IO_WORKER, PF_KTHREAD (linux/sched.h), of the flags that `stat` tells (proc(5)): the ninth field.
        const KERNELS: u64 = 0x10 | 0x20_0000;
        const FLAGS: usize = 9 - 3;
        let stat = fs::read(format!("/proc/{}/task/{thread}/stat", self.pid)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let flags = fields.split(' ').nth(FLAGS).and_then(|flags| flags.parse().ok());
        flags.is_some_and(|flags: u64| flags & KERNELS != 0)
    }

    /// A line of a thread's status; nothing where it is gone.
    pub(crate) fn thread_status(&self, thread: i32, name: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/task/{thread}/status", self.pid));
        text.ok().and_then(|text| value(&text, name).map(str::to_owned)).unwrap_or_default()
    }
}

fn status(pid: i32) -> Result<String, Fault> {
    let text = fs::read(format!("/proc/{pid}/status"));
    let text = text.map_err(|error| Fault::opening("to read its status", &error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn value<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
}

/// Numbers of dead copies that a tracer which was killed has left to `pid`: children of its that nobody is told of when they end,
/// and which nothing else waits for. In the numbers of its own namespace.
pub(crate) fn dead_copies(pid: i32) -> Vec<i64> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let numbers = children.split_ascii_whitespace().filter_map(|number| number.parse().ok());
    numbers.filter(|child| is_dead_copy(*child, pid)).filter_map(own_number).collect()
}

fn is_dead_copy(child: i32, pid: i32) -> bool {
    /// Fields of /proc/PID/stat (proc(5)), from the state on: `exit_signal` is the 38th of all.
    const EXIT_SIGNAL: usize = 38 - 3;
    let fields = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = text.rsplit_once(") ")?;
        let name = name.split_once('(')?.1.to_owned();
        Some((name, rest.split(' ').map(str::to_owned).collect::<Vec<_>>()))
    };
    let (Some((name, child)), Some((own, _))) = (fields(child), fields(pid)) else { return false };
    let field = |at: usize| child.get(at).map(String::as_str);
    name == own && field(0) == Some("Z") && field(EXIT_SIGNAL) == Some("0")
}

/// How a process is called in the innermost namespace of its own.
pub(crate) fn own_number(pid: i32) -> Option<i64> {
    let status = status(pid).ok()?;
    value(&status, "NSpid")?.split_ascii_whitespace().last()?.parse().ok()
}
