//! Operations that could not be walked keep their type and call site.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::{kernel, profiler};
use serde_json::Value;

/// The line that the fixture marks, from 1.
fn marked() -> Result<usize> {
    let path = "fixtures/undecidable/main.go";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))?;
    let line = text
        .lines()
        .position(|line| line.ends_with("//@ undecidable"));
    Ok(line.context("no mark")? + 1)
}

/// Keys that nest more interfaces than are followed: all lookups of one are `truncated`, and said to be so where they are.
fn keys_that_cannot_be_compared_are_named(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("undecidable", go, Variant::Plain)?;
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        output.to_str().context("a path")?,
        "--",
        fixture.to_str().context("a path")?,
    ])?
    .success()?;
    let report: Value = serde_json::from_str(&std::fs::read_to_string(output)?)?;
    let quality = &report["quality"];
    let rows = quality["by_site"].as_array().context("no by_site")?;
    let [row] = &rows[..] else {
        anyhow::bail!("not one row: {quality}");
    };
    ensure!(
        row["cause"] == "truncated"
            && row["type"] == "map[main.nest]int"
            && row["function"] == "main.search"
            && row["file"]
                .as_str()
                .is_some_and(|file| file.ends_with("main.go"))
            && row["line"] == marked()?,
        "{quality}"
    );
    ensure!(
        row["count"] == 100 && row["count"] == quality["truncated"],
        "{quality}"
    );
    for cause in ["lost", "faults", "torn"] {
        ensure!(quality[cause] == 0, "{cause}: {quality}");
    }
    // The others are counted as ever: 21 inserts are among them.
    ensure!(
        quality["operations"]
            .as_u64()
            .is_some_and(|count| count >= 21),
        "{quality}"
    );
    Ok(())
}

#[test]
fn keys_of_swiss_maps_that_cannot_be_compared_are_named() -> Result<()> {
    keys_that_cannot_be_compared_are_named(Go::V1_27)
}
