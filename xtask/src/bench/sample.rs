//! What samples cost the target, and whether their shares by depth are those of its time.

use super::fixture::Fixture;
use super::paced::Target;
use super::probe::Probe;
use super::stats::Series;
use super::table::{Row, Unit};
use super::timers::Timers;
use crate::process::{run as run_command, say};
use crate::{tools, workspace};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long the timers run, and stand still, in turns.
const TURN: Duration = Duration::from_millis(100);
/// Pairs of turns in a round: at the default frequency a sample takes so little that it takes many to see it.
const MANY: usize = 300;
/// At so many samples that each of them counts.
const FEW: usize = 25;
/// How often to sample to see what one costs.
const OFTEN: &str = "9999";
/// How long lookups are sampled, to have shares within a fraction of a point.
const SHARES: &str = "10s";
const SHARES_FREQUENCY: &str = "4999";

/// Slowdown, cost and shares with each version of Go; of a target that does lookups on all CPUs.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        say(&format!("sample, Go {version}"));
        let binary = super::build_fixture("budget", version)?;
        let mut target = Target::start(&binary, "bound")?;
        rows.push(slowdown(version, &mut target, rounds)?);
        rows.push(cost(version, &mut target, rounds)?);
        rows.push(shares(version, rounds)?);
    }
    Ok(rows)
}

/// By how many percent the target is slower while map-probe's timers run: the median of so many pairs of turns, each turn
/// without them held against the mean of those with them before and after it.
fn slower(target: &mut Target, pairs: usize, more: &[&str]) -> Result<f64> {
    let args = [&["--mode", "sample", "--format", "json"], more].concat();
    let probe = Probe::attach(target.pid(), &args)?;
    let timers = Timers::of(probe.id())?;
    let mut percent = Series::default();
    let mut before = target.run(TURN)?.pace();
    for _ in 0..pairs {
        timers.run(false)?;
        let without = target.run(TURN)?.pace();
        timers.run(true)?;
        let after = target.run(TURN)?.pace();
        percent.push(100.0 * (1.0 - f64::midpoint(before, after) / without));
        before = after;
    }
    probe.detach()?;
    percent.median().context("no pairs")
}

/// At the frequency that map-probe takes by itself.
fn slowdown(version: &str, target: &mut Target, rounds: u32) -> Result<Row> {
    let mut percent = Series::default();
    for _ in 0..rounds {
        percent.push(slower(target, MANY, &[])?);
    }
    let name = format!("sample, Go {version}: slowdown of a map-bound target");
    Ok(Row::new(name, Unit::Percent, percent).limit(0.3))
}

/// Over a program that does nothing.
fn cost(version: &str, target: &mut Target, rounds: u32) -> Result<Row> {
    let mut ratios = Series::default();
    for _ in 0..rounds {
        let full = slower(target, FEW, &["--frequency", OFTEN])?;
        let empty = slower(target, FEW, &["--frequency", OFTEN, "--bench-empty"])?;
        ratios.push(full / empty);
    }
    let name = format!("sample, Go {version}: cost of a sample / of one with an empty program");
    Ok(Row::new(name, Unit::Ratio, ratios).limit(1.2))
}

/// Shares by depth, as the target measures them and as samples have them: the largest difference of all map types.
fn shares(version: &str, rounds: u32) -> Result<Row> {
    let binary = workspace::work()
        .join("bench")
        .join(format!("oracle-go{version}"));
    let source = workspace::root().join("tests/fixtures/oracle");
    run_command(&mut tools::go_build(&tools::go(version)?, &source, &binary))?;
    let mut points = Series::default();
    for _ in 0..rounds {
        points.push(shares_off(&binary)?);
    }
    let name = format!("sample, Go {version}: share by depth, off the measured one by at most");
    Ok(Row::new(name, Unit::Percent, points).limit(2.0))
}

/// By how many percent they are off in one run of the oracle.
fn shares_off(binary: &Path) -> Result<f64> {
    let (mut target, _) = Fixture::spawn(binary, &["-wait", "-shares", SHARES])?;
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let path = output.to_str().context("a path")?;
    let more = ["--frequency", SHARES_FREQUENCY, "--output", path];
    let args = [&["--mode", "sample", "--format", "json"], more.as_slice()].concat();
    let probe = Probe::attach(target.pid(), &args)?;
    target.tell("")?;
    target.answer()?;
    probe.detach()?;
    target.tell("")?;
    let truth: Value = serde_json::from_str(&target.answer()?)?;
    let report: Value = serde_json::from_str(&std::fs::read_to_string(output)?)?;
    let mut largest = 0.0;
    for of_type in truth.as_array().context("no types")? {
        largest = f64::max(largest, difference(of_type, &report)?);
    }
    Ok(largest)
}

/// The largest difference of two shares of one type, in percent.
fn difference(truth: &Value, report: &Value) -> Result<f64> {
    let measured: BTreeMap<u64, f64> = truth["depths"]
        .as_object()
        .context("no depths")?
        .iter()
        .map(|(depth, time)| Ok((depth.parse()?, time.as_f64().context("no time")?)))
        .collect::<Result<_>>()?;
    let types = report["by_type"].as_array().context("no by_type")?;
    let of_type = types
        .iter()
        .find(|of_type| of_type["type"] == truth["type"])
        .with_context(|| format!("{} was not met", truth["type"]))?;
    let mut samples: BTreeMap<u64, f64> = BTreeMap::new();
    for row in of_type["operations"].as_array().context("no rows")? {
        match (row["op"].as_str(), row["outcome"].as_str()) {
            (Some("lookup"), Some("hit")) => {}
            (Some("lookup"), _) => bail!("a lookup that misses: {row}"),
            _ => continue,
        }
        for bucket in row["depth"]["histogram"].as_array().context("no depths")? {
            let depth = bucket["from"].as_u64().context("no depth")?;
            let count = bucket["count"].as_f64().context("no count")?;
            *samples.entry(depth).or_default() += count;
        }
    }
    let (time, count) = (
        measured.values().sum::<f64>(),
        samples.values().sum::<f64>(),
    );
    let depths = measured.keys().chain(samples.keys());
    let share =
        |of: &BTreeMap<u64, f64>, depth, all: f64| of.get(depth).copied().unwrap_or(0.0) / all;
    Ok(depths
        .map(|depth| (share(&measured, depth, time) - share(&samples, depth, count)).abs() * 100.0)
        .fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_largest_difference_of_shares_is_what_counts() {
        let truth = json!({"type": "map[int]bool", "depths": {"1": 60, "2": 40}});
        let row = |outcome: &str, one: u64, two: u64| {
            json!({"op": "lookup", "outcome": outcome, "depth": {"histogram": [
                {"from": 1, "to": 1, "count": one}, {"from": 2, "to": 2, "count": two}]}})
        };
        let report =
            |rows: Value| json!({"by_type": [{"type": "map[int]bool", "operations": rows}]});
        let off = difference(&truth, &report(json!([row("hit", 650, 350)]))).expect("shares");
        assert!((off - 5.0).abs() < 1e-9, "{off}");
        assert!(difference(&truth, &report(json!([row("miss", 1, 0)]))).is_err());
        assert!(difference(&truth, &json!({"by_type": []})).is_err());
    }
}
