//! Heap images: a forked child writes its own memory, from which V8 takes the snapshot elsewhere (`crates/heapimage`).
//!
//! The parent makes an [`ImagePlan`]: buffers, the list of files, what is known of machine and process. The child
//! ([`ImagePlan::save`]) reads /proc/self/smaps and pagemap and writes header, tables, pages. It allocates nothing, so its own
//! memory is that of the buffers, at any size of the heap; and what it has written it can give back to the kernel, so that
//! its parent's next write there needs no copy.
//!
//! Invariant: where pages are given back, the child's heap is gone. From then on it runs code of [`save`] alone, which uses
//! the stack, the buffers, loaded objects and nothing else.

mod end;
mod files;
#[cfg(target_arch = "x86_64")]
mod machine;
#[cfg(not(target_arch = "x86_64"))]
#[path = "other_machine.rs"]
mod machine;
mod maps;
mod output;
mod pagemap;
mod region;
mod restored;
mod save;
mod system;

pub(crate) use end::FileNames;
pub(crate) use restored::{Restored, write_restored};

use crate::process::{Failure, Progress, title};
use files::{Files, Known};
use heapimage::{FileRecord, Header, Mapping, Origin};
use output::{SEALED_PIECE, Sealing, packing_sizes};
use region::Region;
use save::{Contents, Scratch};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_void};
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use zerocopy::FromZeros;

/// Why no image can be written in this process.
#[derive(Debug)]
pub(crate) enum NoImage {
    /// There never can be one here.
    Unsupported(String),
    /// The buffers cannot be had.
    NoMemory(io::Error),
}

/// What the caller says of an image.
pub(crate) struct ImageOptions<'a> {
    /// Node's binary and large libraries are copied too.
    pub(crate) embed_all: bool,
    /// By zstd.
    pub(crate) packed: bool,
    /// It is encrypted.
    pub(crate) sealed: Option<heapcrypt::Begun>,
    /// What is written goes to the disk at once and leaves the file cache, which a control group is charged for.
    pub(crate) small_cache: bool,
    /// `process.version`, without the `v`.
    pub(crate) node_version: &'a str,
    /// `process.versions.v8`.
    pub(crate) v8_version: &'a str,
    /// The names of the file, which the child gives it.
    pub(crate) names: Option<FileNames>,
}

/// Where the restored process begins, and what the child knows of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) function: unsafe extern "C" fn(*mut c_void) -> !,
    pub(crate) argument: *mut c_void,
    /// The descriptor that the snapshot goes to: open in the child.
    pub(crate) output: RawFd,
    /// The parent's thread whose isolate the snapshot is of (gettid(2)).
    pub(crate) thread: u32,
    /// V8's used heap in bytes.
    pub(crate) heap_used: u64,
}

/// Everything that a child needs to write its image, made before the fork.
pub(crate) struct ImagePlan {
    /// Taken out by the child.
    buffers: UnsafeCell<Option<Buffers>>,
    /// What they are parts of.
    _region: Region,
    /// Of the files that are copied into the image.
    pub(crate) file_bytes: u64,
}

// SAFETY: nobody looks into the cell but a child, which has one thread.
unsafe impl Sync for ImagePlan {}

/// Parts of the region.
struct Buffers {
    header: &'static mut Header,
    mappings: &'static mut [Mapping],
    contents: &'static mut [Contents],
    records: &'static mut [FileRecord],
    known: &'static mut [Known],
    objects: &'static mut [[u64; 2]],
    scratch: &'static mut Scratch,
    /// Of a compressor.
    packing: Option<(&'static mut [u64], &'static mut [u8])>,
    sealing: Option<Sealing<'static>>,
    names: Option<end::Names>,
    small_cache: bool,
    rseq: Option<(i64, u64)>,
    /// All of them.
    range: Range<u64>,
}

impl ImagePlan {
    /// # Errors
    ///
    /// [`NoImage`].
    pub(crate) fn make(options: &ImageOptions<'_>) -> Result<ImagePlan, NoImage> {
        check_support()?;
        let files = Files::of_this_process(options.embed_all)
            .map_err(|error| NoImage::Unsupported(format!("/proc/self/maps: {error}")))?;
        ImagePlan::with_files(options, &files).map_err(NoImage::NoMemory)
    }

    fn with_files(options: &ImageOptions<'_>, files: &Files) -> io::Result<ImagePlan> {
        // Until the fork there may be more; address space is all that they take.
        let most_mappings = files.mappings * 2 + 4096;
        let (words, packed_bytes) = if options.packed { packing_sizes() } else { (0, 0) };
        let sealed = options.sealed.as_ref();
        let sizes = [
            size_of::<Header>(),
            most_mappings * (size_of::<Mapping>() + size_of::<Contents>()),
            size_of_val(&*files.records),
            size_of_val(&*files.known),
            files.objects.len() * size_of::<[u64; 2]>(),
            size_of::<Scratch>(),
            words * size_of::<u64>(),
            packed_bytes,
            sealed.map_or(0, |begun| begun.head.len() + begun.key.len() + SEALED_PIECE),
            options.names.as_ref().map_or(0, FileNames::bytes),
        ];
        const ROUNDING: usize = 20 * 4096;
        let mut region = Region::new(sizes.iter().sum::<usize>() + ROUNDING)?;
        let range = region.range();
        // SAFETY: the buffers are in the same `ImagePlan` as the region, and `save` alone lets them out, in a child, which
        // unmaps nothing.
        let buffers = unsafe {
            Buffers {
                header: first(region.take(1)?)?,
                mappings: region.take(most_mappings)?,
                contents: region.take(most_mappings)?,
                records: copied(&mut region, &files.records)?,
                known: copied(&mut region, &files.known)?,
                objects: {
                    let objects: Vec<_> =
                        files.objects.iter().map(|range| [range.start, range.end]).collect();
                    copied(&mut region, &objects)?
                },
                scratch: first(region.take(1)?)?,
                packing: if options.packed {
                    Some((region.take(words)?, region.take(packed_bytes)?))
                } else {
                    None
                },
                sealing: match sealed {
                    Some(begun) => Some(Sealing {
                        head: copied(&mut region, &begun.head)?,
                        key: first(copied(&mut region, &[begun.key])?)?,
                        piece: first(region.take(1)?)?,
                    }),
                    None => None,
                },
                names: match &options.names {
                    Some(names) => Some(names.copy_into(region.take(names.bytes())?)),
                    None => None,
                },
                small_cache: options.small_cache,
                rseq: machine::rseq(),
                range,
            }
        };
        describe(buffers.header, options);
        Ok(ImagePlan {
            buffers: UnsafeCell::new(Some(buffers)),
            _region: region,
            file_bytes: files.copied_bytes(),
        })
    }

    /// The temporary file's name where the child finds it even when its heap is gone.
    pub(crate) fn temporary(&self) -> Option<&CStr> {
        // SAFETY: in the parent, or in the child before `save`: nobody has taken the buffers.
        let buffers = unsafe { (*self.buffers.get()).as_ref() };
        buffers.and_then(|buffers| buffers.names.as_ref()).and_then(end::Names::temporary)
    }

    /// Writes the image of the calling process, a forked child on its only thread, into `file`, and goes on. Failures are
    /// recorded in `progress`.
    pub(crate) fn save(
        &self,
        file: RawFd,
        start: Start,
        progress: &'static Progress,
    ) -> Result<(), ()> {
        // SAFETY: the child has one thread, and its parent does not see what it writes here.
        let Some(buffers) = (unsafe { (*self.buffers.get()).take() }) else {
            progress.fail(Failure::Internal, 0);
            return Err(());
        };
        let saved = save::save(buffers, file, start, false, progress);
        saved.map(drop).map_err(|(failure, errno)| progress.fail(failure, errno))
    }

    /// The same, giving pages back behind the writing, and ends the process. `synced`: an output that is a file.
    pub(crate) fn save_and_end(&self, file: RawFd, start: Start, progress: &'static Progress) -> ! {
        // SAFETY: as above.
        let buffers = unsafe { (*self.buffers.get()).take() };
        let saved = match buffers {
            Some(buffers) => save::save(buffers, file, start, true, progress),
            None => Err((Failure::Internal, 0)),
        };
        end::end(saved, file, progress)
    }
}

/// What is the same for every child of this process.
fn describe(header: &mut Header, options: &ImageOptions<'_>) {
    header.begin(machine::ARCHITECTURE, Origin::Child);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    header.time = now.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    header.pid = std::process::id();
    put(&mut header.node_version, options.node_version);
    put(&mut header.v8_version, options.v8_version);
    put(&mut header.writer, concat!("heapdump-rs ", env!("CARGO_PKG_VERSION")));
    put(&mut header.kernel, &kernel_release());
    put(&mut header.title, &title().unwrap_or_default());
    machine::describe(&mut header.machine);
    machine::describe_memory(&mut header.memory);
}

/// Cut where it would not fit, with a zero behind it.
fn put(field: &mut [u8], text: &str) {
    let mut length = text.len().min(field.len() - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

fn kernel_release() -> String {
    // SAFETY: uname writes into a valid place, and ends each text with a zero.
    unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        if libc::uname(&raw mut names) != 0 {
            return String::new();
        }
        CStr::from_ptr(names.release.as_ptr()).to_string_lossy().into_owned()
    }
}

/// A child reads the same files; a process that is not dumpable cannot (proc(5)).
fn check_support() -> Result<(), NoImage> {
    if let Some(reason) = machine::unsupported() {
        return Err(NoImage::Unsupported(reason.to_owned()));
    }
    for file in ["smaps", "pagemap", "mem"] {
        let path = format!("/proc/self/{file}");
        std::fs::File::open(&path)
            .map_err(|error| NoImage::Unsupported(format!("{path}: {error}")))?;
    }
    let page = super::memory::page_size() as u64;
    if page != heapimage::PAGE {
        let reason =
            format!("this machine's pages have {page} bytes, and only 4096 can be restored");
        return Err(NoImage::Unsupported(reason));
    }
    Ok(())
}

fn first<T>(values: &'static mut [T]) -> io::Result<&'static mut T> {
    values.first_mut().ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// # Safety
///
/// As for [`Region::take`].
unsafe fn copied<T: FromZeros + Copy>(
    region: &mut Region,
    values: &[T],
) -> io::Result<&'static mut [T]> {
    // SAFETY: the caller's promise.
    let to = unsafe { region.take(values.len()) }?;
    to.copy_from_slice(values);
    Ok(to)
}
