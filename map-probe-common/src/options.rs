//! What the kernel side is asked to count, beside the types.

use crate::shared::shared;

/// Count by call site.
pub const SITES: u32 = 1;
/// Count by map.
pub const MAPS: u32 = 2;
/// Count by stack.
pub const STACKS: u32 = 4;
/// Keep the call sites of one map apart: userspace picks some of them.
pub const MAPS_BY_CALLER: u32 = 8;
/// Leave out the types that userspace has found unwanted.
pub const CHOSEN_TYPES: u32 = 16;
/// Every insert and delete is trapped: a map that has had none since it was last looked at is as full as it was.
pub const SEES_CHANGES: u32 = 32;

/// Set before loading: the verifier drops the code for what is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Options {
    /// Only operations on the map at this address, if it is not 0.
    pub map: u64,
    /// [`SITES`], [`MAPS`], [`STACKS`], [`MAPS_BY_CALLER`], [`CHOSEN_TYPES`], [`SEES_CHANGES`].
    pub count: u32,
    /// The most steps that a walk takes, if it is not 0.
    pub steps: u32,
    /// Not 0 if a probe is known by the address of its instruction only.
    pub by_address: u32,
    /// 0.
    pub reserved: u32,
}
shared!(Options, 24, { map: u64, count: u32, steps: u32, by_address: u32, reserved: u32 });
