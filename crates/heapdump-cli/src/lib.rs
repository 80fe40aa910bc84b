//! Commands that answer questions about V8 heap snapshots.
//!
//! The commands are in [`run`]: arguments in, text out, an exit code back. [`run_process`] is the same on
//! the process's own output, with colours and a progress bar where that is a terminal. [`report`] has the
//! same answers as plain data, and [`ask`] as JSON for a caller in another language.
//!
//! ```
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let code = heapdump_cli::run(["summary", "no-such-file"], &mut out, &mut err);
//! assert_eq!(code, 2);
//! assert!(String::from_utf8_lossy(&err).contains("no-such-file"));
//! ```

mod args;
pub mod ask;
mod commands;
mod error;
pub mod report;
mod reporters;
mod session;
pub mod source_maps;
mod times;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use heapsnapshot::Identities;

use args::Args;
use session::{Plain, Session};

/// All is well.
pub const EXIT_FINE: u8 = 0;
/// Something was found that is over a threshold that the arguments give.
pub const EXIT_FINDINGS: u8 = 1;
/// The arguments or a file cannot be used.
pub const EXIT_ERROR: u8 = 2;

/// Runs a command, given without the program's name. `out` gets the answer and nothing else; `err`
/// what went wrong. Returns the exit code.
pub fn run<I>(arguments: I, out: &mut dyn Write, err: &mut dyn Write) -> u8
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let mut out = Plain::new(out);
    let mut err = Plain::new(err);
    dispatch(arguments, Session::new(&mut out, &mut err, false))
}

/// Runs a command on the process's own output.
pub fn run_process<I>(arguments: I) -> u8
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let progress = std::io::stderr().is_terminal();
    let mut out = std::io::BufWriter::new(anstream::stdout());
    let mut err = anstream::stderr();
    let code = dispatch(arguments, Session::new(&mut out, &mut err, progress));
    // A reader that went away (`| head`) has all that it wanted.
    let _ = out.flush();
    code
}

/// Runs a command; what it answers is given back, what it says on the way goes to standard error.
pub fn run_captured<I>(arguments: I) -> (u8, Vec<u8>)
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let progress = std::io::stderr().is_terminal();
    let mut answer = Vec::new();
    let mut out = Plain::new(&mut answer);
    let mut err = anstream::stderr();
    let code = dispatch(arguments, Session::new(&mut out, &mut err, progress));
    (code, answer)
}

/// What several files of identities have, all together, as `--identity` reads them; `None` where there is no file.
///
/// # Errors
/// The file that cannot be read or is none, and why.
pub fn identities(files: &[PathBuf]) -> Result<Option<Arc<Identities>>, String> {
    commands::identities(files).map_err(|error| error.to_string())
}

fn dispatch<I>(arguments: I, mut session: Session<'_>) -> u8
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let name = std::iter::once(OsString::from("heapdump-rs"));
    let args = match Args::try_parse_from(name.chain(arguments.into_iter().map(Into::into))) {
        Ok(args) => args,
        Err(error) => {
            let text = error.render().ansi().to_string();
            return if error.use_stderr() {
                let _ = session.err.write_all(text.as_bytes());
                EXIT_ERROR
            } else {
                let _ = session.out.write_all(text.as_bytes());
                EXIT_FINE
            };
        }
    };
    let result = commands::run(args, &mut session).and_then(|code| {
        session.out.flush()?;
        Ok(code)
    });
    match result {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => EXIT_FINE,
        Err(error) => {
            let _ = writeln!(session.err, "heapdump-rs: {error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(session.err, "{hint}");
            }
            EXIT_ERROR
        }
    }
}
