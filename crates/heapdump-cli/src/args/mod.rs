//! What may stand on the command line.

mod questions;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use heapsnapshot::NodeId;

pub(crate) use questions::{Objects, Retainers, Selected};

/// Answers questions about V8 heap snapshots: what is in them, what holds it, and what leaks.
#[derive(Debug, Parser)]
#[command(name = "heapdump-rs", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Give places in what the scripts were compiled from, by source maps beside them or within
    #[arg(long, global = true, help_heading = "Source maps")]
    pub(crate) source_maps: bool,
    /// Look for scripts and their source maps in this directory too
    #[arg(long, global = true, value_name = "DIR", help_heading = "Source maps")]
    pub(crate) source_root: Option<PathBuf>,
    /// Read encrypted snapshots (.age) with the identities (secret keys) of this file; may be given again
    #[arg(long, global = true, value_name = "FILE", help_heading = "Encrypted snapshots")]
    pub(crate) identity: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What the heap is made of, class by class
    #[command(after_help = "Examples:\n  heapdump-rs summary heap.heapsnapshot\n  \
        heapdump-rs summary heap.heapsnapshot.gz --sort count --limit 50 --filter Session\n  \
        heapdump-rs summary heap.heapsnapshot --only duplicated-strings\n  \
        heapdump-rs summary heap.heapsnapshot --without /Session/\n  \
        heapdump-rs summary heap.heapsnapshot --by package")]
    Summary(Summary),
    /// The objects that fit a question
    #[command(after_help = "Examples:\n  heapdump-rs objects heap.heapsnapshot --class /Sess/ \
        --where 'retained > 1MB and edges > 100'\n  heapdump-rs objects heap.heapsnapshot \
        --property token --sort distance --page 2\n  heapdump-rs objects heap.heapsnapshot \
        --without @123456")]
    Objects(Objects),
    /// What the memory is used for
    #[command(after_help = "Example:\n  heapdump-rs statistics heap.heapsnapshot")]
    Statistics(OneFile),
    /// What changed from one snapshot to the next
    #[command(after_help = "Examples:\n  heapdump-rs compare before.heapsnapshot \
        after.heapsnapshot\n  heapdump-rs compare before.heapsnapshot after.heapsnapshot \
        --fail-on-growth 10% --json")]
    Compare(Compare),
    /// What grows and is still held, and what holds it
    #[command(
        after_help = "Examples:\n  heapdump-rs find-leaks --baseline a.heapsnapshot --target \
        b.heapsnapshot --final c.heapsnapshot\n  heapdump-rs find-leaks --snapshot-dir ./snapshots"
    )]
    FindLeaks(FindLeaks),
    /// What grows from snapshot to snapshot of one process, however many there are
    #[command(after_help = "Examples:\n  heapdump-rs trend a.heapsnapshot b.heapsnapshot \
        c.heapsnapshot d.heapsnapshot --per 1000\n  heapdump-rs trend ./snapshots\n  heapdump-rs \
        trend after/ --against before/")]
    Trend(Trend),
    /// One object: its fields, what holds it, and the way to it
    #[command(after_help = "Example:\n  heapdump-rs inspect-object heap.heapsnapshot --object-id \
        @123456")]
    InspectObject(ObjectInFile),
    /// What holds an object
    #[command(after_help = "Examples:\n  heapdump-rs retainers heap.heapsnapshot --object-id \
        @123456\n  heapdump-rs retainers heap.heapsnapshot --object-id @123456 --js-only --ignore \
        @77 @78")]
    Retainers(Retainers),
    /// The objects that retain most, or what one object dominates
    #[command(after_help = "Examples:\n  heapdump-rs dominators heap.heapsnapshot\n  heapdump-rs \
        dominators heap.heapsnapshot --object-id @123456")]
    Dominators(Dominators),
    /// Texts that are in memory more than once
    #[command(after_help = "Example:\n  heapdump-rs strings heap.heapsnapshot --sort count")]
    Strings(Strings),
    /// Objects and classes that retain a large part of one heap
    #[command(after_help = "Example:\n  heapdump-rs suspects heap.heapsnapshot --threshold 5%")]
    Suspects(Suspects),
    /// All that a report shows, as JSON; `npx heapdump-rs report` makes a page of it
    #[command(after_help = "Example:\n  heapdump-rs report heap.heapsnapshot > report.json")]
    Report(Report),
    /// Whether a file is a whole snapshot
    #[command(after_help = "Example:\n  heapdump-rs validate heap.heapsnapshot && upload \
        heap.heapsnapshot")]
    Validate(OneFile),
    /// Every node or edge, one a line, for other programs
    #[command(
        after_help = "Examples:\n  heapdump-rs export heap.heapsnapshot --nodes > nodes.tsv\n  \
        duckdb -c \"select class, sum(shallow_size) from read_csv('nodes.tsv') group by 1\""
    )]
    Export(Export),
    /// Takes the texts out of a snapshot, or says what is left in one that looks like a secret
    #[command(after_help = "Examples:\n  heapdump-rs redact heap.heapsnapshot \
        shared.heapsnapshot.gz\n  heapdump-rs redact heap.heapsnapshot shared.heapsnapshot \
        --key-file key --paths\n  heapdump-rs redact --audit shared.heapsnapshot")]
    Redact(Redact),
    /// Completions for a shell
    #[command(after_help = "Example:\n  heapdump-rs completions bash > \
        ~/.local/share/bash-completion/completions/heapdump-rs")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What every command that answers with a list understands.
#[derive(Debug, ClapArgs)]
pub(crate) struct Listing {
    /// How many rows to show; 0 for all
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub(crate) limit: usize,
    /// Show only rows whose name contains this, in any case
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Output {
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Use what is whole of a file that ends too early
    #[arg(long)]
    pub(crate) salvage: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct OneFile {
    /// The snapshot, which may be compressed (.gz, .zst) and encrypted (.age)
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Summary {
    #[command(flatten)]
    pub(crate) file: OneFile,
    #[command(flatten)]
    pub(crate) selected: Selected,
    /// Sum up by whose code made and holds it, rather than by class
    #[arg(long, value_enum, conflicts_with_all = ["only", "without"])]
    pub(crate) by: Option<ByKey>,
    #[command(flatten)]
    pub(crate) listing: Listing,
    /// What to sort by
    #[arg(long, value_enum, default_value_t = SortKey::Retained)]
    pub(crate) sort: SortKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ByKey {
    /// npm packages, with the version where the scripts' paths have it
    Package,
    Script,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortKey {
    Retained,
    Shallow,
    Count,
    Name,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Compare {
    /// The earlier snapshot
    pub(crate) base: PathBuf,
    /// The later snapshot
    pub(crate) target: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) listing: Listing,
    /// What to sort by: the growth of this
    #[arg(long, value_enum, default_value_t = SortKey::Retained)]
    pub(crate) sort: SortKey,
    /// How to recognise objects: by id where ids agree, always by id, or only by class
    #[arg(long = "match", value_enum, default_value_t = MatchKey::Auto)]
    pub(crate) matching: MatchKey,
    /// List the objects that came and went in each class
    #[arg(long)]
    pub(crate) objects: bool,
    /// Exit with 1 if the total retained size grew by more than this part
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) fail_on_growth: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatchKey {
    Auto,
    Id,
    Class,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FindLeaks {
    /// The snapshot before the load
    #[arg(long, required_unless_present = "snapshot_dir", conflicts_with = "snapshot_dir")]
    pub(crate) baseline: Option<PathBuf>,
    /// The snapshot after some load
    #[arg(long, required_unless_present = "snapshot_dir", conflicts_with = "snapshot_dir")]
    pub(crate) target: Option<PathBuf>,
    /// A snapshot after more load, or after all requests ended
    #[arg(long = "final", conflicts_with = "snapshot_dir", value_name = "FINAL")]
    pub(crate) last: Option<PathBuf>,
    /// Take the oldest, the middle and the newest snapshot of a directory
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshot_dir: Option<PathBuf>,
    /// Show every leaked object with its id and the way to it
    #[arg(long)]
    pub(crate) trace_all_objects: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) listing: Listing,
    /// How to recognise objects: by id where ids agree, always by id, or only by class
    #[arg(long = "match", value_enum, default_value_t = MatchKey::Auto)]
    pub(crate) matching: MatchKey,
    /// Exit with 1 if the suspects grew by more than this part of the baseline's total size
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) fail_on_growth: Option<f64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Trend {
    /// The snapshots, the earliest first, or a directory of them
    #[arg(required = true, num_args = 1.., value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    /// The same from before a fix: exit with 1 unless all that grew is fixed and nothing else grows
    #[arg(long, num_args = 1.., value_name = "FILE|DIR")]
    pub(crate) against: Vec<PathBuf>,
    /// How many units of work (requests, say) were done from one snapshot to the next
    #[arg(long, value_name = "N", value_parser = units)]
    pub(crate) per: Option<f64>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Report {
    /// The snapshots, the earliest first: the report is of the last, and of what grew
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Show the contents of strings, and the keys of objects that are used as dictionaries
    #[arg(long)]
    pub(crate) values: bool,
    /// How many units of work (requests, say) were done from one snapshot to the next
    #[arg(long, value_name = "N", value_parser = units)]
    pub(crate) per: Option<f64>,
    /// Use what is whole of a file that ends too early
    #[arg(long)]
    pub(crate) salvage: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectInFile {
    #[command(flatten)]
    pub(crate) file: OneFile,
    /// The object's id, such as @123456
    #[arg(long, value_name = "@ID", value_parser = object_id)]
    pub(crate) object_id: NodeId,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Dominators {
    #[command(flatten)]
    pub(crate) file: OneFile,
    /// Show what this object immediately dominates
    #[arg(long, value_name = "@ID", value_parser = object_id)]
    pub(crate) object_id: Option<NodeId>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Strings {
    #[command(flatten)]
    pub(crate) file: OneFile,
    #[command(flatten)]
    pub(crate) listing: Listing,
    /// What to sort by
    #[arg(long, value_enum, default_value_t = SortKey::Shallow)]
    pub(crate) sort: SortKey,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Suspects {
    #[command(flatten)]
    pub(crate) file: OneFile,
    /// The part of the heap from which on an object or a class is a suspect
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    pub(crate) threshold: f64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Redact {
    /// The snapshot, which may be compressed (.gz, .zst) and encrypted (.age)
    #[arg(required_unless_present = "audit")]
    pub(crate) input: Option<PathBuf>,
    /// The file to write, compressed if its name ends in .gz or .zst, encrypted if that is followed by .age
    #[arg(required_unless_present = "audit")]
    pub(crate) output: Option<PathBuf>,
    /// A file with the key that pseudonyms depend on, 16 bytes or more: files of one key compare
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// The key itself, which other users of the machine may see
    #[arg(long, value_name = "TEXT")]
    pub(crate) key: Option<String>,
    /// Hide the paths of scripts too
    #[arg(long)]
    pub(crate) paths: bool,
    /// Encrypt it to this recipient of age, age1…; may be given again. The name is to end in .age
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "audit")]
    pub(crate) encrypt_to: Vec<String>,
    /// Write nothing: say what is in this file that looks like a secret
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "key", "key_file", "paths"])]
    pub(crate) audit: Option<PathBuf>,
    /// Exit with 1 if more strings than this look like a secret
    #[arg(long, value_name = "N", default_value_t = 0, requires = "audit")]
    pub(crate) threshold: u64,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) file: OneFile,
    /// Every node
    #[arg(long, required_unless_present_any = ["edges", "output_directory"], conflicts_with = "edges")]
    pub(crate) nodes: bool,
    /// Every edge
    #[arg(long)]
    pub(crate) edges: bool,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Tsv)]
    pub(crate) format: Format,
    /// The directory for tables of Parquet: DIR/nodes/NAME.parquet
    #[arg(long = "output", short, value_name = "DIR")]
    pub(crate) output_directory: Option<PathBuf>,
    /// A table of Parquet; may be given again. Without it all but the edges
    #[arg(long, value_enum)]
    pub(crate) table: Vec<Table>,
    /// A column of Parquet with one value, such as pod=api-1; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<Label>,
    /// Labels become directories, DIR/nodes/pod=api-1/NAME.parquet, as Hive and Spark partition
    #[arg(long, requires = "label")]
    pub(crate) label_directories: bool,
    /// Replace older files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tab-separated, with a header; tab, newline and backslash as \t, \n and \\
    Tsv,
    /// A JSON object a line
    Ndjson,
    /// Tables with types, for DuckDB, Spark, pandas and others
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Table {
    /// Every object
    Nodes,
    /// Every reference
    Edges,
    /// Every text, with how often it is there
    Strings,
    /// Every class
    Classes,
    /// What keeps a hundredth of the heap alive, or more
    Suspects,
}

impl Table {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Nodes => "nodes",
            Table::Edges => "edges",
            Table::Strings => "strings",
            Table::Classes => "classes",
            Table::Suspects => "suspects",
        }
    }
}

/// A column, or a directory, with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Label {
    /// `key=value`, as Hive escapes it (`FileUtils.escapePathName`).
    pub(crate) fn directory(&self) -> String {
        let mut name = format!("{}=", self.key);
        for c in self.value.chars() {
            match u8::try_from(c) {
                Ok(byte)
                    if byte.is_ascii()
                        && !byte.is_ascii_alphanumeric()
                        && !b"-_.+@ ".contains(&byte) =>
                {
                    name.push_str(&format!("%{byte:02X}"));
                }
                _ => name.push(c),
            }
        }
        name
    }
}

fn label(text: &str) -> Result<Label, String> {
    let (key, value) = text.split_once('=').unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if key.is_empty() || value.is_empty() || !key.chars().all(is_name) {
        return Err(format!("'{text}' is no KEY=VALUE, such as pod=api-1"));
    }
    Ok(Label { key: key.to_owned(), value: value.to_owned() })
}

/// `10%` or `10`, as a part of one.
fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .strip_suffix('%')
        .unwrap_or(text)
        .trim()
        .parse()
        .map_err(|_| format!("'{text}' is no percentage, such as 10%"))?;
    if number.is_finite() && number >= 0.0 {
        Ok(number / 100.0)
    } else {
        Err(format!("'{text}' is below zero"))
    }
}

fn units(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("'{text}' is no number above zero"))
}

fn object_id(text: &str) -> Result<NodeId, String> {
    text.parse().map_err(|_| format!("'{text}' is no object id, such as @123456"))
}
