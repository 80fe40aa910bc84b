//! Whose code keeps what a way leads to.

use super::Step;
use crate::{NodeKind, Snapshot};

impl Snapshot {
    /// The script of what on a way is nearest to its end, the end itself left out, and is of a script: an object by
    /// its constructor, a function, a variable. Nothing before the place where the way's words begin counts.
    #[must_use]
    pub fn keeper_script(&self, path: &[Step]) -> Option<String> {
        let (start, _) = self.anchor(path);
        let within = path.get(start..)?;
        within.iter().enumerate().rev().find_map(|(at, step)| {
            let is_variable = self.variable(step).is_some();
            let at = at + start;
            match self.kind(step.from) {
                _ if is_variable => self.script_of_context(path.get(..at)?, step.from),
                NodeKind::Closure | NodeKind::Object => self
                    .source_place(step.from)
                    .and_then(|place| place.script)
                    .or_else(|| self.ways().start(step.from)?.script.clone()),
                _ => None,
            }
        })
    }
}
