//! The walk: follows the probe sequence that an operation is about to take
//! through its map, and says how many buckets or groups it examines and
//! whether it finds its key.
//!
//! Written once for two homes. In the kernel it reads the target's memory; on
//! the host it reads recorded images, so that the logic that runs in the
//! kernel is tested without one. It trusts nothing that it reads: every step
//! is bounded by [`MAX_STEPS`], every read may fail.

mod classic;
mod compare;
pub mod hash;
mod search;
mod swiss;
mod types;
mod verify;

#[cfg(test)]
mod tests;

use crate::equal::{EqualProgram, EqualStep};
use crate::layout::{Field, HEADER_WORDS, Layout};
use crate::op::{Class, Outcome};
use crate::quality::Cause;

pub use search::{Operation, Search, see_map};
pub use types::{Equality, MapType, map_type};
pub use verify::{Expected, Found, Relied, Returned, VERDICTS, Verdict};

/// The most steps one walk takes: one per bucket or group, per key compared, and per 32 bytes of a long key.
///
/// `bpf_loop` allows 8 million; this many keep the longest stop of the target at some milliseconds,
/// and a depth within the 16 bits of [`crate::counts::SiteKey`].
pub const MAX_STEPS: u32 = u16::MAX as u32;

/// Bytes of a [`Search`] in the kernel, where its world has no size: userspace tells the verifier.
pub const WALK_STATE_BYTES: usize = 248;

/// Types that any bytes are a value of.
///
/// # Safety
///
/// Implement it only for integers and arrays of them.
pub unsafe trait Plain: Copy + Default {}
// SAFETY: an integer.
unsafe impl Plain for u8 {}
// SAFETY: an integer.
unsafe impl Plain for u16 {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: an array of integers.
unsafe impl<const N: usize> Plain for [u64; N] where [u64; N]: Default {}

/// The world a walk runs in: the kernel, or a memory image on the host.
pub trait World: Copy {
    /// Reads the target's memory at `address`; `None` if it cannot be read.
    fn read<T: Plain>(self, address: u64) -> Option<T>;
    /// The layout of the target's maps.
    fn layout(self) -> &'static Layout;
    /// How values of a struct or array type compare, by the type's address; `None` if unknown.
    fn equal_program(self, typ: u64) -> Option<EqualProgram>;
    /// One step of the table that programs point into; `None` beyond its end.
    fn equal_step(self, index: u32) -> Option<EqualStep>;
    /// Calls `search.step()` until it returns false, at most `limit` times.
    fn repeat(self, limit: u32, search: &mut Search<Self>);
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The operation examines `depth` buckets or groups, and then has this outcome.
    At {
        /// Whether the key is there.
        outcome: Outcome,
        /// Whether there was anything to probe.
        class: Class,
        /// Buckets or groups examined, from 1.
        depth: u32,
    },
    /// The old bucket is about to be evacuated: to be walked afterwards.
    Deferred,
    /// It could not be walked.
    Failed(Cause),
}

/// The first words of a map's header, read at once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Header([u64; HEADER_WORDS]);

impl Header {
    fn read<W: World>(world: W, map: u64) -> Option<Self> {
        world.read(map).map(Self)
    }

    fn get(&self, field: Field) -> u64 {
        let word = usize::from(field.offset) / 8;
        let word = if word < HEADER_WORDS { self.0[word] } else { 0 };
        part(word, field)
    }
}

/// The part of the aligned 8-byte word that a field lies in.
fn part(word: u64, field: Field) -> u64 {
    let bits = u32::from(field.width) * 8;
    let above = 64u32.wrapping_sub(bits) & 63;
    (word >> ((u32::from(field.offset) & 7) * 8)) & (u64::MAX >> above)
}

/// Reads one field of the structure at `base`, which is aligned to eight bytes as all of Go's that have pointers.
fn read_field<W: World>(world: W, base: u64, field: Field) -> Option<u64> {
    if field.width == 0 {
        return Some(u64::from(field.offset));
    }
    let aligned = base.wrapping_add(u64::from(field.offset & !7));
    world.read(aligned).map(|bits| part(bits, field))
}

/// Eight bytes, each of them `byte`.
const fn broadcast(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

/// The top bit of every byte of `word` that is zero, and of no other.
const fn zero_bytes(word: u64) -> u64 {
    const LOW_SEVEN: u64 = broadcast(0x7f);
    !(((word & LOW_SEVEN) + LOW_SEVEN) | word | LOW_SEVEN)
}

/// The index of the lowest byte whose top bit is set in `bits`, which has none but top bits; 0 if it has none at all.
const fn first_byte(bits: u64) -> u64 {
    let lowest = bits & bits.wrapping_neg();
    // `lowest >> 7` is a one moved up by whole bytes, and so moves the byte that is its own index to the top.
    // No branches: the verifier would follow each by itself.
    (lowest >> 7).wrapping_mul(0x0001_0203_0405_0607) >> 56
}
