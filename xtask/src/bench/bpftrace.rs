//! What counting one lookup costs the target, over what bpftrace costs it that counts calls of the same function.

use super::stats::{Series, ratio};
use super::table::{Row, Unit};
use super::target::Target;
use super::trace::{LOOKUP, settled, traced};
use crate::process::{on_path, say};
use crate::tools;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The function that the target's lookups call, in all versions of Go that are measured.
const FUNCTION: &str = "runtime.mapaccess2_fast64";

/// Counting depths may cost at most this share of counting calls.
const LIMIT: f64 = 0.3;

/// How long bpftrace may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A row per version of Go.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        let name = format!("trace, Go {version}: uint64 lookup / bpftrace counting calls");
        rows.push(match on_path("bpftrace") {
            Some(bpftrace) => row(&name, &bpftrace, version, rounds)?,
            None => Row::absent(name, "bpftrace is not installed"),
        });
    }
    Ok(rows)
}

fn row(name: &str, program: &Path, version: &str, rounds: u32) -> Result<Row> {
    let binary = super::build_target(version)?;
    let mut target = Target::start(&binary)?;
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    let mut ratios = Series::default();
    for round in 1..=rounds {
        say(&format!(
            "bpftrace, Go {version}: round {round} of {rounds}"
        ));
        let before = settled(&mut target, LOOKUP.command)?;
        let full = traced(&mut target, |target| settled(target, LOOKUP.command))?;
        let bpftrace = Counter::attach(program, &binary, &mut target, before)?;
        let counted = settled(&mut target, LOOKUP.command)?;
        bpftrace.detach()?;
        let after = settled(&mut target, LOOKUP.command)?;
        let base = f64::midpoint(before, after);
        ours.push(full - base);
        theirs.push(counted - base);
        if let Some(ratio) = ratio(base, counted, full) {
            ratios.push(ratio);
        }
    }
    let detail = match (ours.median(), theirs.median()) {
        (Some(ours), Some(theirs)) => {
            format!("ns: +{ours:.0} with map-probe, +{theirs:.0} with bpftrace")
        }
        _ => String::new(),
    };
    Ok(Row::new(name, Unit::Ratio, ratios)
        .limit(LIMIT)
        .detail(detail))
}

/// A bpftrace that counts. Dropping it kills it.
struct Counter(Child);

impl Counter {
    /// Starts it and waits until the target is slower: its own messages come before its probes are in place.
    fn attach(bpftrace: &Path, binary: &Path, target: &mut Target, base: f64) -> Result<Self> {
        let program = format!("uprobe:{}:{FUNCTION} {{ @=count() }}", binary.display());
        let child = Command::new(bpftrace)
            .args(["-p", &target.pid().to_string(), "-e", &program])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start bpftrace")?;
        let mut counter = Self(child);
        let begun = Instant::now();
        // A trap takes some hundred nanoseconds at least.
        while target.measure(LOOKUP.command, Duration::from_millis(20))? < base + 200.0 {
            if let Some(status) = counter.0.try_wait()? {
                bail!("bpftrace ended with {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("bpftrace has put no probe on {FUNCTION} after {PATIENCE:?}");
            }
        }
        Ok(counter)
    }

    /// Ends it as Ctrl-C does and waits until it is gone.
    fn detach(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGINT)?;
        let begun = Instant::now();
        while self.0.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                bail!("bpftrace does not end on SIGINT");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to do about a failure.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
