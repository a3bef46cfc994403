//! The Go program that says its own pace: `tests/fixtures/budget`.

use super::fixture::Fixture;
use super::stats::Series;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Slices on each side of one that its pace is held against.
const NEIGHBOURS: usize = 5;

/// A running target. Dropping it ends it.
pub(super) struct Target(Fixture);

/// What the target did in a stretch of time, as it says itself.
pub(super) struct Run {
    seconds: f64,
    /// In each of its two maps.
    pub(super) lookups: [f64; 2],
    /// Seconds and lookups of each slice of some 10 ms.
    slices: Vec<(f64, f64)>,
}

impl Run {
    /// Lookups per second. In the alternating target each of its maps has its own pace, so that a run may have a little more
    /// of one than of the other; those of the first are most.
    pub(super) fn pace(&self) -> f64 {
        self.lookups.iter().sum::<f64>() / self.seconds
    }

    /// What was lost to short disturbances, in percent: how far the slices' paces are below those of their neighbours in the
    /// mean, each held against the median of those from [`NEIGHBOURS`] before it to as many after it.
    ///
    /// Over seconds a virtual machine's pace drifts by many percent; over a tenth of one it does not, and windows are shorter.
    pub(super) fn lost(&self) -> f64 {
        let pace = |&(seconds, lookups): &(f64, f64)| lookups / seconds;
        let all: Vec<f64> = self.slices.iter().map(pace).collect();
        let (mut lost, mut time) = (0.0, 0.0);
        for (index, (seconds, _)) in self.slices.iter().enumerate() {
            let end = all.len().min(index + NEIGHBOURS + 1);
            let mut near = Series::default();
            for pace in &all[index.saturating_sub(NEIGHBOURS)..end] {
                near.push(*pace);
            }
            if let Some(median) = near.median()
                && median > 0.0
            {
                lost += seconds * (1.0 - all[index] / median);
                time += seconds;
            }
        }
        if time > 0.0 { 100.0 * lost / time } else { 0.0 }
    }
}

impl Target {
    /// Starts it with one kind of work.
    pub(super) fn start(binary: &Path, kind: &str) -> Result<Self> {
        Fixture::start(binary, &[kind]).map(Self)
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
                .map(|slice| Ok((number(&slice[0])?, number(&slice[1])?)))
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

    fn run(slices: Vec<(f64, f64)>) -> Run {
        Run {
            seconds: 1.0,
            lookups: [1.0, 0.0],
            slices,
        }
    }

    #[test]
    fn what_a_few_slices_have_less_is_lost() {
        let mut slices = vec![(0.01, 1000.0); 100];
        slices[20].1 = 500.0;
        slices[70].1 = 0.0;
        assert!((run(slices).lost() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_drift_over_the_whole_run_is_no_loss() {
        let slices = (0..100_u32)
            .map(|at| (0.01, 1000.0 + f64::from(at)))
            .collect();
        assert!(run(slices).lost().abs() < 0.01);
    }
}
