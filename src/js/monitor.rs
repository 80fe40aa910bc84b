//! JavaScript's side of a monitor.

use super::last::remember;
use super::values::{JsError, JsOptions, JsReport, path_of, size};
use crate::environment::Environment;
use crate::filename::NamePattern;
use crate::monitor::{Announce, Keep, Limit, Monitor, Reason, Settings, Told};
use crate::process;
use crate::snapshot::{AtLimit, Origin, announce_end};
use napi::bindgen_prelude::{Buffer, FnArgs, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

/// Settings as `lib/monitor-options.js` has checked them. Times in milliseconds, sizes in bytes.
#[napi(object)]
pub struct JsMonitor {
    /// Absolute.
    pub directory: Buffer,
    /// A right pattern for the snapshots' names.
    pub name: Option<String>,
    pub limits: Vec<JsLimit>,
    pub growth_percent: Option<f64>,
    pub growth_at_least: f64,
    pub every: Option<f64>,
    pub interval: f64,
    /// A part of the limit, below 1.
    pub hysteresis: f64,
    pub cooldown: f64,
    pub max: u32,
    pub keep: f64,
    pub free: f64,
    pub host: String,
    /// Node's version.
    pub node: String,
    pub thread: u32,
    /// What the process runs: its main script.
    pub program: Option<String>,
}

/// One of `bytes` and `percent`.
#[napi(object)]
pub struct JsLimit {
    /// `used`, `external`, `rss` or `cgroup`.
    pub reason: String,
    pub bytes: Option<f64>,
    pub percent: Option<f64>,
}

/// What a monitor's listener hears.
#[napi(object)]
#[derive(Default)]
pub struct JsMonitorEvent {
    /// `threshold`, `skipped`, `snapshot` or `error`.
    pub kind: String,
    pub reason: String,
    pub value: Option<f64>,
    pub limit: Option<f64>,
    /// Why it was skipped: `cooldown` or `busy`.
    pub why: Option<String>,
    pub message: Option<String>,
    pub report: Option<JsReport>,
    pub error: Option<JsError>,
    /// The sidecar's path, where it could be written.
    pub sidecar: Option<String>,
}

/// What a monitor knows that JavaScript does not, in bytes.
#[napi(object)]
pub struct JsFigures {
    /// After the last full garbage collection, or at the start.
    pub used: Option<f64>,
    pub heap_limit: Option<f64>,
    pub group_used: Option<f64>,
    pub group_limit: Option<f64>,
    /// How long the cooldown lasts, in ms.
    pub cooldown_left: f64,
}

/// A monitor, and what it cannot watch here.
pub(crate) fn start_monitor(
    environment: &Arc<Environment>,
    settings: JsMonitor,
    options: &JsOptions,
    listener: Function<'_, FnArgs<(JsMonitorEvent,)>, ()>,
) -> napi::Result<(Arc<Monitor>, Vec<String>)> {
    // It does not keep the process alive: a child that is at work goes on alone.
    let function = listener
        .build_threadsafe_function::<JsMonitorEvent>()
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(|context| Ok(FnArgs::from((context.value,))))?;
    let announce: Announce = Arc::new(move |told| {
        if let Told::Ended(reason, result, _) = &told {
            remember(result);
            // What failed at V8's limit has been said.
            if *reason != Reason::Oom || result.is_ok() {
                announce_end(reason.name(), result);
            }
        }
        function.call(told.into(), ThreadsafeFunctionCallMode::NonBlocking);
    });
    let settings = settings.read(options);
    Monitor::start(environment, settings, announce)
        .map_err(|error| napi::Error::from_reason(format!("no thread can be started: {error}")))
}

pub(crate) fn arm_at_limit(monitor: &Arc<Monitor>, at_limit: &str) -> Option<JsError> {
    monitor.arm_at_limit(AtLimit::from_name(at_limit)).err().map(Into::into)
}

pub(crate) fn figures(monitor: &Monitor) -> JsFigures {
    let heap = monitor.last_heap();
    let group = process::group_use();
    JsFigures {
        used: heap.map(|heap| number(heap.used)),
        heap_limit: heap.map(|heap| number(heap.limit)),
        group_used: group.map(|group| number(group.used)),
        group_limit: group.map(|group| number(group.limit)),
        cooldown_left: monitor.cooldown_left().as_secs_f64() * 1000.0,
    }
}

impl JsMonitor {
    fn read(self, options: &JsOptions) -> Settings {
        let growth = self.growth_percent.map(|percent| (percent, self.growth_at_least));
        Settings {
            directory: path_of(&self.directory),
            name: self.name.as_deref().and_then(|name| NamePattern::parse(name).ok()),
            limits: self.limits.into_iter().filter_map(JsLimit::read).collect(),
            growth,
            every: self.every.map(milliseconds),
            interval: milliseconds(self.interval),
            hysteresis: self.hysteresis,
            cooldown: milliseconds(self.cooldown),
            keep: Keep { files: self.max, bytes: size(self.keep) },
            free: size(self.free),
            options: options.request(),
            file_mode: options.file_mode,
            origin: Origin {
                host: self.host,
                node: self.node,
                thread: self.thread,
                name: self.name,
                program: self.program,
            },
        }
    }
}

impl JsLimit {
    fn read(self) -> Option<(Reason, Limit)> {
        let limit = self.bytes.map(Limit::Bytes).or(self.percent.map(Limit::Percent))?;
        Some((Reason::from_name(&self.reason)?, limit))
    }
}

impl From<Told> for JsMonitorEvent {
    fn from(told: Told) -> JsMonitorEvent {
        let event = |kind: &str, reason: Reason| JsMonitorEvent {
            kind: kind.to_owned(),
            reason: reason.name().to_owned(),
            ..JsMonitorEvent::default()
        };
        match told {
            Told::Threshold(crossing) => JsMonitorEvent {
                value: Some(crossing.value),
                limit: Some(crossing.limit),
                ..event("threshold", crossing.reason)
            },
            Told::Skipped(reason, why, message) => JsMonitorEvent {
                why: Some(why.name().to_owned()),
                message: Some(message),
                ..event("skipped", reason)
            },
            Told::Ended(reason, result, sidecar) => {
                let sidecar = sidecar.map(|path| path.to_string_lossy().into_owned());
                match result {
                    Ok(report) => JsMonitorEvent {
                        report: Some(report.into()),
                        sidecar,
                        ..event("snapshot", reason)
                    },
                    Err(error) => JsMonitorEvent {
                        error: Some(error.into()),
                        sidecar,
                        ..event("error", reason)
                    },
                }
            }
        }
    }
}

fn milliseconds(time: f64) -> Duration {
    // So long that nothing comes of it, and short enough that the clock can add it.
    const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    Duration::try_from_secs_f64(time / 1000.0).map_or(EVER, |time| time.min(EVER))
}

/// JavaScript's numbers are exact up to 2⁵³, which no size here reaches.
#[allow(clippy::cast_precision_loss)]
fn number(value: u64) -> f64 {
    value as f64
}
