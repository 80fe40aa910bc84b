//! From what JavaScript asks for to a request that runs.

use super::target::FileTarget;
use super::{
    Busy, Listener, Output, QUEUE, Report, Request, RequestOptions, check_memory_in_process,
    fork_unavailable, take_in_process,
};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts::{Cause, Entry, while_taken};
use crate::filename::{default_name, numbered};
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
    let extension = options.compression.map_or("", super::Compression::extension);
    match destination {
        Destination::Named(name) if name.as_os_str().is_empty() => {
            Output::open(&name, mode).map(|output| (output, None))
        }
        Destination::Named(name) => {
            let mut path = absolute(&name)?.into_os_string();
            path.push(extension);
            Output::open(Path::new(&path), mode).map(|output| (output, None))
        }
        Destination::Default(directory, stem) => {
            let directory = absolute(&directory)?;
            let (target, name) = match stem {
                Some(stem) => FileTarget::reserve(&directory, mode, numbered(&stem, extension))?,
                None => {
                    let start = monotonic();
                    // Another nanosecond, another name.
                    let names = (0..100_000)
                        .map(|step| default_name(start + Duration::from_nanos(step), extension));
                    FileTarget::reserve(&directory, mode, names)?
                }
            };
            Ok((Output::File(target), Some(name)))
        }
        Destination::Beside(directory, stem, record_path) => {
            let directory = absolute(&directory)?;
            let is_alone = |name: &String| {
                let record = record_path(&directory.join(name));
                std::fs::symlink_metadata(record).is_err()
            };
            let names = numbered(&stem, extension).filter(is_alone);
            let (target, name) = FileTarget::reserve(&directory, mode, names)?;
            Ok((Output::File(target), Some(name)))
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
        let take = || take_in_process(output, options.v8, options.compression, *asked_at, reason);
        while_taken(output, take).map(|report| Accepted::Done(Box::new(report)))
    };
    if order.options.in_process {
        return now(&order, None);
    }
    if let Some(reason) = fork_unavailable(environment) {
        if !order.options.fallback_inline || matches!(order.output, Output::Pipe(_)) {
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
        Err((request, error)) => {
            let reason = format!("no thread can be started: {error}");
            let Request { entry, output, options, asked_at, .. } = request;
            let result = if !options.fallback_inline || matches!(*output, Output::Pipe(_)) {
                Err(SnapshotError::ForkUnavailable(reason))
            } else {
                // A thread may have been refused for lack of memory.
                check_memory_in_process().and_then(|()| {
                    let (v8, compression) = (options.v8, options.compression);
                    take_in_process(&output, v8, compression, asked_at, Some(reason))
                })
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
