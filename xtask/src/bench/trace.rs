//! What counting one operation costs the target, over what an empty eBPF program on an emulated instruction costs it.

use super::probe::Probe;
use super::report;
use super::stats::{Series, ratio};
use super::table::{Row, Unit};
use super::target::Target;
use crate::process::say;
use crate::{tools, workspace};
use anyhow::{Context, Result};
use std::time::Duration;

/// One measurement takes this long.
const WINDOW: Duration = Duration::from_millis(200);

/// Time to let the caches, the branch predictor and the kernel's own probe optimisation settle after each change.
const WARM_UP: Duration = Duration::from_millis(50);

/// The target's word for an instruction that the kernel emulates.
const EMULATED: &str = "emulated";

/// A kind of operation that the target does on command.
#[derive(Debug)]
pub(super) struct Operation {
    /// The target's word for it.
    pub(super) command: &'static str,
    /// What it is, for people.
    name: &'static str,
    /// The type of its map, which no other kind has.
    pub(super) typ: &'static str,
    /// Operation and outcome, as a report has them.
    pub(super) kind: (&'static str, &'static str),
    /// How often the empty program's cost it may cost.
    limit: f64,
    /// How often it should.
    aim: Option<f64>,
}

/// The lookups that other rows compare with, too.
pub(super) const LOOKUP: Operation = Operation {
    command: "lookup",
    name: "uint64 lookup (hit, depth 1)",
    typ: "map[uint64]uint64",
    kind: ("lookup", "hit"),
    limit: 1.5,
    aim: Some(1.3),
};

const OPERATIONS: [Operation; 5] = [
    LOOKUP,
    Operation {
        command: "string",
        name: "string lookup (hit, depth 1)",
        typ: "map[string]uint64",
        kind: ("lookup", "hit"),
        limit: 2.0,
        aim: None,
    },
    Operation {
        command: "struct",
        name: "struct lookup (16 bytes, hit, depth 1)",
        typ: "map[main.pair]uint64",
        kind: ("lookup", "hit"),
        limit: 2.0,
        aim: None,
    },
    Operation {
        command: "update",
        name: "uint64 insert (update, depth 1)",
        typ: "map[uint64]int64",
        kind: ("insert", "update"),
        limit: 2.0,
        aim: None,
    },
    Operation {
        command: "delete",
        name: "uint64 delete (hit, depth 1)",
        typ: "map[uint64]int32",
        kind: ("delete", "hit"),
        limit: 2.0,
        aim: None,
    },
];

/// Nanoseconds per operation of all rounds, and the ratios.
#[derive(Debug, Default, Clone)]
struct Costs {
    base: Series,
    added: Series,
    added_by_empty: Series,
    ratios: Series,
}

/// A row per version of Go and kind of operation.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        let measured = measure(version, rounds).with_context(|| format!("Go {version}"))?;
        let (costs, emulated) = measured;
        for (operation, costs) in OPERATIONS.iter().zip(costs) {
            let name = format!(
                "trace, Go {version}: {} / empty on emulated",
                operation.name
            );
            let ns = |series: &Series| {
                series
                    .median()
                    .map_or("-".to_owned(), |value| format!("{value:.0}"))
            };
            let detail = format!(
                "ns: {} without, +{} with map-probe, +{} with an empty program at its site, +{} with one on an emulated instruction",
                ns(&costs.base),
                ns(&costs.added),
                ns(&costs.added_by_empty),
                ns(&emulated)
            );
            let row = Row::new(name, Unit::Ratio, costs.ratios)
                .limit(operation.limit)
                .detail(detail);
            rows.push(match operation.aim {
                Some(aim) => row.aim(aim),
                None => row,
            });
        }
    }
    Ok(rows)
}

/// The costs of each kind of operation, and what the empty program on an emulated instruction adds.
fn measure(version: &str, rounds: u32) -> Result<([Costs; OPERATIONS.len()], Series)> {
    let binary = super::build_target(version)?;
    let mut target = Target::start(&binary)?;
    // Assembly functions have this suffix; the name without it is a wrapper of the linker's.
    let address = target.address_of(&format!("main.{EMULATED}.abi0"))?;
    let mut costs = OPERATIONS.map(|_| Costs::default());
    let mut emulated = Series::default();
    for round in 1..=rounds {
        say(&format!("trace, Go {version}: round {round} of {rounds}"));
        let before = all(&mut target)?;
        let without = settled(&mut target, EMULATED)?;
        let probe = Probe::attach(target.pid(), &["--bench-empty-at", &address.to_string()])?;
        let empty = settled(&mut target, EMULATED)? - without;
        probe.detach()?;
        emulated.push(empty);

        let full = traced(&mut target, all)?;

        let probe = Probe::attach(target.pid(), &["--bench-empty"])?;
        let at_site = all(&mut target)?;
        probe.detach()?;
        let after = all(&mut target)?;

        for (index, costs) in costs.iter_mut().enumerate() {
            let base = f64::midpoint(before[index], after[index]);
            costs.base.push(base);
            costs.added.push(full[index] - base);
            costs.added_by_empty.push(at_site[index] - base);
            if let Some(ratio) = ratio(0.0, empty, full[index] - base) {
                costs.ratios.push(ratio);
            }
        }
    }
    Ok((costs, emulated))
}

/// What `work` measures while map-probe counts; an error unless its report shows all operations at depth 1.
pub(super) fn traced<T>(
    target: &mut Target,
    work: impl FnOnce(&mut Target) -> Result<T>,
) -> Result<T> {
    let file = workspace::work().join("bench/report.json");
    let probe = Probe::attach(
        target.pid(),
        &[
            "--format".as_ref(),
            "json".as_ref(),
            "--output".as_ref(),
            file.as_os_str(),
        ],
    )?;
    let measured = work(target)?;
    probe.detach()?;
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    report::check(&serde_json::from_str(&text)?, &OPERATIONS)
        .context("the report is not what was measured")?;
    Ok(measured)
}

/// Nanoseconds of each kind of operation.
fn all(target: &mut Target) -> Result<[f64; OPERATIONS.len()]> {
    let mut all = [0.0; OPERATIONS.len()];
    for (operation, into) in OPERATIONS.iter().zip(&mut all) {
        *into = settled(target, operation.command)?;
    }
    Ok(all)
}

/// A measurement after a warm-up.
pub(super) fn settled(target: &mut Target, command: &str) -> Result<f64> {
    target.measure(command, WARM_UP)?;
    target.measure(command, WINDOW)
}
