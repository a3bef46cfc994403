//! A run: attach, report every interval until the end, report the whole.

use std::future::pending;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use crate::bench;
use crate::budget::{Account, Told};
use crate::cli::{Bench, Probe, Target};
use crate::dashboard::{Live, Wish};
use crate::error::{Failure, Status};
use crate::kernel_log::KernelLog;
use crate::messages::say;
use crate::output::{Emitter, Format};
use crate::own;
use crate::probe::{CommandOutput, Held, Program};
use crate::record::Recorder;
use crate::report::consistency::Consistency;
use crate::report::model::{Cost, Counts, Mode, Report, TargetInfo};
use crate::report::ranked::Ranking;
use crate::report::words;
use crate::sampling::{Rate, Wanted};
use crate::session::Session;
use crate::watching::{Reading, Watching};

/// Probes as the command line asks.
///
/// # Errors
/// The target cannot be probed, or a report cannot be written.
pub fn run(request: &Probe) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed_to_wait)?;
    runtime.block_on(probe(request))
}

async fn probe(request: &Probe) -> Result<(), Failure> {
    let mut emitter = Sink::open(request)?;
    let with_dashboard = request.format == Format::Tui;
    let mut signals = Signals::new(with_dashboard)?;
    let written = command_output(request)?;
    let mut command = match &request.target {
        Target::Command(command) => Some(Held::start(command, written.as_ref())?),
        Target::Pid(_) => None,
    };
    let pid = pid(&request.target, command.as_ref());
    let program = program(request);
    let mut session = Session::prepare(
        pid,
        program,
        request.verbosity,
        request.assumptions,
        &request.wanted,
    )?;
    if let Some(Bench::Attach(rounds)) = request.bench {
        return bench::attach(&session, rounds);
    }
    let exit = Exit::of(pid)?;
    let mut log = KernelLog::of(session.loaded(), logged(program, request))?;
    let mut watching = attach(&mut session, request)?;
    let start = Instant::now();
    let rate = session.rate();
    let mut progress = Progress::new(session.info(), rate, SystemTime::now(), request);
    if !matches!(watching, Watching::Windows(..)) {
        announce(&progress.target, rate);
    }
    note(&progress.target, request.sampling, rate);
    let mut live =
        Live::start(with_dashboard.then(|| progress.whole(&Reading::default(), Duration::ZERO)))?;
    emitter.begin();
    if let Some(command) = &mut command {
        command.release()?;
    }

    let first = tokio::time::Instant::from_std(start) + request.interval;
    let mut ticks = interval_at(first, request.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end = pin!(until(start, request.duration));
    let mut target_ended = false;
    loop {
        tokio::select! {
            // The end before the interval that ends with it: that is the last one then, and not one of no length.
            biased;
            () = signals.any() => break,
            () = exit.happens() => {
                target_ended = true;
                break;
            }
            () = &mut end => break,
            _ = ticks.tick() => {}
            () = log.flushed() => {
                live.messages();
                continue;
            }
            opened = watching.opens() => {
                opened?;
                announce(&progress.target, rate);
                live.messages();
                continue;
            }
            wish = live.input() => match wish {
                Wish::GoOn => continue,
                Wish::End => break,
            },
        }
        let reading = watching.read(&mut session)?;
        progress.target = session.info();
        let seconds = start.elapsed();
        let report = progress.interval(&reading, seconds);
        let run = live.is_on().then(|| progress.whole(&reading, seconds));
        live.show(&report, run);
        if emitter.interval(&report)? == ControlFlow::Break(()) {
            break;
        }
    }
    let seconds = start.elapsed();
    // Returns when no program runs any more: what is read then is all there is.
    watching.end();
    let reading = watching.read(&mut session)?;
    progress.target = session.info();
    log.flush();
    let interval = progress.interval(&reading, seconds);
    if target_ended && live.is_on() {
        live.show(&interval, Some(progress.whole(&reading, seconds)));
        live.target_ended();
        tokio::select! {
            () = signals.any() => {}
            () = &mut end => {}
            () = live.until_left() => {}
        }
    }
    // The screen is for the report again.
    drop(live);
    // A text reader who has seen no interval does not need one that is the whole run.
    if progress.intervals > 1 || request.format != Format::Text {
        // A reader who is gone is told nothing more, by `finish` either.
        let _ = emitter.interval(&interval)?;
    }
    emitter.finish(&progress.whole(&reading, seconds))?;
    take_leave(command, written);
    Ok(())
}

/// Where a command writes while the dashboard has its terminal.
fn command_output(request: &Probe) -> Result<Option<CommandOutput>, Failure> {
    match (&request.target, request.format) {
        (Target::Command(_), Format::Tui) => CommandOutput::new().map(Some),
        _ => Ok(None),
    }
}

fn pid(target: &Target, command: Option<&Held>) -> u32 {
    match (target, command) {
        (_, Some(held)) => held.pid(),
        (Target::Pid(pid), None) => pid.cast_unsigned(),
        (Target::Command(_), None) => 0,
    }
}

/// How much of the kernel side's log there is: a program that is run in interrupts writes none.
fn logged(program: Program, request: &Probe) -> u8 {
    u8::from(!program.samples()) * request.verbosity
}

/// Which of the kernel side's programs the command line asks for.
fn program(request: &Probe) -> Program {
    match (&request.sampling, &request.bench, request.bound) {
        (Some(_), Some(_), _) => Program::EmptySample,
        (Some(_), None, _) => Program::Sample,
        (None, Some(_), _) => Program::Empty,
        (None, None, Some(_)) => Program::Windows,
        (None, None, None) => Program::Walk,
    }
}

fn attach(session: &mut Session, request: &Probe) -> Result<Watching, Failure> {
    if let Some(wanted) = request.sampling {
        return session.sample(wanted).map(Watching::Samples);
    }
    match (&request.bench, request.bound) {
        (Some(Bench::EmptyAt(address)), _) => {
            session.attach_at_address(*address).map(Watching::All)
        }
        (None, Some(bound)) => Watching::windows(session.reattach()?, bound),
        (Some(Bench::Empty | Bench::Attach(_)), _) | (None, None) => {
            session.attach().map(Watching::All)
        }
    }
}

/// Says what is left of a command, and where it wrote.
fn take_leave(command: Option<Held>, written: Option<CommandOutput>) {
    let still_running =
        command.and_then(|mut command| (!command.has_ended()).then(|| command.pid()));
    if let Some(pid) = still_running {
        say(&format!("the command still runs, as process {pid}"));
    }
    let note = written.and_then(|mut written| written.note(still_running.is_some()));
    if let Some(note) = note {
        say(&note);
    }
}

/// Where reports go.
enum Sink {
    Reports(Emitter),
    Recording(Recorder),
}

impl Sink {
    fn open(request: &Probe) -> Result<Self, Failure> {
        match (request.format, &request.output) {
            (Format::Pprof, Some(output)) => {
                Recorder::open(output, request.json.as_deref(), request.duration)
                    .map(Self::Recording)
            }
            (format, output) => Emitter::open(format, output.as_deref()).map(Self::Reports),
        }
    }

    fn begin(&mut self) {
        if let Self::Recording(recorder) = self {
            recorder.begin();
        }
    }

    fn interval(&mut self, report: &Report) -> Result<ControlFlow<()>, Failure> {
        match self {
            Self::Reports(emitter) => emitter.interval(report),
            Self::Recording(recorder) => Ok(recorder.interval(report)),
        }
    }

    fn finish(&mut self, report: &Report) -> Result<(), Failure> {
        match self {
            Self::Reports(emitter) => emitter.finish(report),
            Self::Recording(recorder) => recorder.finish(report),
        }
    }
}

/// What has been reported so far.
struct Progress {
    target: TargetInfo,
    filters: Vec<(&'static str, String)>,
    ranking: Ranking,
    /// In sample mode.
    rate: Option<Rate>,
    started: SystemTime,
    /// In debug builds: whether the lists of reports agree.
    consistency: Option<Consistency>,
    counts: Counts,
    /// What was taken in windows, if there are any.
    account: Option<Account>,
    until: Duration,
    /// Our own CPU time at the last report.
    cpu: Duration,
    intervals: u64,
}

impl Progress {
    fn new(target: TargetInfo, rate: Option<Rate>, started: SystemTime, request: &Probe) -> Self {
        Self {
            target,
            rate,
            started,
            filters: request.wanted.filters(),
            ranking: request.ranking,
            consistency: cfg!(debug_assertions).then(|| Consistency::new(&request.wanted)),
            counts: Counts::default(),
            account: request.bound.map(Account::new),
            until: Duration::ZERO,
            cpu: own::cpu_time(),
            intervals: 0,
        }
    }

    /// The report of the time since the last one.
    fn interval(&mut self, reading: &Reading, until: Duration) -> Report {
        let cpu = own::cpu_time();
        let length = until.saturating_sub(self.until);
        let spent = cpu.saturating_sub(self.cpu);
        let counts = reading.counts.since(&self.counts);
        let seconds = length.as_secs_f64();
        let told = match &mut self.account {
            Some(account) => account.interval(&reading.taken, counts, &reading.names, seconds),
            None => self.everything(counts, seconds),
        };
        if let Some(consistency) = &mut self.consistency {
            expect_none(&consistency.interval(&told.counts));
        }
        self.cpu = cpu;
        self.counts = reading.counts.clone();
        self.until = until;
        self.intervals += 1;
        self.report(told, (length, until), spent, false)
    }

    /// The report of the whole run, after that of its last interval.
    fn whole(&self, reading: &Reading, until: Duration) -> Report {
        let seconds = until.as_secs_f64();
        let told = match &self.account {
            Some(account) => account.whole(reading.counts.clone(), &reading.names, seconds),
            None => self.everything(reading.counts.clone(), seconds),
        };
        if let Some(consistency) = &self.consistency {
            expect_none(&consistency.whole(&told.counts));
        }
        self.report(told, (until, until), own::cpu_time(), true)
    }

    /// What is told of a time in which every operation was traced, or that was sampled.
    fn everything(&self, counts: Counts, seconds: f64) -> Told {
        let operations = counts.operations.total();
        // What a filter leaves out is trapped as well, and in no count; those for others than `--op` are not probed at all.
        let chosen = self.filters.iter().any(|(option, _)| *option != "op");
        let traced = (!chosen).then(|| operations.saturating_add(counts.quality.missing()));
        let samples = counts.samples.as_ref().map(|samples| samples.total);
        let rate = self.rate;
        Told {
            attached_seconds: seconds,
            cost: Cost {
                windows: 1,
                traps: samples.or(traced),
                ns_per_trap: rate.and_then(|rate| rate.ns_per_sample),
                slowdown: rate.and_then(Rate::share),
                bound: rate.and_then(|rate| rate.bound),
                cpu_seconds: 0.0,
                resident_bytes: 0,
            },
            counts,
        }
    }

    /// `cpu` is our own time for it: for the whole run all since our start, so that getting ready is in it.
    fn report(
        &self,
        mut told: Told,
        (length, until): (Duration, Duration),
        cpu: Duration,
        is_final: bool,
    ) -> Report {
        self.ranking.apply(&mut told.counts);
        Report {
            target: self.target.clone(),
            filters: self.filters.clone(),
            ranking: self.ranking,
            is_final,
            started: self.started,
            until_seconds: until.as_secs_f64(),
            seconds: length.as_secs_f64(),
            attached_seconds: told.attached_seconds,
            // Lookups on small maps end before they reach a probe, in every version supported.
            small_counted: false,
            mode: self.rate.map_or(Mode::Trace, |_| Mode::Sample),
            cost: Some(Cost {
                cpu_seconds: cpu.as_secs_f64(),
                resident_bytes: own::resident_bytes(),
                ..told.cost
            }),
            counts: told.counts,
        }
    }
}

/// Lists of reports that do not agree are a bug.
fn expect_none(different: &[String]) {
    debug_assert!(
        different.is_empty(),
        "lists differ: {}",
        different.join("; ")
    );
}

/// The line that says: from now on operations are counted, or the target is sampled.
pub(crate) fn announce(target: &TargetInfo, rate: Option<Rate>) {
    let TargetInfo {
        pid,
        exe,
        go,
        layout,
        covered,
        ..
    } = target;
    let how = rate.map_or(String::new(), |rate| {
        format!(", sampled {} times a second", rate.frequency)
    });
    say(&format!(
        "attached to {exe} (pid {pid}, {go}, {layout} maps), {} map functions{how}",
        covered.len()
    ));
}

/// What has to be known of the numbers, whatever comes of the run.
pub(crate) fn note(target: &TargetInfo, wanted: Option<Wanted>, rate: Option<Rate>) {
    let TargetInfo {
        go,
        assumed,
        untested,
        ..
    } = target;
    if let Some(assumed) = assumed {
        say(&format!("note: {}", words::assumed(go, assumed)));
    }
    if *untested {
        say(&format!("note: {go} is untested: {}", words::UNTESTED));
    }
    note_lowered(wanted, rate);
}

/// Says if there will be fewer samples than asked for.
fn note_lowered(wanted: Option<Wanted>, rate: Option<Rate>) {
    if let (Some(wanted), Some(rate)) = (wanted, rate)
        && let (Some(frequency), Some(bound)) = (wanted.frequency, rate.bound)
        && rate.frequency < frequency
    {
        say(&format!(
            "note: {} samples a second instead of {frequency}: more would cost over {}% (--max-overhead)",
            rate.frequency,
            bound * 100.0
        ));
    }
}

pub(crate) async fn until(start: Instant, duration: Option<Duration>) {
    match duration.and_then(|duration| start.checked_add(duration)) {
        Some(end) => sleep_until(end.into()).await,
        None => pending().await,
    }
}

/// What ends a run from outside.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Ends that would leave a dashboard on the terminal: SIGHUP and SIGQUIT.
    with_dashboard: Option<(Signal, Signal)>,
}

impl Signals {
    pub(crate) fn new(with_dashboard: bool) -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(failed_to_wait);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            with_dashboard: if with_dashboard {
                Some((listen(SignalKind::hangup())?, listen(SignalKind::quit())?))
            } else {
                None
            },
        })
    }

    pub(crate) async fn any(&mut self) {
        let more = async {
            match &mut self.with_dashboard {
                None => pending().await,
                Some((hangup, quit)) => tokio::select! {
                    _ = hangup.recv() => {}
                    _ = quit.recv() => {}
                },
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = more => {}
        }
    }
}

/// The end of the target.
pub(crate) struct Exit(AsyncFd<OwnedFd>);

impl Exit {
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        // SAFETY: a plain system call (pidfd_open, Linux 5.3); its result is a new descriptor or negative.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(
                Failure::new(Status::NoProcess, format!("there is no process {pid}"))
                    .caused_by(error)
                    .hint("`pgrep -a NAME` lists processes by name"),
            );
        }
        // SAFETY: the descriptor is new, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: an `OwnedFd` stays open, and the same, as long as it lives.
        unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
            .map(Self)
            .map_err(|error| failed_to_wait(error.into()))
    }

    pub(crate) async fn happens(&self) {
        if self.0.readable().await.is_err() {
            pending::<()>().await;
        }
    }
}

pub(crate) fn failed_to_wait(error: io::Error) -> Failure {
    Failure::new(Status::Internal, "cannot wait for signals and the target")
        .caused_by(error)
        .hint("the system is probably out of file descriptors or memory")
}
