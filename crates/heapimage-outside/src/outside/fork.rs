//! The copy: made while the process is stopped, and taken away in a second stop of its main thread alone.

use super::arch::Gadgets;
use super::fault::Fault;
use super::inject::{Call, Injector};
use super::maps::{Row, copied_ranges, kept_ranges, mark_special, read};
use super::process::{CLONE_FLAGS, Process, dead_copies, own_number};
use super::ptrace::{self, Report, option};
use super::run::join;
use super::stop::{Stopped, Thread};
use std::fs;
use std::time::{Duration, Instant};

/// What is known of the process before it is stopped.
pub(crate) struct Before<'a> {
    pub(crate) process: &'a Process,
    /// Its `smaps`.
    pub(crate) rows: Vec<Row>,
    pub(crate) gadgets: Gadgets,
    /// Whose isolate the snapshot is to be of.
    pub(crate) thread: i32,
    /// Where a thread notes its isolate, from its thread pointer.
    pub(crate) isolate: Option<u64>,
    /// How long it may be stopped.
    pub(crate) limit: Duration,
    /// Calls are made although its filter is not known.
    pub(crate) trusts_filter: bool,
}

/// What the stop was.
pub(crate) struct Forked<'a> {
    pub(crate) copy: Copy<'a>,
    /// Where all threads stood: the main one first.
    pub(crate) threads: Vec<Thread>,
    /// Those of them that have an isolate, as far as that can be seen.
    pub(crate) isolates: Vec<i32>,
    pub(crate) stopped: Duration,
    pub(crate) fork: Duration,
    pub(crate) calls: u32,
}

/// So often it is tried where the main thread is at an awkward place, and so long apart.
const TRIES: u32 = 20;
const APART: Duration = Duration::from_millis(7);
/// A thread that is killed ends at once, unless the kernel is at work for it.
const END_LIMIT: Duration = Duration::from_secs(30);
/// As long as the main thread may take to stop for the second time; a dead copy is harmless.
const SECOND_LIMIT: Duration = Duration::from_secs(5);

/// Stops the process, makes the copy, lets the process go on.
pub(crate) fn fork<'a>(before: &Before<'a>) -> Result<Forked<'a>, Fault> {
    let is_mild =
        before.trusts_filter || !before.process.has_filter || before.process.filter_is_mild();
    for _ in 0..TRIES {
        if let Some(forked) = try_to_fork(before, is_mild)? {
            return Ok(forked);
        }
        std::thread::sleep(APART);
    }
    Err(Fault::Awkward(TRIES))
}

fn try_to_fork<'a>(before: &Before<'a>, filter_is_mild: bool) -> Result<Option<Forked<'a>>, Fault> {
    let process = before.process;
    let mut stopped = Stopped::all(process, before.limit)?;
    let main = stopped.main().ok_or(Fault::MainEnded)?;
    if !process.still_has(before.gadgets) {
        return Err(Fault::Ended);
    }
    let isolates = isolates(before, &stopped)?;
    let mut now = read(process.pid, "maps").map_err(|_| Fault::Ended)?;
    mark_special(&before.rows, &mut now);
    let injector = Injector::prepare(process, main, &now, before.gadgets, 0, stopped.deadline)?;
    let Some(mut injector) = injector else { return Ok(None) };
    if process.has_filter && !injector.suspend_filter() && !filter_is_mild {
        return Err(Fault::Filter);
    }
    let mut made = Made::default();
    let done = make(&mut injector, before, &now, &mut made);
    if injector.is_away() {
        // The kernel is at work for the main thread; nobody waits for that.
        stopped.release_others();
    }
    let ended = injector.end();
    let (born, calls) = (injector.copy, injector.calls());
    let since = stopped.since;
    let threads = stopped.release();
    let stopped = since.elapsed();
    // From here on it is taken away, whatever happens.
    let copy = born.map(|pid| Copy {
        process,
        pid,
        own: own_number(pid).unwrap_or(i64::from(pid)),
        gadgets: before.gadgets,
        limit: before.limit,
        is_taken: false,
        has_ended: false,
    });
    done.and(ended)?;
    let Some(mut copy) = copy else {
        return Err(Fault::Fork(i32::try_from(-made.answer).unwrap_or(0)));
    };
    copy.hold()?;
    Ok(Some(Forked { copy, threads, isolates, stopped, fork: made.took, calls }))
}

/// Which threads have an isolate. The wanted one must be among them.
fn isolates(before: &Before<'_>, stopped: &Stopped<'_>) -> Result<Vec<i32>, Fault> {
    let numbers = |has: &dyn Fn(&&Thread) -> bool| {
        stopped.threads.iter().filter(has).map(|thread| thread.number).collect::<Vec<_>>()
    };
    let found = before.isolate.map_or_else(Vec::new, |place| {
        numbers(&|thread| {
            let isolate =
                before.process.word(thread.registers.thread_pointer().wrapping_add(place));
            isolate.is_some_and(|isolate| isolate != 0)
        })
    });
    let among = if found.is_empty() { numbers(&|_| true) } else { found.clone() };
    if before.thread == before.process.pid || among.contains(&before.thread) {
        Ok(found)
    } else {
        Err(Fault::NoIsolate { thread: before.thread, others: join(&among) })
    }
}

/// What clone(2) answered, and how long it took.
#[derive(Default)]
struct Made {
    answer: i64,
    took: Duration,
}

/// The calls of the first stop. What is let into children for the copy is kept from them again, whatever comes of it.
fn make(
    injector: &mut Injector,
    before: &Before<'_>,
    now: &[Row],
    made: &mut Made,
) -> Result<(), Fault> {
    let copied = copy(injector, before, now, made);
    for (start, end) in kept_ranges(&before.rows, now) {
        if injector.can_put_back() {
            injector.call(Call::KeepFromChildren { start, end })?;
        }
    }
    copied
}

fn copy(
    injector: &mut Injector,
    before: &Before<'_>,
    now: &[Row],
    made: &mut Made,
) -> Result<(), Fault> {
    for (start, end) in copied_ranges(now) {
        let answer = injector.call(Call::LetCopy { start, end })?;
        if answer != 0 && answer != -i64::from(libc::ENOMEM) {
            let_copy_each(injector, &before.rows, start, end)?;
        }
    }
    let begin = Instant::now();
    made.answer = injector.call(Call::Copy { flags: CLONE_FLAGS })?;
    made.took = begin.elapsed();
    Ok(())
}

/// A mapping among them cannot be copied, and ended the call before the others: each by itself.
fn let_copy_each(injector: &mut Injector, rows: &[Row], start: u64, end: u64) -> Result<(), Fault> {
    let kept = rows.iter().filter(|row| row.is_kept_from_children && !row.is_special);
    for row in kept.filter(|row| start <= row.start && row.end <= end) {
        injector.call(Call::LetCopy { start: row.start, end: row.end })?;
    }
    Ok(())
}

/// The copy: one thread that never runs. It ends with this program, and is taken away when this is dropped.
pub(crate) struct Copy<'a> {
    process: &'a Process,
    /// Its number here.
    pub(crate) pid: i32,
    /// And in the namespace of the process.
    own: i64,
    gadgets: Gadgets,
    /// How long the process may be stopped for it.
    limit: Duration,
    is_taken: bool,
    has_ended: bool,
}

/// The calls of the second stop are counted from here.
const SECOND_STOP: u32 = 1000;

/// What the second stop was.
pub(crate) struct Taken {
    pub(crate) stopped: Duration,
    /// It is still there, dead: the next run takes it away.
    pub(crate) is_left: bool,
}

impl Copy<'_> {
    /// It is stopped since its birth. Where memory runs short it goes first.
    fn hold(&mut self) -> Result<(), Fault> {
        let deadline = Instant::now() + END_LIMIT;
        match ptrace::wait(self.pid, deadline) {
            // Its number may be another's by now.
            Some((_, Report::Ended)) => {
                self.has_ended = true;
                return Err(Fault::CopyKilled);
            }
            Some((_, Report::Stopped | Report::Signal(_))) => {}
            _ => return Err(Fault::CopyKilled),
        }
        ptrace::set_options(self.pid, option::ENDS_WITH_TRACER).map_err(|_| Fault::CopyKilled)?;
        let _ = fs::write(format!("/proc/{}/oom_score_adj", self.pid), "1000");
        Ok(())
    }

    /// Whether it is there still.
    pub(crate) fn is_alive(&self) -> bool {
        ptrace::registers(self.pid).is_ok()
    }

    /// Ends it, and has the process take it away.
    pub(crate) fn take_away(mut self) -> Taken {
        self.end()
    }

    fn end(&mut self) -> Taken {
        self.is_taken = true;
        if !self.has_ended {
            ptrace::end(self.pid);
        }
        let deadline = Instant::now() + END_LIMIT;
        while !self.has_ended
            && ptrace::wait(self.pid, deadline).is_some_and(|(_, report)| report != Report::Ended)
        {
        }
        let begin = Instant::now();
        for _ in 0..TRIES {
            match self.wait_for_it() {
                Ok(Some(stopped)) => return Taken { stopped, is_left: false },
                // The process has ended, and whoever was its parent takes the copy.
                Err(Fault::Ended) => return Taken { stopped: Duration::ZERO, is_left: false },
                Ok(None) => std::thread::sleep(APART),
                Err(_) => break,
            }
        }
        Taken { stopped: begin.elapsed(), is_left: true }
    }

    /// A second stop, of the main thread alone. `None` where it was at an awkward place.
    fn wait_for_it(&self) -> Result<Option<Duration>, Fault> {
        let mut others = dead_copies(self.process.pid);
        others.retain(|child| *child != self.own);
        let stopped = Stopped::main_alone(self.process, SECOND_LIMIT, self.limit)?;
        if !self.process.still_has(self.gadgets) {
            return Err(Fault::Ended);
        }
        let now = read(self.process.pid, "maps").map_err(|_| Fault::Ended)?;
        let main = stopped.main().ok_or(Fault::Ended)?;
        let (gadgets, deadline) = (self.gadgets, stopped.deadline);
        let injector = Injector::prepare(self.process, main, &now, gadgets, SECOND_STOP, deadline)?;
        let Some(mut injector) = injector else { return Ok(None) };
        if self.process.has_filter {
            injector.suspend_filter();
        }
        for child in [self.own].into_iter().chain(others) {
            injector.call(Call::TakeAway { child })?;
        }
        injector.end()?;
        let since = stopped.since;
        stopped.release();
        Ok(Some(since.elapsed()))
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        if !self.is_taken {
            self.end();
        }
    }
}
