//! The Go program that says its own pace: `tests/fixtures/budget`.

use super::attach::planned_sites;
use super::fixture::Fixture;
use super::stats::Series;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Slices far from windows, on each side, that each slice is held against.
const NEIGHBOURS: usize = 30;
/// Slices before and after one with a window that may be disturbed by it too: while probes are put in place, and taken away.
const BEFORE: usize = 2;
const AFTER: usize = 5;

/// A running target. Dropping it ends it.
pub(super) struct Target(Fixture);

/// What the target did in a stretch of time, as it says itself.
pub(super) struct Run {
    pub(super) seconds: f64,
    /// In each of its two maps.
    pub(super) lookups: [f64; 2],
    slices: Vec<Slice>,
}

/// About a millisecond.
#[derive(Clone, Copy)]
struct Slice {
    seconds: f64,
    lookups: f64,
    /// Whether probes were seen in place.
    probed: bool,
}

impl Run {
    /// Lookups per second. In the alternating target each of its maps has its own pace, so that a run may have a little more
    /// of one than of the other; those of the first are most.
    pub(super) fn pace(&self) -> f64 {
        self.lookups.iter().sum::<f64>() / self.seconds
    }

    /// What was lost in windows and around them, in percent of the run: how far the slices' paces there are below the median of
    /// the nearest far from windows, beyond what those are below theirs in the mean. None where there are too few of these.
    ///
    /// Over seconds a virtual machine's pace drifts by many percent; over a twentieth of one it does not, and windows are shorter.
    pub(super) fn lost(&self) -> Option<f64> {
        let all = &self.slices;
        let is_near = |index: usize| {
            let around = index.saturating_sub(AFTER)..all.len().min(index + BEFORE + 1);
            all[around].iter().any(|slice| slice.probed)
        };
        let (near, far): (Vec<_>, Vec<_>) = (0..all.len()).partition(|index| is_near(*index));
        let lost = |index: usize| {
            let at = far.partition_point(|far| *far < index);
            let neighbours = at.saturating_sub(NEIGHBOURS)..far.len().min(at + NEIGHBOURS);
            let mut paces = Series::default();
            for far in &far[neighbours] {
                paces.push(all[*far].lookups / all[*far].seconds);
            }
            let usual = paces.median().filter(|_| paces.len() >= NEIGHBOURS)?;
            Some(all[index].seconds - all[index].lookups / usual)
        };
        let sums = |of: &[usize]| {
            of.iter().try_fold((0.0, 0.0), |(sum, time), index| {
                Some((sum + lost(*index)?, time + all[*index].seconds))
            })
        };
        let (near, near_time) = sums(&near)?;
        let (far, far_time) = sums(&far)?;
        let lost = near - far / far_time * near_time;
        Some(100.0 * lost / (near_time + far_time))
    }
}

impl Target {
    /// Starts it with one kind of work.
    pub(super) fn start(binary: &Path, kind: &str) -> Result<Self> {
        let addresses = planned_sites(binary)?;
        let addresses: Vec<_> = addresses.iter().map(|at| format!("{at:x}")).collect();
        let mut args = vec![kind];
        args.extend(addresses.iter().map(String::as_str));
        Fixture::start(binary, &args).map(Self)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// What it does in so much time from now.
    pub(super) fn run(&mut self, window: Duration) -> Result<Run> {
        self.0.tell(&format!("{}ms", window.as_millis()))?;
        let answer: Value = serde_json::from_str(&self.0.answer()?)?;
        let number = |value: &Value| value.as_f64().context("no number in the target's answer");
        let slices = answer["slices"].as_array().context("no slices")?;
        Ok(Run {
            slices: slices
                .iter()
                .map(|slice| {
                    Ok(Slice {
                        seconds: number(&slice[0])?,
                        lookups: number(&slice[1])?,
                        probed: number(&slice[2])? > 0.0,
                    })
                })
                .collect::<Result<_>>()?,
            seconds: number(&answer["seconds"])?,
            lookups: [
                number(&answer["lookups"][0])?,
                number(&answer["lookups"][1])?,
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(paces: impl Iterator<Item = (f64, bool)>) -> Run {
        let slice = |(lookups, probed)| Slice {
            seconds: 0.001,
            lookups,
            probed,
        };
        Run {
            seconds: 1.0,
            lookups: [1.0, 0.0],
            slices: paces.map(slice).collect(),
        }
    }

    #[test]
    fn what_slices_with_windows_and_those_behind_them_have_less_is_lost() {
        let slices = (0..1000).map(|at| match at {
            // The second half of the window is in a slice that nobody saw it in.
            200 => (500.0, true),
            201 => (0.0, false),
            _ => (1000.0, false),
        });
        let lost = run(slices).lost().expect("enough slices");
        assert!((lost - 0.15).abs() < 1e-9, "{lost}");
    }

    #[test]
    fn what_is_lost_anyway_is_no_loss() {
        let slices = (0..1000).map(|at| (if at % 4 == 0 { 600.0 } else { 1000.0 }, at % 100 == 50));
        let lost = run(slices).lost().expect("enough slices");
        assert!(lost.abs() < 0.05, "{lost}");
    }

    #[test]
    fn a_drift_over_the_whole_run_is_no_loss() {
        let slices = (0..1000_u32).map(|at| (1000.0 + f64::from(at), at % 200 == 100));
        let lost = run(slices).lost().expect("enough slices");
        assert!(lost.abs() < 0.01, "{lost}");
    }

    #[test]
    fn nothing_can_be_said_where_there_is_always_a_window() {
        assert_eq!(run((0..1000).map(|_| (1000.0, true))).lost(), None);
    }
}
