//! The counters in the kernel: per type a block of exact depths, deeper ones by themselves; and by call site, by map
//! and by stack under keys that have type, cell and depth in them.

use crate::op::CELLS;
use crate::shared::shared;
use crate::slots::{Slot, SlotKey, SlotValue, mix};

/// Depths from 1 to this one are counted in a type's [`Block`]; deeper ones under a [`DeepKey`].
pub const NEAR_DEPTHS: usize = 16;

/// The block of operations whose type found no block of its own: a report shows its type as unknown.
pub const UNKNOWN_TYPE_BLOCK: u32 = 0;

/// The block of operations, of whatever type, that found no room in the table of call sites.
pub const NO_SITE_BLOCK: u32 = 1;

/// The same of the table of maps.
pub const NO_MAP_BLOCK: u32 = 2;

/// The same of the tables of stacks.
pub const NO_STACK_BLOCK: u32 = 3;

/// The first block of a type.
pub const FIRST_TYPE_BLOCK: u32 = 4;

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

/// Under which key operations of one call site, or of one stack, are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct SiteKey {
    /// By call site: the address that the map function, or its wrapper, returns to. By stack: the number of the [`Stack`].
    /// 0 if it is not known.
    pub caller: u64,
    /// The type's block.
    pub block: u32,
    /// The cell, as [`crate::op::cell`] numbers them.
    pub cell: u16,
    /// Buckets or groups examined. No walk has more than a `u16` holds.
    pub depth: u16,
}
shared!(SiteKey, 16, { caller: u64, block: u32, cell: u16, depth: u16 });

impl SiteKey {
    /// The key of a caller and a [`SiteKey::kind`].
    #[inline]
    #[must_use]
    pub fn new(caller: u64, kind: u64) -> Self {
        Self {
            caller,
            block: (kind >> 32) as u32,
            cell: (kind >> 16) as u16,
            depth: kind as u16,
        }
    }

    /// All of it but the caller, as one number.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u64 {
        u64::from(self.block) << 32 | u64::from(self.cell) << 16 | u64::from(self.depth)
    }
}

impl SlotKey for SiteKey {
    #[inline]
    fn slot_hash(&self) -> u64 {
        mix(self.caller, self.kind())
    }
}

/// Operations of one call site or stack.
pub type SiteSlot = Slot<SiteKey, u64>;
const _: () = assert!(size_of::<SiteSlot>() == 32);

/// Under which key operations on one map are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct MapKey {
    /// Address of the map.
    pub map: u64,
    /// The rest, as with call sites; the caller is 0 unless [`crate::options::MAPS_BY_CALLER`] is set.
    pub site: SiteKey,
}
shared!(MapKey, 24, { map: u64, site: SiteKey });

impl SlotKey for MapKey {
    #[inline]
    fn slot_hash(&self) -> u64 {
        mix(self.map, self.site.slot_hash())
    }
}

/// Operations on one map, and what the last of them saw of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MapCount {
    /// Operations.
    pub operations: u64,
    /// How full the map was.
    pub shape: Shape,
    /// Which of the sights of one map that was: a later one has a greater number, unless both saw the same. With
    /// [`crate::options::SEES_CHANGES`] it counts changes of the map, else nanoseconds.
    pub seen: u64,
    /// The kernel's jiffies, at the last operation.
    pub tick: u64,
}
shared!(MapCount, 48, { operations: u64, shape: Shape, seen: u64, tick: u64 });

impl SlotValue for MapCount {
    #[inline]
    fn last_used(&self) -> u64 {
        self.tick
    }
}

/// Operations on one map.
pub type MapSlot = Slot<MapKey, MapCount>;
const _: () = assert!(size_of::<MapSlot>() == 80);

/// Slots of the table of call sites, and of that of stacks: combinations of site, type, cell and depth.
pub const SITE_SLOTS: u32 = 65_536;

/// Slots of the table of maps: combinations of map, type, cell and depth.
pub const MAP_SLOTS: u32 = 16_384;

/// Combinations of call site, type and cause under which operations are counted that could not be walked.
pub const FAILURE_KEYS: u32 = 4096;

/// Counters of changes of maps, each for all maps whose addresses lead to it: the change of another map costs a look.
pub const CHANGE_COUNTERS: u32 = 4096;

/// How full a map was as an operation started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    /// Entries in it.
    pub entries: u64,
    /// Swiss: tables, 0 for a small map. Classic: 1.
    pub tables: u64,
    /// Classic: main buckets. Swiss: groups of the table that was searched.
    pub units: u64,
}
shared!(Shape, 24, { entries: u64, tables: u64, units: u64 });

/// The most return addresses of one stack; callers beyond them are left out.
pub const STACK_FRAMES: usize = 64;

/// The return addresses of a stack, the innermost first, up to a zero or the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Stack {
    /// Addresses in the target.
    pub callers: [u64; STACK_FRAMES],
}
shared!(Stack, 512, { callers: [u64; STACK_FRAMES] });

impl Default for Stack {
    fn default() -> Self {
        Self {
            callers: [0; STACK_FRAMES],
        }
    }
}
