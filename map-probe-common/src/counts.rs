//! The counters in the kernel: per type a block of exact depths, deeper ones by themselves.

use crate::op::CELLS;
use crate::shared::shared;

/// Depths from 1 to this one are counted in a type's [`Block`]; deeper ones under a [`DeepKey`].
pub const NEAR_DEPTHS: usize = 16;

/// The block of operations whose type found no block of its own: a report shows its type as unknown.
pub const UNKNOWN_TYPE_BLOCK: u32 = 0;

/// One type's operations by cell and depth; `counts[cell][depth - 1]`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Block {
    /// Operations.
    pub counts: [[u64; NEAR_DEPTHS]; CELLS],
}
shared!(Block, 1536, { counts: [[u64; NEAR_DEPTHS]; CELLS] });

/// Under which key operations deeper than [`NEAR_DEPTHS`] are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DeepKey {
    /// The type's block.
    pub block: u32,
    /// The cell, as [`crate::op::cell`] numbers them.
    pub cell: u32,
    /// Buckets or groups examined.
    pub depth: u32,
}
shared!(DeepKey, 12, { block: u32, cell: u32, depth: u32 });
