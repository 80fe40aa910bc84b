//! From what JavaScript asks for to a request that runs.

use super::target::{FileTarget, Name};
use super::{
    Busy, Kind, Listener, Output, QUEUE, Report, Request, RequestOptions, check_image,
    check_memory_in_process, fork_unavailable, take_in_process,
};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts::{Cause, Entry, while_taken};
use crate::filename::{default_stem, numbered};
use crate::process::monotonic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Where a snapshot is to go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A file under this name, relative to the current directory; the compression's extension is added.
    Named(PathBuf),
    /// The first free name in this directory: this one without extension, numbered where it is taken, or a default one.
    Default(PathBuf, Option<String>),
    /// The same, where the JSON beside it is free as well, whose path for a snapshot's is known.
    Beside(PathBuf, String, fn(&Path) -> PathBuf),
}

/// What is asked for.
pub(crate) struct Order {
    pub(crate) output: Output,
    pub(crate) options: RequestOptions,
    pub(crate) busy: Busy,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) asked_at: Instant,
}

/// What became of an order at once.
pub(crate) enum Accepted {
    /// The listener will hear of it.
    Started,
    /// It was taken in process, and the listener was not needed.
    Done(Box<Report>),
}

/// Opens the output now, while the caller waits: a wrong name is told at once, and a relative one is resolved before
/// the process changes its directory. Also gives the name that the caller did not know, if it is a default one.
pub(crate) fn open_destination(
    destination: Destination,
    options: &RequestOptions,
    mode: u32,
) -> Result<(Output, Option<String>), SnapshotError> {
    let kind = options.content.kind();
    let may_become_image = options.may_become_image();
    let ending = options.ending(kind);
    let image_ending = may_become_image.then(|| options.ending(Kind::Image));
    let name = |stem: String| Name {
        image: image_ending.as_ref().map(|ending| format!("{stem}{ending}")),
        first: stem + &ending,
    };
    let named = |(target, name)| (Output::File(target), Some(name));
    match destination {
        Destination::Named(name) if name.as_os_str().is_empty() => {
            Output::open(&name, None, mode).map(|output| (output, None))
        }
        Destination::Named(name) => {
            let path = absolute(&name)?;
            let image = may_become_image.then(|| options.named(&path, Kind::Image));
            let output = Output::open(&options.named(&path, kind), image, mode)?;
            Ok((output, None))
        }
        Destination::Default(directory, Some(stem)) => {
            let names = numbered(&stem).map(name);
            FileTarget::reserve(&absolute(&directory)?, mode, names).map(named)
        }
        Destination::Default(directory, None) => {
            let start = monotonic();
            // Another nanosecond, another name.
            let stems = (0..100_000).map(|step| default_stem(start + Duration::from_nanos(step)));
            FileTarget::reserve(&absolute(&directory)?, mode, stems.map(name)).map(named)
        }
        Destination::Beside(directory, stem, record_path) => {
            let directory = absolute(&directory)?;
            let is_alone = |name: &Name| {
                let record = record_path(&directory.join(&name.first));
                std::fs::symlink_metadata(record).is_err()
            };
            let names = numbered(&stem).map(name).filter(is_alone);
            FileTarget::reserve(&directory, mode, names).map(named)
        }
    }
}

/// Starts an order for `environment`, on its JavaScript thread.
pub(crate) fn start(
    environment: &Arc<Environment>,
    order: Order,
    listener: impl FnOnce() -> Result<Box<dyn Listener>, SnapshotError>,
) -> Result<Accepted, SnapshotError> {
    let now = |order: &Order, reason| {
        let Order { output, options, asked_at, .. } = order;
        let take = || take_in_process(output, options, *asked_at, reason);
        while_taken(output, take).map(|report| Accepted::Done(Box::new(report)))
    };
    let wants_image = order.options.content.kind() == Kind::Image;
    if wants_image {
        check_image(&order.options)?;
    }
    order.options.recipients()?;
    if order.options.in_process {
        return now(&order, None);
    }
    let may_be_in_process = |options: &RequestOptions, output: &Output| {
        options.fallback_inline && !wants_image && !matches!(output, Output::Pipe(_))
    };
    if let Some(reason) = fork_unavailable(environment) {
        if !may_be_in_process(&order.options, &order.output) {
            return Err(SnapshotError::ForkUnavailable(reason));
        }
        check_memory_in_process()?;
        return now(&order, Some(reason));
    }
    if order.busy == Busy::Reject && QUEUE.is_busy() {
        return Err(SnapshotError::Busy);
    }
    let listener = listener()?;
    let request = Request {
        entry: Entry::waiting(Cause::Call, environment.is_main, &order.output),
        environment: Arc::clone(environment),
        output: Arc::new(order.output),
        options: order.options,
        listener,
        record: None,
        cancelled: order.cancelled,
        asked_at: order.asked_at,
        pending: Some(environment.begin_request()),
        urgent: false,
    };
    match QUEUE.submit(request) {
        Ok(()) => Ok(Accepted::Started),
        Err(given_back) => {
            let (request, error) = *given_back;
            let reason = format!("no thread can be started: {error}");
            let Request { entry, output, options, asked_at, .. } = request;
            let result = if may_be_in_process(&options, &output) {
                // A thread may have been refused for lack of memory.
                check_memory_in_process()
                    .and_then(|()| take_in_process(&output, &options, asked_at, Some(reason)))
            } else {
                Err(SnapshotError::ForkUnavailable(reason))
            };
            entry.ended(&result, output.identity());
            result.map(|report| Accepted::Done(Box::new(report)))
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, SnapshotError> {
    // Not canonicalised: what the last component is, is looked at when it is opened.
    std::path::absolute(path).map_err(|error| SnapshotError::io("open", path, error))
}
