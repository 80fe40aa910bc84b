//! What a request writes: V8's snapshot, or the memory of the child, of which a snapshot is made elsewhere.

use super::{Compression, RequestOptions};
use crate::filename::{EXTENSION, IMAGE_EXTENSION, image_name};
use std::path::{Path, PathBuf};

/// What is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Content {
    /// V8's snapshot.
    #[default]
    Snapshot,
    /// The child's memory, of which a snapshot is made elsewhere (`crates/heapimage`).
    Image(Embed),
    /// The image only where a snapshot would be refused for memory.
    ImageIfNoMemory(Embed),
}

/// Which files that are mapped are copied into an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Embed {
    /// All but large ones (16 MB) that their build-id finds again: Node's binary above all.
    #[default]
    Auto,
    /// Those too: the image needs nothing but the restorer.
    All,
}

/// What an output holds in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Snapshot,
    Image,
}

/// Why no image can be written on this system; `None` where it can.
pub(crate) const IMAGE_UNSUPPORTED: Option<&str> =
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        None
    } else if cfg!(target_os = "linux") {
        Some("images are written on Linux x64 alone")
    } else {
        Some("an image is the memory of a forked child, and only Linux has those")
    };

/// Why none can be written by a snapshot in process.
pub(crate) const IMAGE_IN_PROCESS: &str = "an image is the memory of a forked child, and this would be taken in process: \
     leave mode: 'inline' and nofork away, and use no synchronous call";

impl Kind {
    /// As JavaScript says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Snapshot => "snapshot",
            Kind::Image => "image",
        }
    }

    /// What a file of that name is: images always have names of their own.
    pub(crate) fn of_name(name: &str) -> Kind {
        let name = name.strip_suffix(heapcrypt::EXTENSION).unwrap_or(name);
        let plain = name.strip_suffix(Compression::Zstd.extension()).unwrap_or(name);
        if plain.ends_with(IMAGE_EXTENSION) { Kind::Image } else { Kind::Snapshot }
    }
}

impl Content {
    /// What is tried first.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Content::Snapshot | Content::ImageIfNoMemory(_) => Kind::Snapshot,
            Content::Image(_) => Kind::Image,
        }
    }

    /// Whether an image may be written in the place of a snapshot.
    pub(crate) fn may_become_image(self) -> bool {
        matches!(self, Content::ImageIfNoMemory(_)) && IMAGE_UNSUPPORTED.is_none()
    }
}

impl RequestOptions {
    /// Whether an image may be written in the place of the snapshot.
    pub(crate) fn may_become_image(&self) -> bool {
        self.content.may_become_image() && !self.shows_what_is_redacted()
    }

    /// Whether an image would show what is to be redacted to others than who demands that has named: what the process is told to
    /// redact no caller's own recipients may read.
    pub(crate) fn shows_what_is_redacted(&self) -> bool {
        if super::redacts_everything() {
            !super::encrypts_everything()
        } else {
            self.is_redacted() && !self.is_encrypted()
        }
    }

    /// How an output of `kind` is compressed. Images know zstd alone: gzip would take longer than all the rest.
    pub(crate) fn compression_of(&self, kind: Kind) -> Option<Compression> {
        match kind {
            Kind::Snapshot => self.compression,
            Kind::Image => self.compression.map(|_| Compression::Zstd),
        }
    }

    /// The end of its name.
    pub(crate) fn ending(&self, kind: Kind) -> String {
        let extension = match kind {
            Kind::Snapshot => EXTENSION,
            Kind::Image => IMAGE_EXTENSION,
        };
        let compression = self.compression_of(kind).map_or("", Compression::extension);
        format!("{extension}{compression}{}", self.sealed_extension())
    }

    /// The file that `path` becomes: an image is never called a snapshot, and a compression adds its extension.
    pub(crate) fn named(&self, path: &Path, kind: Kind) -> PathBuf {
        let mut name = match kind {
            Kind::Snapshot => path.as_os_str().to_owned(),
            Kind::Image if super::target::is_device(path) => return path.to_owned(),
            Kind::Image => image_name(path).into_os_string(),
        };
        name.push(self.compression_of(kind).map_or("", Compression::extension));
        name.push(self.sealed_extension());
        name.into()
    }

    fn sealed_extension(&self) -> &'static str {
        if self.is_encrypted() { heapcrypt::EXTENSION } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_images_apart() {
        for name in ["a.heapimage", "a.heapimage.zst", "a.heapimage.zst.age", "a.heapimage.age"] {
            assert_eq!(Kind::of_name(name), Kind::Image, "{name}");
        }
        for name in ["a.heapsnapshot", "a.heapsnapshot.zst", "a.heapimage.json", "heapimage"] {
            assert_eq!(Kind::of_name(name), Kind::Snapshot, "{name}");
        }
    }

    #[test]
    fn images_are_compressed_by_zstd_or_not_at_all() {
        let options = |compression| RequestOptions { compression, ..RequestOptions::default() };
        let gzip = options(Some(Compression::Gzip));
        assert_eq!(gzip.ending(Kind::Snapshot), ".heapsnapshot.gz");
        assert_eq!(gzip.ending(Kind::Image), ".heapimage.zst");
        let name = Path::new("/d/a.heapsnapshot");
        assert_eq!(gzip.named(name, Kind::Snapshot), Path::new("/d/a.heapsnapshot.gz"));
        assert_eq!(gzip.named(name, Kind::Image), Path::new("/d/a.heapimage.zst"));
        assert_eq!(options(None).named(name, Kind::Image), Path::new("/d/a.heapimage"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_keeps_its_name() {
        let options = RequestOptions::default();
        assert_eq!(options.named(Path::new("/dev/null"), Kind::Image), Path::new("/dev/null"));
    }
}
