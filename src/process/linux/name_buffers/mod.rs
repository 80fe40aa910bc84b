//! V8 formats each property index that it meets into a fresh `new char[1024]` and keeps the whole kilobyte: an array of
//! a million objects costs 1.3 GB in its snapshot. In the child, whose only task is the snapshot, such a block is cut to
//! the length of what was formatted into it.
//!
//! How: the slots through which V8's object (the executable, or libnode) calls `operator new[]`, `operator delete[]`
//! and vsnprintf are found before the fork and changed in the child ([`slots`], [`hooks`], [`region`]). What is not
//! exactly as expected leaves the child as it was: it then needs more memory, and nothing else changes.
//!
//! Invariant: nothing here changes the process that serves the application.

mod hooks;
mod region;
mod slots;

use crate::v8::{NameCode, name_code};
use slots::{Object, PAGE, Slot, loaded_objects, page_of};
use std::ffi::{CStr, c_void};
use std::ops::Range;
use std::sync::OnceLock;

/// What a child must change so that its name buffers are cut to size.
#[derive(Debug)]
pub(crate) struct NameBuffers {
    slots: Vec<(Function, Slot)>,
    /// Pages of slots that are read-only, each once.
    read_only_pages: Vec<usize>,
    originals: Originals,
    /// V8's function that formats names.
    formatter: Range<usize>,
}

/// What is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    New,
    Delete,
    DeleteSized,
    Format,
}

/// Where the replaced functions are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Originals {
    new: usize,
    delete: usize,
    /// V8 calls it from Node 22 on.
    delete_sized: Option<usize>,
    format: usize,
}

const FUNCTIONS: [(Function, &CStr); 4] = [
    (Function::New, c"_Znam"),
    (Function::Delete, c"_ZdaPv"),
    (Function::DeleteSized, c"_ZdaPvm"),
    (Function::Format, c"vsnprintf"),
];

impl NameBuffers {
    /// For this process; `None` where it cannot be done. Looked up once.
    pub(crate) fn of_this_process() -> Option<&'static NameBuffers> {
        static FOUND: OnceLock<Option<NameBuffers>> = OnceLock::new();
        FOUND.get_or_init(|| NameBuffers::find(&name_code()?, &loaded_objects())).as_ref()
    }

    fn find(code: &NameCode, objects: &[Object]) -> Option<NameBuffers> {
        let v8 = objects.iter().find(|object| object.contains(code.take))?;
        if !v8.contains(code.formatter.start) || !v8.contains(code.formatter.end) {
            return None;
        }
        let mut slots: Vec<(Function, Slot)> = v8
            .slots(&FUNCTIONS.map(|(_, name)| name))?
            .into_iter()
            .map(|(index, slot)| (FUNCTIONS[index].0, slot))
            // A function's address as the executable knows it, if it is in the executable, is a jump through the
            // function's other slot.
            .filter(|(_, slot)| slot.jump || !v8.contains(slot.value))
            .collect();
        let original = |function| original(function, &slots, v8);
        let originals = Originals {
            new: original(Function::New)?,
            delete: original(Function::Delete)?,
            delete_sized: original(Function::DeleteSized),
            format: original(Function::Format)?,
        };
        slots.retain(|&(function, _)| {
            function != Function::DeleteSized || originals.delete_sized.is_some()
        });
        // Its own `operator delete[]` with more parameters ends in the plain one, and so does what it frees for V8.
        for library in
            objects.iter().filter(|object| object.file_name().starts_with(b"libstdc++.so"))
        {
            let deletes = library.slots(&[c"_ZdaPv"])?;
            slots.extend(deletes.into_iter().map(|(_, slot)| (Function::Delete, slot)));
        }
        let mut read_only_pages: Vec<usize> = slots
            .iter()
            .filter(|(_, slot)| slot.read_only)
            .map(|(_, slot)| page_of(slot.address))
            .collect();
        read_only_pages.sort_unstable();
        read_only_pages.dedup();
        let formatter = code.formatter.clone();
        Some(NameBuffers { slots, read_only_pages, originals, formatter })
    }

    /// In the child, on the thread that will take the snapshot: makes the change. `false` when that is not possible;
    /// everything is then as before.
    pub(crate) fn install(&self) -> bool {
        // SAFETY: the addresses are those of slots (`find`); another thread or tool that has changed one since is left
        // alone.
        let as_found = |(_, slot): &(Function, Slot)| unsafe { read(slot) } == slot.value;
        if !self.slots.iter().all(as_found) || !hooks::prepare(&self.originals, &self.formatter) {
            return false;
        }
        // All of it is writable before anything is written.
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let installed = self.read_only_pages.iter().all(|&page| protect(page, writable)) && {
            // SAFETY: slots of this process, writable now; the child has one thread. The replacements keep the
            // signatures.
            unsafe { self.write(|(function, _)| hooks::replacement(*function)) };
            self.works() || {
                // SAFETY: as above; what was found is put back.
                unsafe { self.write(|(_, slot)| slot.value) };
                false
            }
        };
        // As the loader left them; a child in which that fails does its work as well.
        self.read_only_pages.iter().for_each(|&page| {
            protect(page, libc::PROT_READ);
        });
        installed
    }

    /// Calls through the slots, as V8 will.
    fn works(&self) -> bool {
        let called = |wanted| {
            let of_v8 = |(function, _): &&(Function, Slot)| *function == wanted;
            // SAFETY: the address is a slot's.
            self.slots.iter().find(of_v8).map(|(_, slot)| unsafe { read(slot) })
        };
        match (called(Function::New), called(Function::Delete), called(Function::Format)) {
            // SAFETY: `write` has just put the replacements' addresses there.
            (Some(new), Some(delete), Some(format)) => unsafe {
                hooks::answer(new, delete, format)
            },
            _ => false,
        }
    }

    /// # Safety
    ///
    /// All slots must be writable, and `value` must give the address of a function with the slot's signature.
    unsafe fn write(&self, value: impl Fn(&(Function, Slot)) -> usize) {
        for slot in &self.slots {
            // SAFETY: the caller's promise; slots are aligned (`Object::slots`).
            unsafe { std::ptr::write_volatile(slot.1.address as *mut usize, value(slot)) };
        }
    }
}

/// Where a call of V8's ends up. Not `dlsym(RTLD_DEFAULT)`: for an executable with fixed addresses that is a jump
/// through the very slot that is to be changed.
fn original(wanted: Function, slots: &[(Function, Slot)], v8: &Object) -> Option<usize> {
    let mut values =
        slots.iter().filter(|(function, _)| *function == wanted).map(|(_, slot)| slot.value);
    let value = values.next()?;
    // A slot that is bound at its first call leads into its own object until then.
    let address = if v8.contains(value) { from_library(wanted)? } else { value };
    let agreed = values.all(|other| other == value);
    (agreed && address != 0 && !v8.contains(address)).then_some(address)
}

/// The function as its own library defines it.
fn from_library(function: Function) -> Option<usize> {
    let library = if function == Function::Format { c"libc.so.6" } else { c"libstdc++.so.6" };
    let (_, name) = FUNCTIONS.iter().find(|(known, _)| *known == function)?;
    // SAFETY: valid C strings; RTLD_NOLOAD loads nothing and runs nobody's code. The handle is not given back, so the
    // library stays as it was: loaded.
    unsafe {
        let handle = libc::dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        let address = if handle.is_null() {
            std::ptr::null_mut()
        } else {
            libc::dlsym(handle, name.as_ptr())
        };
        (!address.is_null()).then_some(address as usize)
    }
}

/// # Safety
///
/// `slot` must be one of an object that is loaded.
unsafe fn read(slot: &Slot) -> usize {
    // SAFETY: the caller's promise; slots are aligned and readable (`Object::slots`).
    unsafe { std::ptr::read_volatile(slot.address as *const usize) }
}

fn protect(page: usize, protection: i32) -> bool {
    // SAFETY: a page of a loaded object's data; it stays readable.
    unsafe { libc::mprotect(page as *mut c_void, PAGE, protection) == 0 }
}
