//! `map-probe verify`: what the runtime returns is what the walk found; and where it is not, that is said.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::oracle::Truth;
use map_probe_tests::profiler::{self, Ended};
use map_probe_tests::target::Target;
use serde_json::Value;

/// Verifies the oracle's whole work, and what came of it.
fn verify(oracle: &Path, more: &[&str]) -> Result<(Ended, Value)> {
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("verify.json");
    let mut command = vec!["verify", "--duration", "5m", "--format", "json", "--output"];
    command.push(output.to_str().context("a path")?);
    command.extend(more);
    command.extend(["--", oracle.to_str().context("a path")?, "-n", "60"]);
    let ended = profiler::run(&command)?;
    let report = std::fs::read_to_string(output)?;
    Ok((ended, serde_json::from_str(&report)?))
}

fn count(value: &Value, what: &str) -> Result<u64> {
    value[what]
        .as_u64()
        .with_context(|| format!("no number {what} in {value}"))
}

fn every_slot_is_the_runtimes(go: Go, variant: Variant) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let (ended, report) = verify(&go::fixture("oracle", go, variant)?, &[])?;
    let ended = ended.success()?;
    ensure!(
        report["conclusion"] == "same" && report["differences"] == Value::Array(Vec::new()),
        "{report}"
    );
    let not_compared = report["not_compared"].as_array();
    ensure!(not_compared.is_some_and(Vec::is_empty), "{report}");
    for cause in ["lost", "faults", "torn", "truncated"] {
        ensure!(report["quality"][cause] == 0, "{cause}: {report}");
    }
    // Each function found keys and missed keys, often.
    let functions = report["functions"].as_array().context("functions")?;
    ensure!(functions.len() >= 10, "{report}");
    for function in functions {
        ensure!(
            count(function, "same_slot")? >= 100
                && count(function, "both_absent")? >= 100
                && count(function, "different")? == 0
                && count(function, "unread")? == 0,
            "{function}"
        );
    }
    // Nearly all that the oracle did: small maps' lookups end before they reach a probe.
    let truth = Truth::find(&ended.stdout)?;
    let tables: u64 = truth
        .types
        .values()
        .flatten()
        .filter(|(kind, _)| kind.class == "table")
        .flat_map(|(_, histogram)| histogram.values())
        .sum();
    let compared = count(&report["all"], "compared")?;
    ensure!(
        compared >= tables,
        "{compared} of {tables} operations on tables compared"
    );
    Ok(())
}

/// A walk that is told something wrong is found out.
fn a_lie_is_found_out(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let oracle = go::fixture("oracle", go, Variant::Plain)?;
    for lie in ["keys", "elements", "count"] {
        let (ended, report) = verify(&oracle, &["--lie", lie])?;
        ensure!(
            ended.status.code() == Some(6),
            "{lie}: {:?}, {}",
            ended.status,
            ended.stderr
        );
        ensure!(report["conclusion"] == "different", "{lie}: {report}");
        let functions = report["functions"].as_array().context("functions")?;
        for function in functions {
            let symbol = function["function"].as_str().unwrap_or_default();
            // A lookup leaves the number of entries alone, and a delete has no element.
            let concerned = match lie {
                "count" => !symbol.contains("mapaccess"),
                "elements" => !symbol.contains("elete"),
                _ => true,
            };
            let different = count(function, "different")?;
            ensure!(different > 0 || !concerned, "{lie}: {function}");
        }
        ensure!(
            report["differences"]
                .as_array()
                .is_some_and(|few| !few.is_empty()),
            "{lie}: {report}"
        );
    }
    Ok(())
}

macro_rules! slots_are_the_runtimes {
    ($($(#[$attribute:meta])* $name:ident: $go:expr, $variant:expr;)*) => {$(
        #[test]
        $(#[$attribute])*
        fn $name() -> Result<()> {
            every_slot_is_the_runtimes($go, $variant)
        }
    )*};
}

slots_are_the_runtimes! {
    #[ignore = "of `cargo xtask test --full`, which looks for the toolchain"]
    go_1_19: Go::V1_19, Variant::Plain;
    go_1_21: Go::V1_21, Variant::Plain;
    #[ignore = "of `cargo xtask test --full`, which fetches the toolchain"]
    go_1_22: Go::V1_22, Variant::Plain;
    go_1_23: Go::V1_23, Variant::Plain;
    go_1_23_stripped: Go::V1_23, Variant::Stripped;
    go_1_24: Go::V1_24, Variant::Plain;
    #[ignore = "of `cargo xtask test --full`, which fetches the toolchain"]
    go_1_25: Go::V1_25, Variant::Plain;
    go_1_26: Go::V1_26, Variant::Plain;
    go_1_27: Go::V1_27, Variant::Plain;
    go_1_27_stripped: Go::V1_27, Variant::Stripped;
    go_1_24_noswissmap: Go::V1_24_CLASSIC, Variant::Plain;
    go_1_27_mapsplitgroup: Go::V1_27_SPLIT, Variant::Plain;
}

#[test]
fn a_wrong_fact_about_classic_maps_is_found_out() -> Result<()> {
    a_lie_is_found_out(Go::V1_23)
}

#[test]
fn a_wrong_fact_about_swiss_maps_is_found_out() -> Result<()> {
    a_lie_is_found_out(Go::V1_27)
}

/// A map that the target scrambles all the time: what differs is said to be changed.
#[test]
fn a_map_that_its_program_scrambles_is_changed_and_not_different() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("scramble", Go::V1_27, Variant::Plain)?;
    let mut target = Target::start(&fixture, &[])?;
    let pid = target.pid();
    let ended = profiler::run(&[
        "verify",
        "--duration",
        "1s",
        "--format",
        "json",
        "--pid",
        &pid,
    ])?;
    ensure!(target.is_alive()?, "its lookups do no harm");
    let report: Value = serde_json::from_str(&ended.stdout).context(ended.stderr)?;
    ensure!(
        ended.status.code() == Some(0) && report["conclusion"] == "same",
        "{:?}: {report}",
        ended.status
    );
    ensure!(count(&report["all"], "different")? == 0, "{report}");
    // Both found the key, both missed it, or it came or went between them.
    for what in ["same_slot", "both_absent", "changed"] {
        ensure!(count(&report["all"], what)? > 0, "no {what}: {report}");
    }
    Ok(())
}

#[test]
fn a_process_that_does_nothing_is_not_verified() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    let pid = target.pid();
    let ended = profiler::run(&["verify", "--duration", "200ms", "--pid", &pid])?;
    ensure!(
        ended.status.code() == Some(7) && ended.stdout.contains("NOTHING COMPARED"),
        "{:?}: {}",
        ended.status,
        ended.stdout
    );
    drop(target);
    Ok(())
}
