//! Where code comes from that was compiled: whoever loads a snapshot may say, by source maps for instance.

use std::sync::Arc;

use crate::paths::SourcePlace;
use crate::{NodeOrdinal, Snapshot};

type Find = dyn Fn(&SourcePlace) -> Option<SourcePlace> + Send + Sync;

/// From a place in a script to the one that it was compiled from.
#[derive(Clone)]
pub(crate) struct Originals(Arc<Find>);

impl std::fmt::Debug for Originals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Originals")
    }
}

impl Snapshot {
    /// From now on, places are those that `find` gives for the places in the scripts; where it gives
    /// none they stay. Classes keep their keys, which are DevTools'.
    pub fn map_places(
        &mut self,
        find: impl Fn(&SourcePlace) -> Option<SourcePlace> + Send + Sync + 'static,
    ) {
        self.originals = Some(Originals(Arc::new(find)));
    }

    pub(crate) fn original(&self, place: SourcePlace) -> SourcePlace {
        let original = self.originals.as_ref().and_then(|originals| (originals.0)(&place));
        original.unwrap_or(place)
    }

    /// The name of the script that a function comes from, if places are mapped.
    pub(crate) fn original_script(&self, function: NodeOrdinal) -> Option<String> {
        self.originals.as_ref()?;
        self.source_place(function)?.script
    }
}
