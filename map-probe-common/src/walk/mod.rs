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
mod search;
mod swiss;
mod types;

#[cfg(test)]
mod tests;

use crate::equal::{EqualProgram, EqualStep};
use crate::layout::{Field, HEADER_WORDS, Layout};
use crate::op::{Class, Outcome};
use crate::quality::Cause;

pub use search::{Operation, Search};
pub use types::{Equality, MapType, map_type};

/// The most steps one walk takes: one per bucket or group, per key compared, and per 32 bytes of a long key.
///
/// `bpf_loop` allows 8 million; this many keep the longest stop of the target at some milliseconds.
pub const MAX_STEPS: u32 = 1 << 16;

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

/// Something that is done step by step.
pub trait Stepwise {
    /// Does one step; false when there is nothing left to do.
    fn step(&mut self) -> bool;
}

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
    /// Calls `task.step()` until it returns false, at most `limit` times.
    fn repeat<S: Stepwise>(self, limit: u32, task: &mut S);
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
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// The part of the 8-byte word that a field of up to 8 bytes lies in.
fn part(word: u64, field: Field) -> u64 {
    let shifted = word >> ((u32::from(field.offset) & 7) * 8);
    match field.width {
        1 => shifted & 0xff,
        2 => shifted & 0xffff,
        4 => shifted & 0xffff_ffff,
        _ => shifted,
    }
}

/// Reads one field of the structure at `base`.
fn read_field<W: World>(world: W, base: u64, field: Field) -> Option<u64> {
    let address = base.wrapping_add(u64::from(field.offset));
    match field.width {
        0 => Some(u64::from(field.offset)),
        1 => world.read::<u8>(address).map(u64::from),
        2 => world.read::<u16>(address).map(u64::from),
        4 => world.read::<u32>(address).map(u64::from),
        _ => world.read::<u64>(address),
    }
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

/// The index of the byte whose top bit is the lowest bit set in `bits`.
const fn first_byte(bits: u64) -> u64 {
    let lowest = bits & bits.wrapping_neg();
    // One comparison per power of two: BPF has no instruction that counts zeros.
    let mut index = 0;
    if lowest & 0x8080_8080_0000_0000 != 0 {
        index += 4;
    }
    if lowest & 0x8080_0000_8080_0000 != 0 {
        index += 2;
    }
    if lowest & 0x8000_8000_8000_8000 != 0 {
        index += 1;
    }
    index
}
