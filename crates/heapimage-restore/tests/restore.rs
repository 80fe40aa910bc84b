//! Processes of a few instructions, restored for real.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used
)]

mod support;

use heapimage::{FileRecord, Kind};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::code::{CRASH, caller, sleeper, that_writes};
use support::{CODE, DATA, Image, OUTPUT, PAGE, STACK, mapping, program, restore, restore_with};
use zerocopy::FromZeros;

#[test]
fn a_process_comes_back_and_writes() {
    let text: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    let restored = that_writes(&text).restore(&[]);
    assert_eq!((restored.status, restored.told("")), (Some(0), vec!["begins"]));
    assert!(restored.output == text);
}

#[test]
fn it_may_call_nothing_that_leaves_it() {
    let forbidden: &[(&str, [u64; 7])] = &[
        ("read", [0, 0, DATA, 1, 0, 0, 0]),
        ("open", [2, DATA, 0, 0, 0, 0, 0]),
        ("close", [3, 0, 0, 0, 0, 0, 0]),
        ("stat", [4, DATA, DATA, 0, 0, 0, 0]),
        ("poll", [7, 0, 0, 0, 0, 0, 0]),
        ("ioctl", [16, u64::from(OUTPUT), 0x541b, DATA, 0, 0, 0]),
        ("pwrite64", [18, u64::from(OUTPUT), DATA, 1, 0, 0, 0]),
        ("readv", [19, 0, DATA, 0, 0, 0, 0]),
        ("writev", [20, u64::from(OUTPUT), DATA, 0, 0, 0, 0]),
        ("access", [21, DATA, 0, 0, 0, 0, 0]),
        ("pipe", [22, DATA, 0, 0, 0, 0, 0]),
        ("shmget", [29, 0, 4096, 0o1600, 0, 0, 0]),
        ("dup", [32, u64::from(OUTPUT), 0, 0, 0, 0, 0]),
        ("dup2", [33, u64::from(OUTPUT), 1, 0, 0, 0, 0]),
        ("nanosleep", [35, DATA, 0, 0, 0, 0, 0]),
        ("setitimer", [38, 0, 0, 0, 0, 0, 0]),
        ("getpid", [39, 0, 0, 0, 0, 0, 0]),
        ("sendfile", [40, u64::from(OUTPUT), 0, 0, 1, 0, 0]),
        ("socket", [41, 2, 1, 0, 0, 0, 0]),
        ("connect", [42, u64::from(OUTPUT), DATA, 16, 0, 0, 0]),
        ("sendto", [44, u64::from(OUTPUT), DATA, 1, 0, 0, 0]),
        ("sendmsg", [46, u64::from(OUTPUT), DATA, 0, 0, 0, 0]),
        ("bind", [49, u64::from(OUTPUT), DATA, 16, 0, 0, 0]),
        ("socketpair", [53, 1, 1, 0, DATA, 0, 0]),
        ("clone", [56, 17, 0, 0, 0, 0, 0]),
        ("fork", [57, 0, 0, 0, 0, 0, 0]),
        ("vfork", [58, 0, 0, 0, 0, 0, 0]),
        ("execve", [59, DATA, 0, 0, 0, 0, 0]),
        ("wait4", [61, u64::MAX, 0, 1, 0, 0, 0]),
        ("kill", [62, 0, 0, 0, 0, 0, 0]),
        ("uname", [63, DATA, 0, 0, 0, 0, 0]),
        ("fcntl", [72, u64::from(OUTPUT), 1, 0, 0, 0, 0]),
        ("ftruncate", [77, u64::from(OUTPUT), 0, 0, 0, 0, 0]),
        ("getcwd", [79, DATA, 8, 0, 0, 0, 0]),
        ("chdir", [80, DATA, 0, 0, 0, 0, 0]),
        ("rename", [82, DATA, DATA, 0, 0, 0, 0]),
        ("mkdir", [83, DATA, 0, 0, 0, 0, 0]),
        ("link", [86, DATA, DATA, 0, 0, 0, 0]),
        ("unlink", [87, DATA, 0, 0, 0, 0, 0]),
        ("chmod", [90, DATA, 0, 0, 0, 0, 0]),
        ("getuid", [102, 0, 0, 0, 0, 0, 0]),
        ("setuid", [105, 0, 0, 0, 0, 0, 0]),
        ("ptrace", [101, 0, 0, 0, 0, 0, 0]),
        ("capset", [126, 0, 0, 0, 0, 0, 0]),
        ("mknod", [133, DATA, 0, 0, 0, 0, 0]),
        ("personality", [135, u64::MAX, 0, 0, 0, 0, 0]),
        ("prctl", [157, 15, DATA, 0, 0, 0, 0]),
        ("arch_prctl", [158, 0x1003, DATA, 0, 0, 0, 0]),
        ("chroot", [161, DATA, 0, 0, 0, 0, 0]),
        ("mount", [165, DATA, DATA, DATA, 0, 0, 0]),
        ("init_module", [175, DATA, 0, DATA, 0, 0, 0]),
        ("gettid", [186, 0, 0, 0, 0, 0, 0]),
        ("tkill", [200, 0, 0, 0, 0, 0, 0]),
        ("io_setup", [206, 1, DATA, 0, 0, 0, 0]),
        ("epoll_create", [213, 1, 0, 0, 0, 0, 0]),
        ("timer_create", [222, 0, 0, DATA, 0, 0, 0]),
        ("clock_settime", [227, 0, DATA, 0, 0, 0, 0]),
        ("tgkill", [234, 0, 0, 0, 0, 0, 0]),
        ("mq_open", [240, DATA, 0o102, 0o600, 0, 0, 0]),
        ("keyctl", [250, 0, 0, 0, 0, 0, 0]),
        ("openat", [257, u64::MAX - 99, DATA, 0, 0, 0, 0]),
        ("unlinkat", [263, u64::MAX - 99, DATA, 0, 0, 0, 0]),
        ("unshare", [272, 0, 0, 0, 0, 0, 0]),
        ("splice", [275, 0, 0, u64::from(OUTPUT), 0, 1, 0]),
        ("vmsplice", [278, u64::from(OUTPUT), DATA, 0, 0, 0, 0]),
        ("signalfd", [282, u64::MAX, DATA, 8, 0, 0, 0]),
        ("eventfd2", [290, 0, 0, 0, 0, 0, 0]),
        ("dup3", [292, u64::from(OUTPUT), 5, 0, 0, 0, 0]),
        ("perf_event_open", [298, DATA, 0, 0, 0, 0, 0]),
        ("prlimit64", [302, 0, 7, 0, DATA, 0, 0]),
        ("setns", [308, 0, 0, 0, 0, 0, 0]),
        ("process_vm_readv", [310, 1, 0, 0, 0, 0, 0]),
        ("process_vm_writev", [311, 1, 0, 0, 0, 0, 0]),
        ("finit_module", [313, 0, DATA, 0, 0, 0, 0]),
        ("seccomp", [317, 0, 0, 0, 0, 0, 0]),
        ("memfd_create", [319, DATA, 0, 0, 0, 0, 0]),
        ("bpf", [321, 0, DATA, 0, 0, 0, 0]),
        ("execveat", [322, u64::from(OUTPUT), DATA, 0, 0, 0x1000, 0]),
        ("userfaultfd", [323, 0, 0, 0, 0, 0, 0]),
        ("copy_file_range", [326, 0, 0, u64::from(OUTPUT), 0, 1, 0]),
        ("pwritev2", [328, u64::from(OUTPUT), DATA, 0, 0, 0, 0]),
        ("pidfd_send_signal", [424, 0, 0, 0, 0, 0, 0]),
        ("io_uring_setup", [425, 1, DATA, 0, 0, 0, 0]),
        ("io_uring_enter", [426, 0, 0, 0, 0, 0, 0]),
        ("open_tree", [428, 0, DATA, 0, 0, 0, 0]),
        ("pidfd_open", [434, 1, 0, 0, 0, 0, 0]),
        ("clone3", [435, DATA, 88, 0, 0, 0, 0]),
        ("openat2", [437, 0, DATA, DATA, 24, 0, 0]),
        ("pidfd_getfd", [438, 0, 0, 0, 0, 0, 0]),
        ("landlock_create_ruleset", [444, 0, 0, 1, 0, 0, 0]),
        ("memfd_secret", [447, 0, 0, 0, 0, 0, 0]),
        ("mmap of the output, shared", [9, 0, 4096, 3, 1, u64::from(OUTPUT), 0]),
        ("mmap of nothing, private", [9, 0, 4096, 3, 2, u64::MAX, 0]),
        ("a number of no call", [100_000, 0, 0, 0, 0, 0, 0]),
        ("write of the x32 ABI", [0x4000_0001, u64::from(OUTPUT), DATA, 1, 0, 0, 0]),
    ];
    let results = results_of(forbidden);
    let through: Vec<_> = forbidden
        .iter()
        .zip(results)
        .filter(|(_, result)| *result != -i64::from(EPERM))
        .map(|((name, _), result)| (name, result))
        .collect();
    assert_eq!(through, []);
}

const EPERM: i32 = 1;
const EAGAIN: i64 = 11;

#[test]
fn it_writes_to_its_output_and_to_standard_error_alone() {
    let write = |to: u64| ("write", [1, to, DATA, 0, 0, 0, 0]);
    // libuv takes any error but EAGAIN of a write to its own pipe for the end.
    let calls = [write(0), write(1), write(2), write(9), write(u64::from(OUTPUT))];
    assert_eq!(results_of(&calls), [-EAGAIN, -EAGAIN, 0, -EAGAIN, 0]);
}

#[test]
fn it_may_work_on_its_memory_and_read_the_clock() {
    let calls = [
        ("mmap", [9, 0, 4096, 3, 0x22, u64::MAX, 0]),
        ("mprotect", [10, DATA, 4096, 3, 0, 0, 0]),
        ("munmap", [11, STACK, 4096, 0, 0, 0, 0]),
        ("madvise", [28, DATA, 4096, 3, 0, 0, 0]),
        ("sched_yield", [24, 0, 0, 0, 0, 0, 0]),
        ("clock_gettime", [228, 1, DATA + 4000, 0, 0, 0, 0]),
        ("getrandom", [318, DATA + 4000, 8, 0, 0, 0, 0]),
        // FUTEX_WAKE of nobody.
        ("futex", [202, DATA + 4000, 1, 1, 0, 0, 0]),
    ];
    for ((name, _), result) in calls.iter().zip(results_of(&calls)) {
        assert!(result >= 0, "{name}: {result}");
    }
}

/// What each call gives in a restored process.
fn results_of(calls: &[(&str, [u64; 7])]) -> Vec<i64> {
    let count = calls.len() as u64;
    let words = std::iter::once(count).chain(calls.iter().flat_map(|(_, words)| *words));
    let data: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    let restored = Image::of(caller(), &data).restore(&[]);
    assert_eq!(restored.status, Some(0), "{}", restored.messages);
    assert_eq!(restored.output.len(), data.len());
    let word = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight"));
    restored.output[8..].chunks(56).map(|call| word(&call[..8])).collect()
}

#[test]
fn a_damaged_image_is_refused_wherever_it_is_damaged() {
    let bytes = that_writes(b"whole").bytes();
    for at in (0..bytes.len()).step_by(611) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let restored = restore(&flipped, &[]);
        assert_eq!(restored.status, Some(3), "byte {at}: {restored:?}");
        assert!(restored.output.is_empty());
    }
}

#[test]
fn a_cut_or_longer_image_is_refused() {
    let bytes = that_writes(b"whole").bytes();
    for length in [0, 7, 8, 8191, 8192, bytes.len() - PAGE, bytes.len() - 1] {
        let restored = restore(&bytes[..length], &[]);
        assert_eq!(restored.status, Some(3), "{length} bytes: {restored:?}");
        let word = if length < 8 { "not-an-image: " } else { "cut-short: " };
        assert!(
            restored.told("stop ")[0].starts_with(word),
            "{length} bytes: {}",
            restored.messages
        );
    }
    let longer = restore(&[bytes, vec![0; 10]].concat(), &[]);
    assert!(longer.told("stop ")[0].starts_with("malformed: "), "{longer:?}");
}

#[test]
fn a_machine_that_will_not_do_is_told_all_that_it_lacks() {
    let mut image = that_writes(b"text");
    image.header.machine.cpu = [u32::MAX; 8];
    image.mappings[0] = of_file(&mut image, "/nowhere/node", b"12345678");
    let restored = image.restore(&[]);
    assert_eq!(restored.status, Some(4));
    let words: Vec<_> = restored.told("lacks ").iter().map(|line| line.split(':').next()).collect();
    assert_eq!(words, [Some("cpu"), Some("file")], "{}", restored.messages);
    assert!(restored.messages.contains("/nowhere/node: cannot be opened (error 2); build-id 3132"));
}

#[test]
fn an_image_can_be_tried_on_a_lesser_cpu() {
    let mut image = that_writes(b"text");
    image.header.machine.cpu = [u32::MAX; 8];
    assert_eq!(image.restore(&["--ignore-cpu"]).output, b"text");
}

fn of_file(image: &mut Image, path: &str, build_id: &[u8]) -> heapimage::Mapping {
    let mut record = FileRecord::new_zeroed();
    record.path[..path.len()].copy_from_slice(path.as_bytes());
    record.path_bytes = path.len() as u32;
    record.build_id[..build_id.len()].copy_from_slice(build_id);
    record.build_id_bytes = build_id.len() as u32;
    image.files.push(record);
    let mut file = mapping(CODE, CODE + PAGE as u64, 5, Kind::File);
    file.file = image.files.len() as u32 - 1;
    file
}

#[test]
fn a_check_tells_what_the_image_is_and_restores_nothing() {
    let mut image = that_writes(b"text");
    image.header.node_version[..7].copy_from_slice(b"24.19.0");
    image.header.title[..5].copy_from_slice(b"a\nb\x1bc");
    let restored = image.restore(&["--check"]);
    assert_eq!(restored.status, Some(0));
    assert!(restored.output.is_empty());
    let told = restored.told("is ");
    for line in
        ["origin: child", "node: 24.19.0", "title: a\\nb\\u{1b}c", "pages: 2", "mappings: 3"]
    {
        assert!(told.contains(&line), "{line}\n{told:?}");
    }
}

#[test]
fn limits_of_the_process_are_told() {
    let mut image = that_writes(b"text");
    let reserved = mapping(0x6000_0000_0000, 0x6000_4000_0000, 0, Kind::Memory);
    image.mappings.insert(2, reserved);
    let image = image.bytes();
    for (limit, word) in [("-v 1000000", "address-space: "), ("-n 20", "descriptors: ")] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {limit}; exec \"$0\""), &program().to_string_lossy()]);
        let restored = restore_with(&image, shell);
        assert_eq!(restored.status, Some(4), "{restored:?}");
        assert!(restored.told("lacks ")[0].starts_with(word), "{}", restored.messages);
    }
}

#[test]
fn a_crash_is_the_end_of_it() {
    let restored = Image::of(CRASH, &[0; 8]).restore(&[]);
    assert_eq!((restored.status, restored.told("")), (None, vec!["begins"]));
}

#[test]
fn it_ends_with_whoever_started_it() {
    let file = support::file_of(&Image::of(sleeper(), &[0; 8]).bytes());
    let script = "exec 3<&0; \"$0\" <&3 2>&1 >/dev/null & echo $!; wait";
    let mut shell = Command::new("sh")
        .args(["-c".as_ref(), script.as_ref(), program().as_os_str()])
        .stdin(file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut lines = BufReader::new(shell.stdout.take().expect("a pipe")).lines();
    let pid = lines.next().expect("a line").expect("text");
    assert!(lines.any(|line| line.expect("text") == "begins"));
    shell.kill().expect("ended");
    shell.wait().expect("its end");
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S"))
    };
    let start = Instant::now();
    while runs() {
        assert!(start.elapsed() < Duration::from_secs(60), "{pid} runs on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn it_has_nobodys_rights_and_goes_first_where_memory_runs_short() {
    let mut restored = Command::new(program())
        .stdin(support::file_of(&Image::of(sleeper(), &[0; 8]).bytes()))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut lines = BufReader::new(restored.stderr.take().expect("a pipe")).lines();
    assert!(lines.any(|line| line.expect("text") == "begins"));
    let about = |name: &str| {
        std::fs::read_to_string(format!("/proc/{}/{name}", restored.id())).expect("a process")
    };
    // The filter is the last thing after that line.
    let start = Instant::now();
    while !about("status").contains("\nSeccomp:\t2") {
        assert!(start.elapsed() < Duration::from_secs(60), "no filter: {}", about("status"));
        std::thread::sleep(Duration::from_millis(1));
    }
    let (status, limits) = (about("status"), about("limits"));
    let adjustment = about("oom_score_adj");
    restored.kill().expect("ended");
    restored.wait().expect("its end");
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    let own = std::fs::read_to_string("/proc/self/status").expect("this process");
    if own.contains("\nUid:\t0\t") {
        assert_eq!(line("Uid:"), ["65534"; 4]);
        assert_eq!(line("Gid:"), ["65534"; 4]);
        assert_eq!(line("Groups:"), [""; 0]);
    }
    assert_eq!(line("CapEff:"), ["0000000000000000"]);
    assert_eq!((line("NoNewPrivs:"), line("Seccomp:")), (vec!["1".into()], vec!["2".into()]));
    assert_eq!(adjustment.trim(), "1000");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("it");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

#[test]
fn an_area_of_restartable_sequences_comes_back_without_one() {
    const PLACE: usize = 2048;
    // `rseq_cs`: where the kernel would read to where it jumps (rseq(2)).
    const SEQUENCE: usize = 8;
    let mut text = vec![0; PAGE - 8];
    let at = PLACE - 8 + SEQUENCE;
    text[at..at + 8].copy_from_slice(&CODE.to_le_bytes());
    let mut image = that_writes(&text);
    image.header.memory.rseq_address = DATA + PLACE as u64;
    image.header.memory.rseq_bytes = 32;
    let restored = image.restore(&[]);
    assert_eq!(restored.status, Some(0), "{restored:?}");
    assert_eq!(restored.output[at..at + 8], [0; 8]);
}
