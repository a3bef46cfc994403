//! `cargo xtask bench guard --against PROGRAM`: windows of this build beside those of another build of map-probe.
//!
//! Both look at the same target in turns, and a ratio is of one turn, so that a drift of the machine is in both of its sides.

use super::paced::Target;
use super::probe::Probe;
use super::stats::Series;
use super::table::{Row, Unit};
use crate::process::say;
use crate::{tools, workspace};
use anyhow::{Context, Result, ensure};
use map_probe_tests::text;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The bound that windows are opened within, and for how long.
const BOUND: &str = "1%";
const LENGTH: Duration = Duration::from_secs(10);

/// At most so many times the cost of the other build; and it has at most so many times the windows: this one has 0.9 of them.
const COST_LIMIT: f64 = 1.1;
const WINDOWS_LIMIT: f64 = 1.11;

/// How often probes are taken away, of each build.
const CLOSINGS: u32 = 20;

/// What a run within the bound came to.
struct Windows {
    number: f64,
    /// Milliseconds of the target's time that a window took beside its traps, and with them.
    beside: f64,
    whole: f64,
}

/// Rows for the number of windows, for what one costs beside its traps, and for how long probes stay when they are to go.
pub(super) fn rows(rounds: u32, against: &Path) -> Result<Vec<Row>> {
    let [_, version] = tools::BENCH_GO_VERSIONS;
    let binary = super::build_fixture("budget", version)?;
    let programs = [workspace::map_probe(), against.to_owned()];
    let names = ["this build", "the other"];
    let mut target = Target::start(&binary, "bound")?;
    let mut windows = Compared::default();
    let mut beside = Compared::default();
    let mut whole = Compared::default();
    for round in 1..=rounds {
        say(&format!("guard: windows, round {round} of {rounds}"));
        let mut runs = Vec::new();
        for program in &programs {
            runs.push(within(program, &mut target)?);
        }
        windows.add(runs[0].number, runs[1].number);
        beside.add(runs[0].beside, runs[1].beside);
        whole.add(runs[0].whole, runs[1].whole);
    }
    let mut closing = Compared::default();
    for round in 1..=CLOSINGS {
        say(&format!("guard: closing, round {round} of {CLOSINGS}"));
        let mut times = Vec::new();
        for program in &programs {
            times.push(close(program, target.pid())?);
        }
        closing.add(times[0], times[1]);
    }
    let mut rows = Vec::new();
    for (compared, what) in [
        (&beside, "a window beside its traps"),
        (&whole, "a window and its traps"),
        (&closing, "from SIGINT until probes are gone"),
    ] {
        for (series, name) in compared.sides.iter().zip(names) {
            let name = format!("guard: {what}, {name}");
            rows.push(Row::new(name, Unit::Milliseconds, series.clone()));
        }
    }
    // A table's limits are from above.
    let fewer = Row::new(
        format!("guard: windows in {LENGTH:?}, the other over this build"),
        Unit::Ratio,
        windows.inverse,
    );
    rows.push(fewer.limit(WINDOWS_LIMIT).detail(format!(
        "this build has {} windows in the median, the other {}",
        windows.sides[0].median().unwrap_or_default(),
        windows.sides[1].median().unwrap_or_default()
    )));
    for (compared, what) in [
        (beside, "a window beside its traps"),
        (closing, "from SIGINT until probes are gone"),
    ] {
        let name = format!("guard: {what}, this build over the other");
        rows.push(Row::new(name, Unit::Ratio, compared.ratio).limit(COST_LIMIT));
    }
    Ok(rows)
}

/// Pairs of measurements, and their ratios.
#[derive(Default)]
struct Compared {
    sides: [Series; 2],
    ratio: Series,
    inverse: Series,
}

impl Compared {
    /// Takes in a pair; there is no ratio to what is not measurable.
    fn add(&mut self, ours: f64, other: f64) {
        self.sides[0].push(ours);
        self.sides[1].push(other);
        if other > 0.0 {
            self.ratio.push(ours / other);
        }
        if ours > 0.0 {
            self.inverse.push(other / ours);
        }
    }
}

/// Lets a build look at the target within the bound.
fn within(program: &Path, target: &mut Target) -> Result<Windows> {
    let file = workspace::work().join("bench/guard.json");
    let output = file.to_str().context("a path")?;
    let options = ["--format", "json", "--output", output];
    let probe = Probe::start(program, BOUND, target.pid(), &options)?;
    let run = target.run(LENGTH)?;
    probe.detach()?;
    let report: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let cost = |name: &str| {
        let value = report["cost"][name].as_f64();
        value.with_context(|| format!("no {name} in the report's cost"))
    };
    let (number, cpus) = (cost("windows")?, std::thread::available_parallelism()?);
    ensure!(number > 0.0, "{} opened no window", program.display());
    let lost = run.lost().context("there is no time without a window")?;
    // All CPUs' work that was lost, as time of all of them.
    let whole = lost / 100.0 * run.seconds * 1e3 / number;
    let traps = cost("traps")? * cost("ns_per_trap")? / 1e6 / cpus.get() as f64 / number;
    Ok(Windows {
        number,
        beside: whole - traps,
        whole,
    })
}

/// Milliseconds from asking a build to end until its probes are gone, every operation traced.
fn close(program: &Path, pid: u32) -> Result<f64> {
    let probe = Probe::start(program, "off", pid, &["--format", "json"])?;
    std::thread::sleep(Duration::from_millis(300));
    let sites = text::changed(pid)?;
    ensure!(!sites.is_empty(), "there are no probes");
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let look = || -> Result<Vec<u8>> {
        let mut bytes = vec![0; sites.len()];
        for (byte, site) in bytes.iter_mut().zip(&sites) {
            memory.read_exact_at(std::slice::from_mut(byte), *site)?;
        }
        Ok(bytes)
    };
    let probed = look()?;
    let begun = Instant::now();
    probe.signal(Signal::SIGINT)?;
    while look()?.iter().zip(&probed).any(|(now, then)| now == then) {
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "the probes of {} stay",
            program.display()
        );
    }
    let gone = begun.elapsed();
    probe.ended()?;
    Ok(gone.as_secs_f64() * 1e3)
}
