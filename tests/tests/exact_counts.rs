//! The profiler counts exactly what the program did: every operation, with its depth, once.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::exact;
use map_probe_tests::go::{self, Go, SHAPES, Variant};
use map_probe_tests::kernel;
use map_probe_tests::matrix;
use map_probe_tests::oracle::Truth;
use map_probe_tests::target::Target;

fn counts_of_a_command_are_exact(go: Go, variant: Variant, arguments: &[&str]) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("oracle", go, variant)?;
    let operations = exact::count(go, &fixture, arguments)?;
    matrix::record(go, variant, &matrix::Outcome::Exact(operations))
}

fn counts_of_a_process_are_exact(go: Go, variant: Variant) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::start(&go::fixture("oracle", go, variant)?, &[])?;
    let pid = target.pid();
    exact::process(go, target, &pid, || Ok(()))
}

/// The tests of one toolchain: each way to be started, each with symbols and without.
macro_rules! counts_are_exact {
    ($($(#[$attribute:meta])* $name:ident: $go:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            $(#[$attribute])*
            fn a_command_is_counted_exactly() -> Result<()> {
                counts_of_a_command_are_exact($go, Variant::Plain, &[])
            }

            #[test]
            $(#[$attribute])*
            fn a_stripped_command_is_counted_exactly() -> Result<()> {
                counts_of_a_command_are_exact($go, Variant::Stripped, &["-n", "300"])
            }

            #[test]
            $(#[$attribute])*
            fn a_running_process_is_counted_exactly() -> Result<()> {
                counts_of_a_process_are_exact($go, Variant::Plain)
            }

            #[test]
            $(#[$attribute])*
            fn a_running_stripped_process_is_counted_exactly() -> Result<()> {
                counts_of_a_process_are_exact($go, Variant::Stripped)
            }

            #[test]
            $(#[$attribute])*
            fn the_oracle_meets_every_condition_it_is_there_for() -> Result<()> {
                every_condition_is_met($go)
            }
        }
    )*};
}

counts_are_exact! {
    #[ignore = "of `cargo xtask test --full`, which looks for the toolchain"]
    go_1_19: Go::V1_19;
    go_1_21: Go::V1_21;
    #[ignore = "of `cargo xtask test --full`, which fetches the toolchain"]
    go_1_22: Go::V1_22;
    go_1_23: Go::V1_23;
    go_1_24: Go::V1_24;
    #[ignore = "of `cargo xtask test --full`, which fetches the toolchain"]
    go_1_25: Go::V1_25;
    go_1_26: Go::V1_26;
    go_1_27: Go::V1_27;
    go_1_24_noswissmap: Go::V1_24_CLASSIC;
    #[ignore = "of `cargo xtask test --full`, which fetches the toolchain"]
    go_1_25_noswissmap: Go::V1_25_CLASSIC;
    go_1_27_mapsplitgroup: Go::V1_27_SPLIT;
}

/// Needs neither root nor BPF: the fixture checks each of its predictions against what Go shows.
fn every_condition_is_met(go: Go) -> Result<()> {
    let fixture = go::fixture("oracle", go, Variant::Plain)?;
    let output = Command::new(&fixture).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let truth = Truth::find(&String::from_utf8_lossy(&output.stdout))?;
    truth.expect_go(go)?;
    let conditions: &[&str] = if go.is_classic() {
        &["growing", "old", "evacuating", "same_size", "page_faults"]
    } else {
        &["tombstones"]
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
    let names: &[&str] = if go.uses_shapes() {
        &[SHAPES]
    } else {
        &[
            "map[uint32]main.cell",
            "map[uint64]main.cell",
            "map[*main.object]main.cell",
            "map[main.name]main.cell",
            "map[interface {}]main.cell",
            "map[main.block]main.cell",
        ]
    };
    for name in names {
        let rows = truth
            .types
            .get(*name)
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
    Ok(())
}
