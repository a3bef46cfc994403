//! `map-probe verify`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Assumptions, Target, target, values};
use crate::error::Failure;
use crate::session::Lie;

/// A check of the walk against the runtime.
#[derive(Debug)]
pub struct Verify {
    /// Whom to probe.
    pub target: Target,
    /// How long.
    pub duration: Duration,
    /// How to report.
    pub format: VerifyFormat,
    /// Where to; `None`: standard output.
    pub output: Option<PathBuf>,
    /// As for a run.
    pub verbosity: u8,
    /// What to take it for.
    pub assumptions: Assumptions,
    /// What to tell the walk wrongly.
    pub lie: Option<Lie>,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What `--help` teaches.
pub(super) const ABOUT: &str = "\
Checks map-probe on a running program: for some seconds compares what Go's runtime returns with what map-probe found.

Beside its usual probes map-probe puts some at the RET instructions of the map functions. When an operation returns \
that was walked before, the two are compared: the address of the element that a lookup or insert returns with the slot \
that the walk ended in, whether the key was there, and the number of entries before and after an insert or delete. \
Operations on nil and empty maps, and most lookups on maps of a single bucket or group, end before they reach a probe: they \
are not compared.

The report says by map function how many operations were compared, and how many differed. None should: a \
difference is a bug in map-probe.";

/// After the options.
pub(super) const MORE: &str = "\
What it costs:
  A RET can only be single-stepped: the target pays about 20 µs for each operation while this runs, many
  times what tracing costs, and stands nearly still if it does little else. Nothing is left behind.

Exit status:
  0  operations were compared, and none differed
  6  some differed
  7  nothing was compared, so nothing is verified
     the others as `map-probe --help` says";

/// The options of `map-probe verify`.
#[derive(Args)]
pub(super) struct Options {
    /// Verify this running process
    #[arg(long, value_name = "PID", conflicts_with = "command", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,

    /// For how long, like 500ms, 10s or 1m30s; Ctrl-C or the target's end ends it before
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    duration: Duration,

    /// How to report
    #[arg(long, value_enum, default_value_t = VerifyFormat::Text)]
    format: VerifyFormat,

    /// Write the report to this file instead of standard output: it appears whole, at the end
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    assumptions: Assumptions,

    /// Show the kernel side's own log, for debugging a probe site; -vv shows more
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Tell the walk something wrong, to see that it is found out
    #[arg(long, hide = true, value_enum)]
    lie: Option<Lie>,

    /// Start this command and verify it from its first map operation
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Options {
    pub(super) fn request(self) -> Result<Verify, Failure> {
        Ok(Verify {
            target: target(self.pid, self.command)?,
            duration: self.duration,
            format: self.format,
            output: self.output,
            verbosity: self.verbose.min(2),
            assumptions: self.assumptions,
            lie: self.lie,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, parse, tests::refused};
    use super::*;
    use crate::error::Failure;

    fn parsed(line: &str) -> Result<Request, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn verify(line: &str) -> Verify {
        match parsed(line) {
            Ok(Request::Verify(verify)) => verify,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_process_or_a_command_is_verified_for_five_seconds() {
        let of_pid = verify("map-probe verify --pid 4711");
        assert_eq!(of_pid.target, Target::Pid(4711));
        assert_eq!(of_pid.duration, Duration::from_secs(5));
        assert_eq!((of_pid.format, of_pid.lie), (VerifyFormat::Text, None));
        let of_command = verify("map-probe verify --format json -- ./server --pid 7");
        let command = ["./server", "--pid", "7"].map(OsString::from);
        assert_eq!(of_command.target, Target::Command(command.to_vec()));
        assert_eq!(of_command.format, VerifyFormat::Json);
    }

    #[test]
    fn without_a_target_or_behind_options_it_is_refused() {
        for (line, hint) in [
            ("map-probe verify", "--pid PID"),
            ("map-probe --pid 7 verify", "verify --pid"),
        ] {
            let story = refused(line);
            assert!(story.contains(hint), "{story}");
        }
    }
}
