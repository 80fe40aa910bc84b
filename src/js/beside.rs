//! JavaScript's side of programs that run beside the application.

use super::values::{path_of, size};
use crate::beside::{Outcome, Program, run};
use crate::process::spawn_quiet;
use napi::bindgen_prelude::{Buffer, FnArgs, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

/// See [`Program`].
#[napi(object)]
pub struct JsProgram {
    pub executable: Buffer,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Absolute.
    pub directory: Buffer,
    /// Bytes.
    pub needs: f64,
}

/// How it ended.
#[napi(object)]
pub struct JsOutcome {
    /// `done`, `noRoom` or `failed`.
    pub end: String,
    pub message: Option<String>,
}

/// On a thread of its own, which does not keep the process alive.
pub(crate) fn run_beside(
    program: JsProgram,
    listener: Function<'_, FnArgs<(JsOutcome,)>, ()>,
) -> napi::Result<()> {
    let function = listener
        .build_threadsafe_function::<JsOutcome>()
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(|context| Ok(FnArgs::from((context.value,))))?;
    let program = program.read();
    let body = move || {
        function.call(run(&program).into(), ThreadsafeFunctionCallMode::NonBlocking);
    };
    spawn_quiet("heapdump-beside", body)
        .map_err(|error| napi::Error::from_reason(format!("no thread can be started: {error}")))
}

impl JsProgram {
    fn read(self) -> Program {
        Program {
            executable: path_of(&self.executable),
            arguments: self.arguments,
            environment: self.environment,
            directory: path_of(&self.directory),
            needs: size(self.needs),
        }
    }
}

impl From<Outcome> for JsOutcome {
    fn from(outcome: Outcome) -> JsOutcome {
        let (end, message) = match outcome {
            Outcome::Done => ("done", None),
            Outcome::NoRoom(why) => ("noRoom", Some(why)),
            Outcome::Failed(why) => ("failed", Some(why)),
        };
        JsOutcome { end: end.to_owned(), message }
    }
}
