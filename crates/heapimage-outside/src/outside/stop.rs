//! All threads of a process are stopped: its own registers are all that it had.

use super::arch::{self, Registers};
use super::fault::Fault;
use super::process::Process;
use super::ptrace::{self, Report};
use std::time::{Duration, Instant};

/// A process of which no thread runs. They go on when this is dropped, untouched but for what was put back.
pub(crate) struct Stopped<'a> {
    process: &'a Process,
    pub(crate) threads: Vec<Thread>,
    /// When the first thread was told to stop.
    pub(crate) since: Instant,
    /// When they are to go on.
    pub(crate) deadline: Deadline,
}

/// When a stop is to be over.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    limit: Duration,
}

impl Deadline {
    fn of(since: Instant, limit: Duration) -> Deadline {
        Deadline { at: since + limit, limit }
    }

    /// So much later.
    pub(crate) fn and(self, more: Duration) -> Deadline {
        Deadline { at: self.at + more, ..self }
    }

    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.at
    }

    /// What is said of a stop that came to it.
    pub(crate) fn fault(self) -> Fault {
        Fault::Late(self.limit.as_millis())
    }
}

/// One thread.
pub(crate) struct Thread {
    pub(crate) number: i32,
    state: State,
    /// The signal that was about to be delivered: it is handed over.
    signal: i32,
    pub(crate) registers: Registers,
    pub(crate) xsave: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Gone,
}

impl<'a> Stopped<'a> {
    /// Stops them; those that the process makes meanwhile, too. One that does not stop in time (it may be in the kernel, asleep
    /// for what no signal interrupts) ends it: all go on, and nothing was done.
    pub(crate) fn all(process: &'a Process, limit: Duration) -> Result<Stopped<'a>, Fault> {
        let mut stopped = Stopped::none(process, limit);
        while stopped.seize_new()? {}
        stopped.since = Instant::now();
        stopped.deadline = Deadline::of(stopped.since, limit);
        let deadline = stopped.deadline.at;
        let slow = || Fault::Slow(limit.as_millis());
        let mut told = 0;
        loop {
            for thread in stopped.threads.iter_mut().skip(told) {
                if ptrace::interrupt(thread.number).is_err() {
                    thread.state = State::Gone;
                }
            }
            told = stopped.threads.len();
            while stopped.threads.iter().any(|thread| thread.state == State::Running) {
                let (number, report) = ptrace::wait(-1, deadline).ok_or_else(slow)?;
                stopped.note(number, report);
            }
            if !stopped.seize_new()? {
                break;
            }
        }
        stopped.threads.retain(|thread| thread.state == State::Stopped);
        for thread in &mut stopped.threads {
            thread.registers = ptrace::registers(thread.number).map_err(|_| Fault::Ended)?;
            thread.xsave = xsave(thread.number)?;
        }
        if stopped.main().is_none() {
            return Err(Fault::MainEnded);
        }
        Ok(stopped)
    }

    fn none(process: &'a Process, limit: Duration) -> Stopped<'a> {
        let since = Instant::now();
        Stopped { process, threads: Vec::new(), since, deadline: Deadline::of(since, limit) }
    }

    /// The main thread.
    pub(crate) fn main(&self) -> Option<&Thread> {
        self.threads.iter().find(|thread| thread.number == self.process.pid)
    }

    /// The main thread alone, for the time of one call: no longer than `limit`. Until it stops it is waited for so long.
    pub(crate) fn main_alone(
        process: &'a Process,
        patience: Duration,
        limit: Duration,
    ) -> Result<Stopped<'a>, Fault> {
        let mut stopped = Stopped::none(process, limit);
        stopped.seize(process.pid)?;
        let deadline = stopped.since + patience;
        ptrace::interrupt(process.pid).map_err(|_| Fault::Ended)?;
        while stopped.threads.iter().any(|thread| thread.state == State::Running) {
            let (number, report) =
                ptrace::wait(process.pid, deadline).ok_or(Fault::Slow(patience.as_millis()))?;
            stopped.note(number, report);
        }
        stopped.deadline = Deadline::of(Instant::now(), limit);
        for thread in stopped.threads.iter_mut().filter(|thread| thread.state == State::Stopped) {
            thread.registers = ptrace::registers(thread.number).map_err(|_| Fault::Ended)?;
            thread.xsave = xsave(thread.number)?;
        }
        stopped.threads.retain(|thread| thread.state == State::Stopped);
        if stopped.threads.is_empty() { Err(Fault::Ended) } else { Ok(stopped) }
    }

    /// All go on. Gives where they were.
    pub(crate) fn release(mut self) -> Vec<Thread> {
        self.let_go();
        std::mem::take(&mut self.threads)
    }

    /// All but the main one go on.
    pub(crate) fn release_others(&mut self) {
        let main = self.process.pid;
        self.threads.iter_mut().filter(|thread| thread.number != main).for_each(Thread::let_go);
    }

    fn let_go(&mut self) {
        self.threads.iter_mut().for_each(Thread::let_go);
    }

    fn note(&mut self, number: i32, report: Report) {
        let is_main = number == self.process.pid;
        let ours = |thread: &&mut Thread| thread.number == number && thread.state == State::Running;
        let Some(thread) = self.threads.iter_mut().find(ours) else { return };
        match report {
            Report::Ended => thread.state = State::Gone,
            Report::Stopped => thread.state = State::Stopped,
            // Calls are injected into the main thread, which must be where nothing is about to happen to it.
            Report::Signal(signal) if is_main => {
                if ptrace::go_on(number, signal).is_err() {
                    thread.state = State::Gone;
                }
            }
            Report::Signal(signal) => {
                thread.signal = signal;
                thread.state = State::Stopped;
            }
            Report::Cloned | Report::AtCall => {
                let _ = ptrace::go_on(number, 0);
            }
        }
    }

    /// Whether there were any that are not traced yet.
    fn seize_new(&mut self) -> Result<bool, Fault> {
        let mut found = false;
        for number in self.process.threads()? {
            if !self.threads.iter().any(|thread| thread.number == number) {
                found |= self.seize(number)?;
            }
        }
        Ok(found)
    }

    fn seize(&mut self, number: i32) -> Result<bool, Fault> {
        if let Err(error) = ptrace::seize(number) {
            let tracer = self.process.thread_status(number, "TracerPid").parse().unwrap_or(0);
            let state = self.process.thread_status(number, "State");
            return match error {
                _ if tracer > 0 => Err(Fault::Traced(tracer)),
                // A thread that ends cannot be traced any more.
                _ if state.is_empty() || state.starts_with(['Z', 'X']) => Ok(false),
                error => Err(Fault::Refused { what: "to stop it", error }),
            };
        }
        self.threads.push(Thread {
            number,
            state: State::Running,
            signal: 0,
            registers: Registers([0; heapimage::REGISTERS]),
            xsave: Vec::new(),
        });
        Ok(true)
    }
}

impl Thread {
    /// One that has not stopped is let go by the kernel, when this program ends.
    fn let_go(&mut self) {
        if self.state == State::Stopped {
            self.state = State::Gone;
            let _ = ptrace::detach(self.number, self.signal);
        }
    }
}

fn xsave(thread: i32) -> Result<Vec<u8>, Fault> {
    let mut bytes = ptrace::xsave(thread).map_err(Fault::Injection)?;
    arch::leave_out_tiles(&mut bytes);
    Ok(bytes)
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.let_go();
    }
}
