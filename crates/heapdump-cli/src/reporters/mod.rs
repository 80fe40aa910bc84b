//! How an answer is written: for people, or as JSON.

pub(crate) mod json;
pub(crate) mod text;
