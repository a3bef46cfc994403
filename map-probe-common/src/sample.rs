//! Samples: what the kernel side is told of the target's code, and what it counts.

use crate::layout::Field;
use crate::lives::Identity;
use crate::shared::shared;

/// The most ranges of code that are told apart: map functions, and functions without a frame that those call.
pub const MAX_RANGES: usize = 64;

/// The most steps that the walk of a sample takes: it keeps its CPU from all else meanwhile. About 0.2 ms.
pub const SAMPLED_STEPS: u32 = 1 << 12;

/// The number of all functions that have no frame of their own, in [`CodeRange::function`].
pub const FRAMELESS: u32 = u32::MAX;

/// The machine code of one function in the target's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CodeRange {
    /// Address of its first byte.
    pub start: u64,
    /// One past its last byte.
    pub end: u64,
    /// The entry of its first byte in the table of code.
    pub first: u32,
    /// The number of a map function, or [`FRAMELESS`].
    pub function: u32,
}
shared!(CodeRange, 24, { start: u64, end: u64, first: u32, function: u32 });

impl CodeRange {
    /// No code, behind all that there is.
    pub const NONE: Self = Self {
        start: u64::MAX,
        end: u64::MAX,
        first: 0,
        function: 0,
    };
}

/// The process that is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sampled {
    /// Which one.
    pub process: Identity,
    /// Address of `aeskeysched`; 0 if hashes cannot be computed.
    pub key_schedule: u64,
    /// Address of the byte that says whether the target hashes by AES.
    pub uses_aes: u64,
    /// The seed's place in a map's header.
    pub seed: Field,
    /// Keeps the size a multiple of the alignment.
    pub reserved: u32,
    /// Its code, by address; [`CodeRange::NONE`] behind.
    pub code: [CodeRange; MAX_RANGES],
}
shared!(Sampled, 1584, {
    process: Identity, key_schedule: u64, uses_aes: u64,
    seed: Field, reserved: u32, code: [CodeRange; MAX_RANGES],
});

/// Bytes of code that one element of the table of code describes, with 16 bits each: 0, or the number of a site from 1 on.
pub const BYTES_PER_ELEMENT: usize = 4;

/// Samples of the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessSamples {
    /// All samples that met the process on a CPU.
    pub total: u64,
    /// Those of them that met it in the kernel.
    pub kernel: u64,
}
shared!(ProcessSamples, 16, { total: u64, kernel: u64 });

/// Samples of one map function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FunctionSamples {
    /// In its own code.
    pub inside: u64,
    /// In a function that it called: hashing, comparing, growing.
    pub below: u64,
    /// Of both: those whose operation was walked.
    pub walked: u64,
}
shared!(FunctionSamples, 24, { inside: u64, below: u64, walked: u64 });
