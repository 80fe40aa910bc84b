//! What a child is given, and its whole life.

use super::announce::heap_now;
use super::budget::{cache_is_short, child_budget, image_budget, record_budget};
use super::fork::with_hint;
use super::image::{Continuation, plan_image};
use super::inline::record_publish_failure;
use super::writer::{Form, write_snapshot};
use super::{Compression, Content, Embed, Kind, NoSnapshot, Output, Record, Request, name_buffers};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::process::{
    Child, ChildSetup, Failure, Headroom, ImagePlan, MemorySources, NameBuffers, Progress, Regions,
    SharedPage, Stage, Start, fork_child, memory_left, private_memory, thread_number,
};
use crate::v8::{
    CollectionLock, Isolate, SnapshotOptions, Workerless, heap_figures, lift_heap_limit,
    take_heap_snapshot,
};
use heapcrypt::Recipients;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// All that a child needs, made before the fork.
pub(super) struct Plan {
    pub(super) output: Arc<Output>,
    dev_null: File,
    temporary: Option<CString>,
    pub(super) progress: SharedPage,
    options: SnapshotOptions,
    compression: Option<Compression>,
    /// How texts are taken out, and of the record.
    redaction: Option<heapredact::Options>,
    record_redaction: Option<heapredact::Options>,
    /// Who may read it.
    recipients: Option<Recipients>,
    pub(super) budget: u64,
    wants_progress: bool,
    /// `None`: the child's V8 is left as it is.
    name_buffers: Option<&'static NameBuffers>,
    /// `None`: V8's tasks for worker threads go to the queue that the child has a copy of.
    workerless: Option<&'static Workerless>,
    record: Option<Arc<Record>>,
    work: Work,
}

/// What a child is for.
enum Work {
    Snapshot,
    /// The record is all that is wanted.
    Record,
    Image(ImagePlan),
    /// An image into this file, then the snapshot.
    Twins(ImagePlan, CString),
}

impl Plan {
    pub(super) fn make(request: &Request, memory: &MemorySources) -> Result<Plan, NoSnapshot> {
        let headroom = memory
            .headroom()
            .ok_or_else(|| NoSnapshot::CannotFork("there is no /proc".to_owned()))?;
        match request.options.content {
            Content::Image(embed) => return Plan::make_image(request, &headroom, embed),
            Content::Snapshot | Content::ImageIfNoMemory(_) => {}
        }
        let external = || heap_now(&request.environment).map(|heap| heap.external);
        let budget =
            child_budget(&headroom, external).map_err(|error| with_hint(error, request))?;
        let plan = Plan::with_budget(request, budget)?;
        let Some(twin) = &request.options.twin else { return Ok(plan) };
        let path = CString::new(twin.as_os_str().as_bytes());
        let path = path.map_err(|error| SnapshotError::Internal(error.to_string()))?;
        Ok(Plan { work: Work::Twins(plan_image(request, Embed::Auto, None)?, path), ..plan })
    }

    fn make_image(
        request: &Request,
        headroom: &Headroom,
        embed: Embed,
    ) -> Result<Plan, NoSnapshot> {
        let short = cache_is_short(headroom);
        let image = plan_image(request, embed, Some((&request.output, short)))?;
        let packed = request.options.compression.is_some();
        let file = request.output.is_in_memory().then(|| {
            let bytes = headroom.anonymous + image.file_bytes;
            if packed { bytes / 8 } else { bytes }
        });
        let budget = image_budget(headroom, packed, file)?;
        Ok(Plan { work: Work::Image(image), ..Plan::with_budget(request, budget)? })
    }

    /// What it writes.
    pub(super) fn kind(&self) -> Kind {
        if let Work::Image(_) = self.work { Kind::Image } else { Kind::Snapshot }
    }

    /// For a child that writes the record and takes no snapshot; `None` where even that is too much.
    pub(super) fn make_for_record(request: &Request, memory: &MemorySources) -> Option<Plan> {
        let budget = record_budget(&memory.headroom()?)?;
        let plan = Plan::with_budget(request, budget).ok()?;
        Some(Plan { work: Work::Record, name_buffers: None, ..plan })
    }

    fn with_budget(request: &Request, budget: u64) -> Result<Plan, NoSnapshot> {
        let dev_null = Path::new("/dev/null");
        let temporary = request
            .output
            .temporary()
            .and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
        Ok(Plan {
            output: Arc::clone(&request.output),
            dev_null: OpenOptions::new()
                .read(true)
                .write(true)
                .open(dev_null)
                .map_err(|error| SnapshotError::io("open", dev_null, error))?,
            temporary,
            progress: SharedPage::new()
                .map_err(|error| SnapshotError::NoMemory(error.to_string()))?,
            options: request.options.v8,
            compression: request.options.compression,
            redaction: request.options.redaction()?,
            record_redaction: request.options.redaction_of_record()?,
            recipients: request.options.recipients()?,
            budget,
            wants_progress: request.listener.wants_progress(),
            name_buffers: name_buffers(),
            workerless: workerless(&request.environment),
            record: request.record.clone(),
            work: Work::Snapshot,
        })
    }
}

fn workerless(environment: &Environment) -> Option<&'static Workerless> {
    environment.platform().ok().and_then(Workerless::of)
}

/// Looks up what is the same for every child of this process, for a snapshot that an application will stand still for.
pub(super) fn look_up(environment: &Environment) {
    let _ = (name_buffers(), workerless(environment), memory_left());
}

/// On the JavaScript thread, with V8's workers parked. Parent and child each let `lock` go after the fork.
pub(super) fn fork_now(
    isolate: Isolate,
    plan: &Plan,
    regions: &Regions,
    lock: Option<CollectionLock>,
) -> io::Result<Child> {
    let thread = thread_number();
    let setup = ChildSetup {
        output: plan.output.file().as_raw_fd(),
        dev_null: plan.dev_null.as_raw_fd(),
        parent: std::process::id(),
        memory_budget: plan.budget,
        progress: &plan.progress,
        temporary_file: match &plan.work {
            Work::Image(image) => image.temporary(),
            _ => plan.temporary.as_deref(),
        },
    };
    fork_child(regions, &setup, move || {
        drop(lock);
        take_and_publish(isolate, thread, plan)
    })
}

/// The whole life of a child. Runs in a process with one thread (two with compression) that ends with the status
/// returned here; nothing is freed on the way.
fn take_and_publish(isolate: Isolate, thread: u32, plan: &Plan) -> i32 {
    let progress: &'static Progress = plan.progress.for_child();
    let output = plan.output.file().as_raw_fd();
    let continuation = Continuation {
        isolate,
        options: plan.options,
        workerless: plan.workerless,
        name_buffers: plan.name_buffers,
        output,
    };
    let heap_used = heap_figures(isolate).map_or(0, |figures| figures.used);
    let start = Start::new(&continuation, output, thread, heap_used);
    match &plan.work {
        Work::Image(image) if plan.record.is_none() => image.save_and_end(output, start, progress),
        Work::Twins(image, path)
            if plan.record.is_none() && save_twin(image, path, start, progress).is_err() =>
        {
            return FAILED;
        }
        _ => {}
    }
    if let Some(workerless) = plan.workerless {
        workerless.install();
    }
    lift_heap_limit(isolate);
    if let Some(record) = &plan.record {
        record.begin_in_child(isolate, plan.record_redaction.as_ref());
    }
    match &plan.work {
        Work::Record => {
            progress.enter(Stage::Complete);
            return COMPLETE;
        }
        Work::Image(image) => {
            if image.save(output, start, progress).is_err() {
                return FAILED;
            }
            return publish(plan, progress);
        }
        // What the record takes of malloc's memory moves all addresses behind it, which V8 11 makes ids of.
        Work::Twins(image, path)
            if plan.record.is_some() && save_twin(image, path, start, progress).is_err() =>
        {
            return FAILED;
        }
        Work::Snapshot | Work::Twins(..) => {}
    }
    if let Some(name_buffers) = plan.name_buffers {
        progress.names_cut.store(true, Relaxed);
        progress.names_cut.store(name_buffers.install(), Relaxed);
    }
    let mut heard = |done, total| {
        progress.enter(Stage::Recording);
        progress.done.store(done, Relaxed);
        progress.total.store(total, Relaxed);
    };
    let wanted = plan.wants_progress.then_some(&mut heard as &mut dyn FnMut(u32, u32));
    let Ok(Some(snapshot)) = take_heap_snapshot(isolate, plan.options, wanted) else {
        progress.fail(Failure::Snapshot, 0);
        return FAILED;
    };
    let form = Form {
        redaction: plan.redaction.clone(),
        compression: plan.compression,
        recipients: plan.recipients.clone(),
    };
    if write_snapshot(&snapshot, plan.output.file(), form, &progress).is_err() {
        return FAILED;
    }
    progress.private_bytes.store(private_memory(), Relaxed);
    publish(plan, progress)
}

const COMPLETE: i32 = 0;
const FAILED: i32 = 1;

/// The last steps of a child that has written everything.
fn publish(plan: &Plan, progress: &Progress) -> i32 {
    // An fsync may take as long as it likes, as a write may.
    progress.writing.store(true, Relaxed);
    if let Err(error) = plan.output.publish() {
        record_publish_failure(progress, &error);
        return FAILED;
    }
    let (name, copy) = plan.output.published();
    progress.set_published(name, copy);
    progress.enter(Stage::Complete);
    if let Some(record) = &plan.record {
        record.complete_in_child(plan.kind(), plan.output.path(), progress);
    }
    plan.output.sync_directory();
    COMPLETE
}

/// Writes an image into `path`, of memory that is as it will be when the snapshot is taken.
fn save_twin(
    image: &ImagePlan,
    path: &CStr,
    start: Start,
    progress: &'static Progress,
) -> Result<(), ()> {
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    let Ok(file) = File::create(path) else {
        progress.fail(Failure::Internal, 0);
        return Err(());
    };
    image.save(file.as_raw_fd(), start, progress)?;
    progress.bytes.store(0, Relaxed);
    Ok(())
}
