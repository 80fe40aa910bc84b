//! The program's arguments. Descriptor 0 is the image (with `--stream` a pipe that brings it), 1 the output, 2 where one line says why there is none.

use crate::stop::Stop;
use core::ffi::CStr;

/// How a file of the image is found here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// `--map OLD=NEW`: that path, or what is below that directory, is there.
    Map {
        /// In the image.
        old: &'a [u8],
        /// Here.
        new: &'a [u8],
    },
    /// `--file PATH`: whatever file of the image has the same build-id.
    File(&'a [u8]),
}

/// Most of them.
pub const MOST_PLACES: usize = 64;

/// What the program was told.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    /// Nothing is restored: what the image is and needs goes to the output.
    pub check: bool,
    /// It is tried although the CPU lacks what the image's had.
    pub ignore_cpu: bool,
    /// Who starts this program has made the image, of files that it has opened itself (a core's): they are opened as it.
    pub made_here: bool,
    /// As if the kernel refused to (PR_SET_MM_MAP), for tests.
    pub no_memory_marks: bool,
    /// A core's main thread does not go on: the snapshot is taken where it stood.
    pub at_once: bool,
    /// The image comes through a pipe, once: its pages are checked where they go, before anything of it runs.
    pub stream: bool,
    /// `--user UID:GID`: whom root becomes, instead of nobody. Never root.
    pub user: Option<[u32; 2]>,
    places: [Option<Place<'a>>; MOST_PLACES],
}

impl<'a> Arguments<'a> {
    /// Reads them, the program's name not among them.
    ///
    /// # Errors
    ///
    /// [`Stop::Usage`].
    pub fn read(mut words: impl Iterator<Item = &'a [u8]>) -> Result<Arguments<'a>, Stop> {
        let mut read = Arguments {
            check: false,
            ignore_cpu: false,
            made_here: false,
            no_memory_marks: false,
            at_once: false,
            stream: false,
            user: None,
            places: [None; MOST_PLACES],
        };
        while let Some(word) = words.next() {
            match word {
                b"--check" => read.check = true,
                b"--ignore-cpu" => read.ignore_cpu = true,
                b"--made-here" => read.made_here = true,
                b"--no-memory-marks" => read.no_memory_marks = true,
                b"--at-once" => read.at_once = true,
                b"--stream" => read.stream = true,
                b"--user" => {
                    let user = words.next().and_then(user);
                    read.user =
                        Some(user.ok_or(Stop::Usage("--user wants UID:GID, and not root's"))?);
                }
                b"--map" => {
                    let value = words.next().unwrap_or_default();
                    let cut = value.iter().position(|&byte| byte == b'=');
                    let Some((old, new)) = cut.and_then(|cut| value.split_at_checked(cut)) else {
                        return Err(Stop::Usage("--map wants OLD=NEW"));
                    };
                    read.add(Place::Map { old, new: new.get(1..).unwrap_or_default() })?;
                }
                b"--file" => match words.next() {
                    Some(path) => read.add(Place::File(path))?,
                    None => return Err(Stop::Usage("--file wants a path")),
                },
                _ => return Err(Stop::Usage("an argument is unknown")),
            }
        }
        Ok(read)
    }

    fn add(&mut self, place: Place<'a>) -> Result<(), Stop> {
        let free = self.places.iter_mut().find(|place| place.is_none());
        *free.ok_or(Stop::Usage("too many files are named"))? = Some(place);
        Ok(())
    }

    /// The places in their order.
    pub fn places(&self) -> impl Iterator<Item = Place<'a>> + '_ {
        self.places.iter().flatten().copied()
    }

    /// Which of [`Arguments::places`] a path is mapped by, and what of it is below that place: nothing where that is the file.
    #[must_use]
    pub fn mapped<'p>(&self, path: &'p [u8]) -> Option<(usize, &'p [u8])> {
        self.places().zip(0..).find_map(|(place, index)| {
            let [_, _, below] = mapped(&place, path)?;
            Some((index, path.get(path.len() - below.len()..)?))
        })
    }

    /// Where the file of that path is here, written to `room`. `None` where it does not fit.
    #[must_use]
    pub fn path_here<'r>(&self, path: &[u8], room: &'r mut [u8]) -> Option<&'r CStr> {
        let parts =
            self.places().find_map(|place| mapped(&place, path)).unwrap_or([path, b"", b""]);
        let mut length = 0;
        for part in parts.into_iter().chain([&b"\0"[..]]) {
            let end = length + part.len();
            room.get_mut(length..end)?.copy_from_slice(part);
            length = end;
        }
        CStr::from_bytes_with_nul(room.get(..length)?).ok()
    }
}

/// Whom `UID:GID` means; nobody with root's rights, nor -1, which changes nothing (setresuid(2)).
fn user(text: &[u8]) -> Option<[u32; 2]> {
    let (user, group) = core::str::from_utf8(text).ok()?.split_once(':')?;
    let both: [u32; 2] = [user.parse().ok()?, group.parse().ok()?];
    both.iter().all(|id| (1..u32::MAX).contains(id)).then_some(both)
}

/// The parts of a path under a `--map`: where that begins, one slash, and what is below.
fn mapped<'a, 'p: 'a>(place: &Place<'a>, path: &'p [u8]) -> Option<[&'a [u8]; 3]> {
    let Place::Map { old, new } = *place else { return None };
    let rest = path.strip_prefix(old)?;
    if rest.is_empty() {
        return Some([new, b"", b""]);
    }
    let below = rest.strip_prefix(b"/").or(old.ends_with(b"/").then_some(rest))?;
    Some([new.strip_suffix(b"/").unwrap_or(new), b"/", below])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(words: &[&str], path: &str) -> std::string::String {
        let arguments = Arguments::read(words.iter().map(|word| word.as_bytes())).expect("them");
        let mut room = [0; 64];
        let found = arguments.path_here(path.as_bytes(), &mut room).expect("room");
        found.to_string_lossy().into_owned()
    }

    #[test]
    fn a_path_or_all_below_a_directory_can_be_elsewhere() {
        assert_eq!(here(&[], "/usr/bin/node"), "/usr/bin/node");
        assert_eq!(here(&["--map", "/usr/bin/node=/n"], "/usr/bin/node"), "/n");
        assert_eq!(here(&["--map", "/usr=/mnt/usr"], "/usr/bin/node"), "/mnt/usr/bin/node");
        assert_eq!(here(&["--map", "/=/mnt/"], "/usr/bin/node"), "/mnt/usr/bin/node");
        // As the command gives directories: without a slash at the end.
        assert_eq!(here(&["--map", "/=/mnt"], "/usr/bin/node"), "/mnt/usr/bin/node");
        assert_eq!(here(&["--map", "/usr/=/mnt"], "/usr/bin/node"), "/mnt/bin/node");
        assert_eq!(here(&["--map", "/usr=/"], "/usr/bin/node"), "/bin/node");
        assert_eq!(here(&["--map", "/us=/mnt"], "/usr/bin/node"), "/usr/bin/node");
        assert_eq!(here(&["--map", "/a=/b", "--map", "/usr=/c"], "/usr/node"), "/c/node");
    }

    #[test]
    fn root_can_become_a_user() {
        let words = ["--user", "1000:100", "--stream", "--at-once"];
        let read = Arguments::read(words.iter().map(|word| word.as_bytes())).expect("them");
        assert_eq!((read.user, read.stream, read.at_once), (Some([1000, 100]), true, true));
    }

    #[test]
    fn what_is_no_argument_is_refused() {
        for words in [
            &["--map", "/a"][..],
            &["--map"],
            &["--file"],
            &["-v"],
            &["--user"],
            &["--user", "1000"],
            &["--user", "0:1000"],
            &["--user", "1000:0"],
            &["--user", "-1:1"],
        ] {
            let read = Arguments::read(words.iter().map(|word| word.as_bytes()));
            assert!(matches!(read, Err(Stop::Usage(_))), "{words:?}");
        }
    }
}
