//! The command line: flags, what they say about themselves, and what is refused.

mod assumptions;
mod generate;
mod help;
mod record;
mod values;
mod verify;
mod who;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::assumptions::Assumptions;
use self::values::MaxOverhead;
use self::who::Who;
use crate::error::{Failure, Status};
use crate::output::{self, Format};
use crate::report::ranked::Ranking;
use crate::sampling;
use crate::wanted::Wanted;

pub use self::generate::{Generate, generate};
pub use self::verify::{Verify, VerifyFormat};

/// What the user asks for.
#[derive(Debug)]
pub enum Request {
    /// Probe a target and report.
    Probe(Box<Probe>),
    /// Print what would be probed in a binary.
    Sites(Sites),
    /// Compare the walk with the runtime.
    Verify(Verify),
    /// Print shell completions or the man page.
    Generate(Generate),
    /// `--help` or `--version`: [`explain`] it, and be done.
    Explain(clap::Error),
}

/// A run.
#[derive(Debug)]
pub struct Probe {
    /// Whom to probe.
    pub target: Target,
    /// How long; `None`: until Ctrl-C or until the target exits.
    pub duration: Option<Duration>,
    /// How long an interval is.
    pub interval: Duration,
    /// How to report.
    pub format: Format,
    /// Where to; `None`: standard output.
    pub output: Option<PathBuf>,
    /// By which share of its throughput the target may be slowed down; `None`: every operation is traced.
    pub bound: Option<f64>,
    /// Where the report goes beside a profile, as JSON; `None`: nowhere.
    pub json: Option<PathBuf>,
    /// How much of the kernel side's own log to show: 0 none, 1 `-v`, 2 `-vv`.
    pub verbosity: u8,
    /// What to take it for.
    pub assumptions: Assumptions,
    /// Which operations, and what of them.
    pub wanted: Wanted,
    /// What is shown first, and how much.
    pub ranking: Ranking,
    /// Whether to sample instead of tracing, and how often.
    pub sampling: Option<sampling::Wanted>,
    /// For `cargo xtask bench`: what to attach instead of the walk.
    pub bench: Option<Bench>,
}

/// What `cargo xtask bench` measures against.
#[derive(Debug, PartialEq, Eq)]
pub enum Bench {
    /// An empty program at the same sites.
    Empty,
    /// An empty program at a linked address.
    EmptyAt(u64),
    /// Nothing for long: all sites attached and detached so many times.
    Attach(u32),
}

/// Whom to probe.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// A running process.
    Pid(i32),
    /// A command to start, with its arguments; never empty.
    Command(Vec<OsString>),
}

/// `map-probe sites`.
#[derive(Args, Debug)]
pub struct Sites {
    /// The Go program's file.
    pub binary: PathBuf,
    /// What to take it for.
    #[command(flatten)]
    pub assumptions: Assumptions,
    /// How to print the sites.
    #[arg(long, value_enum, default_value_t = SitesFormat::Text)]
    pub format: SitesFormat,
}

/// How sites are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SitesFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Parser)]
#[command(
    name = "map-probe",
    version,
    about = "Shows how deep every map operation of a running Go program has to probe",
    long_about = help::ABOUT,
    after_help = "`map-probe --help` explains more: examples, what a report says, what it needs and costs.",
    after_long_help = help::MORE,
    override_usage = "map-probe --pid <PID> [OPTIONS]\n       map-probe [OPTIONS] -- <COMMAND> [ARGS]...\n       map-probe record ... -o <FILE>\n       map-probe verify --pid <PID> [OPTIONS]\n       map-probe sites <BINARY> [--format text|json]",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(subcommand)]
    subcommand: Option<Sub>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Sub {
    /// Print what would be probed in a Go program, without touching a process or needing root
    Sites(Sites),
    /// Check map-probe on a running program: compare the slots that the runtime returns with those it finds
    #[command(
        long_about = verify::ABOUT,
        after_long_help = verify::MORE,
        override_usage = "map-probe verify --pid <PID> [OPTIONS]\n       map-probe verify [OPTIONS] -- <COMMAND> [ARGS]..."
    )]
    Verify(verify::Options),
    /// Record a profile of map operations by call site for `go tool pprof`
    Record(record::Record),
    /// Print completions of the command line for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

/// What a run is of, and how it is done: for live reports and recordings alike.
#[derive(Args)]
struct Watch {
    /// Probe this running process
    #[arg(long, value_name = "PID", conflicts_with = "command", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,

    /// End after this time, like 500ms, 10s or 1m30s [default: at Ctrl-C or when the target exits]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    duration: Option<Duration>,

    /// Trace map operations, or sample CPU time: without traps, and with shares of time instead of counts
    #[arg(long, value_enum, default_value_t = Mode::Trace)]
    mode: Mode,

    /// With --mode sample: look at each CPU this often, a second [default: as often as costs 0.3% of the target's time]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..))]
    frequency: Option<u32>,

    /// Bound how much the target is slowed down: a share from 0.1% to 100%; `off` traces every operation
    ///
    /// With a bound, operations are counted in short windows of time, as long and as often as their measured price allows;
    /// what a target that does few map operations can pay for is all of the time.
    #[arg(long, value_name = "SHARE|off", default_value = "1%", value_parser = values::max_overhead)]
    max_overhead: MaxOverhead,

    #[command(flatten)]
    assumptions: Assumptions,

    #[command(flatten)]
    who: Who,

    /// Show the kernel side's own log, for debugging a probe site; -vv shows more
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Start this command and probe it from its first map operation
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    /// Trap every map operation: exact counts
    Trace,
    /// Look at what the CPUs do, many times a second: shares of CPU time, at a price that is known beforehand
    Sample,
}

/// How a live report looks.
#[derive(Args)]
struct Options {
    #[command(flatten)]
    watch: Watch,

    /// Report this often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::interval)]
    interval: Duration,

    /// How to report
    #[arg(long, value_enum, default_value_t = ReportFormat::Auto)]
    format: ReportFormat,

    /// Write the report to this file instead of standard output: it appears whole, at the end
    ///
    /// What was there before stays as it was until then, and for good if the run fails. To follow a run interval by
    /// interval, read standard output. Devices and pipes are written to at once.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Attach an empty program instead
    #[arg(long, hide = true)]
    bench_empty: bool,

    /// Attach an empty program to this linked address instead
    #[arg(long, hide = true, value_name = "ADDRESS")]
    bench_empty_at: Option<u64>,

    /// Attach and detach so many times instead, and print how long each took
    #[arg(long, hide = true, value_name = "ROUNDS")]
    bench_attach: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ReportFormat {
    /// The live dashboard on a terminal, otherwise text; with --output text
    Auto,
    /// The live dashboard; ? in it explains its keys. At its end the whole run as text, with --output as JSON in the file
    Tui,
    /// A block of text per interval, and one for the whole run
    Text,
    /// One JSON document for the whole run
    Json,
    /// One JSON document a line per interval, and one for the whole run
    Ndjson,
    /// Lines for a spreadsheet, per interval and for the whole run: by process, type, map, call site
    Csv,
    /// An interval log for the tools of `HdrHistogram`: a histogram of depths per interval and kind of operation
    Hlog,
}

/// Understands a command line, the program's name included.
///
/// # Errors
/// When it is wrong, or asks for something that this version does not have.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, Failure> {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) if error.use_stderr() => return Err(wrong_usage(&error)),
        Err(error) => return Ok(Request::Explain(error)),
    };
    match line.subcommand {
        Some(Sub::Sites(sites)) => Ok(Request::Sites(sites)),
        Some(Sub::Verify(options)) => options.request().map(Request::Verify),
        Some(Sub::Record(record)) => record.probe().map(Box::new).map(Request::Probe),
        Some(Sub::Completions { shell }) => Ok(Request::Generate(Generate::Completions(shell))),
        Some(Sub::Man) => Ok(Request::Generate(Generate::Man)),
        None => line.options.probe().map(Box::new).map(Request::Probe),
    }
}

/// Prints `--help` or `--version`.
///
/// # Errors
/// When it cannot be written to standard output.
pub fn explain(text: &clap::Error) -> Result<(), Failure> {
    let text = text.render();
    output::print("the help", |out| {
        if io::stdout().is_terminal() && output::colour() {
            write!(out, "{}", text.ansi())
        } else {
            write!(out, "{text}")
        }
    })
}

impl Options {
    fn probe(self) -> Result<Probe, Failure> {
        let format = match self.format {
            // What goes into a file does not depend on the terminal.
            ReportFormat::Auto
                if self.output.is_none()
                    && self.watch.mode == Mode::Trace
                    && output::is_screen() =>
            {
                Format::Tui
            }
            ReportFormat::Auto | ReportFormat::Text => Format::Text,
            ReportFormat::Json => Format::Json,
            ReportFormat::Ndjson => Format::Ndjson,
            ReportFormat::Tui if output::is_screen() => Format::Tui,
            ReportFormat::Csv => Format::Csv,
            ReportFormat::Hlog => Format::Hlog,
            ReportFormat::Tui => {
                let message =
                    "--format tui: standard output is no terminal that can show the dashboard";
                return Err(Failure::new(Status::Usage, message)
                    .hint("run it on a terminal (with TERM set), or give --format text"));
            }
        };
        let mut probe = self.watch.probe(format, self.interval)?;
        probe.output = self.output;
        probe.bench = match (self.bench_attach, self.bench_empty_at) {
            (Some(rounds), _) => Some(Bench::Attach(rounds)),
            (None, Some(address)) => Some(Bench::EmptyAt(address)),
            (None, None) => self.bench_empty.then_some(Bench::Empty),
        };
        Ok(probe)
    }
}

impl Watch {
    fn sampling(&self) -> Result<Option<sampling::Wanted>, Failure> {
        match (self.mode, self.frequency) {
            (Mode::Trace, None) => Ok(None),
            (Mode::Trace, Some(_)) => Err(Failure::new(
                Status::Usage,
                "--frequency: tracing sees every operation, and samples nothing",
            )
            .hint("add --mode sample, or leave --frequency out")),
            (Mode::Sample, frequency) => Ok(Some(sampling::Wanted {
                frequency,
                share: match self.max_overhead {
                    MaxOverhead::Off => None,
                    MaxOverhead::Percent(percent) => Some(percent / 100.0),
                },
            })),
        }
    }

    fn probe(self, format: Format, interval: Duration) -> Result<Probe, Failure> {
        let sampling = self.sampling()?;
        let wanted = self.who.wanted();
        if sampling.is_some() {
            refuse_to_sample(format, &wanted)?;
        }
        let target = target(self.pid, self.command)?;
        Ok(Probe {
            target,
            duration: self.duration,
            interval,
            format,
            output: None,
            json: None,
            bound: match (self.max_overhead, sampling) {
                (MaxOverhead::Percent(percent), None) => Some(percent / 100.0),
                (MaxOverhead::Off, _) | (_, Some(_)) => None,
            },
            verbosity: self.verbose.min(2),
            assumptions: self.assumptions,
            wanted,
            ranking: self.who.ranking(),
            sampling,
            bench: None,
        })
    }
}

/// Refuses what samples of time cannot answer.
fn refuse_to_sample(format: Format, wanted: &Wanted) -> Result<(), Failure> {
    let (what, hint) = if format == Format::Hlog {
        (
            "--format hlog: an interval log counts operations, and a sample is a share of time",
            "give another format, or leave --mode sample out",
        )
    } else if wanted.stacks {
        (
            "--stacks: a timer's interrupt cannot wait for memory of the target, as a stack needs it",
            "call sites are there without it; for stacks leave --mode sample out",
        )
    } else if !wanted.ops.is_empty() || wanted.map.is_some() {
        (
            "--op and --map choose what is trapped, and --mode sample traps nothing",
            "leave them out, or leave --mode sample out; --type and --function can be given",
        )
    } else {
        return Ok(());
    };
    Err(Failure::new(Status::Usage, what).hint(hint))
}

fn target(pid: Option<i32>, command: Vec<OsString>) -> Result<Target, Failure> {
    match pid {
        Some(pid) => Ok(Target::Pid(pid)),
        None if command.is_empty() => Err(Failure::new(Status::Usage, "no target: nothing to probe was given")
            .hint("give a running process with --pid PID, or a command to start after --: map-probe -- COMMAND")),
        None => Ok(Target::Command(command)),
    }
}

/// clap's message in the form of all our errors.
fn wrong_usage(error: &clap::Error) -> Failure {
    const MORE: &str = "`map-probe --help` explains all options, with examples";
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n");
    let message: Vec<_> = paragraphs
        .next()
        .unwrap_or_default()
        .lines()
        .map(str::trim)
        .collect();
    let message = message.join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    // What is wrong with a value, and then what to write instead: see `values`.
    if error.kind() == ErrorKind::ValueValidation
        && let Some((message, hint)) = message.split_once("; write ")
    {
        return Failure::new(Status::Usage, message).hint(format!("write {hint}"));
    }
    let stray = matches!(
        error.kind(),
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument
    ) && !message.contains("'-");
    let hint = if stray && message.contains("'verify'") {
        "`verify` comes first: map-probe verify --pid PID".to_owned()
    } else if stray && message.contains("'sites'") {
        "`sites` goes with no other target or option: map-probe sites BINARY".to_owned()
    } else if stray {
        "a command to start goes after --: map-probe -- COMMAND ARGS...".to_owned()
    } else {
        let tip = paragraphs
            .flat_map(str::lines)
            .find_map(|line| line.trim_start().strip_prefix("tip: a similar "));
        tip.map_or(MORE.to_owned(), |tip| format!("a similar {tip}; {MORE}"))
    };
    Failure::new(Status::Usage, message).hint(hint)
}

#[cfg(test)]
mod tests;
