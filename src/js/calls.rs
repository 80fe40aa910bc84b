//! What the functions of `lib.rs` do: from JavaScript's arguments to a request, and back to what it gets at once.

use super::last::remember;
use super::listener::{EventListener, event_function};
use super::values::{
    Event, JsError, JsNearLimit, JsOptions, JsPermission, Started, buffer_of, path_of,
};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts::while_taken;
use crate::options::EnvironmentOptions;
use crate::signal;
use crate::snapshot::{
    Accepted, AtLimit, Busy, Destination, Kind, NearLimitAnnounce, NearLimitSettings, Order,
    Origin, Output, Report, RequestOptions, announce_end, arm, check_image, import_file as import,
    open_destination, record_path, say_end, start, take_in_process,
};
use napi::bindgen_prelude::{Buffer, FnArgs, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

type Opened = Result<(Output, Option<String>), SnapshotError>;

pub(crate) fn open(path: Option<Buffer>, options: &JsOptions) -> Opened {
    let destination = match path {
        Some(path) => Destination::Named(path_of(&path)),
        None => {
            let directory = options.directory.as_deref().unwrap_or(".").into();
            Destination::Default(directory, options.stem.clone())
        }
    };
    open_destination(destination, &options.request(), options.file_mode)
}

pub(crate) fn started(
    environment: &Arc<Environment>,
    opened: Opened,
    options: &JsOptions,
    cancelled: Arc<AtomicBool>,
    listener: EventListener,
) -> napi::Result<Started> {
    let (output, name) = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(Started { end: Some(Err(error).into()), ..Started::default() }),
    };
    let path = output.path().map(buffer_of);
    let order = Order {
        output,
        options: options.request(),
        busy: if options.reject_when_busy { Busy::Reject } else { Busy::Queue },
        cancelled,
        asked_at: Instant::now(),
    };
    let end = match start(environment, order, || Ok(Box::new(listener))) {
        Ok(Accepted::Started) => None,
        Ok(Accepted::Done(report)) => Some(ended(Ok(*report))),
        Err(error) => Some(ended(Err(error))),
    };
    Ok(Started { name, path, end, fd: None })
}

pub(crate) fn write_sync(path: Option<Buffer>, options: &JsOptions) -> Started {
    in_process(path, options, |output, request, asked_at| {
        take_in_process(output, &request, asked_at, options.reason.clone())
    })
}

pub(crate) fn import_file(source: &Buffer, path: Option<Buffer>, options: &JsOptions) -> Started {
    in_process(path, options, |output, request, asked_at| {
        import(&path_of(source), output, &request, asked_at, options.reason.clone())
    })
}

fn in_process(
    path: Option<Buffer>,
    options: &JsOptions,
    take: impl FnOnce(&Output, RequestOptions, Instant) -> Result<Report, SnapshotError>,
) -> Started {
    let asked_at = Instant::now();
    let in_process = RequestOptions { in_process: true, ..options.request() };
    let wants_image = in_process.content.kind() == Kind::Image;
    let possible = if wants_image { check_image(&in_process) } else { Ok(()) };
    match possible.and_then(|()| open(path, options)) {
        Err(error) => Started { end: Some(Err(error).into()), ..Started::default() },
        Ok((output, name)) => {
            let path = output.path().map(buffer_of);
            let take = || take(&output, options.request(), asked_at);
            let end = Some(ended(while_taken(&output, take)));
            Started { name, path, end, fd: None }
        }
    }
}

#[cfg(unix)]
pub(crate) fn stream(
    environment: &Arc<Environment>,
    options: &JsOptions,
    cancelled: Arc<AtomicBool>,
    listener: EventListener,
) -> napi::Result<Started> {
    use crate::snapshot::above_standard;
    use std::os::fd::{IntoRawFd, OwnedFd};
    use std::path::Path;
    let (reader, writer) = match std::io::pipe() {
        Ok(ends) => ends,
        Err(error) => {
            let error = SnapshotError::io("pipe", Path::new("<stream>"), error);
            return Ok(Started { end: Some(Err(error).into()), ..Started::default() });
        }
    };
    let writer = above_standard(OwnedFd::from(writer).into());
    let reader = above_standard(OwnedFd::from(reader).into());
    let (Ok(writer), Ok(reader)) = (writer, reader) else {
        let error =
            SnapshotError::io("pipe", Path::new("<stream>"), std::io::Error::last_os_error());
        return Ok(Started { end: Some(Err(error).into()), ..Started::default() });
    };
    let output = Output::Pipe(writer);
    let mut started = started(environment, Ok((output, None)), options, cancelled, listener)?;
    if started.end.is_none() {
        started.fd = Some(OwnedFd::from(reader).into_raw_fd());
    }
    Ok(started)
}

#[cfg(windows)]
pub(crate) fn stream(
    _environment: &Arc<Environment>,
    _options: &JsOptions,
    _cancelled: Arc<AtomicBool>,
    _listener: EventListener,
) -> napi::Result<Started> {
    let reason = crate::process::FORK_UNSUPPORTED.unwrap_or_default().to_owned();
    Ok(Started {
        end: Some(Err(SnapshotError::ForkUnavailable(reason)).into()),
        ..Started::default()
    })
}

/// The thread's event loop will not turn again.
pub(crate) fn flush(environment: &Environment) {
    if environment.is_main {
        signal::stop_accepting();
    }
    crate::snapshot::flush(environment);
}

/// What is asked for can be forked again: the main thread's event loop turns after all, or [`flush`] follows.
pub(crate) fn resume(environment: &Environment) {
    if environment.is_main {
        crate::v8::open_platform_gate();
        signal::start_accepting();
    }
}

pub(crate) fn install_signal(
    environment: &Arc<Environment>,
    options: &EnvironmentOptions,
    permission: Option<JsPermission>,
    listener: Function<'_, FnArgs<(Event,)>, ()>,
) -> napi::Result<()> {
    // A dump that a signal asked for does not keep the process alive: its child goes on alone.
    let function = event_function::<true>(listener)?;
    let name = options.signal.name().unwrap_or_default();
    let announce: signal::Announce = Arc::new(move |result| {
        remember(&result);
        // Who sent the signal looks for a file, so a failure is said in any case.
        if result.is_err() {
            say_end(name, &result)
        } else {
            announce_end(name, &result)
        }
        function.call(result.into(), ThreadsafeFunctionCallMode::NonBlocking);
    });
    let permission = permission
        .map(|JsPermission { directory, granted }| signal::Permission { directory, granted });
    if let Err(error) = signal::attach(environment, options, permission, &announce) {
        announce(Err(SnapshotError::Internal(format!("the signal cannot be watched: {error}"))));
    }
    Ok(())
}

pub(crate) fn arm_near_heap_limit(
    environment: &Arc<Environment>,
    limit: &JsNearLimit,
    options: &JsOptions,
    listener: Function<'_, FnArgs<(Event,)>, ()>,
) -> napi::Result<Option<JsError>> {
    // The listener does not keep the process alive: it hears of it if the process recovers.
    let function = event_function::<true>(listener)?;
    let announce: NearLimitAnnounce = Arc::new(move |result, _record| {
        remember(&result);
        if result.is_ok() {
            announce_end("oom", &result);
        }
        function.call(result.into(), ThreadsafeFunctionCallMode::NonBlocking);
    });
    let settings = NearLimitSettings {
        first: path_of(&limit.path),
        never_over_another: limit.never_over_another,
        options: options.request(),
        file_mode: options.file_mode,
        at_limit: AtLimit::from_name(&limit.at_limit),
        most: limit.most,
        announce: limit.announce,
        origin: Origin {
            host: limit.host.clone(),
            node: limit.node.clone(),
            thread: limit.thread,
            name: None,
            program: limit.program.clone(),
        },
        record_path,
        keep_record: limit.keep_record,
    };
    Ok(arm(environment, settings, announce).err().map(Into::into))
}

impl AtLimit {
    /// `continue`, `wait` or `exit`.
    pub(super) fn from_name(name: &str) -> AtLimit {
        match name {
            "wait" => AtLimit::Wait,
            "exit" => AtLimit::Exit,
            _ => AtLimit::Continue,
        }
    }
}

fn ended(result: Result<Report, SnapshotError>) -> Event {
    remember(&result);
    result.into()
}
