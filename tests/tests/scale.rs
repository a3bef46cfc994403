//! A target that is large in every way: memory stays bounded, and what does not fit is counted all the same.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::Profiler;
use map_probe_tests::report::{Kind, Report, sum};
use map_probe_tests::target::Target;
use serde_json::Value;

/// What `--help` says.
const OWN_MEMORY: u64 = 128_000_000;
const TABLES: u64 = 128_000_000;
/// Types with counters of their own.
const TYPES: usize = 1024;
/// The type of the million maps.
const STATIC: &str = "map[uint16]uint8";

#[test]
fn many_maps_types_goroutines_and_threads_with_classic_maps() -> Result<()> {
    check(Go::V1_23)
}

#[test]
fn many_maps_types_goroutines_and_threads_with_swiss_maps() -> Result<()> {
    check(Go::V1_27)
}

fn check(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::spawn(&mut Command::new(go::fixture("scale", go, Variant::Plain)?))?;
    let profiler = Profiler::attach(&target.pid(), "json", &[])?;
    target.begin()?;
    target.wait_done()?;
    let (own, tables) = profiler.memory()?;
    ensure!(own < OWN_MEMORY, "{own} bytes of memory of its own");
    ensure!(
        (1..TABLES).contains(&tables),
        "{tables} bytes of kernel memory"
    );
    profiler.interrupt()?;
    let ended = profiler.finish()?.success()?;
    let truth = serde_json::from_str(&target.last_line()?)?;
    let mut report = Report::parse(&ended.stdout)?;
    report.expect_complete()?;
    compare(&mut report, &truth)
}

/// All operations are there, those of the static type and of some of the others under their names.
fn compare(report: &mut Report, truth: &Value) -> Result<()> {
    let number = |path: &str| -> Result<u64> {
        let value = truth.pointer(path).and_then(Value::as_u64);
        value.with_context(|| format!("no {path} in {truth}"))
    };
    let types = number("/types")?;
    let each = (number("/own/Lookups")? + number("/own/Updates")? + number("/own/Misses")?) / types;
    let named = report.by_type.keys().flatten();
    let others = named.filter(|name| *name != STATIC).count();
    ensure!(
        others == TYPES - 1,
        "{others} types beside the static one have counters of their own"
    );
    for (name, rows) in &report.by_type {
        if let Some(name) = name.as_deref().filter(|name| *name != STATIC) {
            ensure!(name.starts_with("map[uint64]["), "a type called {name}");
            ensure!(sum(rows) == each, "{} operations on {name}", sum(rows));
        }
    }
    let unknown = report.by_type.get(&None).context("no unknown types")?;
    let unknown = sum(unknown);
    let expected = (types - others as u64) * each;
    ensure!(
        unknown == expected,
        "{unknown} of unknown types, not {expected}"
    );

    for (op, outcome, name) in [
        ("lookup", "hit", "Lookups"),
        ("insert", "update", "Updates"),
        ("lookup", "miss", "Misses"),
    ] {
        let expected = number(&format!("/own/{name}"))? + number(&format!("/static/{name}"))?;
        let kind = Kind {
            op: op.to_owned(),
            outcome: outcome.to_owned(),
            class: "table".to_owned(),
        };
        let counted: u64 = report
            .operations
            .get(&kind)
            .map_or(0, |row| row.values().sum());
        ensure!(counted == expected, "{counted} of {expected}: {kind:?}");
    }
    // The rows by map and by call site sum up to the same, what they have no room for included.
    for rows in ["by_map", "by_site"] {
        let list = report.json[rows].as_array().context("no list")?;
        let counts = list
            .iter()
            .filter_map(|entry| entry["operations"].as_array());
        let counted: u64 = counts
            .flatten()
            .filter_map(|row| row["count"].as_u64())
            .sum();
        let all = sum(&report.operations);
        ensure!(counted == all, "{counted} of {all} {rows}");
    }
    let fixed = report.by_type.get(&Some(STATIC.to_owned()));
    let expected = number("/static/Lookups")? + number("/static/Updates")?;
    let counted = fixed.map_or(0, sum);
    ensure!(counted == expected, "{counted} of {expected} on {STATIC}");
    Ok(())
}
