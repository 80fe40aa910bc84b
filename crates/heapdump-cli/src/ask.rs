//! The same answers as the commands' `--json`, for a caller in another language: loaded snapshots and
//! options as JSON in, JSON out. What `heapdump-rs/analyze` is made of.

use std::fmt::Display;

use heapsnapshot::compare::Matching;
use heapsnapshot::leaks::LeakOptions;
use heapsnapshot::{NodeId, NodeOrdinal, Snapshot};
use serde::{Deserialize, Serialize};

use crate::report::{self, Rows, Sort};

/// Why a question was not answered, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AskError(String);

impl AskError {
    fn new(error: impl Display) -> Self {
        AskError(error.to_string())
    }
}

/// Answers a question about one snapshot: `summary`, `statistics`, `strings`, `suspects`, `inspect`,
/// `retainers` or `dominators`. `options` is a JSON object with any of `limit`, `filter`, `sort`,
/// `threshold` and `id`.
///
/// # Errors
/// When there is no such question or object, or the options are not as expected.
pub fn ask(snapshot: &Snapshot, question: &str, options: &str) -> Result<String, AskError> {
    let options = Options::parse(options)?;
    let rows = options.rows();
    match question {
        "summary" => json(&report::summary(snapshot, &rows)),
        "statistics" => json(&report::statistics(snapshot)),
        "strings" => json(&report::strings(snapshot, &rows)),
        "suspects" => json(&report::suspects(snapshot, options.threshold)),
        "inspect" => json(&report::inspect(snapshot, options.object(snapshot)?, &rows)),
        "retainers" => json(&report::retainers(snapshot, options.object(snapshot)?, &rows)),
        "dominators" => {
            let of = options.id.map(|_| options.object(snapshot)).transpose()?;
            json(&report::dominators(snapshot, of, &rows))
        }
        other => Err(AskError(format!("there is no question '{other}'"))),
    }
}

/// Compares two snapshots. `options` may also have `match` (`auto`, `id` or `class`) and `objects`.
///
/// # Errors
/// When the options are not as expected.
pub fn compare(base: &Snapshot, target: &Snapshot, options: &str) -> Result<String, AskError> {
    let options = Options::parse(options)?;
    let matching = options.matching.into();
    json(&report::compare(base, target, matching, &options.rows(), options.objects))
}

/// Finds leaks in two or three snapshots, the earliest first. `options` may also have `match` and
/// `traceAllObjects`.
///
/// # Errors
/// When the options are not as expected.
pub fn find_leaks(snapshots: &[&Snapshot], options: &str) -> Result<String, AskError> {
    let options = Options::parse(options)?;
    let leaks = LeakOptions { matching: options.matching.into(), ..LeakOptions::default() };
    json(&report::find_leaks(snapshots, &leaks, &options.rows(), options.trace_all_objects))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    limit: usize,
    filter: Option<String>,
    sort: SortName,
    threshold: f64,
    id: Option<u64>,
    #[serde(rename = "match")]
    matching: MatchName,
    objects: bool,
    trace_all_objects: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limit: 0,
            filter: None,
            sort: SortName::Retained,
            threshold: 0.1,
            id: None,
            matching: MatchName::Auto,
            objects: false,
            trace_all_objects: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SortName {
    Retained,
    Shallow,
    Count,
    Name,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum MatchName {
    Auto,
    Id,
    Class,
}

impl From<MatchName> for Matching {
    fn from(name: MatchName) -> Self {
        match name {
            MatchName::Auto => Matching::Auto,
            MatchName::Id => Matching::ById,
            MatchName::Class => Matching::ByClass,
        }
    }
}

impl Options {
    fn parse(text: &str) -> Result<Self, AskError> {
        serde_json::from_str(text).map_err(AskError::new)
    }

    fn rows(&self) -> Rows {
        Rows {
            limit: self.limit,
            filter: self.filter.clone(),
            sort: match self.sort {
                SortName::Retained => Sort::Retained,
                SortName::Shallow => Sort::Shallow,
                SortName::Count => Sort::Count,
                SortName::Name => Sort::Name,
            },
        }
    }

    fn object(&self, snapshot: &Snapshot) -> Result<NodeOrdinal, AskError> {
        let id = self.id.ok_or_else(|| AskError("an object's id is needed".to_owned()))?;
        let found = snapshot.find(NodeId(id));
        found.ok_or_else(|| AskError(format!("there is no object @{id} in the snapshot")))
    }
}

fn json(answer: &impl Serialize) -> Result<String, AskError> {
    serde_json::to_string(answer).map_err(AskError::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn snapshot() -> Snapshot {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/base.json");
        Snapshot::open(file).unwrap()
    }

    #[test]
    fn every_question_has_an_answer() {
        let snapshot = snapshot();
        for question in
            ["summary", "statistics", "strings", "suspects", "inspect", "retainers", "dominators"]
        {
            let answer = ask(&snapshot, question, r#"{"id":27,"limit":3}"#).unwrap();
            serde_json::from_str::<serde_json::Value>(&answer).unwrap();
        }
        assert!(compare(&snapshot, &snapshot, "{}").unwrap().contains("\"changedClasses\":0"));
        let same = [&snapshot, &snapshot];
        assert!(find_leaks(&same, "{}").unwrap().contains("\"suspects\":[]"));
    }

    #[test]
    fn wrong_questions_say_why() {
        let snapshot = snapshot();
        let error = |question, options| ask(&snapshot, question, options).unwrap_err().to_string();
        assert_eq!(error("why", "{}"), "there is no question 'why'");
        assert_eq!(error("inspect", "{}"), "an object's id is needed");
        assert_eq!(error("inspect", r#"{"id":4}"#), "there is no object @4 in the snapshot");
        assert!(error("summary", r#"{"sort":"x"}"#).contains("unknown variant"));
    }
}
