//! System calls that the main thread of a stopped process makes for us.
//!
//! *Invariant*: nothing is injected before the frames are written. Wherever this program is killed from then on, the thread goes
//! on with its own registers and its own signal mask, and a copy that was made ends.

use super::arch::{Frames, Gadgets, Registers, number};
use super::dying::may_die;
use super::fault::Fault;
use super::maps::Row;
use super::process::Process;
use super::ptrace::{self, Report, option};
use super::stop::Thread;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// A call that does not come back in that time is left to the frames.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of the main thread's stack that must be there below the frames.
const SPARE: u64 = 256;
/// All signals but SIGSYS: the kernel ends a process whose filter answers a call with one that is blocked (`force_sig_info`).
const HELD_BACK: u64 = !(1 << (libc::SIGSYS - 1));

/// What is injected, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Mappings may be copied for children: madvise(2), MADV_DOFORK.
    LetCopy { start: u64, end: u64 },
    /// Mappings are kept from children, as they were: madvise(2), MADV_DONTFORK.
    KeepFromChildren { start: u64, end: u64 },
    /// The copy: clone(2).
    Copy { flags: u64 },
    /// A dead copy is taken away: wait4(2).
    TakeAway { child: i64 },
}

impl Call {
    fn parts(self, copy_stack: u64) -> (u64, [u64; 3]) {
        const DONTFORK: u64 = 10;
        const DOFORK: u64 = 11;
        /// WNOHANG, __WALL.
        const HOW: u64 = 1 | 0x4000_0000;
        match self {
            Call::LetCopy { start, end } => (number::MADVISE, [start, end - start, DOFORK]),
            Call::KeepFromChildren { start, end } => {
                (number::MADVISE, [start, end - start, DONTFORK])
            }
            Call::Copy { flags } => (number::CLONE, [flags, copy_stack, 0]),
            // The fourth argument is where its use of resources is told: nowhere.
            Call::TakeAway { child } => (number::WAIT4, [child.cast_unsigned(), 0, HOW]),
        }
    }
}

/// The main thread, prepared.
pub(crate) struct Injector {
    main: i32,
    own: Registers,
    mask: u64,
    frames: Frames,
    gadgets: Gadgets,
    /// Of ptrace(2), while there are calls.
    options: usize,
    /// Registers were changed.
    has_begun: bool,
    /// It is not stopped where it can be put back.
    is_lost: bool,
    calls: u32,
    /// Signals that it gets when it has its own registers again.
    held: Vec<i32>,
    /// The copy that was born meanwhile.
    pub(crate) copy: Option<i32>,
}

impl Injector {
    /// Writes the frames; `calls` were made before. `None` where the thread is at a place where nothing may be written or injected: on another stack than
    /// its own (a signal's handler), with no room below it, or in a critical section of rseq(2), which would not begin again.
    pub(crate) fn prepare(
        process: &Process,
        main: &Thread,
        rows: &[Row],
        gadgets: Gadgets,
        calls: u32,
    ) -> Result<Option<Injector>, Fault> {
        let mask = ptrace::mask(main.number).map_err(Fault::Injection)?;
        let frames = Frames::of(&main.registers, mask, &main.xsave, gadgets);
        let top = main.registers.stack();
        let stack = rows.iter().find(|row| row.is_stack() && row.start <= top && top < row.end);
        let has_room = stack.is_some_and(|row| row.start + SPARE <= frames.lowest);
        if !has_room || is_in_critical_section(process, main) {
            return Ok(None);
        }
        for (at, bytes) in &frames.parts {
            if process.memory.write_all_at(bytes, *at).is_err() {
                return Ok(None);
            }
        }
        Ok(Some(Injector {
            main: main.number,
            own: main.registers,
            mask,
            frames,
            gadgets,
            options: option::MARKED_CALLS | option::CLONES,
            has_begun: false,
            is_lost: false,
            calls,
            held: Vec::new(),
            copy: None,
        }))
    }

    /// Its seccomp filter does not see the calls: for those whom the kernel lets suspend it (CAP_SYS_ADMIN). Whether it does.
    pub(crate) fn suspend_filter(&mut self) -> bool {
        let options = self.options | option::NO_FILTER;
        let is_done = ptrace::set_options(self.main, options).is_ok();
        if is_done {
            self.options = options;
        }
        is_done
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Makes one call; what it answers.
    pub(crate) fn call(&mut self, call: Call) -> Result<i64, Fault> {
        let (number, arguments) = call.parts(self.frames.copy_stack);
        let at = self.gadgets.call;
        let registers = self.own.calling(number, arguments, at, self.frames.stack);
        self.calls += 1;
        may_die(self.calls, 0);
        ptrace::set_registers(self.main, &registers).map_err(|error| self.lose(error))?;
        if !self.has_begun {
            self.has_begun = true;
            may_die(self.calls, 1);
            // Behind the registers: from now on the frame gives the mask back, too.
            ptrace::set_mask(self.main, HELD_BACK).map_err(|error| self.lose(error))?;
            ptrace::set_options(self.main, self.options).map_err(|error| self.lose(error))?;
        }
        may_die(self.calls, 2);
        let answer = self.run_to_answer()?;
        may_die(self.calls, 6);
        Ok(answer)
    }

    /// The thread goes to the call, and through it.
    fn run_to_answer(&mut self) -> Result<i64, Fault> {
        let deadline = Instant::now() + LIMIT;
        let (mut seen, mut signal) = (0, 0);
        let at = self.gadgets.call;
        loop {
            ptrace::go_on_to_call(self.main, signal).map_err(|error| self.lose(error))?;
            signal = 0;
            may_die(self.calls, 3 + seen);
            let Some((_, report)) = ptrace::wait(self.main, deadline) else {
                self.is_lost = true;
                return Err(Fault::Lost);
            };
            match report {
                Report::Ended => return Err(self.lose(libc::ESRCH)),
                Report::Cloned => self.copy = ptrace::cloned(self.main).ok(),
                Report::AtCall => seen += 1,
                Report::Signal(libc::SIGSTOP) => signal = libc::SIGSTOP,
                // The instruction is not what it was.
                Report::Signal(libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE) => {
                    return Err(Fault::Injection(libc::EFAULT));
                }
                // Its filter's answer to our call, which was not made.
                Report::Signal(libc::SIGSYS) | Report::Stopped => {}
                // None is delivered on our frame: its handler would be left half-way by the next registers. What was about to be
                // delivered when the mask was set comes here all the same (before Linux 5.2).
                Report::Signal(other) => self.held.push(other),
            }
            if seen == 2 {
                let registers = ptrace::registers(self.main).map_err(|error| self.lose(error))?;
                if registers.is_behind(at) {
                    return Ok(registers.answer());
                }
                self.is_lost = true;
                return Err(Fault::Lost);
            }
        }
    }

    /// Puts back mask and registers.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        self.put_back()
    }

    fn put_back(&mut self) -> Result<(), Fault> {
        if !self.has_begun || self.is_lost {
            return Ok(());
        }
        self.has_begun = false;
        may_die(self.calls, 7);
        let _ = ptrace::set_options(self.main, 0);
        ptrace::set_mask(self.main, self.mask).map_err(|error| self.lose(error))?;
        may_die(self.calls, 8);
        let put_back = ptrace::set_registers(self.main, &self.own.going_back());
        for signal in self.held.drain(..) {
            ptrace::send(self.main, signal);
        }
        put_back.map_err(|error| self.lose(error))
    }

    fn lose(&mut self, error: i32) -> Fault {
        self.is_lost = true;
        if error == libc::ESRCH { Fault::Ended } else { Fault::Injection(error) }
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        let _ = self.put_back();
    }
}

/// Whether the thread is inside of a critical section (`struct rseq_cs` in linux/rseq.h: the kernel takes it back to its beginning
/// when it was interrupted there, which it would not notice behind our registers).
fn is_in_critical_section(process: &Process, main: &Thread) -> bool {
    const CRITICAL_SECTION: u64 = 8;
    let Some(area) = ptrace::rseq(main.number) else { return false };
    let Some(section @ 1..) = process.word(area + CRITICAL_SECTION) else { return false };
    let (Some(start), Some(length)) = (process.word(section + 8), process.word(section + 16))
    else {
        return true;
    };
    main.registers.instruction().wrapping_sub(start) < length
}
