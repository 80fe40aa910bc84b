//! The order of events, and the lines that tell of them.

use super::fault::Fault;
use super::fork::{self, Before, Taken};
use super::maps::read;
use super::process::Process;
use super::program::Program;
use super::{image, output, ptrace};
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What the program was told.
struct Arguments {
    pid: i32,
    /// Whose isolate the snapshot is to be of.
    thread: i32,
    /// How long it may be stopped.
    limit: Duration,
    trusts_filter: bool,
}

/// As long as a busy machine may keep a thread from stopping; a thread that is stuck in the kernel keeps the others no longer.
const LIMIT: Duration = Duration::from_secs(2);

pub(crate) fn run() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(|arguments| capture(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            say(format_args!("stop {}: {fault}", fault.word()));
            ExitCode::FAILURE
        }
    }
}

/// `PID [--thread NUMBER] [--limit MS] [--trust-filter]`.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, Fault> {
    const USAGE: Fault = Fault::Usage("PID [--thread NUMBER] [--limit MS] [--trust-filter]");
    let number = |word: Option<String>| {
        let number = word.and_then(|word| word.parse().ok()).filter(|number| *number > 0);
        number.ok_or(USAGE)
    };
    let pid = number(words.next())?;
    let mut read = Arguments { pid, thread: pid, limit: LIMIT, trusts_filter: false };
    while let Some(word) = words.next() {
        match &*word {
            "--thread" => read.thread = number(words.next())?,
            "--trust-filter" => read.trusts_filter = true,
            "--limit" => {
                let limit = words.next().and_then(|word| word.parse().ok()).ok_or(USAGE)?;
                read.limit = Duration::from_millis(limit);
            }
            _ => return Err(USAGE),
        }
    }
    Ok(read)
}

fn capture(arguments: &Arguments) -> Result<(), Fault> {
    ptrace::end_with_parent();
    // Where memory runs short this one goes before the process that it looks at.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let process = Process::open(arguments.pid)?;
    let unreadable = |error| Fault::opening("to read its mappings", &error);
    let rows = read(process.pid, "smaps").map_err(unreadable)?;
    let program = Program::of(&process, &rows)?;
    let gadgets = process.gadgets(&rows)?;
    let before = Before {
        process: &process,
        rows,
        gadgets,
        thread: arguments.thread,
        isolate: program.isolate,
        limit: arguments.limit,
        trusts_filter: arguments.trusts_filter,
    };
    // Up to here nothing was done, and whoever waits may end it.
    ptrace::block_signals();
    let forked = fork::fork(&before)?;
    tell("node", &program.version);
    tell("threads", forked.threads.len());
    tell("isolates", join(&forked.isolates));
    tell("calls", forked.calls);
    tell("stopped-us", forked.stopped.as_micros());
    tell("fork-us", forked.fork.as_micros());
    let begin = Instant::now();
    let written = output::begin(process.pid)
        .map_err(Fault::Output)
        .and_then(|output| image::write(process.pid, arguments.thread, &forked, &program, output));
    tell("copy-us", begin.elapsed().as_micros());
    if let Ok(pages) = written {
        tell("pages", pages);
    }
    let Taken { stopped, is_left } = forked.copy.take_away();
    tell("second-stop-us", stopped.as_micros());
    if is_left {
        tell("left", "a dead copy, which the next run takes away");
    }
    written.map(|_| ())
}

fn tell(name: &str, value: impl Display) {
    say(format_args!("is {name}: {value}"));
}

/// `1 2 3`.
pub(crate) fn join(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Nobody may listen any more: that changes nothing.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The number of an error of the system's.
pub(crate) fn number_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}
