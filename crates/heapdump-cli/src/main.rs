//! The `heapdump-rs` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(heapdump_cli::run_process(std::env::args_os().skip(1)))
}
