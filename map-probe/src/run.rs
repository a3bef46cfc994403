//! A run: attach, report every interval until the end, report the whole.

use std::fs::File;
use std::future::pending;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use crate::bench;
use crate::budget::{Account, Told};
use crate::cli::{Bench, Probe, Target};
use crate::dashboard::{Live, Wish};
use crate::error::{Failure, Status, system_failure};
use crate::lives::{Followed, Happened, Lives, Watch};
use crate::messages::say;
use crate::output::{Emitter, Format};
use crate::own;
use crate::probe::guard::ended as guard_ended;
use crate::probe::{CommandOutput, Guard, Held, Program};
use crate::record::Recorder;
use crate::report::consistency::Consistency;
use crate::report::model::{Cost, Counts, Fate, Mode, Report, TargetInfo};
use crate::report::ranked::Ranking;
use crate::report::words;
use crate::sampling::{Rate, Wanted};
use crate::session::Session;
use crate::signals::Signals;
use crate::target::{Process, TargetError};
use crate::watching::{Reading, Watching};

/// File descriptors that waiting for something takes at most.
const SPARE_FILES: usize = 10;

/// Probes as the command line asks.
///
/// # Errors
/// The target cannot be probed, or a report cannot be written.
pub fn run(request: &Probe) -> Result<Status, Failure> {
    // Before there are threads.
    let guard = match request.sampling {
        None => Some(Guard::start()?),
        Some(_) => None,
    };
    runtime()?.block_on(probe(request, guard.as_ref()))
}

/// What waits for signals, time and the target.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    // Its signals panic for want of descriptors: as many as it takes have to be free.
    let spare = (0..SPARE_FILES).map(|_| File::open("/dev/null"));
    drop(
        spare
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed_to_wait)?,
    );
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed_to_wait)
}

async fn probe(request: &Probe, guard: Option<&Arc<Guard>>) -> Result<Status, Failure> {
    let mut emitter = Sink::open(request)?;
    let with_dashboard = request.format == Format::Tui;
    let signals = Signals::new()?;
    let written = command_output(request)?;
    let mut command = match &request.target {
        Target::Command(command) => Some(Held::start(command, written.as_ref())?),
        Target::Pid(_) => None,
    };
    let pid = pid(&request.target, command.as_ref());
    if let (Some(Bench::Attach(rounds)), Some(guard)) = (&request.bench, guard) {
        return bench::attach(pid, request, guard, *rounds).map(|()| Status::Done);
    }
    let exit = Exit::of(pid)?;
    let guarded = guard.map(|guard| Exit::of(guard.pid())).transpose()?;
    let lives = Lives::begin(Watch {
        pid,
        request,
        guard,
    })?;
    let rate = lives.rate();
    let progress = Progress::new(lives.info(), rate, SystemTime::now(), request);
    if lives.is_attached_at_once() {
        announce(&progress.target, rate);
    }
    note(&progress.target, request.sampling, rate);
    let live =
        Live::start(with_dashboard.then(|| progress.whole(&Reading::default(), Duration::ZERO)))?;
    emitter.begin();
    if let Some(command) = &mut command {
        command.release()?;
    }
    let mut run = Run {
        ends: Ends {
            signals,
            target: exit,
            guard: guarded,
        },
        lives,
        progress,
        emitter,
        live,
        command,
    };
    let mut end = pin!(until(run.lives.start(), request.duration));
    let why = run.watch(request.interval, &mut end).await?;
    Box::pin(run.finish(why, request.format, &mut end, written)).await
}

/// A run under way.
struct Run<'a> {
    ends: Ends,
    lives: Lives<'a>,
    progress: Progress,
    emitter: Sink,
    live: Live,
    command: Option<Held>,
}

/// What ends it from outside.
struct Ends {
    signals: Signals,
    target: Exit,
    guard: Option<Exit>,
}

/// Why it ends.
enum Why {
    Ended(Ending),
    /// What was counted until then is reported.
    Trouble(Failure),
}

/// Why a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By a signal, a key, or a reader that has seen enough.
    Asked,
    /// The target has ended.
    Target,
    /// The target runs another program, which cannot be probed.
    OtherProgram,
    /// The time is over.
    Duration,
}

impl Run<'_> {
    /// Reports every interval, until the end.
    async fn watch(
        &mut self,
        interval: Duration,
        end: &mut Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Why, Failure> {
        let first = tokio::time::Instant::from_std(self.lives.start()) + interval;
        let mut ticks = interval_at(first, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The end before the interval that ends with it: that is the last one then, and not one of no length.
                biased;
                why = self.ends.any() => return Ok(why),
                () = &mut *end => return Ok(Why::Ended(Ending::Duration)),
                happened = self.lives.happens() => match happened {
                    Ok(Happened::Attached) => {
                        announce(&self.lives.info(), self.lives.rate());
                        self.live.messages();
                        continue;
                    }
                    Ok(Happened::Noted) => {
                        self.live.messages();
                        continue;
                    }
                    Ok(Happened::Changed) => {
                        match self.lives.follow()? {
                            Followed::Probed => {}
                            Followed::Ended => return Ok(Why::Ended(Ending::Target)),
                            Followed::NotProbeable => {
                                return Ok(Why::Ended(Ending::OtherProgram));
                            }
                        }
                        if self.lives.is_attached_at_once() {
                            announce(&self.lives.info(), self.lives.rate());
                        }
                        self.live.messages();
                    }
                    Err(failure) => return Ok(Why::Trouble(failure)),
                },
                _ = ticks.tick() => {}
                wish = self.live.input() => match wish {
                    Wish::GoOn => continue,
                    Wish::End => return Ok(Why::Ended(Ending::Asked)),
                },
            }
            let reading = self.lives.read()?;
            self.progress.target = self.lives.info();
            let seconds = self.lives.start().elapsed();
            let report = self.progress.interval(&reading, seconds);
            let run = self.live.is_on();
            let run = run.then(|| self.progress.whole(&reading, seconds));
            self.live.show(&report, run);
            if self.emitter.interval(&report)? == ControlFlow::Break(()) {
                return Ok(Why::Ended(Ending::Asked));
            }
            if let Err(failure) = self.lives.check() {
                return Ok(Why::Trouble(failure));
            }
        }
    }

    /// Takes the probes away and reports the whole.
    async fn finish(
        mut self,
        why: Why,
        format: Format,
        end: &mut Pin<&mut impl Future<Output = ()>>,
        written: Option<CommandOutput>,
    ) -> Result<Status, Failure> {
        let seconds = self.lives.start().elapsed();
        // Returns when no program runs any more: what is read then is all there is.
        self.lives.end();
        let were_attached = self.lives.were_attached();
        let (ending, trouble) = match why {
            Why::Trouble(failure) if !were_attached => return Err(failure),
            Why::Trouble(failure) => (Ending::Asked, Some(failure)),
            Why::Ended(Ending::Target) if !were_attached => {
                return Err(ended_too_early(self.lives.pid(), self.command.is_some()));
            }
            Why::Ended(ending) => (ending, None),
        };
        let reading = self.lives.read()?;
        let fate = self.command.as_mut().and_then(Held::fate);
        self.progress.target = TargetInfo {
            ended: fate,
            ..self.lives.info()
        };
        self.lives.flush();
        let interval = self.progress.interval(&reading, seconds);
        if ending == Ending::Target && self.live.is_on() {
            let whole = self.progress.whole(&reading, seconds);
            self.live.show(&interval, Some(whole));
            self.live.target_ended();
            tokio::select! {
                () = self.ends.signals.any() => {}
                () = &mut *end => {}
                () = self.live.until_left() => {}
            }
        }
        // The screen is for the report again.
        drop(self.live);
        // A text reader who has seen no interval does not need one that is the whole run.
        if self.progress.intervals > 1 || format != Format::Text {
            // A reader who is gone is told nothing more, by `finish` either.
            let _ = self.emitter.interval(&interval)?;
        }
        self.emitter
            .finish(&self.progress.whole(&reading, seconds))?;
        take_leave(self.command, written);
        match trouble {
            Some(failure) => Err(failure),
            None => Ok(status(fate, ending)),
        }
    }
}

impl Ends {
    /// Waits for any of them.
    async fn any(&mut self) -> Why {
        let guard = async {
            match &self.guard {
                Some(guard) => guard.happens().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.signals.any() => Why::Ended(Ending::Asked),
            () = self.target.happens() => Why::Ended(Ending::Target),
            () = guard => Why::Trouble(guard_ended()),
        }
    }
}

/// The target ended before a window was open.
fn ended_too_early(pid: u32, is_command: bool) -> Failure {
    let what = if is_command {
        "the command ended".to_owned()
    } else {
        format!("process {pid} ended")
    };
    Failure::new(
        Status::NoProcess,
        format!("{what} before its probes were attached"),
    )
    .hint("trace all of its operations instead: --max-overhead off -- COMMAND")
}

/// What a run ends with whose report was written. Who asked us to end (Ctrl-C) may have asked the command too: its end is no
/// failure then.
pub(crate) fn status(fate: Option<Fate>, ending: Ending) -> Status {
    match fate {
        Some(fate) if !fate.is_success() && ending != Ending::Asked => Status::CommandFailed,
        _ => Status::Done,
    }
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
pub(crate) fn logged(program: Program, request: &Probe) -> u8 {
    u8::from(!program.samples()) * request.verbosity
}

/// Which of the kernel side's programs the command line asks for.
pub(crate) fn program(request: &Probe) -> Program {
    match (&request.sampling, &request.bench, request.bound) {
        (Some(_), Some(_), _) => Program::EmptySample,
        (Some(_), None, _) => Program::Sample,
        (None, Some(_), _) => Program::Empty,
        (None, None, Some(_)) => Program::Windows,
        (None, None, None) => Program::Walk,
    }
}

/// Begins to watch.
pub(crate) fn attach(
    session: &mut Session,
    request: &Probe,
    guard: Option<&Arc<Guard>>,
) -> Result<Watching, Failure> {
    let Some(guard) = guard else {
        let wanted = request.sampling.unwrap_or(Wanted {
            frequency: None,
            share: None,
        });
        return session.sample(wanted).map(Watching::Samples);
    };
    session.sweep(guard)?;
    match (&request.bench, request.bound) {
        (Some(Bench::EmptyAt(address)), _) => session
            .attach_at_address(guard, *address)
            .map(Watching::All),
        (None, Some(bound)) => Watching::windows(session.reattach(guard)?, bound),
        (Some(Bench::Empty | Bench::Attach(_)), _) | (None, None) => {
            session.attach(guard).map(Watching::All)
        }
    }
}

/// Says what became of a command, and where it wrote.
fn take_leave(command: Option<Held>, written: Option<CommandOutput>) {
    let still_runs = command.is_some_and(|mut command| say_fate(&mut command).is_none());
    let note = written.and_then(|mut written| written.note(still_runs));
    if let Some(note) = note {
        say(&note);
    }
}

/// Says what became of a command, unless it has done well.
pub(crate) fn say_fate(command: &mut Held) -> Option<Fate> {
    let fate = command.fate();
    match fate {
        None => say(&format!(
            "the command still runs, as process {}",
            command.pid()
        )),
        Some(fate) if fate.is_success() => {}
        Some(fate) => say(&format!("the command ended {}", words::ended(fate))),
    }
    fate
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
            None => self.everything(counts, self.until, until),
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
            None => self.everything(reading.counts.clone(), Duration::ZERO, until),
        };
        if let Some(consistency) = &self.consistency {
            expect_none(&consistency.whole(&told.counts));
        }
        self.report(told, (until, until), own::cpu_time(), true)
    }

    /// What is told of a time in which every operation was traced, or that was sampled.
    fn everything(&self, counts: Counts, from: Duration, until: Duration) -> Told {
        let operations = counts.operations.total();
        // What a filter leaves out is trapped as well, and in no count; those for others than `--op` are not probed at all.
        let chosen = self.filters.iter().any(|(option, _)| *option != "op");
        let traced = (!chosen).then(|| operations.saturating_add(counts.quality.missing()));
        let samples = counts.samples.as_ref().map(|samples| samples.total);
        let rate = self.rate;
        let unprobed = self
            .target
            .unprobed(from.as_secs_f64(), until.as_secs_f64());
        let seconds = until.saturating_sub(from).as_secs_f64();
        Told {
            attached_seconds: (seconds - unprobed).max(0.0),
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

/// The end of the target.
pub(crate) struct Exit(AsyncFd<OwnedFd>);

impl Exit {
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        // SAFETY: a plain system call (pidfd_open, Linux 5.3); its result is a new descriptor or negative.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                // Those that are threads have an error of their own, as have those of another namespace.
                Some(libc::ESRCH | libc::EINVAL | libc::ENOENT) => {
                    let why = Process::open(pid).err();
                    why.unwrap_or(TargetError::NoSuchProcess { pid }).into()
                }
                _ => failed_to_wait(error),
            });
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
    system_failure("cannot wait for signals and the target", error)
}
