//! `cargo xtask chaos`: everything that can happen to map-probe and to its target, at random moments, and what is left of it.
//!
//! What is done is in `tests/src/chaos`, which `cargo xtask test` has a minute of, too (`tests/tests/chaos.rs`).

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use map_probe_tests::chaos::event::Event;
use map_probe_tests::chaos::{self, Options};
use nix::sys::signal::{SigHandler, Signal};

use crate::process::{build_map_probe, print, say};
use crate::{privilege, tools, workspace};

/// How often a line of progress is said.
const PROGRESS: Duration = Duration::from_secs(30);

/// Set by Ctrl-C.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Options of `cargo xtask chaos`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// For how long
    #[arg(long, default_value_t = 5.0, value_name = "N")]
    minutes: f64,
    /// Repeat the events of an earlier run, in their order; when exactly they happen is up to the machine [default: by the clock]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only this kind of event; may be given more than once [default: all]
    #[arg(long, value_name = "KIND", value_parser = Event::ALL.map(|(event, _)| event.name()))]
    only: Vec<String>,
    /// Try this build of map-probe instead of the tree's
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

/// What there is to know before a run, and when reading the table.
const HELP: &str = "\
Each round, one to three map-probes look at a Go program that checks itself all the time, in random modes (every operation; windows \
within 1%, 5% and 20%; samples; verify), and one thing happens at a random moment. Programs of Go 1.23 and Go 1.27 take turns.

Kinds of events:
  kill, kill-ending, kill-guard, kill-both   SIGKILL of map-probe, of map-probe while it ends, of its guard process, of both
  cgroup-kill                                cgroup.kill (needs a mounted cgroup2)
  term, int, hup, quit                       signals that end a run with its report
  stop                                       SIGSTOP and SIGCONT; windows have to end meanwhile
  closed-output, full-output                 the report cannot be written
  exec-leader, exec-other, exec-same         the target becomes another program, on its leader thread or another; or itself again
  exit, kill-target                          the target ends
  spawn, fork                                the target starts programs; its C code forks, and the child goes on

The table has, by kind, how often it was brought about, and what went wrong: targets that died or found a wrong result; bytes of their \
code that are not as in the file ten seconds later; kernel warnings `leaking uprobe`; links, programs, maps and processes left; reports \
that were due and did not come; reports that contradict themselves. Each has to be 0, else the exit status is 1, and a line on standard \
error says what happened in which round. The last column alone may be more: where the guard itself is killed in the middle of a call, \
the kernel warns that the call was interrupted; no byte of the code may stay changed all the same.

Ctrl-C ends after the round, with the table so far. The documented run: `cargo xtask chaos --minutes 60`.";

/// Brings about events until the time is over, and prints the table; an error when anything in it is not 0.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Chaos. Needs: root, BPF, a C compiler, Python's pip (it fetches Go); and that no other map-probe runs meanwhile.",
    );
    privilege::check_kernel()?;
    ensure!(
        args.minutes > 0.0 && args.minutes.is_finite(),
        "--minutes {}: how long is that?",
        args.minutes
    );
    for version in tools::BENCH_GO_VERSIONS {
        tools::go(version)?;
    }
    let program = if let Some(program) = &args.program {
        program.clone()
    } else {
        build_map_probe()?;
        workspace::map_probe()
    };
    let seed = match args.seed {
        Some(seed) => seed,
        None => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .context("the clock")?
            .as_secs(),
    };
    say(&format!("Seed: {seed}"));
    stop_at_interrupts()?;
    let named = |(event, _): &(Event, usize)| args.only.iter().any(|name| name == event.name());
    let options = Options {
        length: Duration::from_secs_f64(args.minutes * 60.0),
        seed,
        only: Event::ALL
            .iter()
            .filter(|event| named(event))
            .map(|(event, _)| *event)
            .collect(),
        program,
    };
    let begun = Instant::now();
    let mut said = begun;
    let table = chaos::run(&options, &STOPPED, |rounds, failures| {
        for failure in failures {
            say(failure);
        }
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            let seconds = begun.elapsed().as_secs();
            say(&format!("{rounds} rounds in {seconds} s"));
        }
    })?;
    print(table.text().trim_end());
    std::io::stdout().flush()?;
    if !table.total().is_clean() {
        bail!("{} things went wrong; seed {seed}", table.failures.len());
    }
    Ok(())
}

/// Has Ctrl-C end the run after the round: what was started is ended there, and nothing is left behind.
fn stop_at_interrupts() -> Result<()> {
    extern "C" fn stop(_: libc::c_int) {
        STOPPED.store(true, Ordering::Relaxed);
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and does nothing else.
        unsafe { nix::sys::signal::signal(signal, SigHandler::Handler(stop)) }?;
    }
    Ok(())
}
