//! The event loop's side: how a thread wakes it, who hears of a request, how a request is cancelled.

use super::values::{Event, JsOptions};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts;
use crate::monitor;
use crate::signal;
use crate::snapshot::{Listener, ProgressReport, QUEUE, Report};
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Connects `environment` to its event loop: a way to wake it, and the end.
pub(crate) fn connect(env: &napi::Env, environment: &Arc<Environment>) -> napi::Result<()> {
    let for_jobs: Weak<Environment> = Arc::downgrade(environment);
    let nothing: Function<(), ()> = env.create_function_from_closure("heapdump", |_| Ok(()))?;
    let wake = nothing
        .build_threadsafe_function::<()>()
        // Weak: it does not keep the process alive.
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(move |_| {
            if let Some(environment) = for_jobs.upgrade() {
                environment.run_jobs();
            }
            Ok(())
        })?;
    environment.set_wake(Box::new(move || {
        wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }));
    env.add_env_cleanup_hook(Arc::clone(environment), |environment| {
        facts::unloaded(&environment);
        signal::detach(&environment);
        monitor::detach(&environment);
        environment.close();
        QUEUE.forget(environment.id);
    })?;
    Ok(())
}

/// `process.version` without the `v`; nothing where Node-API does not say.
#[cfg(target_os = "linux")]
pub(crate) fn node_version(env: &napi::Env) -> String {
    let version = env.get_node_version();
    version.map_or_else(
        |_| String::new(),
        |version| format!("{}.{}.{}", version.major, version.minor, version.patch),
    )
}

pub(super) type EventFunction<const WEAK: bool> =
    ThreadsafeFunction<Event, (), FnArgs<(Event,)>, napi::Status, false, WEAK, 0>;

pub(super) fn event_function<const WEAK: bool>(
    listener: Function<'_, FnArgs<(Event,)>, ()>,
) -> napi::Result<EventFunction<WEAK>> {
    listener
        .build_threadsafe_function::<Event>()
        .weak::<WEAK>()
        .callee_handled::<false>()
        .build_callback(|context| Ok(FnArgs::from((context.value,))))
}

/// A request's JavaScript listener. It keeps the event loop alive until it is dropped.
pub(crate) struct EventListener {
    function: EventFunction<false>,
    last: Mutex<Option<(Instant, ProgressReport)>>,
    wants_progress: bool,
}

/// JavaScript hears of progress at most so often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

impl EventListener {
    pub(crate) fn new(
        listener: Function<'_, FnArgs<(Event,)>, ()>,
        options: &JsOptions,
    ) -> napi::Result<EventListener> {
        let function = event_function::<false>(listener)?;
        Ok(EventListener { function, last: Mutex::new(None), wants_progress: options.progress })
    }

    fn send(&self, event: Event) {
        // A closing environment has nobody left to tell.
        self.function.call(event, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

impl Listener for EventListener {
    fn wants_progress(&self) -> bool {
        self.wants_progress
    }

    fn progress(&self, report: ProgressReport) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|(at, told)| at.elapsed() < PROGRESS_INTERVAL || told == report) {
            return;
        }
        *last = Some((Instant::now(), report));
        self.send(Event { progress: Some(report.into()), ..Event::default() });
    }

    fn becomes_image(&self) {
        self.send(Event { becomes_image: Some(true), ..Event::default() });
    }

    fn done(self: Box<Self>, result: Result<Report, SnapshotError>) {
        super::last::remember(&result);
        self.send(result.into());
    }
}

/// Requests that can still be cancelled, by the caller's number.
#[derive(Default)]
pub(crate) struct Cancellations(Mutex<HashMap<u32, Weak<AtomicBool>>>);

impl Cancellations {
    pub(crate) fn begin(&self, id: u32) -> Arc<AtomicBool> {
        let flag = Arc::new(AtomicBool::new(false));
        let mut flags = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flags.retain(|_, flag| flag.strong_count() > 0);
        flags.insert(id, Arc::downgrade(&flag));
        flag
    }

    pub(crate) fn cancel(&self, id: u32) {
        let flags = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flag) = flags.get(&id).and_then(Weak::upgrade) {
            flag.store(true, Relaxed);
        }
    }
}
