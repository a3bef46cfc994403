//! The programs that a process runs while it is watched, one after the other: each is read, planned and probed anew.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::budget::{Taken, TypeNames};
use crate::cli::Probe;
use crate::clock::now as now_ns;
use crate::error::{Failure, Status};
use crate::kernel_log::KernelLog;
use crate::messages::say;
use crate::probe::{Change, Changes, Guard};
use crate::report::model::{Counts, Life, TargetInfo};
use crate::run;
use crate::sampling::Rate;
use crate::session::Session;
use crate::target::Process;
use crate::watching::{Reading, Watching};

/// How often it is tried to read a program that the process turns into: it may turn into the next one meanwhile.
const ATTEMPTS: u32 = 10;
/// And how long to wait before it is tried again.
const PAUSE: Duration = Duration::from_millis(10);
/// The most programs of one process that are followed.
const MOST_PROGRAMS: usize = 256;
/// Numbers of types of one program; those of the next come behind.
const TYPES: u32 = 2048;
/// Programs whose types are told apart: records have room for so many. Types of later ones are unknown.
const TOLD_APART: u32 = 31;

/// Whom to watch, and how.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub(crate) pid: u32,
    pub(crate) request: &'a Probe,
    /// Holds the probes, if there are any.
    pub(crate) guard: Option<&'a Arc<Guard>>,
}

/// One program at work.
struct Program {
    session: Session,
    watching: Watching,
    changes: Changes,
    log: KernelLog,
}

/// A process, with what it was before.
pub(crate) struct Lives<'a> {
    watch: Watch<'a>,
    /// When it started, in clock ticks since boot: another one with its number is not it.
    started: u64,
    /// When probes were first attached; and the same by the clock of the kernel side, in nanoseconds.
    start: Instant,
    start_ns: u64,
    /// Earlier programs, and the one of now, which has not ended.
    programs: Vec<Life>,
    now: Program,
    /// Which of the programs that is.
    number: u32,
    /// When `exec` was heard of, before it was followed.
    executed: Option<u64>,
    /// What was counted in earlier ones, and the names of their types.
    before: (Counts, Arc<TypeNames>),
    /// What was taken in earlier ones since the last reading.
    owed: Taken,
}

/// What happened.
pub(crate) enum Happened {
    /// Probes are attached from now on.
    Attached,
    /// Nothing for a report: the process has forked, or the kernel side's log was shown.
    Noted,
    /// It ended, or runs another program.
    Changed,
}

/// What became of a process that changed.
pub(crate) enum Followed {
    /// Its new program is probed.
    Probed,
    /// It has ended.
    Ended,
    /// Its new program cannot be probed.
    NotProbeable,
}

impl<'a> Lives<'a> {
    /// Reads the process's program, and attaches the probes.
    ///
    /// # Errors
    /// It cannot be probed, or ends before it is.
    pub(crate) fn begin(watch: Watch<'a>) -> Result<Self, Failure> {
        let (started, now) = retry(watch.pid, || {
            let started = Process::open(watch.pid)?.start_time();
            Ok((started, Program::begin(watch, None)?))
        })?;
        let mut lives = Self {
            watch,
            started,
            start: Instant::now(),
            start_ns: now_ns(),
            programs: Vec::new(),
            now,
            number: 0,
            executed: None,
            before: (Counts::default(), Arc::default()),
            owed: Taken::default(),
        };
        lives.programs.push(lives.life(0.0));
        if lives.is_attached_at_once() {
            lives.attached();
        }
        Ok(lives)
    }

    /// When probes were first attached, or were to be.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.watch.pid
    }

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// The program of now, which begins.
    fn life(&self, from_seconds: f64) -> Life {
        let info = self.now.session.info();
        Life {
            exe: Some(info.exe),
            go: Some(info.go),
            layout: Some(info.layout),
            from_seconds,
            attached_seconds: None,
            until_seconds: from_seconds,
            reason: None,
        }
    }

    /// How often it is sampled, if it is.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.now.session.rate()
    }

    /// Whether probes have been attached, in any of its programs.
    pub(crate) fn were_attached(&self) -> bool {
        let attached = |life: &Life| life.attached_seconds.is_some();
        self.programs.iter().any(attached)
    }

    /// Whether probes are attached from the start, and not only in windows.
    pub(crate) fn is_attached_at_once(&self) -> bool {
        !matches!(self.now.watching, Watching::Windows(..))
    }

    /// Probes are attached in the program of now.
    fn attached(&mut self) {
        let seconds = self.seconds();
        let is_first = self.programs.len() == 1;
        if let Some(life) = self.programs.last_mut() {
            life.attached_seconds = Some(if is_first { 0.0 } else { seconds });
        }
    }

    /// The target as reports name it.
    pub(crate) fn info(&self) -> TargetInfo {
        let mut info = self.now.session.info();
        if self.programs.len() > 1 {
            info.lives.clone_from(&self.programs);
            if let Some(last) = info.lives.last_mut() {
                last.until_seconds = self.seconds();
            }
        }
        info
    }

    /// Waits until something happens.
    ///
    /// # Errors
    /// The target can no longer be watched.
    pub(crate) async fn happens(&mut self) -> Result<Happened, Failure> {
        let news = tokio::select! {
            change = self.now.changes.next() => match change {
                Change::Executed(time) => {
                    self.executed = Some(time);
                    return Ok(Happened::Changed);
                }
                Change::Forked(_) => {
                    self.now.session.forked();
                    return Ok(Happened::Noted);
                }
            },
            news = self.now.watching.news() => news,
            () = self.now.log.flushed() => return Ok(Happened::Noted),
        };
        match news {
            Ok(()) => {
                self.attached();
                Ok(Happened::Attached)
            }
            Err(failure) if failure.status() == Status::NoProcess => Ok(Happened::Changed),
            Err(failure) => Err(failure),
        }
    }

    /// Goes on with the program that the process runs now.
    ///
    /// # Errors
    /// What was counted cannot be read.
    pub(crate) fn follow(&mut self) -> Result<Followed, Failure> {
        let Watch { pid, .. } = self.watch;
        let noticed = now_ns();
        self.now.watching.end();
        if self.programs.len() >= MOST_PROGRAMS {
            say(&format!(
                "the run ends, as process {pid} has run {MOST_PROGRAMS} programs by now"
            ));
            return Ok(Followed::NotProbeable);
        }
        let mut begun = noticed;
        let next = retry(pid, || {
            begun = now_ns();
            if Process::open(pid)?.start_time() != self.started {
                return Err(Failure::new(Status::NoProcess, "the process has ended"));
            }
            Program::begin(self.watch, Some(self.start))
        });
        // One that goes from program to program is still there.
        let is_there = || Process::open(pid).is_ok_and(|it| it.start_time() == self.started);
        if matches!(&next, Err(failure) if failure.status() == Status::NoProcess) && !is_there() {
            return Ok(Followed::Ended);
        }
        match next {
            Ok(next) => {
                let reading = self.read()?;
                self.now.log.flush();
                self.note_changes(begun, noticed);
                self.before = (reading.counts, reading.names);
                self.owed = reading.taken;
                self.now = next;
                self.number = u32::try_from(self.programs.len() - 1).unwrap_or(u32::MAX);
                self.now.session.set_life(self.number);
                let life = self.life(self.begun());
                self.replace_last(life);
                if self.is_attached_at_once() {
                    self.attached();
                }
                Ok(Followed::Probed)
            }
            Err(failure) => {
                self.note_changes(begun, noticed);
                say(&format!(
                    "the run ends, as process {pid} runs another program now: {failure}"
                ));
                let exe = Process::open(pid).map(|process| process.exe().to_owned());
                let life = Life {
                    reason: Some(failure.to_string()),
                    ..unread(exe.ok(), self.begun())
                };
                self.replace_last(life);
                Ok(Followed::NotProbeable)
            }
        }
    }

    /// Notes a program for each `exec` until `begun`, when the one of now was first looked at: of all but the last it is not known
    /// what they were. There was one at least, which was `noticed`.
    fn note_changes(&mut self, begun: u64, noticed: u64) {
        let rest = self.now.changes.rest();
        let executed = rest.iter().filter_map(|change| match change {
            Change::Executed(time) => Some(*time),
            Change::Forked(_) => None,
        });
        let mut times: Vec<_> = self.executed.take().into_iter().chain(executed).collect();
        times.retain(|time| *time <= begun);
        if times.is_empty() {
            times.push(noticed);
        }
        times.drain(..times.len().saturating_sub(MOST_PROGRAMS));
        for time in times {
            let seconds = time.saturating_sub(self.start_ns) as f64 / 1e9;
            self.end_life(seconds);
            self.programs.push(Life {
                reason: Some("another program came before it could be read".to_owned()),
                ..unread(None, seconds)
            });
        }
    }

    /// When the last program began.
    fn begun(&self) -> f64 {
        self.programs.last().map_or(0.0, |life| life.from_seconds)
    }

    fn replace_last(&mut self, life: Life) {
        self.programs.pop();
        self.programs.push(life);
    }

    fn end_life(&mut self, seconds: f64) {
        if let Some(life) = self.programs.last_mut() {
            life.until_seconds = seconds;
            if life.attached_seconds.is_none() && life.reason.is_none() {
                life.reason = Some("it ended before its probes were attached".to_owned());
            }
        }
    }

    /// Takes the probes away, and returns when no program runs any more: what is read then is all there is.
    pub(crate) fn end(&mut self) {
        self.now.watching.end();
    }

    /// Reads all counters, those of earlier programs included.
    ///
    /// # Errors
    /// They cannot be read, or the probes are not in what the process runs.
    pub(crate) fn read(&mut self) -> Result<Reading, Failure> {
        let life = self.number;
        let mut reading = self.now.watching.read(&mut self.now.session)?;
        let (counts, names) = &self.before;
        reading.counts = reading.counts.after(counts);
        if life > 0 {
            let block = |block: u32| (TYPES * life.min(TOLD_APART)).saturating_add(block);
            reading.taken.sums = reading.taken.sums.with_blocks(block);
            let own = reading
                .names
                .iter()
                .map(|(of, name)| (block(*of), name.clone()));
            let own = own.filter(|_| life < TOLD_APART);
            let mut all = TypeNames::clone(names);
            all.extend(own);
            reading.names = Arc::new(all);
        }
        let mut taken = std::mem::take(&mut self.owed);
        taken.merge(&reading.taken);
        reading.taken = taken;
        Ok(reading)
    }

    /// Whether the probes that stay attached are in what the process runs; of a process that has ended, nothing is said.
    ///
    /// # Errors
    /// They are not.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match &self.now.watching {
            Watching::All(watched) => match watched.check() {
                Err(failure) if failure.status() == Status::NoProcess => Ok(()),
                checked => checked,
            },
            _ => Ok(()),
        }
    }

    /// Shows what the kernel side's log has.
    pub(crate) fn flush(&mut self) {
        self.now.log.flush();
    }
}

impl Program {
    /// Reads the program that a process runs, and attaches the probes; if it is not the first, with when they were attached there.
    fn begin(watch: Watch<'_>, first: Option<Instant>) -> Result<Self, Failure> {
        let Watch {
            pid,
            request,
            guard,
        } = watch;
        let program = run::program(request);
        let mut session = Session::prepare(
            pid,
            program,
            request.verbosity,
            request.assumptions,
            &request.wanted,
        )?;
        if let Some(first) = first {
            session.started_at(first);
        }
        let changes = session.changes()?;
        let log = KernelLog::of(session.loaded(), run::logged(program, request))?;
        let watching = run::attach(&mut session, request, guard)?;
        Ok(Self {
            session,
            watching,
            changes,
            log,
        })
    }
}

/// A program of which not more is known than that it ran.
fn unread(exe: Option<String>, from_seconds: f64) -> Life {
    Life {
        exe,
        go: None,
        layout: None,
        from_seconds,
        attached_seconds: None,
        until_seconds: from_seconds,
        reason: None,
    }
}

/// Does something with a process, again if that turns into another program meanwhile.
fn retry<T>(pid: u32, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut attempts = 1;
    loop {
        match attempt() {
            Err(failure)
                if failure.status() == Status::NoProcess
                    && attempts < ATTEMPTS
                    && Process::open(pid).is_ok() =>
            {
                attempts += 1;
                sleep(PAUSE);
            }
            done => return done,
        }
    }
}
