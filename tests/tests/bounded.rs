//! `--max-overhead 1%`: what is reported from windows of time is what there was, and the target takes no harm.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::exact;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::oracle::Truth;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;
use serde_json::Value;

/// A run of the whole oracle under a bound, with the truth of the same run.
fn bounded(go: Go, bound: &str) -> Result<(Truth, Report)> {
    let mut target = Target::waiting(go, &["-n", "3000"])?;
    let mut profiler = Profiler::start(&[
        "--max-overhead",
        bound,
        "--format",
        "json",
        "--pid",
        &target.pid(),
    ])?;
    profiler.wait_attached()?;
    let report = exact::work(&mut target, profiler)?;
    Ok((target.finish()?, report))
}

/// Attaching and detaching all the time never changes what the program does (it checks itself), nothing is counted twice,
/// and no depth is invented.
fn windows_do_no_harm(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for bound in ["1%", "40%"] {
        let (truth, report) = bounded(go, bound)?;
        truth.expect_go(go)?;
        let mut seen = 0;
        for (kind, histogram) in &report.operations {
            let all = truth.types.values().filter_map(|rows| rows.get(kind));
            let all: u64 = all.flat_map(|of_kind| of_kind.values()).sum();
            let counted: u64 = histogram.values().sum();
            ensure!(
                kind.class == "small" || counted <= all,
                "{bound}: {counted} of {kind:?}, of which there were {all}"
            );
            for (depth, count) in histogram {
                let there = truth
                    .types
                    .values()
                    .filter_map(|rows| rows.get(kind)?.get(depth));
                let there: u64 = there.sum();
                // Class `small` is not all counted; what is seen is never more than there was.
                ensure!(
                    kind.class == "small" || there > 0,
                    "{bound}: {count} of {kind:?} at {depth:?}, where there were none"
                );
                seen += count;
            }
        }
        ensure!(seen > 0, "{bound}: nothing was seen");
        let cost = &report.json["cost"];
        ensure!(cost["traps"].as_u64() >= Some(seen), "{bound}: {cost}");
        ensure!(cost["windows"].as_u64() > Some(0), "{bound}: {cost}");
        ensure!(cost["ns_per_trap"].as_f64() > Some(50.0), "{bound}: {cost}");
        // With many operations in long windows, records may be lost on a busy machine: they are counted as such.
        if bound == "1%" {
            report.expect_complete()?;
        }
    }
    Ok(())
}

#[test]
fn windows_do_no_harm_to_classic_maps() -> Result<()> {
    windows_do_no_harm(Go::V1_23)
}

#[test]
fn windows_do_no_harm_to_swiss_maps() -> Result<()> {
    windows_do_no_harm(Go::V1_27)
}

/// A target that does this kind of work already.
fn working(kind: &str) -> Result<Child> {
    let fixture = go::fixture("budget", Go::V1_27, Variant::Plain)?;
    let target = Command::new(&fixture)
        .arg(kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    thread::sleep(Duration::from_millis(200));
    Ok(target)
}

fn of_budget(target: &Child, bound: &str, duration: &str) -> Result<Value> {
    let pid = target.id().to_string();
    let ended = profiler::run(&[
        "--max-overhead",
        bound,
        "--duration",
        duration,
        "--format",
        "json",
        "--pid",
        &pid,
    ])?;
    Ok(Report::parse(&ended.success()?.stdout)?.json)
}

#[test]
fn depths_are_those_of_all_operations_within_their_intervals() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = working("deep")?;
    // The truth: its keys and maps never change, so any stretch that is traced as a whole has the same distribution.
    let reports = of_budget(&target, "off", "300ms")
        .and_then(|truth| Ok((truth, of_budget(&target, "3%", "4s")?)));
    target.kill()?;
    target.wait()?;
    let (truth, bounded) = reports?;
    let (truth, bounded) = (misses(&truth)?, misses(&bounded)?);

    let mean = truth["depth"]["mean"].as_f64().context("a mean")?;
    let within = bounded["depth"]["ci"]["mean"]
        .as_array()
        .context("an interval")?;
    let (low, high) = (within[0].as_f64(), within[1].as_f64());
    // The traced stretch is a sample, too.
    ensure!(
        low <= Some(mean * 1.01) && high >= Some(mean * 0.99),
        "a mean of {mean}, where it should be within {within:?}"
    );
    for quantile in ["p50", "p90", "p99"] {
        let of_all = truth["depth"][quantile].as_u64();
        let within = bounded["depth"]["ci"][quantile]
            .as_array()
            .context("an interval")?;
        ensure!(
            within[0].as_u64() <= of_all && of_all <= within[1].as_u64(),
            "{quantile} is {of_all:?}, where it should be within {within:?}"
        );
    }
    Ok(())
}

#[test]
fn windows_keep_no_step_with_the_kernels_clock() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // One map in the first of 4 ms, and another in the rest.
    let mut target = working("ticking")?;
    let report = of_budget(&target, "1%", "6s");
    target.kill()?;
    target.wait()?;
    let report = report?;
    let rows = report["by_type"].as_array().context("types")?;
    let mut seen = Vec::new();
    for name in ["map[uint64]uint64", "map[uint64]int64"] {
        let row = rows.iter().find(|row| row["type"] == name);
        let operations = row.and_then(|row| row["operations"].as_array());
        let counts = operations.into_iter().flatten();
        seen.push(counts.filter_map(|row| row["count"].as_f64()).sum::<f64>());
    }
    let share = seen[0] / (seen[0] + seen[1]);
    // There are some fifty windows; of those that begin at a tick, three in four of the operations are from there.
    ensure!(
        (0.05..=0.5).contains(&share),
        "{share:.2} of what is seen is from the first quarter of 4 ms: {}",
        report["cost"]
    );
    Ok(())
}

/// The row of lookups that miss, of a whole process.
fn misses(report: &Value) -> Result<&Value> {
    let rows = report["operations"].as_array().context("rows")?;
    rows.iter()
        .find(|row| row["op"] == "lookup" && row["outcome"] == "miss" && row["class"] == "table")
        .context("no lookups that miss")
}

#[test]
fn a_command_that_ends_before_the_first_window_is_reported_as_such() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("tiny", Go::V1_27, Variant::Plain)?;
    let fixture = fixture.to_str().context("a path")?;
    let ended = profiler::run(&["--max-overhead", "0.1%", "--", fixture])?;
    ended.refused(&[5])?;
    ensure!(
        ended
            .stderr
            .contains("ended before its probes were attached"),
        "{}",
        ended.stderr
    );
    ensure!(ended.stdout.is_empty(), "{}", ended.stdout);
    ensure!(
        !ended.stderr.contains("attached to"),
        "no probe was in place:\n{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn a_program_that_does_little_with_maps_is_watched_all_the_time() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    let ended = profiler::run(&[
        "--duration",
        "5s",
        "--format",
        "json",
        "--pid",
        &target.pid(),
    ])?;
    let json = Report::parse(&ended.success()?.stdout)?.json;
    // It only waits. The rest is the time until the account covers the first window.
    let share = json["cost"]["attached_share"].as_f64();
    ensure!(share > Some(0.5), "{}", json["cost"]);
    ensure!(
        json["cost"]["bound"].as_f64() == Some(0.01),
        "{}",
        json["cost"]
    );
    Ok(())
}

/// In every interval all lists have the same operations, and the intervals of each list add up to the whole.
fn lists_agree(bound: &str) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = working("deep")?;
    let pid = target.id().to_string();
    let mut arguments = vec!["--max-overhead", bound, "--interval", "100ms"];
    arguments.extend(["--duration", "5s", "--format", "ndjson", "--pid", &pid]);
    let ended = profiler::run(&arguments);
    target.kill()?;
    target.wait()?;
    let mut sums = [0; 4];
    for line in ended?.success()?.stdout.lines() {
        let report: Value = serde_json::from_str(line)?;
        let rows = |of: &Value| -> u64 {
            let rows = of["operations"].as_array().into_iter().flatten();
            rows.filter_map(|row| row["count"].as_u64()).sum()
        };
        let list = |name: &str| -> u64 {
            report[name]
                .as_array()
                .into_iter()
                .flatten()
                .map(rows)
                .sum()
        };
        let totals = [
            rows(&report),
            list("by_type"),
            list("by_map"),
            list("by_site"),
        ];
        ensure!(
            totals.iter().all(|total| *total == totals[0]),
            "{bound}: {totals:?}"
        );
        if report["final"] == true {
            ensure!(
                totals == sums && totals[0] > 0,
                "{bound}: {totals:?}, intervals {sums:?}"
            );
        } else {
            for (sum, total) in sums.iter_mut().zip(totals) {
                *sum += total;
            }
        }
    }
    Ok(())
}

#[test]
fn all_lists_agree_in_windows() -> Result<()> {
    lists_agree("20%")
}

#[test]
fn all_lists_agree_where_everything_is_traced() -> Result<()> {
    lists_agree("off")
}
