//! What counting call sites and maps adds to counting types alone, and what stacks add to that.

use super::probe::Probe;
use super::stats::Series;
use super::table::{Row, Unit};
use super::target::Target;
use super::trace::{LOOKUP, settled};
use crate::process::say;
use crate::tools;
use anyhow::{Context, Result};

/// What call sites and maps should add at most.
const AIM: f64 = 1.15;

/// Measured one after the other in each round: types alone, all that is counted by default, and stacks too.
const KINDS: [&[&str]; 3] = [&["--bench-types-alone"], &[], &["--stacks"]];

/// Two rows per version of Go.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        rows.extend(measure(version, rounds).with_context(|| format!("Go {version}"))?);
    }
    Ok(rows)
}

fn measure(version: &str, rounds: u32) -> Result<[Row; 2]> {
    let binary = super::build_target(version)?;
    let mut target = Target::start(&binary)?;
    let mut added = KINDS.map(|_| Series::default());
    let (mut places, mut stacks) = (Series::default(), Series::default());
    for round in 1..=rounds {
        say(&format!("who, Go {version}: round {round} of {rounds}"));
        let before = settled(&mut target, LOOKUP.command)?;
        let mut costs = [0.0; KINDS.len()];
        for (options, cost) in KINDS.iter().zip(&mut costs) {
            let probe = Probe::attach(target.pid(), options)?;
            *cost = settled(&mut target, LOOKUP.command)?;
            probe.detach()?;
        }
        let after = settled(&mut target, LOOKUP.command)?;
        let costs = costs.map(|cost| cost - f64::midpoint(before, after));
        for (added, cost) in added.iter_mut().zip(costs) {
            added.push(cost);
        }
        let [types, all, with_stacks] = costs;
        places.push(all / types);
        stacks.push(with_stacks / all);
    }
    let ns: Vec<_> = added
        .iter()
        .map(|added| format!("+{:.0}", added.median().unwrap_or(f64::NAN)))
        .collect();
    let detail = format!(
        "ns: {} with types alone, {} with call sites and maps, {} with stacks too",
        ns[0], ns[1], ns[2]
    );
    let name = format!("trace, Go {version}: call sites and maps too / types alone");
    let places = Row::new(name, Unit::Ratio, places).aim(AIM).detail(detail);
    let name = format!("trace, Go {version}: stacks too / call sites and maps");
    Ok([places, Row::new(name, Unit::Ratio, stacks)])
}
