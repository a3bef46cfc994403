//! `cargo xtask bench trace`: what counting one lookup costs the target.

use super::probe::{Failure, Probe};
use super::report;
use super::stats::{Series, ratio};
use super::target::Target;
use crate::process::{print, say};
use crate::{tools, workspace};
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use std::time::Duration;

/// A lookup may cost at most this many times what an empty program at the same instruction costs.
const LIMIT: f64 = 2.0;

/// One measurement takes this long.
const WINDOW: Duration = Duration::from_millis(200);

/// Time to let the caches, the branch predictor and the kernel's own probe optimisation settle after each change.
const WARM_UP: Duration = Duration::from_millis(50);

/// The target's word for an instruction that the kernel emulates.
const EMULATED: &str = "emulated";

/// A probe that costs this many times what one on an emulated instruction does is on a single-stepped one (there, 7 to 35 were seen).
const SINGLE_STEPPED: f64 = 3.5;

/// Instructions for reference: the target's word for it, and what a probe on it is.
const REFERENCES: [(&str, &str); 3] = [
    (EMULATED, "emulated (1-byte nop)"),
    ("stepped", "single-stepped (mov)"),
    ("nop5", "5-byte nop"),
];

/// Options of `cargo xtask bench trace`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds to take the medians of.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..))]
    rounds: u32,
}

/// Measures with each version of Go; an error when a ratio is over its limit.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut within = true;
    for version in tools::BENCH_GO_VERSIONS {
        within &= version_row(version, args.rounds).with_context(|| format!("Go {version}"))?;
    }
    if !within {
        bail!("a lookup costs more than {LIMIT} times what an empty program does");
    }
    Ok(())
}

/// The nanoseconds per lookup of all rounds.
#[derive(Debug, Default)]
struct Lookups {
    base: Series,
    empty: Series,
    full: Series,
    ratios: Series,
}

/// Measures and prints one table; whether its ratio is within the limit.
fn version_row(version: &str, rounds: u32) -> Result<bool> {
    let binary = super::build_target(version)?;
    let mut target = Target::start(&binary)?;
    let file = workspace::work().join("bench/report.json");
    let mut lookups = Lookups::default();
    for round in 1..=rounds {
        say(&format!("Go {version}: round {round} of {rounds}"));
        lookups.round(&mut target, &file)?;
    }
    let medians = (
        lookups.base.median(),
        lookups.empty.median(),
        lookups.full.median(),
    );
    let (Some(base), Some(empty), Some(full)) = medians else {
        bail!("no rounds")
    };
    let measured = ratio(base, empty, full).ok_or_else(|| {
        anyhow!(
            "an empty program costs nothing measurable: {empty:.1} ns with, {base:.1} ns without"
        )
    })?;

    print(&format!(
        "\nGo {version}: one uint64 lookup (hit, depth 1), {rounds} rounds"
    ));
    print("ns per operation                      median   smallest    largest      added");
    row("not probed", &lookups.base, None);
    row("empty program", &lookups.empty, Some(base));
    row("map-probe", &lookups.full, Some(base));
    for (kind, name) in REFERENCES {
        let name = format!("empty on {name}");
        let Some((without, with)) = reference(&mut target, kind, rounds)? else {
            print(&format!("  {name:<30} not available"));
            continue;
        };
        row(&name, &with, without.median());
        let added = with
            .median()
            .zip(without.median())
            .map(|(with, without)| with - without);
        if kind == EMULATED && added.is_some_and(|added| empty - base > SINGLE_STEPPED * added) {
            bail!(
                "the probed instruction is not one that the kernel emulates: the ratio would mean nothing"
            );
        }
    }
    let within = measured <= LIMIT;
    let verdict = if within { "ok" } else { "OVER" };
    let spread = lookups
        .ratios
        .range()
        .map_or_else(String::new, |(low, high)| {
            format!("{low:>10.2} {high:>10.2}")
        });
    print(&format!(
        "  {:<30} {measured:>10.2} {spread}   limit {LIMIT}: {verdict}",
        "ratio, map-probe to empty"
    ));
    Ok(within)
}

/// A row of the table; what is added is over the median without a probe.
fn row(name: &str, series: &Series, without: Option<f64>) {
    let added = series.median().zip(without);
    let added = added.map_or_else(String::new, |(with, without)| {
        format!(" {:>10.1}", with - without)
    });
    print(&format!("  {name:<30} {}{added}", series.cells(1)));
}

impl Lookups {
    /// One round: not probed, empty, full, and not probed again, so that a drift of the machine shows in all of them.
    fn round(&mut self, target: &mut Target, report: &Path) -> Result<()> {
        let before = settled(target, "lookup")?;
        let probe = Probe::attach(target.pid(), &["--bench-empty"])?;
        let empty = settled(target, "lookup")?;
        probe.detach()?;

        let file = report.as_os_str();
        let probe = Probe::attach(
            target.pid(),
            &[
                "--format".as_ref(),
                "json".as_ref(),
                "--output".as_ref(),
                file,
            ],
        )?;
        let full = settled(target, "lookup")?;
        probe.detach()?;
        let text = std::fs::read_to_string(report)
            .with_context(|| format!("cannot read {}", report.display()))?;
        report::check(&serde_json::from_str(&text)?)
            .context("the report is not what was measured")?;

        let after = settled(target, "lookup")?;
        let base = f64::midpoint(before, after);
        self.base.push(before);
        self.base.push(after);
        self.empty.push(empty);
        self.full.push(full);
        if let Some(ratio) = ratio(base, empty, full) {
            self.ratios.push(ratio);
        }
        Ok(())
    }
}

/// A measurement after a warm-up.
fn settled(target: &mut Target, kind: &str) -> Result<f64> {
    target.measure(kind, WARM_UP)?;
    target.measure(kind, WINDOW)
}

/// Nanoseconds per call of a function whose first instruction is of that kind, without and with an empty program on it; none
/// if this map-probe cannot put one there.
fn reference(target: &mut Target, kind: &str, rounds: u32) -> Result<Option<(Series, Series)>> {
    let (mut without, mut with) = (Series::default(), Series::default());
    // Assembly functions have this suffix; the name without it is a wrapper of the linker's.
    let address = target.address_of(&format!("main.{kind}.abi0"))?.to_string();
    for _ in 0..rounds {
        without.push(settled(target, kind)?);
        match Probe::attach(target.pid(), &["--bench-empty-at", &address]) {
            Ok(probe) => {
                with.push(settled(target, kind)?);
                probe.detach()?;
            }
            Err(Failure::UnknownOption) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(Some((without, with)))
}
