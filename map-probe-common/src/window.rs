//! Windows of time: what both sides share to count operations in some of them only (`--max-overhead 1%`).

use crate::shared::shared;

/// Records kept per CPU until userspace has taken them; a power of two.
pub const LOG_RECORDS: u32 = 16_384;

/// Whether operations are counted now, and in which window: `number << 1 | open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Gate(pub u64);

impl Gate {
    /// The gate while window `number` is open, or behind it.
    #[must_use]
    pub const fn new(number: u64, open: bool) -> Self {
        Self(number << 1 | open as u64)
    }

    /// Whether operations are counted.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.0 & 1 == 1
    }

    /// The window's number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 >> 1
    }
}

/// Kinds of probed instructions, by what a trap there costs: an emulated one, a single-stepped one.
pub const TRAP_KINDS: usize = 2;

/// Where a site's cookie has the kind of its instruction; below it is the site's index.
pub const COOKIE_KIND_SHIFT: u32 = 32;

/// What one CPU's traps cost so far. Written by the kernel side, read by userspace, which writes `taken`, and may set
/// `first` to 0.
/// Times are `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Tally {
    /// Traps, by the kind of instruction.
    pub traps: [u64; TRAP_KINDS],
    /// Time in the program.
    pub program_ns: u64,
    /// Traps while the gate was open, by the kind of instruction.
    pub open_traps: [u64; TRAP_KINDS],
    /// Time in the program of these.
    pub open_program_ns: u64,
    /// Places of the log that were given to operations, whose records are there or still to come.
    pub logged: u64,
    /// When the first trap began since userspace set this to 0.
    pub first: u64,
    /// When the last trap ended.
    pub last: u64,
    /// The site of the last trap: an index into the table of sites.
    pub last_site: u64,
    /// Records of the log that userspace has taken: their places are free again.
    pub taken: u64,
    /// Keeps each CPU's tally in cache lines of its own.
    pub reserved: [u64; 5],
}
shared!(Tally, 128, {
    traps: [u64; TRAP_KINDS], program_ns: u64, open_traps: [u64; TRAP_KINDS], open_program_ns: u64,
    logged: u64, first: u64, last: u64, last_site: u64, taken: u64, reserved: [u64; 5],
});

/// One counted operation: depth, cell, and block of its type. Never 0, as depths are not: 0 is a place of the log whose
/// record is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Record(pub u64);

const DEPTH_BITS: u32 = 24;
const CELL_BITS: u32 = 4;
const BLOCK_BITS: u32 = 16;

impl Record {
    /// Of no operation: it had a place, and then could not be counted.
    pub const VOID: Self = Self(1 << 63);

    /// Packs an operation. Depths are far below 2^24, as walks are bounded; blocks below 2^16.
    #[must_use]
    pub const fn new(block: u32, cell: u32, depth: u32) -> Self {
        let depth = depth as u64 & ((1 << DEPTH_BITS) - 1);
        let cell = cell as u64 & ((1 << CELL_BITS) - 1);
        let block = block as u64 & ((1 << BLOCK_BITS) - 1);
        Self(depth | cell << DEPTH_BITS | block << (DEPTH_BITS + CELL_BITS))
    }

    /// The same with another block.
    #[must_use]
    pub const fn with_block(self, block: u32) -> Self {
        Self::new(block, self.cell(), self.depth())
    }

    /// Buckets or groups examined.
    #[must_use]
    pub const fn depth(self) -> u32 {
        (self.0 & ((1 << DEPTH_BITS) - 1)) as u32
    }

    /// The cell, as [`crate::op::cell`] numbers them.
    #[must_use]
    pub const fn cell(self) -> u32 {
        (self.0 >> DEPTH_BITS & ((1 << CELL_BITS) - 1)) as u32
    }

    /// The block of the map's type.
    #[must_use]
    pub const fn block(self) -> u32 {
        (self.0 >> (DEPTH_BITS + CELL_BITS) & ((1 << BLOCK_BITS) - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_what_was_put_into_it() {
        let record = Record::new(1024, 11, 65_537);
        assert_eq!(
            (record.block(), record.cell(), record.depth()),
            (1024, 11, 65_537)
        );
        assert_ne!(record, Record::VOID);
        assert_ne!(Record::new(0, 0, 1).0, 0);
    }

    #[test]
    fn a_gate_is_open_or_not_and_keeps_its_number() {
        assert!(Gate::new(5, true).is_open());
        assert!(!Gate::new(5, false).is_open());
        assert_eq!(Gate::new(5, false).number(), 5);
    }
}
