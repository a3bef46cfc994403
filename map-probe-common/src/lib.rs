//! What the kernel side and userspace share: the layouts of Go's maps in one
//! normalised form, the probe sites, the counters, and the walk that follows
//! an operation's probe sequence.
//!
//! Everything is `no_std`, fixed-width and free of Go versions: userspace turns
//! a version into a [`Layout`], and nothing here asks for more.
#![no_std]

#[cfg(test)]
extern crate std;

mod shared;

pub mod counts;
pub mod equal;
pub mod layout;
pub mod lives;
pub mod op;
pub mod options;
pub mod quality;
pub mod sample;
pub mod site;
pub mod slots;
pub mod verify;
pub mod walk;
pub mod window;

pub use layout::{Layout, LayoutKind};
pub use site::Site;
