//! `cargo xtask bench budget`: what `--max-overhead` promises, on targets that say by themselves how fast they are.
//!
//! Slowdowns are what the target loses in and around windows, which it sees itself by its own instructions, against its pace beside
//! them; and the CPU time of map-probe's other threads, as if all of it were taken from the target. The pace of whole runs with map-probe,
//! between runs without, is printed beside it: it drifts by itself by more than is to be measured. Distances are the largest gap between two cumulative distributions of depths: the reported one,
//! and the true one, which follows from the numbers of lookups that the target counts itself in each of its two maps, and
//! the distribution in each, traced as a whole.

use super::paced::Target;
use super::probe::Probe;
use super::stats::Series;
use super::table::{Row, Unit};
use crate::process::say;
use crate::{tools, workspace};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// How far apart the reported and the true distribution may be, in percent.
const DISTANCE_LIMIT: f64 = 1.0;

/// So small a bound, in percent, leaves too few operations to say much of their depths.
const LEAST_BOUND: f64 = 0.1;

/// Resident memory that map-probe may have, in MB, and its share of a CPU, in percent.
const MEMORY_LIMIT: f64 = 30.0;
const CPU_LIMIT: f64 = 1.0;

/// The bounds that are tried, in percent too, and on which target.
const SLOWDOWNS: [(&str, f64, &str); 5] = [
    ("1%", 1.0, "bound"),
    ("0.1%", 0.1, "bound"),
    ("5%", 5.0, "bound"),
    ("1%", 1.0, "percent"),
    ("1%", 1.0, ALTERNATING),
];

/// The target whose pace changes by itself every 50 ms: of it only the depths are of interest.
const ALTERNATING: &str = "alternating";

/// Length of a run.
const WINDOW: Duration = Duration::from_secs(10);

/// All rows: slowdowns, distances, and what map-probe takes itself; of so many pairs of runs, without map-probe and with it.
pub(super) fn rows(pairs: u32) -> Result<Vec<Row>> {
    let version = tools::BENCH_GO_VERSIONS
        .last()
        .context("no version of Go")?;
    let binary = super::build_fixture("budget", version)?;
    let cpus = std::thread::available_parallelism()?.get() as f64;
    let mut rows = Vec::new();
    let (mut cpu, mut memory) = (Series::default(), Series::default());
    for (bound, limit, kind) in SLOWDOWNS {
        let (mut slowdowns, mut paces) = (Series::default(), Series::default());
        let mut distances = Series::default();
        let mut target = Target::start(&binary, kind)?;
        let truth = traced(target.pid())?;
        let mut before = target.run(WINDOW)?;
        for pair in 1..=pairs {
            say(&format!("{bound} on {kind}: pair {pair} of {pairs}"));
            let file = workspace::work().join("bench/budget.json");
            let output = file.to_str().context("a path")?;
            let probe = Probe::attach_within(
                bound,
                target.pid(),
                &["--format", "json", "--interval", "1s", "--output", output],
            )?;
            let own_before = probe.cpu_seconds()?;
            let with = target.run(WINDOW)?;
            let own = probe.cpu_seconds()?;
            probe.detach()?;
            let after = target.run(WINDOW)?;
            let lost = with.lost().context("there is no time without a window")?;
            let [windows, others] =
                [0, 1].map(|of| 100.0 * (own[of] - own_before[of]) / with.seconds);
            slowdowns.push(lost + others / cpus);
            cpu.push(windows + others);
            let without = f64::midpoint(before.pace(), after.pace());
            paces.push(100.0 * (1.0 - with.pace() / without));
            before = after;

            let report: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
            distances.push(100.0 * distance(&depths(&report)?, &mix(&truth, with.lookups)));
            let own = &report["cost"]["profiler"];
            let number = |value: &Value| value.as_f64().context("no number");
            memory.push(number(&own["resident_bytes"])? / 1e6);
        }
        if kind != ALTERNATING {
            let name = format!("budget {bound}, {kind}: slowdown");
            rows.push(Row::new(name, Unit::Percent, slowdowns).limit(limit));
            let name = format!("budget {bound}, {kind}: whole runs slower by, with all drift");
            rows.push(Row::new(name, Unit::Percent, paces));
        }
        if limit > LEAST_BOUND {
            let name = format!("budget {bound}, {kind}: largest gap of depths");
            rows.push(Row::new(name, Unit::Percent, distances).limit(DISTANCE_LIMIT));
        }
    }
    let of_cpu = Row::new("budget: map-probe's share of a CPU", Unit::Percent, cpu);
    rows.push(of_cpu.limit(CPU_LIMIT));
    let memory = Row::new("budget: map-probe's memory", Unit::Megabytes, memory);
    rows.push(memory.limit(MEMORY_LIMIT));
    Ok(rows)
}

/// Shares of lookups by the first depth of each bucket.
type Shares = BTreeMap<u64, f64>;

/// The distribution of depths in each of the target's maps, every operation traced: they and their keys never change.
fn traced(pid: u32) -> Result<[Shares; 2]> {
    let file = workspace::work().join("bench/budget-truth.json");
    let output = file.to_str().context("a path")?;
    let probe = Probe::attach(pid, &["--format", "json", "--output", output])?;
    std::thread::sleep(Duration::from_secs(1));
    probe.detach()?;
    let report: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let of = |name: &str| {
        let types = report["by_type"].as_array().context("no `by_type`")?;
        match types.iter().find(|of_type| of_type["type"] == name) {
            Some(of_type) => depths(of_type),
            // Not used by this kind of work.
            None => Ok(Shares::new()),
        }
    };
    Ok([of("map[uint64]uint64")?, of("map[uint64]int64")?])
}

/// The distribution over all lookups on tables, of a report or of a type in it.
fn depths(report: &Value) -> Result<Shares> {
    let rows = report["operations"].as_array().context("no `operations`")?;
    let mut all = Shares::new();
    for row in rows {
        if row["op"] != "lookup" || row["class"] != "table" {
            continue;
        }
        // What all rows have together is what each stands for.
        let seen = row["count"].as_f64().context("no count")?;
        let stands_for = row["share"].as_f64().map_or(1.0, |share| share / seen);
        for bucket in row["depth"]["histogram"]
            .as_array()
            .context("no histogram")?
        {
            let from = bucket["from"].as_u64().context("no depth")?;
            let count = bucket["count"].as_f64().context("no count")?;
            *all.entry(from).or_default() += count * stands_for;
        }
    }
    let sum: f64 = all.values().sum();
    if sum <= 0.0 {
        bail!("no lookups were seen");
    }
    Ok(all
        .into_iter()
        .map(|(depth, count)| (depth, count / sum))
        .collect())
}

/// The distribution of so many lookups with each of two distributions.
fn mix(of: &[Shares; 2], lookups: [f64; 2]) -> Shares {
    let mut all = Shares::new();
    let sum: f64 = lookups.iter().sum();
    for (shares, lookups) in of.iter().zip(lookups) {
        for (depth, share) in shares {
            *all.entry(*depth).or_default() += share * lookups / sum;
        }
    }
    all
}

/// The largest gap between two cumulative distributions.
fn distance(one: &Shares, other: &Shares) -> f64 {
    let (mut gap, mut largest) = (0.0, 0.0_f64);
    let depths: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for depth in depths {
        gap += one.get(depth).unwrap_or(&0.0) - other.get(depth).unwrap_or(&0.0);
        largest = largest.max(f64::abs(gap));
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_the_largest_gap_of_what_lies_below_a_depth() {
        let one = Shares::from([(1, 0.5), (2, 0.3), (9, 0.2)]);
        let other = Shares::from([(1, 0.4), (2, 0.3), (4, 0.3)]);
        assert!((distance(&one, &other) - 0.2).abs() < 1e-9);
        assert!(distance(&one, &one) < 1e-9);
    }

    #[test]
    fn a_mixture_has_the_shares_of_what_it_is_made_of() {
        let mixed = mix(
            &[Shares::from([(1, 1.0)]), Shares::from([(1, 0.5), (3, 0.5)])],
            [300.0, 100.0],
        );
        assert!((mixed[&1] - 0.875).abs() < 1e-9 && (mixed[&3] - 0.125).abs() < 1e-9);
    }
}
