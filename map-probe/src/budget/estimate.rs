//! From the operations seen in windows to those of the whole time.
//!
//! In a window the target runs slower than it does by itself, and the more so the more map operations it does. A CPU that
//! was in `n` traps of `t` each, in a window of length `L`, had `L − n·t` for itself: without us it would have done its `n`
//! operations in that time. So its pace is `n / (L − n·t)`, and as the window stands for a span of time `S`, each
//! operation seen stands for `S / (L − n·t)`: its weight. The sums of weights estimate the number of all operations, of each kind and depth.
//!
//! The time in our program is measured in every trap. What a trap costs beside it, entering and leaving the kernel, is
//! known by calibration, and from the target itself: no time between two traps is shorter. For a target that does little but
//! map operations, `L − n·t` is a small difference of large numbers; so everything is summed up three times, with
//! the likely cost and with both ends of what it may be, and the intervals that are reported cover all three.

use std::collections::{BTreeMap, HashMap};

use map_probe_common::window::{Record, TRAP_KINDS};

use super::batches::{Batches, binned};
use super::trap_price::{Cost, TrapPrice};

/// No time between two traps is shorter, in nanoseconds: a map operation and what leads to it.
const SHORTEST_GAP: f64 = 10.0;

/// A sum of weights: with the likely cost of a trap, and with the least and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    /// With the likely cost.
    pub likely: f64,
    /// With the least: the lowest pace.
    pub least: f64,
    /// With the most: the highest pace.
    pub most: f64,
}

impl Weight {
    /// Adds `times` times another.
    pub fn add(&mut self, other: Self, times: f64) {
        self.likely += other.likely * times;
        self.least += other.least * times;
        self.most += other.most * times;
    }
}

/// One CPU in one window.
#[derive(Clone, Debug, Default)]
pub struct OnCpu {
    /// Traps while operations were counted, by kind of instruction.
    pub traps: [u64; TRAP_KINDS],
    /// Time in our program in these, in nanoseconds.
    pub program_ns: f64,
    /// The operations that were counted, by kind.
    pub operations: HashMap<Record, u64>,
}

/// A window, or a piece of one.
#[derive(Clone, Debug)]
pub struct Piece {
    /// For how long operations were counted, in nanoseconds.
    pub length: f64,
    /// The time it stands for, in nanoseconds; `None`: only itself, and nothing is left out.
    pub span: Option<f64>,
    /// Its CPUs.
    pub cpus: Vec<OnCpu>,
}

/// What each operation of a CPU stands for: `traps` of them, at that `cost` beside our program, in a window of that `length`
/// that stands for a `span`; all times in nanoseconds.
fn weight(length: f64, span: f64, traps: u64, program_ns: f64, cost: Cost) -> Weight {
    let shortest = (traps as f64 * SHORTEST_GAP).min(length).max(1.0);
    let own = |cost: f64| (length - program_ns - cost).max(shortest);
    Weight {
        likely: span / own(cost.likely),
        least: span / own(cost.least),
        most: span / own(cost.most),
    }
}

/// Operations of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kind {
    /// Seen.
    pub seen: u64,
    /// All that they stand for.
    pub weight: Weight,
}

/// Everything seen in a time, with weights.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// By kind, the block of the map's type included.
    pub kinds: HashMap<Record, Kind>,
    /// The whole process by cell and depth, window by window: how much they differ is how uncertain the sums are.
    pub batches: Batches,
    /// The time that the windows stand for, in nanoseconds.
    pub span: f64,
    /// For how long operations were counted, in nanoseconds.
    pub length: f64,
}

impl Sums {
    /// Adds a window.
    pub fn add(&mut self, piece: &Piece, price: &TrapPrice) {
        let span = piece.span.unwrap_or(piece.length);
        self.span += span;
        self.length += piece.length;
        let mut whole: BTreeMap<(u32, u32), Weight> = BTreeMap::new();
        for cpu in &piece.cpus {
            let cost = price.of(cpu.traps);
            let traps = cpu.traps.iter().sum();
            let weight = weight(piece.length, span, traps, cpu.program_ns, cost);
            for (record, count) in &cpu.operations {
                let kind = self.kinds.entry(*record).or_default();
                kind.seen += count;
                kind.weight.add(weight, *count as f64);
                whole
                    .entry((record.cell(), binned(record.depth())))
                    .or_default()
                    .add(weight, *count as f64);
            }
        }
        self.batches.add(&whole, piece.span.is_some());
    }

    /// The same with other blocks.
    #[must_use]
    pub fn with_blocks(mut self, block: impl Fn(u32) -> u32) -> Self {
        let kinds = std::mem::take(&mut self.kinds).into_iter();
        let kinds = kinds.map(|(record, kind)| (record.with_block(block(record.block())), kind));
        self.kinds = kinds.collect();
        self
    }

    /// Adds another time.
    pub fn merge(&mut self, other: &Self) {
        for (record, of) in &other.kinds {
            let kind = self.kinds.entry(*record).or_default();
            kind.seen += of.seen;
            kind.weight.add(of.weight, 1.0);
        }
        self.batches.merge(&other.batches);
        self.span += other.span;
        self.length += other.length;
    }
}
