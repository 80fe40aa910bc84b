//! The child that writes a heap image, and what goes on where the image is restored.

use super::{Embed, Output, Request};
use crate::error::SnapshotError;
use crate::process::{
    FileNames, ImageOptions, ImagePlan, NameBuffers, NoImage, Restored, exit_now, write_restored,
};
use crate::v8::{
    self, ChunkSink, Isolate, SnapshotOptions, Workerless, lift_heap_limit, take_heap_snapshot,
};
use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::sync::OnceLock;

/// `process.version`, as this process' first environment knows it.
static NODE_VERSION: OnceLock<String> = OnceLock::new();

/// Keeps `process.version`, without the `v`, for images.
pub(crate) fn remember_node(version: impl FnOnce() -> String) {
    NODE_VERSION.get_or_init(version);
}

/// Makes what a child needs to write an image into `output` (and whether its file cache is to stay small), or beside its
/// snapshot where that is `None`.
///
/// # Errors
///
/// [`SnapshotError::ImageUnsupported`], or [`SnapshotError::NoMemoryForImage`] where its buffers cannot be had;
/// [`SnapshotError::Encrypt`].
pub(super) fn plan_image(
    request: &Request,
    embed: Embed,
    output: Option<(&Output, bool)>,
) -> Result<ImagePlan, SnapshotError> {
    let packed = output.is_some() && request.options.compression.is_some();
    // What a test compares with its twin is in clear.
    let recipients = match output {
        Some(_) => request.options.recipients()?,
        None => None,
    };
    let sealed = recipients.map(|recipients| recipients.begin()).transpose();
    let options = ImageOptions {
        embed_all: embed == Embed::All,
        packed,
        sealed: sealed.map_err(|error| SnapshotError::Encrypt(error.to_string()))?,
        small_cache: output.is_some_and(|(_, small_cache)| small_cache),
        node_version: NODE_VERSION.get().map_or("", String::as_str),
        v8_version: &v8::version().unwrap_or_default(),
        names: output.and_then(|(output, _)| file_names(output)),
    };
    ImagePlan::make(&options).map_err(|error| match error {
        NoImage::Unsupported(reason) => SnapshotError::ImageUnsupported(reason.into()),
        NoImage::NoMemory(error) => SnapshotError::NoMemoryForImage(error.to_string()),
    })
}

fn file_names(output: &Output) -> Option<FileNames> {
    match output {
        Output::File(target) => target.names_for_child(),
        Output::Device(..) | Output::Pipe(_) => None,
    }
}

/// What the restored process does: what the child would have done.
pub(super) struct Continuation {
    pub(super) isolate: Isolate,
    pub(super) options: SnapshotOptions,
    pub(super) workerless: Option<&'static Workerless>,
    pub(super) name_buffers: Option<&'static NameBuffers>,
    /// What the restorer puts the snapshot's file at.
    pub(super) output: RawFd,
}

/// Statuses that a restored process ends with; `crates/heapimage-restore` has others.
const WRITTEN: i32 = 0;
const NO_SNAPSHOT: i32 = 5;
const NOT_WRITTEN: i32 = 6;

impl Restored for Continuation {
    fn run(&self) -> i32 {
        // The child's handler would look for its parent, and unlink a path of another machine.
        v8::exit_when_allocation_fails(no_memory);
        if let Some(workerless) = self.workerless {
            workerless.install();
        }
        lift_heap_limit(self.isolate);
        if let Some(name_buffers) = self.name_buffers {
            name_buffers.install();
        }
        let Ok(Some(snapshot)) = take_heap_snapshot(self.isolate, self.options, None) else {
            return NO_SNAPSHOT;
        };
        let mut file = RestoredFile { output: self.output, failed: false };
        let ended = snapshot.serialize(&mut file);
        match (file.failed, ended) {
            (true, _) => NOT_WRITTEN,
            (false, true) => WRITTEN,
            (false, false) => NO_SNAPSHOT,
        }
    }
}

extern "C" fn no_memory() {
    exit_now(NO_SNAPSHOT);
}

struct RestoredFile {
    output: RawFd,
    failed: bool,
}

impl ChunkSink for RestoredFile {
    fn write(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        self.failed = write_restored(self.output, chunk).is_err();
        if self.failed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
