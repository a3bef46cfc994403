//! `--mode sample`: shares of CPU time, compared with what the target measures itself.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::exact;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::pprof;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::{Kind, Report};
use map_probe_tests::target::Target;
use serde_json::Value;

/// By how much a share may differ from the measured one. The bench demands 2 points, of more samples on a machine that
/// does nothing else; a walk with a wrong hash or at a wrong place would be off by tens.
const TOLERANCE: f64 = 0.12;
/// What a type has of the samples, over what it has of the time. A struct's hash is 20% of its lookups' time, and several
/// calls away from the map function.
const OF_TYPE: std::ops::RangeInclusive<f64> = 0.85..=1.15;
/// So many samples are there at least, on however busy a machine.
const ENOUGH: u64 = 300;

/// Nanoseconds by depth, as the target measured them, by type.
type Truth = BTreeMap<String, BTreeMap<u64, f64>>;

fn parse(line: &str) -> Result<Truth> {
    let types: Value = serde_json::from_str(line)?;
    let mut truth = Truth::new();
    for of_type in types.as_array().context("no list of types")? {
        let name = of_type["type"].as_str().context("no type")?;
        let depths = of_type["depths"].as_object().context("no depths")?;
        let depths = depths
            .iter()
            .map(|(depth, time)| Ok((depth.parse()?, time.as_f64().context("no time")?)));
        truth.insert(name.to_owned(), depths.collect::<Result<_>>()?);
    }
    Ok(truth)
}

fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all } else { 0.0 }
}

/// Samples lookups of keys whose depths the target knows, and compares.
fn samples_agree(go: Go, variant: Variant) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let binary = go::fixture("oracle", go, variant)?;
    let mut target = Target::start(&binary, &["-shares", "4s"])?;
    let more = ["--mode", "sample", "--frequency", "1999"];
    let profiler = Profiler::attach(&target.pid(), "json", &more)?;
    let report = exact::work(&mut target, profiler)?;
    let truth = parse(&target.last_line()?)?;

    ensure!(report.json["window"]["mode"] == "sample", "not sampled");
    ensure!(
        report.number("window/frequency")? == 1999,
        "another frequency"
    );
    let total = report.number("samples/total")?;
    let met = report.number("samples/in_map_functions")? + report.number("samples/in_callees")?;
    let walked = report.number("samples/walked")?;
    ensure!(total >= met && met >= walked, "{}", report.json["samples"]);
    ensure!(walked >= ENOUGH, "{walked} samples walked");
    ensure!(walked * 20 >= met * 19, "{walked} walked of {met} met");
    for cause in ["lost", "faults", "torn", "truncated"] {
        ensure!(report.number(&format!("quality/{cause}"))? == 0, "{cause}");
    }
    let lookups = |typ: &str, outcome: &str| {
        let kind = Kind {
            op: "lookup".to_owned(),
            outcome: outcome.to_owned(),
            class: "table".to_owned(),
        };
        let rows = report.by_type.get(&Some(typ.to_owned()));
        rows.and_then(|rows| rows.get(&kind).cloned())
            .unwrap_or_default()
    };
    let all_samples: u64 = truth
        .keys()
        .flat_map(|typ| lookups(typ, "hit").into_values())
        .sum();
    let all_time: f64 = truth.values().flat_map(BTreeMap::values).sum();
    for (typ, depths) in &truth {
        // All keys are there: a walk that does not find one went astray.
        ensure!(lookups(typ, "miss").is_empty(), "misses of {typ}");
        let hits = lookups(typ, "hit");
        ensure!(!hits.is_empty(), "{typ} was not met");
        let samples: u64 = hits.values().sum();
        let time: f64 = depths.values().sum();
        for &(depth, _) in hits.keys() {
            ensure!(
                depths.contains_key(&depth),
                "{typ}: no key has depth {depth}"
            );
        }
        if samples < ENOUGH {
            continue;
        }
        let of_type = share(samples as f64, all_samples as f64) / share(time, all_time);
        ensure!(
            OF_TYPE.contains(&of_type),
            "{typ} has {of_type:.3} times as many of the samples as of the time"
        );
        for (depth, spent) in depths {
            let at_depth = hits.get(&(*depth, *depth)).copied().unwrap_or(0);
            let found = share(at_depth as f64, samples as f64);
            let measured = share(*spent, time);
            ensure!(
                (found - measured).abs() <= TOLERANCE,
                "{typ}: depth {depth} took {measured:.3} of the time, and {found:.3} of {samples} samples"
            );
        }
    }
    Ok(())
}

#[test]
fn depths_take_the_shares_of_time_that_go_1_21_measures() -> Result<()> {
    samples_agree(Go::V1_21, Variant::Plain)
}

#[test]
fn depths_take_the_shares_of_time_that_go_1_23_measures() -> Result<()> {
    samples_agree(Go::V1_23, Variant::Stripped)
}

#[test]
fn depths_take_the_shares_of_time_that_go_1_24_measures() -> Result<()> {
    samples_agree(Go::V1_24, Variant::Plain)
}

#[test]
fn depths_take_the_shares_of_time_that_go_1_27_measures() -> Result<()> {
    samples_agree(Go::V1_27, Variant::PieStripped)
}

#[test]
fn a_target_that_is_sampled_counts_what_it_would_have_counted() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "300"])?;
    let more = ["--mode", "sample", "--frequency", "9999"];
    let profiler = Profiler::attach(&target.pid(), "json", &more)?;
    let report = exact::work(&mut target, profiler)?;
    // The oracle compares every operation's outcome with its own account, and gives up on any mismatch.
    target.finish()?;
    ensure!(report.number("samples/walked")? > 0, "nothing was walked");
    Ok(())
}

#[test]
fn a_profile_of_samples_has_those_of_the_report_and_their_time() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let (profile, json) = (
        directory.path().join("maps.pb.gz"),
        directory.path().join("report.json"),
    );
    let mut target = Target::waiting(Go::V1_27, &["-n", "300"])?;
    let pid = target.pid();
    let (output, report) = (profile.to_str(), json.to_str());
    let mut profiler = Profiler::start(&[
        "record",
        "--mode",
        "sample",
        "--frequency",
        "1999",
        "--max-overhead",
        "off",
        "--pid",
        &pid,
        "--output",
        output.context("a path")?,
        "--json",
        report.context("a path")?,
    ])?;
    profiler.wait_attached()?;
    exact::work_to_the_end(&mut target, profiler)?;
    target.finish()?;
    let report = Report::parse(&std::fs::read_to_string(&json)?)?;
    let met = report.number("samples/in_map_functions")? + report.number("samples/in_callees")?;
    ensure!(met > 0, "no samples");
    let samples: u64 = pprof::top(&profile, "samples")?.values().sum();
    ensure!(
        samples == met,
        "{samples} samples in the profile, {met} in the report"
    );
    let raw = pprof::pprof(&["-raw"], &profile)?;
    for words in [
        "PeriodType: cpu nanoseconds",
        "Period: 500346",
        "samples/count cpu/nanoseconds",
    ] {
        ensure!(raw.contains(words), "no {words}: {raw}");
    }
    Ok(())
}

#[test]
fn samples_are_chosen_by_type_and_written_as_csv() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "3000"])?;
    let sampled = ["--mode", "sample", "--frequency", "1999"];
    let typ = "map[uint64]*";
    let chosen = [&sampled[..], &["--type", typ]].concat();
    let chosen = Profiler::attach(&target.pid(), "json", &chosen)?;
    let all = Profiler::attach(&target.pid(), "csv", &sampled)?;
    target.begin()?;
    target.wait_done()?;
    for profiler in [&chosen, &all] {
        profiler.interrupt()?;
    }
    let chosen = Report::parse(&chosen.finish()?.success()?.stdout)?;
    let all = all.finish()?.success()?.stdout;
    target.finish()?;
    ensure!(!chosen.by_type.is_empty(), "no samples of {typ}");
    for name in chosen.by_type.keys() {
        let fits = name
            .as_ref()
            .is_some_and(|name| name.starts_with("map[uint64]"));
        ensure!(fits, "{name:?} is not {typ}");
    }
    ensure!(
        chosen.json["filter"]["type"] == typ,
        "{}",
        chosen.json["filter"]
    );
    let mut lines = all.lines();
    ensure!(
        lines.next().is_some_and(|head| head.ends_with(",mode")),
        "{all}"
    );
    let rows: Vec<_> = lines.collect();
    ensure!(
        !rows.is_empty() && rows.iter().all(|row| row.ends_with(",sample")),
        "{all}"
    );
    Ok(())
}

#[test]
fn more_samples_than_the_kernel_allows_are_wrong_usage() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &["-workload", "small"])?;
    profiler::run(&[
        "--mode",
        "sample",
        "--frequency",
        "4000000000",
        "--max-overhead",
        "off",
        "--pid",
        &target.pid(),
    ])?
    .refused(&[2])
}

#[test]
fn a_duration_ends_a_sampled_run_too() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-workload", "small"])?;
    let ended = profiler::run(&[
        "--mode",
        "sample",
        "--format",
        "json",
        "--duration",
        "300ms",
        "--pid",
        &target.pid(),
    ])?
    .success()?;
    ensure!(
        Report::parse(&ended.stdout)?.is_final,
        "not the final report"
    );
    std::thread::sleep(Duration::from_millis(10));
    ensure!(target.is_alive()?, "the target ended");
    Ok(())
}

/// A table without an empty slot: the target looks for a key that is not there, for ever.
fn a_search_that_never_ends_is_named(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // It ends with its standard input, which is closed when this test ends in whatever way.
    let mut target = Command::new(go::fixture("endless", go, Variant::Plain)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let pid = target.id().to_string();
    let run = |format: &str| {
        let arguments = [
            "--mode",
            "sample",
            "--frequency",
            "499",
            "--max-overhead",
            "off",
        ];
        let more = ["--duration", "1500ms", "--format", format, "--pid"];
        let mut all = arguments.to_vec();
        all.extend(more);
        all.push(&pid);
        profiler::run(&all)?.success()
    };
    std::thread::sleep(Duration::from_millis(300));
    let report = Report::parse(&run("json")?.stdout)?;
    let text = run("text")?.stdout;
    target.kill()?;
    target.wait()?;

    let met = report.number("samples/in_map_functions")? + report.number("samples/in_callees")?;
    let row = &report.json["quality"]["by_site"][0];
    ensure!(
        row["cause"] == "endless"
            && row["type"] == "map[uint64]uint64"
            && row["function"] == "main.search",
        "{}",
        report.json["quality"]
    );
    let count = row["count"].as_u64().context("a count")?;
    ensure!(
        count * 2 > met && report.number("quality/truncated")? >= count,
        "{count} of {met}"
    );
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(
        text.contains("in map operations are in one search that does not end")
            && text.contains("on map[uint64]uint64 at main.search (main.go:"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_search_that_never_ends_is_named_in_go_1_26() -> Result<()> {
    a_search_that_never_ends_is_named(Go::V1_26)
}

#[test]
fn a_search_that_never_ends_is_named_in_go_1_27() -> Result<()> {
    a_search_that_never_ends_is_named(Go::V1_27)
}
