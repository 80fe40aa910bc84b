//! The image of a core file, off the JavaScript thread.

use crate::core_file::{self, Paths};
use napi::{Env, Task};
use napi_derive::napi;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;

/// Makes it.
pub struct CoreImage {
    core: PathBuf,
    paths: Paths,
    /// Descriptors of JavaScript's.
    room: i32,
    image: i32,
}

/// What came of it, for `lib/cli/core.js`.
#[napi(object)]
pub struct CoreResult {
    /// Why there is no image.
    pub refused: Option<String>,
    /// What a person may want to know, a line each.
    pub remarks: Vec<String>,
}

impl CoreImage {
    pub(crate) fn new(
        core: String,
        program: Option<String>,
        map: Vec<(String, String)>,
        room: i32,
        image: i32,
    ) -> CoreImage {
        let map = map.into_iter().map(|(there, here)| (there.into(), here.into())).collect();
        let paths = Paths { program: program.map(Into::into), map };
        CoreImage { core: core.into(), paths, room, image }
    }
}

impl Task for CoreImage {
    type Output = CoreResult;
    type JsValue = CoreResult;

    fn compute(&mut self) -> napi::Result<CoreResult> {
        let made = open(self.room)
            .and_then(|room| Ok((room, open(self.image)?)))
            .map_err(core_file::CoreError::Write)
            .and_then(|(room, image)| {
                core_file::make_image(&self.core, &self.paths, &room, &image)
            });
        Ok(match made {
            Ok(made) => CoreResult { refused: None, remarks: made.remarks },
            Err(error) => CoreResult { refused: Some(error.to_string()), remarks: Vec::new() },
        })
    }

    fn resolve(&mut self, _env: Env, result: CoreResult) -> napi::Result<CoreResult> {
        Ok(result)
    }
}

/// A descriptor of JavaScript's, opened anew: the file has no name any more.
fn open(descriptor: i32) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{descriptor}"))
}
