//! The heap as a tree to look at, merged by class.

use heapsnapshot::merged::{Measure, MergedKey, MergedNode, TreeBy, TreeQuestion};
use heapsnapshot::{ClassIndex, NodeId, Snapshot};
use serde::Serialize;

/// A node of the tree: one object, or all others of a class at one place.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeNode {
    /// `@123` for an object, `c12` for a class: how [`tree`] is asked to go there.
    pub key: String,
    /// The class.
    pub class: String,
    /// What a program calls the object, if it is one and has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of the object, or of the largest.
    pub id: u64,
    /// How many objects.
    pub count: u64,
    /// Bytes, or objects, here and below.
    pub size: u64,
    /// Those of the objects themselves, with what only stores what is theirs.
    pub own: u64,
    /// The largest first. What is too small to be told is missing: the sizes of the children and `own` may be less than `size`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<TreeNode>,
}

/// The tree that is asked for.
///
/// # Errors
/// When the question leads to no node.
pub fn tree(snapshot: &Snapshot, question: &TreeQuestion) -> Result<TreeNode, String> {
    let found = snapshot.merged_tree(question);
    found
        .map(|root| node(snapshot, root))
        .ok_or_else(|| "there is no such part of the tree".to_owned())
}

/// What an object alone keeps alive, by class.
#[must_use]
pub fn kept_alone(
    snapshot: &Snapshot,
    of: heapsnapshot::NodeOrdinal,
    most: usize,
) -> Vec<TreeNode> {
    let question = TreeQuestion {
        by: TreeBy::Dominators,
        measure: Measure::Bytes,
        of: Some(of),
        within: Vec::new(),
        most: 2,
    };
    let mut children =
        snapshot.merged_tree(&question).map(|root| root.children).unwrap_or_default();
    children.truncate(most);
    let leaf = |child| node(snapshot, MergedNode { children: Vec::new(), ..child });
    children.into_iter().map(leaf).collect()
}

/// `@123` or `c12`.
pub(crate) fn key(snapshot: &Snapshot, text: &str) -> Result<MergedKey, String> {
    let found = match text.split_at_checked(1) {
        Some(("@", id)) => {
            id.parse().ok().and_then(|id| snapshot.find(NodeId(id))).map(MergedKey::Object)
        }
        Some(("c", index)) => index.parse().ok().map(|index| MergedKey::Class(ClassIndex(index))),
        _ => None,
    };
    found.ok_or_else(|| format!("'{text}' is no part of the tree"))
}

fn node(snapshot: &Snapshot, merged: MergedNode) -> TreeNode {
    let MergedNode { key, example, count, size, own, children } = merged;
    let (key, name) = match key {
        MergedKey::Object(node) => (format!("@{}", snapshot.id(node).0), snapshot.name_of(node)),
        MergedKey::Class(ClassIndex(index)) => (format!("c{index}"), None),
    };
    TreeNode {
        key,
        class: snapshot.class_name(example).to_owned(),
        name,
        id: snapshot.id(example).0,
        count,
        size,
        own,
        children: children.into_iter().map(|child| node(snapshot, child)).collect(),
    }
}
