//! The profiler counts exactly what the program did: every operation, with its depth, once.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::oracle::Truth;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;

/// The profiler holds the program until probes are in place, and reports when it ends.
fn counts_of_a_command_are_exact(go: Go, variant: Variant, arguments: &[&str]) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("oracle", go, variant)?;
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let (fixture, output) = (
        fixture.to_str().context("a path")?,
        output.to_str().context("a path")?,
    );
    let mut command = vec![
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        output,
        "--",
        fixture,
    ];
    command.extend(arguments);
    let ended = profiler::run(&command)?.success()?;

    let truth = Truth::find(&ended.stdout)?;
    truth.expect_go(go)?;
    compare(
        go,
        &truth,
        &Report::parse(&std::fs::read_to_string(output)?)?,
    )
}

/// The profiler attaches to a running program and is interrupted after its work, while it still runs.
fn counts_of_a_process_are_exact(go: Go, variant: Variant) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("oracle", go, variant)?;
    let mut target = Target::start(&fixture, &[])?;
    let mut profiler = Profiler::start(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--pid",
        &target.pid(),
    ])?;
    profiler.wait_attached()?;
    target.begin()?;
    target.wait_done()?;
    profiler.interrupt()?;
    let ended = profiler.finish()?.success()?;
    let truth = target.finish()?;

    truth.expect_go(go)?;
    compare(go, &truth, &Report::parse(&ended.stdout)?)
}

fn compare(go: Go, truth: &Truth, report: &Report) -> Result<()> {
    ensure!(report.is_final, "not the final report");
    ensure!(
        report.json["target"]["go"] == format!("go{}", go.version())
            && report.json["target"]["layout"] == go.layout(),
        "another target: {}",
        report.json["target"]
    );
    truth.expect_equal(report)?;
    report.expect_complete()
}

#[test]
fn a_go_1_23_command_is_counted_exactly() -> Result<()> {
    counts_of_a_command_are_exact(Go::V1_23, Variant::Plain, &[])
}

#[test]
fn a_go_1_27_command_is_counted_exactly() -> Result<()> {
    counts_of_a_command_are_exact(Go::V1_27, Variant::Plain, &[])
}

#[test]
fn a_stripped_go_1_23_command_is_counted_exactly() -> Result<()> {
    counts_of_a_command_are_exact(Go::V1_23, Variant::Stripped, &["-n", "300"])
}

#[test]
fn a_stripped_go_1_27_command_is_counted_exactly() -> Result<()> {
    counts_of_a_command_are_exact(Go::V1_27, Variant::Stripped, &["-n", "300"])
}

#[test]
fn a_running_go_1_23_process_is_counted_exactly() -> Result<()> {
    counts_of_a_process_are_exact(Go::V1_23, Variant::Plain)
}

#[test]
fn a_running_go_1_27_process_is_counted_exactly() -> Result<()> {
    counts_of_a_process_are_exact(Go::V1_27, Variant::Plain)
}

#[test]
fn a_running_stripped_go_1_23_process_is_counted_exactly() -> Result<()> {
    counts_of_a_process_are_exact(Go::V1_23, Variant::Stripped)
}

#[test]
fn a_running_stripped_go_1_27_process_is_counted_exactly() -> Result<()> {
    counts_of_a_process_are_exact(Go::V1_27, Variant::Stripped)
}

/// Needs neither root nor BPF: the fixture checks each of its predictions against what Go shows.
#[test]
fn the_oracle_meets_every_condition_it_is_there_for() -> Result<()> {
    for go in Go::ALL {
        let fixture = go::fixture("oracle", go, Variant::Plain)?;
        let output = Command::new(&fixture).output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let truth = Truth::find(&String::from_utf8_lossy(&output.stdout))?;
        truth.expect_go(go)?;
        let conditions: &[&str] = match go {
            Go::V1_23 => &["growing", "old", "evacuating", "same_size", "page_faults"],
            Go::V1_27 => &["tombstones"],
        };
        for condition in conditions {
            let count = truth.exercised.get(*condition).copied().unwrap_or(0);
            ensure!(
                count >= 100,
                "{condition} occurred {count} times with Go {}",
                go.version()
            );
        }
        // One type of each family of runtime functions, and one with long keys held by pointer.
        for name in [
            "map[uint32]main.cell",
            "map[uint64]main.cell",
            "map[*main.object]main.cell",
            "map[main.name]main.cell",
            "map[interface {}]main.cell",
            "map[main.block]main.cell",
        ] {
            let rows = truth
                .types
                .get(name)
                .with_context(|| format!("no operations on {name}"))?;
            for (op, outcome) in [
                ("lookup", "hit"),
                ("lookup", "miss"),
                ("insert", "new"),
                ("insert", "update"),
                ("delete", "hit"),
                ("delete", "miss"),
            ] {
                let deepest = rows
                    .iter()
                    .filter(|(kind, _)| {
                        kind.op == op && kind.outcome == outcome && kind.class == "table"
                    })
                    .filter_map(|(_, histogram)| histogram.keys().next_back())
                    .max();
                ensure!(
                    deepest.is_some_and(|(from, _)| *from > 16),
                    "{name}: {op} {outcome} is at most {deepest:?} deep with Go {}",
                    go.version()
                );
            }
        }
    }
    Ok(())
}
