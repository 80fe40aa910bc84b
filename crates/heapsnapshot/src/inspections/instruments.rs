//! What the tools that look at a program leave in its heap.

use crate::packages::Origin;
use crate::paths::Step;
use crate::{NodeKind, Snapshot};

/// A tool, and not the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Instrument {
    /// V8's inspector: the last thousand lines of the console.
    Inspector,
    /// A test runner, or a library of mocks: calls, console lines, results.
    TestRunner,
    /// Node's list of the last 250 requests of `fetch`.
    PerformanceTimeline,
    /// What takes the snapshots.
    Heapdump,
}

/// Packages that record what tests do.
const RUNNERS: [&str; 9] =
    ["ava", "chai", "expect", "jest", "mocha", "sinon", "tap", "tinyspy", "vitest"];
const SCOPES: [&str; 5] = ["jest-", "@jest/", "@sinonjs/", "@tapjs/", "@vitest/"];
/// Packages that take heap snapshots.
const SNAPSHOTS: [&str; 3] = ["heapdump-rs", "heapdump", "node-oom-heapdump"];

impl Instrument {
    /// What a person calls it.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Instrument::Inspector => "V8's inspector, for its console",
            Instrument::TestRunner => "the test runner",
            Instrument::PerformanceTimeline => "Node's list of the last requests of fetch()",
            Instrument::Heapdump => "what takes the snapshots",
        }
    }
}

impl Snapshot {
    /// The instrument that keeps what a way leads to.
    #[must_use]
    pub fn instrument(&self, path: &[Step]) -> Option<Instrument> {
        if path.iter().any(|step| self.is_console(step.from, step.edge)) {
            return Some(Instrument::Inspector);
        }
        let script = self.keeper_script(path)?;
        if script.starts_with("node:internal/test_runner/") {
            return Some(Instrument::TestRunner);
        }
        if script == "node:internal/perf/observe" {
            let is_bounded = |step: &Step| self.edge_name(step.edge) == "resourceTimingBuffer";
            return path.iter().any(is_bounded).then_some(Instrument::PerformanceTimeline);
        }
        let Origin::Package { name, .. } = Origin::of_script(&script) else { return None };
        if RUNNERS.contains(&name.as_str()) || SCOPES.iter().any(|scope| name.starts_with(scope)) {
            return Some(Instrument::TestRunner);
        }
        SNAPSHOTS.contains(&name.as_str()).then_some(Instrument::Heapdump)
    }

    pub(crate) fn is_console(&self, from: crate::NodeOrdinal, edge: crate::Edge) -> bool {
        self.kind(from) == NodeKind::Synthetic
            && !edge.kind.is_indexed()
            && self.edge_name(edge).ends_with(" / DevTools console")
    }
}
