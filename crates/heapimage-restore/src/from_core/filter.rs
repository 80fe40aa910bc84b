//! The filter of a core's continuation (seccomp(2)): what would leave the process traps, and [`super::trap`] decides.

use super::threads::CLONE_FLAGS;
use super::trap::{ALLOWED, more};
use crate::arch::{AUDIT_ARCHITECTURE, number};
use crate::stop::Stop;
use crate::system::MESSAGES;
use crate::system::bpf::{
    ALLOW, ARCHITECTURE, AT_LEAST, EQUAL, FIRST_ARGUMENT, FOURTH_ARGUMENT, HAS, INSTRUCTION,
    Instruction, KILL, MAP_ANONYMOUS, NUMBER, Of, TRAP, end, jump, load, set, test,
};
use heapimage::FLOOR;

const HEAD: usize = 4;
/// Tests for mmap(2) and for this program's own calls, and two ends.
const TAIL: usize = 20;
const LENGTH: usize = HEAD + ALLOWED.len() + TAIL;

/// Sets the filter, for good. Only this program itself may write, to `output` and to standard error, and end the process;
/// and until [`end_threads`] it may make threads, which have the same filter.
///
/// # Errors
///
/// [`Stop::Refused`] where the kernel has no filters.
///
/// # Safety
///
/// The handler of SIGSYS is set.
pub(super) unsafe fn shut_in(output: u32) -> Result<(), Stop> {
    // SAFETY: as the caller says.
    unsafe { set(&program(output), Of::AllThreads) }
}

/// From here on nobody makes threads or filters: a second filter beside the first, on all threads.
///
/// # Errors
///
/// [`Stop::Refused`].
///
/// # Safety
///
/// The handler of SIGSYS is set.
pub(super) unsafe fn end_threads() -> Result<(), Stop> {
    // SAFETY: as the caller says.
    unsafe { set(&SECOND, Of::AllThreads) }
}

#[expect(clippy::cast_possible_truncation, reason = "it is in the low word")]
const FLOOR_WORD: u32 = {
    assert!(FLOOR <= u32::MAX as u64);
    FLOOR as u32
};

/// What the first filter lets through for the beginning alone.
const SECOND: [Instruction; 5] = [
    load(NUMBER),
    test(EQUAL, more::CLONE, 2, 0),
    test(EQUAL, number::SECCOMP, 1, 0),
    end(ALLOW),
    end(TRAP),
];

fn program(output: u32) -> [Instruction; LENGTH] {
    let mut program = [end(TRAP); LENGTH];
    let (trap, allow) = (LENGTH - 2, LENGTH - 1);
    let to = jump;
    program[0] = load(ARCHITECTURE);
    program[1] = test(EQUAL, AUDIT_ARCHITECTURE, 1, 0);
    program[2] = end(KILL);
    program[3] = load(NUMBER);
    for (index, &number) in ALLOWED.iter().enumerate() {
        program[HEAD + index] = test(EQUAL, number, to(HEAD + index, allow), 0);
    }
    // Memory of nobody's: what is mapped of a descriptor, shared, is written to the file.
    let map = HEAD + ALLOWED.len();
    program[map] = test(EQUAL, number::MMAP, 0, 2);
    program[map + 1] = load(FOURTH_ARGUMENT);
    program[map + 2] = test(HAS, MAP_ANONYMOUS, to(map + 2, allow), to(map + 2, trap));
    // From an instruction of this program, which lies below FLOOR: both words are compared.
    let own = map + 3;
    program[own] = load(INSTRUCTION + 4);
    program[own + 1] = test(EQUAL, 0, 0, to(own + 1, trap));
    program[own + 2] = load(INSTRUCTION);
    program[own + 3] = test(AT_LEAST, FLOOR_WORD, to(own + 3, trap), 0);
    program[own + 4] = load(NUMBER);
    program[own + 5] = test(EQUAL, number::EXIT_GROUP, to(own + 5, allow), 0);
    program[own + 6] = test(EQUAL, more::RT_SIGRETURN, to(own + 6, allow), 0);
    program[own + 7] = test(EQUAL, number::SECCOMP, to(own + 7, allow), 0);
    program[own + 8] = test(EQUAL, more::CLONE, 0, 2);
    // The kernel looks at the low word of flags and descriptors alone, too.
    program[own + 9] = load(FIRST_ARGUMENT);
    program[own + 10] = test(EQUAL, CLONE_FLAGS, to(own + 10, allow), to(own + 10, trap));
    program[own + 11] = test(EQUAL, number::WRITE, 0, to(own + 11, trap));
    program[own + 12] = load(FIRST_ARGUMENT);
    program[own + 13] = test(EQUAL, output, to(own + 13, allow), 0);
    program[own + 14] = test(EQUAL, MESSAGES.0, to(own + 14, allow), 0);
    program[allow] = end(ALLOW);
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::bpf::{LOAD, RETURN};

    const OUTPUT: u32 = 1;
    const OWN: u64 = 0x10_1234;
    const APPLICATION: u64 = 0x7f00_0010_1234;

    /// What the kernel does with a call in a filter, carried out (linux/filter.h). The argument is the first and the fourth.
    fn decided_by(
        program: &[Instruction],
        architecture: u32,
        number: u32,
        from: u64,
        argument: u64,
    ) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let Instruction { code, when_true, otherwise, value: operand } = program[at];
            let is = match code {
                LOAD => {
                    let word = |words: u64, at: u32| (words >> (8 * at) & 0xffff_ffff) as u32;
                    value = match operand {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        INSTRUCTION | 12 => word(from, operand - INSTRUCTION),
                        FIRST_ARGUMENT | FOURTH_ARGUMENT => word(argument, 0),
                        other => panic!("it reads at {other}"),
                    };
                    at += 1;
                    continue;
                }
                RETURN => return operand,
                EQUAL => value == operand,
                HAS => value & operand != 0,
                AT_LEAST => value >= operand,
                other => panic!("instruction {other:#x}"),
            };
            at += 1 + usize::from(if is { when_true } else { otherwise });
        }
    }

    /// Of both filters the stricter one, as the kernel takes it.
    fn decided(architecture: u32, number: u32, from: u64, argument: u64) -> u32 {
        let by = |program: &[_]| decided_by(program, architecture, number, from, argument);
        match (by(&program(OUTPUT)), by(&SECOND)) {
            (ALLOW, second) => second,
            (first, _) => first,
        }
    }

    fn of(number: u32, from: u64, argument: u64) -> u32 {
        decided(AUDIT_ARCHITECTURE, number, from, argument)
    }

    #[test]
    fn memory_and_waiting_are_for_all() {
        for number in ALLOWED {
            assert_eq!(of(number, APPLICATION, 0), ALLOW, "{number}");
        }
    }

    #[test]
    fn everything_else_of_the_application_traps() {
        for number in (0..500).filter(|number| !ALLOWED.contains(number)) {
            assert_eq!(of(number, APPLICATION, u64::from(OUTPUT)), TRAP, "{number}");
            assert_eq!(of(number, APPLICATION, u64::from(CLONE_FLAGS & !0x20)), TRAP, "{number}");
        }
    }

    #[test]
    fn this_program_writes_to_the_output_and_ends() {
        let own = |number, argument| of(number, OWN, argument);
        assert_eq!(
            [own(number::WRITE, 1), own(number::WRITE, 2), own(number::EXIT_GROUP, 0)],
            [ALLOW; 3]
        );
        assert_eq!([own(number::WRITE, 3), own(number::OPEN, 1), own(more::CLONE, 1)], [TRAP; 3]);
    }

    #[test]
    fn memory_is_mapped_of_no_descriptor() {
        const SHARED: u64 = 1;
        for from in [OWN, APPLICATION] {
            assert_eq!(of(number::MMAP, from, SHARED | u64::from(MAP_ANONYMOUS)), ALLOW);
            assert_eq!(of(number::MMAP, from, SHARED), TRAP);
        }
    }

    #[test]
    fn only_the_beginning_makes_threads_and_of_one_kind() {
        let first = |number, from, argument| {
            decided_by(&program(OUTPUT), AUDIT_ARCHITECTURE, number, from, argument)
        };
        let flags = u64::from(CLONE_FLAGS);
        assert_eq!(first(more::CLONE, OWN, flags), ALLOW);
        assert_eq!(first(number::SECCOMP, OWN, 1), ALLOW);
        // fork(2), and a thread without the same memory.
        assert_eq!([17, flags & !0x100].map(|flags| first(more::CLONE, OWN, flags)), [TRAP; 2]);
        assert_eq!(first(more::CLONE, APPLICATION, flags), TRAP);
        assert_eq!(first(number::SECCOMP, APPLICATION, 1), TRAP);
        let later = [(more::CLONE, flags), (number::SECCOMP, 1)];
        assert_eq!(later.map(|(number, argument)| of(number, OWN, argument)), [TRAP; 2]);
    }

    #[test]
    fn an_address_whose_low_word_alone_is_ours_is_not_ours() {
        assert_eq!(of(number::WRITE, 0x1_0010_1234, 1), TRAP);
        assert_eq!(of(number::WRITE, FLOOR, 1), TRAP);
    }

    #[test]
    fn calls_of_32_bits_end_the_process() {
        assert_eq!(decided(0x4000_0003, number::MMAP, OWN, 1), KILL);
    }
}
