//! Between JavaScript and the rest. Nothing below this knows of Node-API.

mod analyze;
mod beside;
mod calls;
#[cfg(target_os = "linux")]
mod core_file;
mod last;
mod listener;
mod monitor;
mod new_file;
mod redactor;
mod sealer;
mod unpack;
mod values;

pub(crate) use analyze::{Ask, BytesRead, Loaded, Open, Question};
pub(crate) use beside::{JsOutcome, JsProgram, run_beside};
pub(crate) use calls::{
    arm_near_heap_limit, flush, import_file, install_signal, open, resume, started, stream,
    write_sync,
};
#[cfg(target_os = "linux")]
pub(crate) use core_file::CoreImage;
pub(crate) use last::status;
#[cfg(target_os = "linux")]
pub(crate) use listener::node_version;
pub(crate) use listener::{Cancellations, EventListener, connect};
pub(crate) use monitor::{
    JsFigures, JsMonitor, JsMonitorEvent, arm_at_limit, figures, start_monitor,
};
pub(crate) use new_file::JsNewFile;
pub(crate) use redactor::{redact, redacted, redactor};
pub(crate) use unpack::Unpack;
pub(crate) use values::{
    Event, JsEnvironmentOptions, JsError, JsNearLimit, JsOptions, JsPermission, JsRedaction,
    Started, Status, size,
};
