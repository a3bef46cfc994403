//! Reports of a watch: of an interval, and of the whole run.

use super::rows::{self, TypeNames};
use super::watch::Taken;
use crate::report::model::{Cost, Counts};

/// What was taken so far, to report on.
#[derive(Debug)]
pub struct Account {
    bound: f64,
    whole: Taken,
}

/// One window of time as reports need it.
#[derive(Debug)]
pub struct Told {
    /// What was counted.
    pub counts: Counts,
    /// For how long probes were in place, in seconds.
    pub attached_seconds: f64,
    /// What it cost the target; what it cost us is not filled in.
    pub cost: Cost,
}

impl Account {
    /// Nothing yet. `bound` is a share of 1.
    #[must_use]
    pub fn new(bound: f64) -> Self {
        Self {
            bound,
            whole: Taken::default(),
        }
    }

    /// What was taken in the last `seconds`. `counted` is what the kernel side counted meanwhile.
    pub fn interval(
        &mut self,
        taken: &Taken,
        counted: Counts,
        names: &TypeNames,
        seconds: f64,
    ) -> Told {
        self.whole.merge(taken);
        self.tell(taken, counted, names, seconds)
    }

    /// What was taken in all the `seconds` so far.
    #[must_use]
    pub fn whole(&self, counted: Counts, names: &TypeNames, seconds: f64) -> Told {
        self.tell(&self.whole, counted, names, seconds)
    }

    fn tell(&self, taken: &Taken, counted: Counts, names: &TypeNames, seconds: f64) -> Told {
        let quality = counted.quality;
        let Counts {
            operations,
            by_type,
            ..
        } = rows::counts(&taken.sums, names, quality);
        Told {
            counts: Counts {
                operations,
                by_type,
                quality,
                estimates: Some(rows::estimates(&taken.sums, seconds)),
                ..counted
            },
            attached_seconds: (taken.attached / 1e9).min(seconds),
            cost: Cost {
                windows: taken.windows,
                traps: Some(taken.traps),
                ns_per_trap: (taken.traps > 0).then(|| taken.trap_time / taken.traps as f64),
                slowdown: (taken.served > 0.0).then(|| taken.paid / taken.served),
                bound: Some(self.bound),
                cpu_seconds: 0.0,
                resident_bytes: 0,
            },
        }
    }
}
