//! Linux: the forked child, from the pages it needs to its end.

mod aside;
mod bell;
mod child;
mod fork;
mod gauges;
mod image;
mod memory;
#[cfg(all(target_env = "gnu", target_arch = "x86_64"))]
mod name_buffers;
#[cfg(not(all(target_env = "gnu", target_arch = "x86_64")))]
#[path = "no_name_buffers.rs"]
mod name_buffers;
mod procfs;
mod public_page;
mod regions;
mod shared;
mod thread_number;
mod watch;

pub(crate) use aside::stand_aside;
pub(crate) use bell::{Bell, Woken};
pub(crate) use child::{ChildSetup, private_memory};
pub(crate) use fork::{Child, fork_child};
pub(crate) use gauges::Gauges;
pub(crate) use image::{
    FileNames, ImageOptions, ImagePlan, NoImage, Restored, Start, write_restored,
};
#[cfg(test)]
pub(crate) use memory::Bound;
pub(crate) use memory::{Headroom, MemorySources, group_use, memory_left, resident};
pub(crate) use name_buffers::NameBuffers;
pub(crate) use public_page::PublicPage;
pub(crate) use regions::Regions;
pub(crate) use shared::SharedPage;
pub(crate) use watch::{ChildEnd, Ending, NextLook, Vitals, watch};
