//! What the target is: its binary, its Go version, its map layout, its functions and types.
//!
//! Everything here is read from an untrusted file or process: bounded, checked, never a panic.

mod aes;
mod binary;
mod buildid;
mod buildinfo;
mod directory;
mod elf;
mod equal;
mod error;
mod forks;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod go;
mod identity;
mod leftovers;
mod libraries;
mod lines;
mod memory;
mod moduledata;
mod pclntab;
mod places;
mod process;
mod procfs;
#[cfg(any(test, fuzzing))]
mod testing;
mod types;
mod version;

pub use aes::AesHash;
pub use binary::Binary;
pub use buildinfo::BuildInfo;
pub use equal::EqualSteps;
pub use error::TargetError;
pub use forks::Forks;
pub use go::AssumedGo;
pub use identity::identity;
pub use libraries::Libraries;
pub use lines::CodeFrame;
pub use memory::Memory;
pub use places::{Places, Seen};
pub use process::Process;

use map_probe_common::Layout;

/// A version of Go, as `go1.27.3` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoVersion {
    /// 1 in `go1.27.3`; of a version that was assumed, where it was.
    pub major: u32,
    /// 27 in `go1.27.3`; likewise.
    pub minor: u32,
    /// The text as the binary has it, experiments excluded: `go1.27.3`.
    pub text: String,
}

/// The map layouts as a report names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapLayout {
    /// `classic`
    Classic,
    /// `swiss`
    Swiss,
    /// `swiss-split`
    SwissSplit,
}

impl MapLayout {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Swiss => "swiss",
            Self::SwissSplit => "swiss-split",
        }
    }
}

/// What is known of one Go version's maps: the facts of one file below `target/go/`.
#[derive(Clone, Copy, Debug)]
pub struct GoMaps {
    /// The name in reports.
    pub name: MapLayout,
    /// What the kernel side and the walk need.
    pub layout: Layout,
    /// Offset of the hasher closure in a map's type.
    pub hasher_offset: u32,
    /// Offset of the hash seed in a map's header.
    pub seed_offset: u32,
    /// Width of the seed in bytes.
    pub seed_width: u32,
    /// The functions that count every operation exactly once.
    pub functions: &'static [crate::plan::MapFunction],
    /// Functions that carry out a part of an operation of those: for samples, which meet it there.
    pub also_sampled: &'static [crate::plan::MapFunction],
}

/// One function of the target's binary.
#[derive(Clone, Debug)]
pub struct Function<'a> {
    /// The name in the binary's own tables (`runtime.mapaccess2_fast64`).
    pub name: String,
    /// Virtual address in the file (before relocation).
    pub address: u64,
    /// Its machine code, up to the next function.
    pub code: &'a [u8],
}
