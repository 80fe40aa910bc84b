//! The image of a core file, off the JavaScript thread.

use super::new_file::Filling;
use crate::core_file::{self, Paths};
use napi::{Env, Task};
use napi_derive::napi;
use std::fs::File;
use std::path::PathBuf;

/// Makes it.
pub struct CoreImage {
    name: PathBuf,
    paths: Paths,
    /// A descriptor of JavaScript's.
    core: i32,
    image: Option<std::io::Result<Filling>>,
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
        name: String,
        core: i32,
        program: Option<String>,
        map: Vec<(String, String)>,
        image: std::io::Result<Filling>,
    ) -> CoreImage {
        let map = map.into_iter().map(|(there, here)| (there.into(), here.into())).collect();
        let paths = Paths { program: program.map(Into::into), map };
        CoreImage { name: name.into(), paths, core, image: Some(image) }
    }
}

impl Task for CoreImage {
    type Output = CoreResult;
    type JsValue = CoreResult;

    fn compute(&mut self) -> napi::Result<CoreResult> {
        let image = self.image.take().unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()));
        let opened = image.and_then(|image| Ok((open(self.core)?, image)));
        let made = opened
            .map_err(core_file::CoreError::Write)
            .and_then(|(core, image)| core_file::make_image(&self.name, &core, &self.paths, image));
        Ok(match made {
            Ok(made) => CoreResult { refused: None, remarks: made.remarks },
            Err(error) => CoreResult { refused: Some(error.to_string()), remarks: Vec::new() },
        })
    }

    fn resolve(&mut self, _env: Env, result: CoreResult) -> napi::Result<CoreResult> {
        Ok(result)
    }
}

/// A descriptor of JavaScript's, opened anew: the file may have no name any more.
fn open(descriptor: i32) -> std::io::Result<File> {
    File::open(format!("/proc/self/fd/{descriptor}"))
}
