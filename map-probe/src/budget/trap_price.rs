//! What a trap costs the target beside the time in our program: entering and leaving the kernel, and what that does to its
//! caches.
//!
//! Instructions of our own tell what it costs at best ([`Calibration`]). In the target it is more, by a factor that is much the
//! same for all kinds of instructions. No time between the end of one trap and the beginning of the next is shorter
//! than leaving the kernel and entering it again: so in a target that does little but map operations, the shortest such
//! times are the cost itself and one operation, and in any other the factor lies within what was seen on many.

use map_probe_common::window::TRAP_KINDS;

use crate::probe::Calibration;

/// Windows (of one CPU) whose times between traps are remembered.
const REMEMBERED: usize = 128;
/// Fewer traps say little.
const FEWEST_TRAPS: u64 = 50;
/// The factor is not less than this: calibration is not exact either.
const LEAST: f64 = 0.95;
/// Likely, where the target does not tell.
const LIKELY: f64 = 1.2;
/// And at most.
const MOST: f64 = 1.5;
/// One map operation at its fastest, in nanoseconds.
const FASTEST_OPERATION: f64 = 12.0;

/// A cost between what it is at least and at most, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Likely.
    pub likely: f64,
    /// At least.
    pub least: f64,
    /// At most.
    pub most: f64,
}

/// The cost of traps, as far as it is known.
#[derive(Clone, Debug)]
pub struct TrapPrice {
    calibration: Calibration,
    /// Times between traps, as multiples of the calibrated cost.
    between: Vec<f64>,
    next: usize,
    /// The shortest of these, or nearly.
    shortest: f64,
}

impl TrapPrice {
    /// What is known before the first trap.
    #[must_use]
    pub fn new(calibration: Calibration) -> Self {
        Self {
            calibration,
            between: Vec::new(),
            next: 0,
            shortest: f64::INFINITY,
        }
    }

    /// What so many traps of each kind cost, beside our program.
    #[must_use]
    pub fn of(&self, traps: [u64; TRAP_KINDS]) -> Cost {
        let best = self.calibrated(traps);
        let all = traps.iter().sum::<u64>() as f64;
        if self.shortest < MOST {
            // The shortest times have one operation in them.
            let most = self.shortest.max(LEAST);
            let likely = (most * best - all * FASTEST_OPERATION).max(LEAST * best);
            return Cost {
                likely,
                least: LEAST * best,
                most: most * best,
            };
        }
        Cost {
            likely: LIKELY * best,
            least: LEAST * best,
            most: MOST * best,
        }
    }

    /// Learns from a CPU that had so many traps in so many nanoseconds outside of our program.
    pub fn learn(&mut self, traps: [u64; TRAP_KINDS], outside: f64) {
        if traps.iter().sum::<u64>() < FEWEST_TRAPS {
            return;
        }
        let between = outside / self.calibrated(traps);
        if self.between.len() < REMEMBERED {
            self.between.push(between);
        } else {
            self.between[self.next] = between;
            self.next = (self.next + 1) % REMEMBERED;
        }
        let mut sorted = self.between.clone();
        sorted.sort_by(f64::total_cmp);
        self.shortest = sorted[sorted.len() / 20];
    }

    fn calibrated(&self, traps: [u64; TRAP_KINDS]) -> f64 {
        traps
            .iter()
            .zip(self.calibration.0)
            .map(|(traps, ns)| *traps as f64 * ns)
            .sum()
    }
}
