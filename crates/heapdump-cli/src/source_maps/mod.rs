//! Places in what was compiled, from places in scripts: source maps beside the scripts, within them, or
//! below a directory that holds copies.

mod files;
mod map;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use heapsnapshot::Snapshot;
use heapsnapshot::paths::SourcePlace;

use map::Map;

/// The source maps of scripts, each read when a place in its script is first asked for.
#[derive(Debug, Default)]
pub struct SourceMaps {
    root: Option<PathBuf>,
    /// By the script's name; `None` for one that has no map.
    maps: Mutex<HashMap<String, Option<Arc<Map>>>>,
}

impl SourceMaps {
    /// Maps beside the scripts and within them; with `root` also below that directory, under the last
    /// parts of the script's path.
    #[must_use]
    pub fn new(root: Option<PathBuf>) -> Self {
        SourceMaps { root, maps: Mutex::default() }
    }

    /// Lets all places of a snapshot be those that its scripts were compiled from.
    pub fn apply(self: &Arc<Self>, snapshot: &mut Snapshot) {
        let maps = Arc::clone(self);
        snapshot.map_places(move |place| maps.original(place));
    }

    /// The place that one in a script comes from; `None` if no map tells.
    #[must_use]
    pub fn original(&self, place: &SourcePlace) -> Option<SourcePlace> {
        let script = place.script.as_deref()?;
        let (line, column) = (place.line.checked_sub(1)?, place.column.checked_sub(1)?);
        let map = self.map_of(script)?;
        let found = map.original(line, column)?;
        Some(SourcePlace {
            script: Some(found.source.clone()),
            script_id: place.script_id,
            line: found.line.saturating_add(1),
            column: found.column.saturating_add(1),
        })
    }

    fn map_of(&self, script: &str) -> Option<Arc<Map>> {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = maps.get(script) {
            return known.clone();
        }
        let map = files::find(script, self.root.as_deref()).map(Arc::new);
        maps.insert(script.to_owned(), map.clone());
        map
    }
}
