//! A program of ours beside the application, for what comes after a snapshot. The application stands still for none of it: a thread
//! starts the program without a copy of the application's page tables (posix_spawn(3)), and ends it before memory runs short.

use crate::process::{Held, MemoryLeft, hold, memory_left};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;

/// What is started.
pub(crate) struct Program {
    /// With a path: one that is looked for would be started by a copy of the process.
    pub(crate) executable: PathBuf,
    /// Its memory limit in bytes comes after them.
    pub(crate) arguments: Vec<String>,
    /// All of its environment. Not this process's as it is: another thread may be changing that.
    pub(crate) environment: Vec<(String, String)>,
    /// Programs for one directory run one after the other, all processes together.
    pub(crate) directory: PathBuf,
    /// What it may need, in bytes.
    pub(crate) needs: u64,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It was not begun, or ended: another time there may be room.
    NoRoom(String),
    Failed(String),
}

/// Runs it, however long that takes.
pub(crate) fn run(program: &Program) -> Outcome {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Each would count on the room that another takes.
    let Some(_lock) = wait_for(program) else {
        return Outcome::Failed("other processes were at it for an hour".to_owned());
    };
    let left = memory_left();
    let budget = match left.map_or(Ok(u64::MAX), |left| budget(&left, program.needs)) {
        Ok(budget) => budget,
        Err(why) => return Outcome::NoRoom(why),
    };
    match start(program, budget) {
        Ok(child) => look_after(child, budget),
        Err(error) => {
            Outcome::Failed(format!("{} cannot be started: {error}", program.executable.display()))
        }
    }
}

const LONGEST: Duration = Duration::from_secs(3600);

/// Until no other process runs one for the directory. Where no lock is to be had, nobody is waited for.
fn wait_for(program: &Program) -> Option<Option<File>> {
    let Ok(directory) = File::open(&program.directory) else { return Some(None) };
    let begun = Instant::now();
    while hold(&directory) == Held::ByAnother {
        if begun.elapsed() > LONGEST {
            return None;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Some(Some(directory))
}

/// At most half of what is left: the other half is the application's, and no limit that it is watched by at 90 % is reached because of us.
fn budget(left: &MemoryLeft, needs: u64) -> Result<u64, String> {
    let most = left.available / 2;
    if most < needs + least_beside(left) {
        return Err(format!(
            "{} MB are left below {}, and {} MB are needed beside as much for the application",
            left.available / MIB,
            left.below,
            (needs + least_beside(left)) / MIB
        ));
    }
    Ok(most - least_beside(left))
}

/// What is left untouched in any case.
fn least_beside(left: &MemoryLeft) -> u64 {
    if left.dies_as_one { 64 * MIB } else { 32 * MIB }
}

fn start(program: &Program, budget: u64) -> std::io::Result<Child> {
    Command::new(&program.executable)
        .args(&program.arguments)
        .arg(budget.to_string())
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It says little: all that it says fits into the pipe.
        .stderr(Stdio::piped())
        .spawn()
}

fn look_after(mut child: Child, budget: u64) -> Outcome {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return ended(status, &mut child, budget),
            Ok(None) => {}
            // Somebody else has waited for it.
            Err(error) => return Outcome::Failed(error.to_string()),
        }
        let left = memory_left();
        if let Some(left) = left.filter(|left| left.available < least_beside(left)) {
            stop(&mut child);
            return Outcome::NoRoom(format!(
                "only {} MB were left below {} while it was made",
                left.available / MIB,
                left.below
            ));
        }
        if begun.elapsed() > LONGEST {
            stop(&mut child);
            return Outcome::Failed("it took more than an hour".to_owned());
        }
        let is_near = left.is_some_and(|left| left.available < 8 * least_beside(&left));
        std::thread::sleep(Duration::from_millis(if is_near { 5 } else { 50 }));
    }
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn ended(status: ExitStatus, child: &mut Child, budget: u64) -> Outcome {
    const MOST: u64 = 4096;
    if status.success() {
        return Outcome::Done;
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(MOST).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    match said.lines().find(|line| !line.trim().is_empty()) {
        _ if status.code().is_none() => {
            Outcome::Failed(format!("it was ended ({status}); it had {} MB", budget / MIB))
        }
        Some(line) => Outcome::Failed(line.trim().to_owned()),
        None => Outcome::Failed(format!("it ended with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(available: u64, dies_as_one: bool) -> MemoryLeft {
        let below = "the memory control group";
        MemoryLeft { available: available * MIB, below, dies_as_one, anonymous: 0 }
    }

    #[test]
    fn half_of_what_is_left_stays() {
        assert_eq!(budget(&left(400, false), 100 * MIB), Ok(168 * MIB));
        assert_eq!(budget(&left(400, true), 100 * MIB), Ok(136 * MIB));
        let why = budget(&left(200, false), 100 * MIB).expect_err("too little");
        assert_eq!(
            why,
            "200 MB are left below the memory control group, and 132 MB are needed beside as much for the application"
        );
    }

    #[cfg(unix)]
    fn shell(script: &str) -> Program {
        Program {
            executable: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned(), "sh".to_owned()],
            environment: vec![("GREETING".to_owned(), "hello".to_owned())],
            directory: std::env::temp_dir(),
            needs: MIB,
        }
    }

    #[test]
    #[cfg(unix)]
    fn it_is_told_its_limit_and_has_its_own_environment() {
        let check = r#"test "$1" -gt 1000000 && test "$GREETING" = hello && test -z "$HOME""#;
        assert_eq!(run(&shell(check)), Outcome::Done);
    }

    #[test]
    #[cfg(unix)]
    fn why_it_failed_is_what_it_says() {
        let outcome = run(&shell("echo; echo no such file >&2; exit 2"));
        assert_eq!(outcome, Outcome::Failed("no such file".to_owned()));
        let Outcome::Failed(why) = run(&shell("kill -ABRT $$")) else { panic!("it was killed") };
        assert!(why.contains("signal: 6"), "{why}");
    }
}
