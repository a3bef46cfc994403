//! Programs of development versions of Go: refused, or counted by the facts of a version that the user names.

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::target::Target;
use map_probe_tests::{exact, kernel, profiler};

const USAGE: i32 = 2;
const NOT_PROBEABLE: i32 = 3;
const SHORT: [&str; 2] = ["-n", "300"];

#[test]
fn a_development_version_is_refused_with_what_to_do() -> Result<()> {
    let fixture = go::fixture("oracle", Go::DEVELOPMENT, Variant::Plain)?;
    let ended = profiler::run(&["sites", fixture.to_str().context("a path")?])?;
    for part in [
        &Go::DEVELOPMENT.reported_version(),
        "Go 1.18 to 1.27",
        "--assume-go",
    ] {
        ensure!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    ended.refused(&[NOT_PROBEABLE])
}

#[test]
fn a_development_version_that_is_said_to_be_like_a_known_one_is_counted_exactly() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for variant in [Variant::Plain, Variant::Stripped] {
        let fixture = go::fixture("oracle", Go::DEVELOPMENT, variant)?;
        exact::command(Go::DEVELOPMENT, &fixture, &SHORT)?;
    }
    Ok(())
}

#[test]
fn a_running_process_of_a_development_version_is_counted_exactly_too() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("oracle", Go::DEVELOPMENT, Variant::Plain)?;
    let target = Target::start(&fixture, &SHORT)?;
    let pid = target.pid();
    exact::process(Go::DEVELOPMENT, target, &pid, || Ok(()))
}

#[test]
fn sites_say_what_was_assumed() -> Result<()> {
    let fixture = go::fixture("oracle", Go::DEVELOPMENT, Variant::Plain)?;
    let path = fixture.to_str().context("a path")?;
    let text = profiler::run(&["sites", path, "--assume-go", "go1.27.3"])?.success()?;
    ensure!(
        text.stdout
            .contains("\nassumed: the map layout of go1.27 is taken for that of devel go1.28"),
        "{}",
        text.stdout
    );
    let json =
        profiler::run(&["sites", path, "--assume-go", "1.27", "--format", "json"])?.success()?;
    let json: serde_json::Value = serde_json::from_str(&json.stdout)?;
    ensure!(json["assumed_go"] == "go1.27", "{json}");
    ensure!(json["go"] == Go::DEVELOPMENT.reported_version(), "{json}");
    Ok(())
}

/// Tables that lie elsewhere are not found there.
#[test]
fn a_version_whose_tables_are_not_where_the_program_has_them_is_refused() -> Result<()> {
    let fixture = go::fixture("oracle", Go::DEVELOPMENT, Variant::Plain)?;
    let path = fixture.to_str().context("a path")?;
    for assumed in ["1.23", "1.26"] {
        let ended = profiler::run(&["sites", path, "--assume-go", assumed])?;
        let reason = format!("are not where go{assumed} has them");
        ensure!(ended.stderr.contains(&reason), "{}", ended.stderr);
        ended.refused(&[NOT_PROBEABLE])?;
    }
    Ok(())
}

/// Go 1.23 and 1.24 have those tables in the same places, and maps of two families: no site can be proved.
#[test]
fn the_maps_of_another_family_are_not_probed() -> Result<()> {
    let fixture = go::fixture("oracle", Go::V1_24.stamped(), Variant::Plain)?;
    let path = fixture.to_str().context("a path")?;
    let ended = profiler::run(&["sites", path, "--assume-go", "1.23", "--format", "json"])?;
    let json: serde_json::Value = serde_json::from_str(&ended.success()?.stdout)?;
    let functions = json["functions"].as_array().context("a list")?;
    let covered: Vec<_> = functions
        .iter()
        .filter(|function| function["status"] == "covered")
        .collect();
    ensure!(covered.is_empty(), "{covered:?}");
    Ok(())
}

#[test]
fn a_version_that_is_known_is_not_taken_for_another() -> Result<()> {
    let fixture = go::fixture("oracle", Go::V1_23, Variant::Plain)?;
    let path = fixture.to_str().context("a path")?;
    profiler::run(&["sites", path, "--assume-go", "1.23"])?.success()?;
    let ended = profiler::run(&["sites", path, "--assume-go", "1.27"])?;
    for part in ["go1.23.9", "as go1.27", "whose maps are known"] {
        ensure!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    ended.refused(&[USAGE])?;
    profiler::run(&["sites", path, "--assume-go", "1.99"])?.refused(&[USAGE])
}
