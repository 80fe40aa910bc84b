//! The same answers as the commands' `--json`, for a caller in another language: loaded snapshots and
//! options as JSON in, JSON out. What `heapdump-rs/analyze` is made of.

use std::fmt::Display;
use std::path::PathBuf;

use heapsnapshot::compare::Matching;
use heapsnapshot::leaks::LeakOptions;
use heapsnapshot::merged::{Measure, TreeBy, TreeQuestion};
use heapsnapshot::query::Query;
use heapsnapshot::{NamedFilter, NodeId, NodeOrdinal, Snapshot};
use serde::{Deserialize, Serialize};

use crate::report::{
    self, By, HeapLimits, Hide, ObjectSort, ObjectsQuestion, Rows, Selection, Series, Sort,
    TrendRun, View,
};
use crate::times;

/// Why a question was not answered, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AskError(String);

impl AskError {
    fn new(error: impl Display) -> Self {
        AskError(error.to_string())
    }
}

/// Answers a question about one snapshot: `summary`, `shares` (by `package` or `script`), `objects`, `statistics`, `strings`, `suspects`,
/// `inspect`, `retainers`, `path`, `dominators`, `report`, `page` or `tree`. `options` is a JSON object with any of `limit`,
/// `filter`, `sort`, `threshold`, `id`; for `summary` and `objects` also `only` and `without`, for
/// `objects` `class`, `where`, `properties` and `page`, for `retainers` and `path` `ignore` and `jsOnly`,
/// for `report` and `page` `values`, for `tree` `treeBy`, `measure` and `within`.
///
/// # Errors
/// When there is no such question or object, or the options are not as expected.
pub fn ask(snapshot: &Snapshot, question: &str, options: &str) -> Result<String, AskError> {
    let options = Options::parse(options)?;
    let rows = options.rows();
    match question {
        "shares" => json(&report::shares(snapshot, options.by.into(), &rows)),
        "summary" => {
            json(&report::summary(snapshot, &rows, &options.selection()?).map_err(AskError)?)
        }
        "objects" => json(
            &report::objects(snapshot, &options.objects_question()?, &rows).map_err(AskError)?,
        ),
        "statistics" => json(&report::statistics(snapshot)),
        "strings" => json(&report::strings(snapshot, &rows)),
        "suspects" => json(&report::suspects(snapshot, options.threshold)),
        "inspect" => json(&report::inspect(snapshot, options.object(snapshot)?, &rows)),
        "retainers" => {
            let (node, view) = (options.object(snapshot)?, options.view(snapshot)?);
            json(&report::retainers(snapshot, node, &rows, &view))
        }
        "path" => {
            let (node, view) = (options.object(snapshot)?, options.view(snapshot)?);
            let most = if options.limit > 0 { options.limit } else { usize::MAX };
            json(&report::nearest(snapshot, node, &view, most))
        }
        "dominators" => {
            let of = options.id.map(|_| options.object(snapshot)).transpose()?;
            json(&report::dominators(snapshot, of, &rows))
        }
        "report" => {
            let mut heap = report::heap(snapshot, &HeapLimits::default()).map_err(AskError)?;
            Hide::new(snapshot, options.values).heap(&mut heap);
            json(&Hide::json(options.values, &heap).map_err(AskError::new)?)
        }
        "page" => {
            let mut page = report::page(snapshot, options.object(snapshot)?, &rows);
            Hide::new(snapshot, options.values).page(&mut page);
            json(&page)
        }
        "tree" => json(&report::tree(snapshot, &options.tree(snapshot)?).map_err(AskError)?),
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

/// Finds leaks in two or more snapshots, the earliest first. `options` may also have `match`, `traceAllObjects`,
/// `work`, `minObjects`, `minBytes` and `minBytesOfFew`, and the `series` that they are taken from.
///
/// # Errors
/// When the options are not as expected.
pub fn find_leaks(snapshots: &[&Snapshot], options: &str) -> Result<String, AskError> {
    let options = Options::parse(options)?;
    let leaks = options.leaks();
    let (rows, trace) = (options.rows(), options.trace_all_objects);
    json(&report::find_leaks(snapshots, &leaks, &rows, trace, options.series.as_ref()))
}

/// What grows over snapshots of one process, the earliest first. `options` has their `files` and may have `per`.
///
/// # Errors
/// When the options are not as expected, or there are fewer than two.
pub fn trend(snapshots: &[&Snapshot], options: &str) -> Result<String, AskError> {
    let options = Options::parse(options)?;
    let [first, between @ .., last] = snapshots else {
        return Err(AskError("two snapshots or more are needed".to_owned()));
    };
    let mut run = TrendRun::new(first, last);
    between.iter().for_each(|snapshot| run.measure(snapshot));
    let paths: Vec<PathBuf> = options.files.iter().map(PathBuf::from).collect();
    let mut report = run.finish(&options.files, times::of(&paths), options.per);
    options.rows().cut(&mut report.groups);
    json(&report)
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
    series: Option<Series>,
    only: Option<FilterName>,
    without: Vec<String>,
    class: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    properties: Vec<String>,
    page: usize,
    ignore: Vec<u64>,
    js_only: bool,
    by: ByName,
    values: bool,
    tree_by: TreeByName,
    measure: MeasureName,
    within: Vec<String>,
    files: Vec<String>,
    per: Option<f64>,
    work: Vec<f64>,
    min_objects: Option<u64>,
    min_bytes: Option<u64>,
    min_bytes_of_few: Option<u64>,
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
            series: None,
            only: None,
            without: Vec::new(),
            class: None,
            condition: None,
            properties: Vec::new(),
            page: 1,
            ignore: Vec::new(),
            js_only: false,
            by: ByName::Package,
            values: false,
            tree_by: TreeByName::Dominators,
            measure: MeasureName::Bytes,
            within: Vec::new(),
            files: Vec::new(),
            per: None,
            work: Vec::new(),
            min_objects: None,
            min_bytes: None,
            min_bytes_of_few: None,
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
    Distance,
    Edges,
    Class,
    Id,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ByName {
    Package,
    Script,
}

impl From<ByName> for By {
    fn from(name: ByName) -> Self {
        match name {
            ByName::Package => By::Package,
            ByName::Script => By::Script,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum TreeByName {
    Dominators,
    Paths,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum MeasureName {
    Bytes,
    Objects,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FilterName {
    DuplicatedStrings,
    DetachedDomNodes,
    Console,
    EventHandlers,
    Contexts,
}

impl From<FilterName> for NamedFilter {
    fn from(name: FilterName) -> Self {
        match name {
            FilterName::DuplicatedStrings => NamedFilter::DuplicatedStrings,
            FilterName::DetachedDomNodes => NamedFilter::DetachedDomNodes,
            FilterName::Console => NamedFilter::Console,
            FilterName::EventHandlers => NamedFilter::EventHandlers,
            FilterName::Contexts => NamedFilter::Contexts,
        }
    }
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
                SortName::Shallow => Sort::Shallow,
                SortName::Count => Sort::Count,
                SortName::Name => Sort::Name,
                // What only objects have is their order, and no list of others is asked for by it.
                _ => Sort::Retained,
            },
        }
    }

    fn selection(&self) -> Result<Selection, AskError> {
        let without = self.without.iter().map(|text| text.parse().map_err(AskError));
        Ok(Selection {
            only: self.only.map(Into::into),
            without: without.collect::<Result<_, _>>()?,
        })
    }

    fn objects_question(&self) -> Result<ObjectsQuestion, AskError> {
        let class = self.class.as_ref().map(|text| text.parse().map_err(AskError)).transpose()?;
        let condition = self.condition.as_ref().map(|text| text.parse().map_err(AskError::new));
        Ok(ObjectsQuestion {
            query: Query {
                class,
                condition: condition.transpose()?,
                properties: self.properties.clone(),
                within: None,
            },
            selection: self.selection()?,
            sort: match self.sort {
                SortName::Retained => ObjectSort::Retained,
                SortName::Shallow => ObjectSort::Shallow,
                SortName::Distance => ObjectSort::Distance,
                SortName::Edges => ObjectSort::Edges,
                SortName::Name => ObjectSort::Name,
                SortName::Class => ObjectSort::Class,
                SortName::Id => ObjectSort::Id,
                SortName::Count => {
                    return Err(AskError("objects cannot be sorted by count".to_owned()));
                }
            },
            page: self.page,
        })
    }

    fn leaks(&self) -> LeakOptions {
        let usual = LeakOptions::default();
        LeakOptions {
            matching: self.matching.into(),
            min_objects: self.min_objects.unwrap_or(usual.min_objects),
            min_bytes: self.min_bytes.unwrap_or(usual.min_bytes),
            min_bytes_of_few: self.min_bytes_of_few.unwrap_or(usual.min_bytes_of_few),
            work: self.work.clone(),
        }
    }

    fn view<'a>(&self, snapshot: &'a Snapshot) -> Result<View<'a>, AskError> {
        let ignored = self.ignore.iter().map(|&id| find(snapshot, id));
        let ignored = ignored.collect::<Result<Vec<_>, _>>()?;
        Ok(View::new(snapshot, &ignored, self.js_only))
    }

    fn tree(&self, snapshot: &Snapshot) -> Result<TreeQuestion, AskError> {
        let within = self.within.iter().map(|text| report::key(snapshot, text).map_err(AskError));
        Ok(TreeQuestion {
            by: match self.tree_by {
                TreeByName::Dominators => TreeBy::Dominators,
                TreeByName::Paths => TreeBy::Paths,
            },
            measure: match self.measure {
                MeasureName::Bytes => Measure::Bytes,
                MeasureName::Objects => Measure::Objects,
            },
            of: self.id.map(|_| self.object(snapshot)).transpose()?,
            within: within.collect::<Result<_, _>>()?,
            most: if self.limit == 0 { 700 } else { self.limit },
        })
    }

    fn object(&self, snapshot: &Snapshot) -> Result<NodeOrdinal, AskError> {
        let id = self.id.ok_or_else(|| AskError("an object's id is needed".to_owned()))?;
        find(snapshot, id)
    }
}

fn find(snapshot: &Snapshot, id: u64) -> Result<NodeOrdinal, AskError> {
    let found = snapshot.find(NodeId(id));
    found.ok_or_else(|| AskError(format!("there is no object @{id} in the snapshot")))
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
        for question in [
            "summary",
            "shares",
            "objects",
            "statistics",
            "strings",
            "suspects",
            "inspect",
            "retainers",
            "path",
            "dominators",
            "report",
            "page",
            "tree",
        ] {
            let answer = ask(&snapshot, question, r#"{"id":27,"limit":3}"#).unwrap();
            serde_json::from_str::<serde_json::Value>(&answer).unwrap();
        }
        assert!(compare(&snapshot, &snapshot, "{}").unwrap().contains("\"changedClasses\":0"));
        let same = [&snapshot, &snapshot];
        assert!(find_leaks(&same, "{}").unwrap().contains("\"suspects\":[]"));
        let files = r#"{"files":["a","b"]}"#;
        assert!(trend(&same, files).unwrap().contains("\"groups\":[]"));
    }

    #[test]
    fn of_a_long_way_the_last_steps_are_told() {
        use std::fmt::Write;

        const LENGTH: usize = 150;
        let (mut nodes, mut edges) = (String::from("0,0,1,0,1"), String::from("0,2,5"));
        for at in 1..=LENGTH {
            write!(nodes, ",1,1,{},8,{}", 2 * at + 1, usize::from(at < LENGTH)).unwrap();
            if at < LENGTH {
                write!(edges, ",0,2,{}", 5 * (at + 1)).unwrap();
            }
        }
        let json = format!(
            r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count"],
            "node_types":[["synthetic","object"],"string","number","number","number"],
            "edge_fields":["type","name_or_index","to_node"],
            "edge_types":[["property"],"string_or_number","node"]}},"node_count":{},"edge_count":{LENGTH}}},
            "nodes":[{nodes}],"edges":[{edges}],"strings":["","Item","next"]}}"#,
            LENGTH + 1
        );
        let snapshot = Snapshot::read(json.as_bytes()).unwrap();
        let last = 2 * LENGTH + 1;
        let told = |question, limit: usize| {
            let options = format!(r#"{{"id":{last},"limit":{limit}}}"#);
            let answer = ask(&snapshot, question, &options).unwrap();
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            let path = answer.get("path").unwrap_or(&answer).clone();
            let steps = path["steps"].as_array().unwrap();
            assert_eq!(steps.last().unwrap()["object"]["id"], last);
            (steps.len(), path["leftOut"].as_u64())
        };
        assert_eq!(told("path", 0), (LENGTH, None));
        assert_eq!(told("path", 1), (1, Some(149)));
        assert_eq!(told("page", 20), (100, Some(50)));
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
