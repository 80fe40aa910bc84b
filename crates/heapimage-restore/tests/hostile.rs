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

use heapimage::{Header, Kind, ThreadRecord, register, thread_bytes};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::code::creator;
use support::{CODE, DATA, Image, PAGE, STACK, mapping};
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
