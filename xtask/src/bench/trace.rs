//! `cargo xtask bench trace`: what counting one lookup costs the target.

use super::probe::{Failure, Probe};
use super::stats::{Series, ratio};
use super::target::Target;
use crate::process::{print, say};
use crate::{tools, workspace};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A lookup may cost at most this many times what an empty program at the same instruction costs.
const LIMIT: f64 = 2.0;

/// One measurement takes this long.
const WINDOW: Duration = Duration::from_millis(200);

/// Time to let the caches, the branch predictor and the kernel's own probe optimisation settle after each change.
const WARM_UP: Duration = Duration::from_millis(50);

/// The type of the target's map, as Go prints it.
const MAP: &str = "map[uint64]uint64";

/// Instructions for reference: the target's word for it, and what a probe on it is.
const REFERENCES: [(&str, &str); 3] = [
    ("emulated", "emulated (1-byte nop)"),
    ("stepped", "single-stepped (mov)"),
    ("nop5", "5-byte nop"),
];

/// Options of `cargo xtask bench trace`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds to take the medians of.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..))]
    rounds: u32,
}

/// Measures with each version of Go; an error when a ratio is over its limit.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut within = true;
    for version in tools::GO_VERSIONS {
        within &= version_row(version, args.rounds).with_context(|| format!("Go {version}"))?;
    }
    if !within {
        bail!("a lookup costs more than {LIMIT} times what an empty program does");
    }
    Ok(())
}

/// The nanoseconds per lookup of all rounds.
#[derive(Debug, Default)]
struct Lookups {
    base: Series,
    empty: Series,
    full: Series,
    ratios: Series,
}

fn version_row(version: &str, rounds: u32) -> Result<bool> {
    let binary = super::build_target(version)?;
    let mut target = Target::start(&binary)?;
    let report = workspace::work().join("bench/report.json");
    let mut lookups = Lookups::default();
    for round in 1..=rounds {
        say(&format!("Go {version}: round {round} of {rounds}"));
        lookups.round(&mut target, &report)?;
    }
    let (Some(base), Some(empty), Some(full)) = (
        lookups.base.median(),
        lookups.empty.median(),
        lookups.full.median(),
    ) else {
        bail!("no rounds");
    };
    let measured = ratio(base, empty, full).ok_or_else(|| {
        anyhow!(
            "an empty program costs nothing measurable: {empty:.1} ns with, {base:.1} ns without"
        )
    })?;
    let within = measured <= LIMIT;

    print(&format!(
        "\nGo {version}: one uint64 lookup (hit, depth 1), {rounds} rounds"
    ));
    print("ns per operation                    median   smallest    largest      added");
    let row = |name: &str, series: &Series, without: Option<f64>| {
        let added = series
            .median()
            .zip(without)
            .map_or_else(String::new, |(with, without)| {
                format!("{:>10.1}", with - without)
            });
        print(&format!("  {name:<28} {} {added}", series.cells(1)));
    };
    row("not probed", &lookups.base, None);
    row("empty program", &lookups.empty, Some(base));
    row("map-probe", &lookups.full, Some(base));
    let verdict = if within { "ok" } else { "OVER" };
    print(&format!(
        "  {:<28} {} (limit {LIMIT}: {verdict})",
        "ratio of what is added",
        format_ratio(measured, &lookups.ratios)
    ));
    for (kind, name) in REFERENCES {
        match reference(&mut target, kind, rounds)? {
            Some((without, with)) => row(&format!("empty on {name}"), &with, without.median()),
            None => print(&format!(
                "  {:<28} not available",
                format!("empty on {name}")
            )),
        }
    }
    Ok(within)
}

fn format_ratio(measured: f64, rounds: &Series) -> String {
    match rounds.range() {
        Some((low, high)) => format!("{measured:>10.2} {low:>10.2} {high:>10.2}"),
        None => format!("{measured:>10.2}"),
    }
}

impl Lookups {
    /// One round: not probed, empty, full, and not probed again, so that a drift of the machine shows in all of them.
    fn round(&mut self, target: &mut Target, report: &Path) -> Result<()> {
        let before = settled(target, "lookup")?;
        let probe = Probe::attach(target.pid(), &["--bench-empty"])?;
        let empty = settled(target, "lookup")?;
        probe.detach()?;

        let file = report.as_os_str();
        let probe = Probe::attach(
            target.pid(),
            &[
                "--format".as_ref(),
                "json".as_ref(),
                "--output".as_ref(),
                file,
            ],
        )?;
        let full = settled(target, "lookup")?;
        probe.detach()?;
        let text = std::fs::read_to_string(report)
            .with_context(|| format!("cannot read {}", report.display()))?;
        check(&serde_json::from_str(&text)?).context("the report is not what was measured")?;

        let after = settled(target, "lookup")?;
        let base = f64::midpoint(before, after);
        self.base.push(before);
        self.base.push(after);
        self.empty.push(empty);
        self.full.push(full);
        if let Some(ratio) = ratio(base, empty, full) {
            self.ratios.push(ratio);
        }
        Ok(())
    }
}

/// A measurement after a warm-up.
fn settled(target: &mut Target, kind: &str) -> Result<f64> {
    target.measure(kind, WARM_UP)?;
    target.measure(kind, WINDOW)
}

/// Nanoseconds per call of a function whose first instruction is of that kind, without and with an empty program on it; none
/// if this map-probe cannot put one there.
fn reference(target: &mut Target, kind: &str, rounds: u32) -> Result<Option<(Series, Series)>> {
    let (mut without, mut with) = (Series::default(), Series::default());
    for _ in 0..rounds {
        without.push(settled(target, kind)?);
        // Assembly functions have this suffix; the name without it is a wrapper of the linker's.
        match Probe::attach(
            target.pid(),
            &["--bench-empty-at", &format!("main.{kind}.abi0")],
        ) {
            Ok(probe) => {
                with.push(settled(target, kind)?);
                probe.detach()?;
            }
            Err(Failure::UnknownOption) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(Some((without, with)))
}

/// An error unless the report shows what the bench is about: lookups that hit at depth 1 in a table, nothing lost.
fn check(report: &Value) -> Result<()> {
    for counter in ["lost", "faults", "torn", "truncated"] {
        let count = report["quality"][counter].as_u64();
        if count != Some(0) {
            bail!("quality counter `{counter}` is {count:?}");
        }
    }
    let types = report["by_type"]
        .as_array()
        .ok_or_else(|| anyhow!("no `by_type`"))?;
    let map = types
        .iter()
        .find(|entry| entry["type"] == MAP)
        .ok_or_else(|| anyhow!("no {MAP}"))?;
    let rows = map["operations"]
        .as_array()
        .ok_or_else(|| anyhow!("no `operations`"))?;
    for row in rows {
        if (
            row["op"].as_str(),
            row["outcome"].as_str(),
            row["class"].as_str(),
        ) != (Some("lookup"), Some("hit"), Some("table"))
        {
            bail!("there are other operations: {row}");
        }
        if row["depth"]["max"] != 1 || row["count"].as_u64().unwrap_or(0) < 1000 {
            bail!("not all lookups end at depth 1, or there are too few: {row}");
        }
    }
    if rows.is_empty() {
        bail!("no lookups of {MAP}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "quality": {"operations": 5000, "lost": 0, "faults": 0, "torn": 0, "truncated": 0},
            "by_type": [{"type": "map[uint64]uint64", "operations": [
                {"op": "lookup", "outcome": "hit", "class": "table", "count": 5000, "depth": {"max": 1}}
            ]}]
        })
    }

    #[test]
    fn a_report_of_lookups_at_depth_1_is_what_is_measured() {
        check(&report()).expect("as it should be");
    }

    #[test]
    fn a_report_that_lost_operations_is_refused() {
        let mut report = report();
        report["quality"]["lost"] = json!(3);
        let error = check(&report).expect_err("3 lost");
        assert!(error.to_string().contains("lost"), "{error}");
    }

    #[test]
    fn a_report_with_deeper_lookups_is_refused() {
        let mut report = report();
        report["by_type"][0]["operations"][0]["depth"]["max"] = json!(2);
        assert!(check(&report).is_err());
    }

    #[test]
    fn a_report_without_the_map_is_refused() {
        let mut report = report();
        report["by_type"] = json!([]);
        assert!(check(&report).is_err());
    }
}
