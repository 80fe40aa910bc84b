//! Images of somebody who wants more than their memory back: of cores (threads, functions), of files.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used
)]

mod support;

use heapimage::{FileRecord, Header, Kind, Mapping, ThreadRecord, register, thread_bytes};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::code::{caller, creator, sleeper, that_writes};
use support::{CODE, DATA, Image, PAGE, STACK, file_of, mapping, program, restore_with};
use tempfile::TempDir;
use zerocopy::{FromZeros, IntoBytes};

const THREADS: u64 = 0x6000_0000_0000;
const XSAVE_BYTES: u32 = 576;
/// Inside of the restorer, which lies from 1 MiB to below 4 MiB.
const RESTORER: u64 = 0x20_b03f;

/// A core whose every function, and every thread of these stack pointers, creates the file of that path.
fn core(path: &Path, stacks: &[u64]) -> Image {
    let mut image = Image::of(creator(), &[path.as_os_str().as_bytes(), b"\0"].concat());
    image.header.origin = 1;
    image.header.entry.function = 0;
    image.header.v8.current_isolate = CODE;
    image.header.machine.xsave_bytes = XSAVE_BYTES;
    let stride = thread_bytes(XSAVE_BYTES);
    image.header.entry.threads = THREADS;
    image.header.entry.thread_count = stacks.len() as u32;
    let end = THREADS + stride * stacks.len().max(1) as u64;
    image.mappings.insert(2, mapping(THREADS, end, 3, Kind::Memory));
    for (at, stack) in (0..).zip(stacks) {
        let mut record = ThreadRecord::new_zeroed();
        record.registers[register::RSP] = *stack;
        record.registers[register::RIP] = CODE;
        // The low words that are put below the red zone: all ones open every gate.
        record.registers[register::FLAGS] = 0x0101_0101_0101_0001;
        image.pages.push((THREADS + at * stride, record.as_bytes().to_vec()));
    }
    image
}

/// A directory where everybody may create files.
fn open_directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("its mode");
    let path = directory.path().join("created");
    (directory, path)
}

fn is_malformed(image: &Image, what: &str) {
    let restored = image.restore(&[]);
    assert_eq!(restored.status, Some(3), "{what}: {restored:?}");
    assert!(restored.told("stop ")[0].starts_with("malformed: "), "{what}: {restored:?}");
}

#[test]
fn a_core_runs_nothing_outside_of_the_filter() {
    let (_directory, path) = open_directory();
    // The main thread; and others, which wait for the filter.
    for stacks in [&[][..], &[STACK + 4096, STACK + 4096, STACK + 8192]] {
        let restored = core(&path, stacks).restore(&[]);
        assert_eq!(restored.status, Some(5), "{restored:?}");
        assert!(restored.messages.contains("begins"), "{restored:?}");
        assert!(!path.exists());
    }
}

#[test]
fn a_thread_whose_stack_is_elsewhere_is_refused() {
    let (_directory, path) = open_directory();
    let end = STACK + 2 * PAGE as u64;
    let wrong = [0, 8, 143, RESTORER + 144, 0x40_0000, CODE + 1024, DATA + 100, THREADS - 8];
    for stack in wrong.into_iter().chain([end + 8, u64::MAX, 1 << 63]) {
        is_malformed(&core(&path, &[STACK + 4096, stack]), &format!("{stack:#x}"));
    }
    assert!(!path.exists());
}

#[test]
fn records_of_threads_outside_of_one_mapping_are_refused() {
    let (_directory, path) = open_directory();
    let refused = |what: &str, change: fn(&mut Header)| {
        let mut image = core(&path, &[STACK + 4096]);
        change(&mut image.header);
        is_malformed(&image, what);
    };
    refused("no address", |header| header.entry.threads = 0);
    refused("the restorer", |header| header.entry.threads = 0x20_0000);
    refused("code", |header| header.entry.threads = CODE);
    refused("a stack", |header| header.entry.threads = STACK);
    refused("no whole page", |header| header.entry.threads += 8);
    refused("behind the end", |header| header.entry.threads += 4096);
    refused("the end of all", |header| header.entry.threads = u64::MAX << 12);
    refused("one too many", |header| header.entry.thread_count += 1);
    refused("many", |header| header.entry.thread_count = 4097);
    refused("all", |header| header.entry.thread_count = u32::MAX);
    refused("no registers", |header| header.machine.xsave_bytes = 0);
    refused("long registers", |header| header.machine.xsave_bytes = (1 << 20) + 1);
    refused("endless registers", |header| header.machine.xsave_bytes = u32::MAX);
    refused("threads of a child", |header| (header.origin, header.entry.function) = (0, CODE));
    assert!(!path.exists());
}

/// A process whose code is mapped of a file of that build-id, and which writes `text`.
fn of_file(path: &Path, build_id: &[u8]) -> Image {
    let mut image = that_writes(b"text");
    let mut record = FileRecord::new_zeroed();
    let path = path.as_os_str().as_bytes();
    record.path[..path.len()].copy_from_slice(path);
    record.path_bytes = path.len() as u32;
    record.build_id[..build_id.len()].copy_from_slice(build_id);
    record.build_id_bytes = build_id.len() as u32;
    image.files.push(record);
    image.mappings[0].kind = Mapping::kind_number(Kind::File);
    image.mappings[0].file = 0;
    image
}

const BUILD_ID: &[u8] = b"a build-id of these!";

/// An ELF file with nothing but its build-id.
fn elf() -> Vec<u8> {
    let mut file = vec![0; PAGE];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[32..40].copy_from_slice(&64_u64.to_le_bytes());
    file[54..56].copy_from_slice(&56_u16.to_le_bytes());
    file[56..58].copy_from_slice(&1_u16.to_le_bytes());
    let note = [&[4_u32, 20, 3].map(u32::to_le_bytes).concat(), &b"GNU\0"[..], BUILD_ID].concat();
    file[64..68].copy_from_slice(&4_u32.to_le_bytes());
    file[72..80].copy_from_slice(&256_u64.to_le_bytes());
    file[96..104].copy_from_slice(&(note.len() as u64).to_le_bytes());
    file[256..256 + note.len()].copy_from_slice(&note);
    file
}

#[test]
fn a_file_without_a_build_id_is_not_mapped() {
    let (_directory, path) = open_directory();
    fs::write(&path, b"somebody's text").expect("written");
    is_malformed(&of_file(&path, b""), "no build-id");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let (_directory, path) = open_directory();
    let made = Command::new("mkfifo").arg("-m").arg("666").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    for path in [&*path, Path::new("/dev/zero"), Path::new("/tmp")] {
        for arguments in [&[][..], &["--check"], &["--file", path.to_str().expect("text")]] {
            let restored = of_file(path, BUILD_ID).restore(arguments);
            assert_eq!(restored.status, Some(4), "{restored:?}");
            let told = restored.told("lacks ")[0];
            assert!(told.contains(": is no file; the image's has build-id 6120"), "{told}");
        }
    }
}

#[test]
fn roots_own_files_are_mapped_only_where_the_command_names_them() {
    let (_directory, path) = open_directory();
    fs::write(&path, elf()).expect("written");
    assert_eq!(of_file(&path, BUILD_ID).restore(&[]).output, b"text");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    for arguments in [&[][..], &["--check"]] {
        let restored = of_file(&path, BUILD_ID).restore(arguments);
        assert_eq!(restored.status, Some(if is_root() { 4 } else { 0 }), "{restored:?}");
        assert_eq!(
            restored.messages.contains("root restores as nobody"),
            is_root(),
            "{restored:?}"
        );
    }
    // As the command restores a core, whose files it has opened itself.
    assert_eq!(of_file(&path, BUILD_ID).restore(&["--made-here"]).output, b"text");
    assert_eq!(of_file(&path, b"another").restore(&["--made-here"]).status, Some(4));
    let named = of_file(&path, BUILD_ID).restore(&["--file", path.to_str().expect("text")]);
    assert_eq!(named.output, b"text", "{named:?}");
    let other = of_file(&path, b"another").restore(&["--file", path.to_str().expect("text")]);
    assert_eq!(other.status, Some(4), "{other:?}");
}

#[test]
fn what_was_open_is_closed_and_never_mapped() {
    let (_directory, path) = open_directory();
    fs::write(&path, b"precious").expect("written");
    let words = [1, 9, 0, 4096, 3, 1, 9, 0_u64];
    let image = Image::of(caller(), &words.map(u64::to_le_bytes).concat());
    let script = "exec 9<>\"$1\"; exec \"$0\"";
    let mut shell = Command::new("sh");
    shell.args(["-c".as_ref(), script.as_ref(), program().as_os_str(), path.as_os_str()]);
    let restored = restore_with(&image.bytes(), shell);
    assert_eq!(restored.output[8..16], (-1_i64).to_le_bytes(), "EPERM");

    let mut shell = Command::new("sh")
        .args(["-c".as_ref(), script.as_ref(), program().as_os_str(), path.as_os_str()])
        .stdin(file_of(&Image::of(sleeper(), &[0; 8]).bytes()))
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut lines = BufReader::new(shell.stderr.take().expect("a pipe")).lines();
    assert!(lines.any(|line| line.expect("text") == "begins"));
    let open = fs::read_dir(format!("/proc/{}/fd", shell.id())).map(|entries| {
        let number = |entry: std::io::Result<fs::DirEntry>| entry.expect("one").file_name();
        entries.map(number).map(|name| name.into_string().expect("a number")).collect::<Vec<_>>()
    });
    shell.kill().expect("ended");
    shell.wait().expect("its end");
    let mut open = open.expect("its descriptors");
    open.sort_unstable();
    assert_eq!(open, ["2", "23"]);
}

#[test]
fn a_map_leads_into_a_directory_that_only_its_user_can_reach() {
    let closed = tempfile::tempdir().expect("a directory, for its owner alone");
    let root = closed.path().join("rootfs");
    fs::create_dir_all(root.join("usr/bin")).expect("directories");
    fs::write(root.join("usr/bin/node"), elf()).expect("written");
    let root = root.to_str().expect("text");
    let image = of_file(Path::new("/usr/bin/node"), BUILD_ID);
    for map in [
        format!("/={root}"),
        format!("/usr/={root}/usr/"),
        format!("/usr/bin/node={root}/usr/bin/node"),
    ] {
        let restored = image.restore(&["--map", &map]);
        assert_eq!(restored.output, b"text", "{map}: {restored:?}");
    }
    // The rest of the path is the image's choice: it is followed as nobody.
    let secret = closed.path().join("secret");
    fs::write(&secret, elf()).expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode");
    let escaping = of_file(Path::new("/../../../secret"), BUILD_ID);
    let restored = escaping.restore(&["--map", &format!("/={root}/usr/bin")]);
    assert_eq!(restored.messages.contains("root restores as nobody"), is_root(), "{restored:?}");
    assert_eq!(restored.status, Some(if is_root() { 4 } else { 0 }), "{restored:?}");
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").expect("it").contains("\nUid:\t0\t")
}
