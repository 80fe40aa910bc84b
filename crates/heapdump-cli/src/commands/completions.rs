//! `completions`: what a shell needs to complete the commands.

use clap::CommandFactory;

use crate::args::Args;
use crate::error::Result;
use crate::session::Session;

pub(crate) fn run(shell: clap_complete::Shell, session: &mut Session<'_>) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "heapdump-rs", &mut script);
    session.out.write_all(&script)?;
    Ok(crate::EXIT_FINE)
}
