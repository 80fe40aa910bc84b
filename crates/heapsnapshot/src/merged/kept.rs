//! A tree as far as it has been looked at: who goes deeper does not begin again with all objects of the heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::forest::Forest;
use super::{Group, MergedKey, MergedNode, Sum, TreeQuestion};
use crate::NodeOrdinal;

/// The known part of a tree. Each object is in one group of it at most, so it takes four bytes an object.
#[derive(Debug)]
pub(crate) struct KeptTree {
    nodes: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    group: Group,
    is_leaf: Option<bool>,
    below: Option<Below>,
}

/// What is known of a node that has been expanded, whose group has no members any more.
#[derive(Debug)]
struct Below {
    own: Sum,
    /// The largest first.
    children: Vec<usize>,
}

impl KeptTree {
    pub(super) fn new(forest: &Forest<'_>, root: NodeOrdinal) -> Self {
        let group = Group::one(forest, root, 0);
        KeptTree { nodes: vec![Known { group, is_leaf: None, below: None }] }
    }

    /// `None` if the question leads to no node.
    pub(super) fn answer(
        &mut self,
        forest: &Forest<'_>,
        question: &TreeQuestion,
    ) -> Option<MergedNode> {
        let mut top = 0;
        for &key in &question.within {
            top = self.child(forest, top, key)?;
        }
        Some(self.grow(forest, top, question.most))
    }

    fn child(&mut self, forest: &Forest<'_>, at: usize, key: MergedKey) -> Option<usize> {
        self.expand(forest, at);
        let below = self.nodes[at].below.as_ref()?;
        below.children.iter().copied().find(|&child| self.nodes[child].group.key == key)
    }

    fn expand(&mut self, forest: &Forest<'_>, at: usize) {
        if self.nodes[at].below.is_some() {
            return;
        }
        // Later it has no members to tell it by.
        self.is_leaf(forest, at);
        let (own, groups) = self.nodes[at].group.below(forest);
        let first = self.nodes.len();
        let groups = groups.into_iter().filter(|group| group.size > 0);
        self.nodes.extend(groups.map(|group| Known { group, is_leaf: None, below: None }));
        let children = (first..self.nodes.len()).collect();
        self.nodes[at].below = Some(Below { own, children });
        self.nodes[at].group.members = Vec::new();
    }

    fn is_leaf(&mut self, forest: &Forest<'_>, at: usize) -> bool {
        let node = &mut self.nodes[at];
        *node.is_leaf.get_or_insert_with(|| node.group.is_leaf(forest))
    }

    /// Expands the largest node again and again.
    fn grow(&mut self, forest: &Forest<'_>, top: usize, most: usize) -> MergedNode {
        let least = self.nodes[top].group.size / 4000;
        let mut open = BinaryHeap::from([(self.nodes[top].group.size, Reverse(0))]);
        let mut shown = vec![Shown { parent: 0, node: top, is_open: false }];
        while let Some((_, Reverse(at))) = open.pop()
            && shown.len() < most
        {
            shown[at].is_open = true;
            let node = shown[at].node;
            self.expand(forest, node);
            let children = self.nodes[node].below.as_ref().map_or(0, |below| below.children.len());
            for child in 0..children {
                let Some(below) = &self.nodes[node].below else { break };
                let child = below.children[child];
                let size = self.nodes[child].group.size;
                if size < least {
                    break;
                }
                if !self.is_leaf(forest, child) {
                    open.push((size, Reverse(shown.len())));
                }
                shown.push(Shown { parent: at, node: child, is_open: false });
            }
        }
        self.nest(&shown)
    }

    fn nest(&self, shown: &[Shown]) -> MergedNode {
        let mut merged: Vec<MergedNode> = shown.iter().map(|shown| self.describe(shown)).collect();
        // Children stand behind their parents, so that each is whole when it is moved.
        while merged.len() > 1
            && let Some(mut node) = merged.pop()
        {
            node.children.reverse();
            let parent = shown[merged.len()].parent;
            merged[parent].children.push(node);
        }
        let mut root = merged.swap_remove(0);
        root.children.reverse();
        root
    }

    fn describe(&self, shown: &Shown) -> MergedNode {
        let Known { group, below, .. } = &self.nodes[shown.node];
        let &Group { key, example, count, size, .. } = group;
        // That somebody has looked deeper changes nothing here.
        let own = below.as_ref().filter(|_| shown.is_open).map(|below| below.own);
        let Sum { size: own, count } = own.unwrap_or(Sum { size, count });
        MergedNode { key, example, count, size, own, children: Vec::new() }
    }
}

/// A node of an answer.
struct Shown {
    /// Its place in the answer.
    parent: usize,
    node: usize,
    is_open: bool,
}
