#![expect(clippy::cast_sign_loss, reason = "times and counts are not negative")]
//! The bound is kept whatever the target does, and what is reported is what there was: on simulated targets.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use map_probe_common::window::Record;
use proptest::prelude::*;

use super::estimate::{OnCpu, Piece, Sums};
use super::pacer::{Ns, Pacer, Seen};
use super::rows;
use super::trap_price::TrapPrice;
use crate::probe::Calibration;
use crate::report::counts::Quality;

/// What a window of the simulation costs beside its traps, and how long attaching and detaching take.
const FIXED: f64 = 150e3;
const ATTACH: Ns = 8_000_000;
const DETACH: Ns = 1_000_000;

/// A run against a target that, at any time, lets an attached nanosecond cost what it likes.
struct Run {
    /// The most that had been paid beyond bound × time, in nanoseconds.
    overdrawn: f64,
    /// The share of time that was paid.
    paid: f64,
    /// Of every window: when it was open, for how long, and what it stands for.
    windows: Vec<(Ns, Ns, Option<Ns>)>,
}

fn run(bound: f64, seconds: u64, draw: u64, cost: impl Fn(Ns) -> f64) -> Run {
    let mut pacer = Pacer::new(bound, 0, 200e3);
    let mut run = Run {
        overdrawn: f64::NEG_INFINITY,
        paid: 0.0,
        windows: Vec::new(),
    };
    let (mut now, mut paid) = (0, 0.0);
    let end = seconds * 1_000_000_000;
    // In steps of 50 µs.
    let spend = |from: Ns, to: Ns| -> f64 {
        let mut sum = 0.0;
        let mut at = from;
        while at < to {
            let step = (to - at).min(50_000);
            sum += cost(at).clamp(0.0, 1.0) * step as f64;
            at += step;
        }
        sum
    };
    while now < end {
        let plan = pacer.plan(now, place(draw, run.windows.len()));
        let opened = plan.attach_at + ATTACH;
        let ends = plan.span.map(|_| opened + plan.length);
        let (mut at, mut look) = (opened, opened + plan.look);
        loop {
            let next = ends.map_or(look, |ends| look.min(ends));
            let more = spend(at, next);
            paid += more;
            let last = at;
            at = next;
            if ends.is_some_and(|ends| at >= ends) || at >= end {
                let traps = spend(opened, at);
                let seen = seen(traps, at - opened);
                pacer.ended(at + DETACH, more + FIXED, seen);
                break;
            }
            let Some(next) = pacer.look(at, more) else {
                let seen = seen(spend(last, at), at - last);
                pacer.ended(at + DETACH, FIXED, seen);
                break;
            };
            look = next;
        }
        paid += FIXED;
        run.windows.push((opened, at - opened, plan.span));
        run.overdrawn = run.overdrawn.max(paid - bound * at as f64);
        now = at + DETACH;
    }
    run.paid = paid / now as f64;
    run
}

/// Where a window lies in its span: a random number.
fn place(draw: u64, window: usize) -> f64 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((draw, window));
    hash as f64 / u64::MAX as f64
}

fn seen(traps: f64, live: Ns) -> Seen {
    Seen {
        live: live as f64,
        traps,
        fixed: FIXED,
        late: 0.0,
    }
}

#[test]
fn a_target_that_does_nothing_but_map_operations_pays_the_bound_and_no_more() {
    for bound in [0.001, 0.01, 0.05, 0.3] {
        let run = run(bound, 30, 3, |_| 0.98);
        assert!(run.overdrawn <= 0.0, "{bound}: {} ns over", run.overdrawn);
        assert!(run.paid > 0.7 * bound, "{bound}: only {}", run.paid);
    }
}

#[test]
fn a_target_that_costs_little_is_watched_all_the_time() {
    let run = run(0.01, 30, 3, |_| 0.002);
    let attached: Ns = run.windows.iter().map(|(_, length, _)| length).sum();
    assert!(attached > 25_000_000_000, "{attached} ns of 30 s");
    assert!(run.overdrawn <= 0.0);
}

#[test]
fn a_target_that_may_be_stopped_altogether_is_watched_all_the_time() {
    let run = run(1.0, 10, 3, |_| 1.0);
    let attached: Ns = run.windows.iter().map(|(_, length, _)| length).sum();
    assert!(attached > 7_000_000_000, "{attached} ns of 10 s");
}

#[test]
fn windows_lie_evenly_over_the_phases_of_periodic_work() {
    // So many runs, of which each has a deviation of its own.
    const RUNS: u64 = 100;
    for period in [7.0e6, 50.0e6, 61.8e6, 99.0e6, 100.0e6, 250.0e6] {
        let share = |seed| {
            let run = run(0.01, 10, seed, |_| 0.98);
            let mut first_half = 0.0;
            let mut all = 0.0;
            for (opened, _, span) in &run.windows {
                let span = span.expect("a costly target is sampled") as f64;
                let phase = (*opened as f64 / period).fract();
                first_half += if phase < 0.5 { span } else { 0.0 };
                all += span;
            }
            first_half / all
        };
        let shares: Vec<f64> = (0..RUNS).map(share).collect();
        let mean = shares.iter().sum::<f64>() / RUNS as f64;
        assert!((mean - 0.5).abs() < 0.015, "{period}: {mean}");
        let furthest = shares.iter().map(|share| (share - 0.5).abs());
        let furthest = furthest.fold(0.0, f64::max);
        assert!(furthest < 0.2, "{period}: {furthest} in one run");
    }
}

#[test]
fn what_a_pause_leaves_out_is_stood_for_by_several_windows() {
    // Once a window lasts 40 ms instead of less than one: it is paid for in 4 s.
    let stalls = |at: Ns| (3_000_000_000..3_100_000_000).contains(&at);
    let mut late = false;
    let mut pacer = Pacer::new(0.01, 0, 200e3);
    let (mut now, mut spans) = (0, Vec::new());
    while now < 20_000_000_000 {
        let plan = pacer.plan(now, place(1, spans.len()));
        let opened = plan.attach_at;
        let stalled = stalls(opened) && !late;
        late |= stalled;
        let length = if stalled { 40_000_000 } else { plan.length };
        now = opened + length;
        pacer.ended(now, length as f64 + FIXED, seen(length as f64, length));
        spans.push((opened, plan.span.expect("a costly target is sampled")));
    }
    assert!(late, "no window where the stall was to be");
    let longest = spans.iter().map(|(_, span)| *span).max();
    assert!(longest < Some(1_000_000_000), "{longest:?}");
    let sum: Ns = spans.iter().map(|(_, span)| span).sum();
    assert!(sum.abs_diff(now) < 500_000_000, "{sum} of {now} ns");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_bound_is_kept_whatever_the_target_does(
        bound in prop_oneof![Just(0.001), Just(0.01), Just(0.1), 0.001..1.0_f64],
        seed: u64,
        phases in proptest::collection::vec((1..400_000_000_u64, prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64]), 1..12),
    ) {
        let period: u64 = phases.iter().map(|(length, _)| length).sum();
        let cost = |at: Ns| {
            let mut at = at % period;
            for (length, cost) in &phases {
                if at < *length {
                    return *cost;
                }
                at -= length;
            }
            0.0
        };
        let run = run(bound, 8, seed, cost);
        prop_assert!(run.overdrawn <= 1.0, "{} ns over", run.overdrawn);
    }
}

/// A target of one CPU whose phases have a pace and a distribution of depths; what 10 s of it are, and what is reported.
struct Phases {
    length: f64,
    /// Nanoseconds between operations, without us.
    gap: [f64; 2],
    /// The share of depth 1; the others have depth 3.
    first: [f64; 2],
}

/// What a trap costs in the simulation beside the program's time, and the program's.
const BESIDE: f64 = 600.0;
const PROGRAM: f64 = 250.0;

impl Phases {
    fn truth(&self) -> f64 {
        let paces = self.gap.map(|gap| 1.0 / gap);
        (paces[0] * self.first[0] + paces[1] * self.first[1]) / (paces[0] + paces[1])
    }

    /// The share of depth 1 as reported, with its interval of the mean depth.
    fn reported(&self, seed: u64, calibrated: f64) -> (f64, (f64, f64)) {
        let cost = |gap: f64| (BESIDE + PROGRAM) / (BESIDE + PROGRAM + gap);
        let phase = |at: Ns| (at as f64 / self.length) as usize % 2;
        let run = run(0.01, 10, seed, |at| cost(self.gap[phase(at)]));
        let mut price = TrapPrice::new(Calibration([calibrated; 2]));
        let mut sums = Sums::default();
        for (opened, length, span) in run.windows {
            let phase = phase(opened);
            let traps = (length as f64 / (self.gap[phase] + BESIDE + PROGRAM)) as u64;
            let first = (traps as f64 * self.first[phase]).round() as u64;
            let program_ns = traps as f64 * PROGRAM;
            price.learn([traps, 0], length as f64 - program_ns);
            let operations = [(1, first), (3, traps - first)]
                .into_iter()
                .map(|(depth, count)| (Record::new(1, 0, depth), count))
                .collect();
            let piece = Piece {
                length: length as f64,
                span: span.map(|span| span as f64),
                cpus: vec![OnCpu {
                    traps: [traps, 0],
                    program_ns,
                    operations,
                }],
            };
            sums.add(&piece, &price);
        }
        let counts = rows::counts(&sums, &rows::TypeNames::new(), Quality::default());
        let (_, depths) = counts.operations.iter().next().expect("one row");
        let first = depths.clone().find(|(depth, _)| *depth == 1);
        let (_, first) = first.expect("depth 1");
        let mean = sums.batches.mean(0).expect("enough windows");
        (
            first as f64 / counts.operations.total() as f64,
            (mean.low, mean.high),
        )
    }
}

#[test]
fn phases_of_different_pace_are_weighted_by_their_operations() {
    const RUNS: u64 = 60;
    let phases = Phases {
        length: 50e6,
        gap: [300.0, 3000.0],
        first: [0.9, 0.2],
    };
    let truth = phases.truth();
    let mean = truth + 3.0 * (1.0 - truth);
    let (mut sum, mut covered) = (0.0, 0);
    for seed in 0..RUNS {
        let (share, (low, high)) = phases.reported(seed, 500.0);
        sum += share;
        covered += u64::from(low <= mean && mean <= high);
    }
    // Unweighted, the windows would say 0.75.
    let share = sum / RUNS as f64;
    assert!((share - truth).abs() < 0.015, "{share} is not {truth}");
    assert!(
        covered * 10 >= RUNS * 9,
        "{covered} of {RUNS} intervals have the truth in them"
    );
}

#[test]
fn the_interval_has_the_truth_in_it_where_the_pace_is_hardly_known() {
    let phases = Phases {
        length: 50e6,
        gap: [15.0, 60.0],
        first: [1.0, 0.4],
    };
    let truth = phases.truth();
    let mean = truth + 3.0 * (1.0 - truth);
    let (share, (low, high)) = phases.reported(6, 560.0);
    assert!(
        low <= mean && mean <= high,
        "{mean} is not in {low}..{high}; share {share}"
    );
}

#[test]
fn one_phase_is_reported_as_it_is() {
    let phases = Phases {
        length: 50e6,
        gap: [20.0, 20.0],
        first: [0.7, 0.7],
    };
    let (share, _) = phases.reported(6, 560.0);
    assert!((share - 0.7).abs() < 0.003, "{share}");
}

#[test]
fn windows_without_a_pause_are_all_there_is_and_sure() {
    let price = TrapPrice::new(Calibration([500.0; 2]));
    let mut sums = Sums::default();
    for second in 1..20_u32 {
        let piece = Piece {
            length: 1e9,
            span: None,
            cpus: vec![OnCpu {
                traps: [100, 0],
                program_ns: 25e3,
                operations: [(Record::new(1, 0, second), 100)].into(),
            }],
        };
        sums.add(&piece, &price);
    }
    let quantiles = sums.batches.quantiles(0, [0.5]).expect("known");
    assert_eq!(quantiles, [(10, 10)]);
    let operations = sums.batches.operations(0).expect("known");
    assert!((operations.low - 1900.0).abs() < 1.0 && (operations.high - 1900.0).abs() < 1.0);
}
