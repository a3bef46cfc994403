//! One round: a target, one to three map-probes, an event, and everything that has to be as before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::cgroup::Cgroup;
use super::event::Event;
use super::kernel::{self, Log, Objects};
use super::processes;
use super::random::Random;
use super::run::{Mode, Run, Sink};
use super::table::{Figures, Table};
use super::{Fixtures, Options};
use crate::selfcheck::SelfCheck;
use crate::text;

/// How long a run may take to end, and what it leaves to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// map-probe's exit status when its target ended before probes were in place.
const ENDED_BEFORE: i32 = 5;

/// What hung by itself: a forked child of Go's without its other threads.
const HANGS: &str = "signal 14";

/// A target, and where its code differs from its file since an earlier round.
#[derive(Debug)]
struct Watched {
    target: SelfCheck,
    known: BTreeSet<u64>,
}

/// What is there in all rounds.
#[derive(Debug)]
pub(super) struct World {
    program: PathBuf,
    fixtures: Fixtures,
    /// With Go 1.23 and 1.27, for as long as they live.
    targets: [Option<Watched>; 2],
    cgroup: Option<Cgroup>,
    before: Objects,
    definitions: usize,
    log: Log,
    folder: TempDir,
    seed: u64,
    rounds: u64,
    not_tried: Vec<String>,
}

/// What came of an event so far.
struct Outcome<'a> {
    figures: Figures,
    what: String,
    failures: &'a mut Vec<String>,
}

impl Outcome<'_> {
    /// The target or a child of it died or is wrong: one is counted, however often that shows.
    fn harmed(&mut self, words: &str) {
        self.figures.targets = 1;
        self.note(words);
    }

    fn note(&mut self, words: &str) {
        self.failures.push(format!("{}: {words}", self.what));
    }
}

impl World {
    pub(super) fn new(options: &Options, fixtures: Fixtures) -> Result<Self> {
        let mut not_tried = Vec::new();
        let cgroup = Cgroup::make()
            .map_err(|error| not_tried.push(format!("cgroup-kill: {error:#}")))
            .ok();
        Ok(Self {
            // As links in /proc name it.
            program: options.program.canonicalize().context("map-probe")?,
            fixtures,
            targets: [None, None],
            cgroup,
            before: Objects::now()?,
            definitions: kernel::definitions(),
            log: Log::open()?,
            folder: tempfile::tempdir()?,
            seed: options.seed,
            rounds: 0,
            not_tried,
        })
    }

    /// Brings the event about; nothing if it cannot be here.
    pub(super) fn round(
        &mut self,
        event: Event,
        random: &mut Random,
        table: &mut Table,
    ) -> Result<Option<Figures>> {
        self.rounds += 1;
        table.not_tried.clone_from(&self.not_tried);
        if event == Event::CgroupKill && self.cgroup.is_none() {
            return Ok(None);
        }
        let which = random.below(2);
        let mut watched = self.target(event, which)?;
        let mut runs = self.start(event, &watched, random)?;
        let modes: Vec<_> = runs.iter().map(|run| format!("{:?}", run.mode)).collect();
        let mut outcome = Outcome {
            figures: Figures::default(),
            what: format!(
                "seed {} round {}: {} at {}, Go {}",
                self.seed,
                self.rounds,
                event.name(),
                modes.join(" and "),
                ["1.23", "1.27"][which]
            ),
            failures: &mut table.failures,
        };
        wait(event, &mut runs, random)?;
        let attached: Vec<_> = runs.iter().map(Run::is_attached).collect();
        let lives = self.inject(event, which, &mut watched, &mut runs, random, &mut outcome)?;
        if outcome.figures.injected == 0 {
            let words = format!("{}: no guard was found, at least once", event.name());
            if !self.not_tried.contains(&words) {
                self.not_tried.push(words);
            }
        }
        for (run, attached) in runs.iter_mut().zip(attached) {
            let status = run.wait(PATIENCE * 2)?;
            judge(event, run, status, attached, lives, &mut outcome);
        }
        self.check(event, watched, which, &runs, &mut outcome)?;
        let figures = outcome.figures;
        drop(runs);
        Ok((figures.injected > 0 || !figures.is_clean()).then_some(figures))
    }

    /// The target that the event is for: one of the old ones, or a new one.
    fn target(&mut self, event: Event, which: usize) -> Result<Watched> {
        let start = |program: &PathBuf, name: String| {
            Ok::<_, anyhow::Error>(Watched {
                target: SelfCheck::start(program, &self.folder.path().join(name))?,
                known: BTreeSet::new(),
            })
        };
        if event == Event::Fork {
            return start(&self.fixtures.fork[which], "fork".to_owned());
        }
        if event.needs_own_target() {
            return start(&self.fixtures.selfcheck[which], "own".to_owned());
        }
        match self.targets[which].take() {
            Some(mut watched) => {
                watched.target.ask("work", "working")?;
                Ok(watched)
            }
            None => start(&self.fixtures.selfcheck[which], format!("target-{which}")),
        }
    }

    /// Starts one map-probe or several on it, each in a random mode.
    fn start(&self, event: Event, watched: &Watched, random: &mut Random) -> Result<Vec<Run>> {
        let count = random.one_of(&[1, 1, 1, 1, 1, 2, 2, 3]);
        let sink = match event {
            Event::ClosedOutput => Sink::Closed,
            Event::FullOutput => Sink::Full,
            _ => random.one_of(&[Sink::Stdout, Sink::Output]),
        };
        let cgroup = (event == Event::CgroupKill)
            .then_some(self.cgroup.as_ref())
            .flatten();
        (0..count)
            .map(|index| {
                let folder = self.folder.path().join(format!("{}-{index}", self.rounds));
                let how = (random.one_of(&Mode::ALL), sink);
                Run::start(&self.program, watched.target.pid(), how, cgroup, folder)
            })
            .collect()
    }

    /// Lets it happen; how many programs the target was since probes were in place.
    fn inject(
        &self,
        event: Event,
        which: usize,
        watched: &mut Watched,
        runs: &mut [Run],
        random: &mut Random,
        outcome: &mut Outcome<'_>,
    ) -> Result<u64> {
        let target = &mut watched.target;
        let mut happened = 1;
        let mut lives = 1;
        match event {
            Event::KillEnding => {
                for run in runs.iter() {
                    run.signal(libc::SIGINT);
                }
                std::thread::sleep(random.up_to(120));
                for run in runs.iter() {
                    run.signal(libc::SIGKILL);
                }
            }
            Event::KillGuard | Event::KillBoth => {
                let guards: Vec<_> = runs.iter().flat_map(Run::guards).collect();
                if event == Event::KillGuard {
                    happened = u64::from(!guards.is_empty());
                } else {
                    for run in runs.iter() {
                        run.signal(libc::SIGKILL);
                    }
                }
                for guard in guards {
                    processes::signal(guard, libc::SIGKILL);
                }
                std::thread::sleep(random.up_to(300));
            }
            Event::CgroupKill => self.cgroup.as_ref().context("a cgroup")?.kill()?,
            Event::Stop => stop(watched, runs, random, outcome)?,
            Event::ExecLeader | Event::ExecOther | Event::ExecSame => {
                let thread = if event == Event::ExecOther {
                    "other"
                } else {
                    "leader"
                };
                for turn in 1..=1 + random.below(3) {
                    let next = if event == Event::ExecSame {
                        which
                    } else {
                        (which + turn) % 2
                    };
                    if let Err(error) = target.exec(thread, &self.fixtures.selfcheck[next]) {
                        outcome.harmed(&format!(
                            "the target, while it becomes another program: {error:#}"
                        ));
                        break;
                    }
                    lives += 1;
                    std::thread::sleep(Duration::from_millis(200) + random.up_to(500));
                }
            }
            Event::Exit => {
                if let Err(error) = target.end() {
                    outcome.harmed(&format!("the target does not end: {error:#}"));
                }
            }
            Event::KillTarget => processes::signal(target.pid(), libc::SIGKILL),
            Event::Spawn => children(target, "spawn 5", &["spawned 5"], outcome),
            Event::Fork => {
                for _ in 0..3 {
                    children(target, "linger 50ms", &["child 0", HANGS], outcome);
                }
            }
            _ => {}
        }
        if let Some(signal) = event.signal() {
            for run in runs.iter() {
                run.signal(signal);
            }
        } else if !event.ends_target() {
            // Those that it did not end, by an end of their own.
            std::thread::sleep(random.up_to(300));
            for run in runs.iter() {
                run.signal(libc::SIGINT);
            }
        }
        outcome.figures.injected += happened;
        Ok(lives)
    }

    /// Whether everything is as before.
    fn check(
        &mut self,
        event: Event,
        mut watched: Watched,
        which: usize,
        runs: &[Run],
        outcome: &mut Outcome<'_>,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let left = loop {
            let processes: Vec<_> = runs.iter().flat_map(Run::processes).collect();
            let objects = Objects::now()?.since(&self.before);
            if (processes.is_empty() && objects.is_empty()) || Instant::now() > deadline {
                break (processes, objects);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let (processes, objects) = left;
        let definitions = kernel::definitions().saturating_sub(self.definitions);
        let figures = &mut outcome.figures;
        figures.processes += processes.len() as u64;
        figures.links += objects.links.len() as u64;
        figures.objects += (objects.programs.len() + objects.maps.len() + definitions) as u64;
        if !processes.is_empty() || !objects.is_empty() || definitions > 0 {
            outcome.note(&format!(
                "left: processes {processes:?}, {objects:?}, {definitions} definitions"
            ));
        }
        for pid in processes {
            processes::signal(pid, libc::SIGKILL);
        }
        // Each is counted once.
        self.before = Objects::now()?;
        self.definitions = kernel::definitions();

        let leaks = self.log.leaks();
        if event.kills_guard() {
            outcome.figures.interrupted += leaks.len() as u64;
        } else if let Some(first) = leaks.first() {
            outcome.figures.warnings += leaks.len() as u64;
            outcome.note(&format!("{} × in the kernel's log: {first}", leaks.len()));
        }
        if event.ends_target() {
            return Ok(());
        }
        match text::wait_unchanged(watched.target.pid(), &watched.known, PATIENCE) {
            Ok(new) => {
                outcome.figures.text += new.len() as u64;
                if !new.is_empty() {
                    outcome.note(&format!(
                        "{} bytes of its code stay changed: {new:x?}",
                        new.len()
                    ));
                }
            }
            // It is gone: that is said below.
            Err(error) => outcome.note(&format!("its code: {error:#}")),
        }
        let well = match event {
            Event::Fork => watched.target.end().map(drop),
            _ => watched
                .target
                .check()
                .and_then(|()| {
                    // What it sees itself is what we see from outside.
                    watched.known = text::changed(watched.target.pid())?;
                    watched
                        .target
                        .ask("text 0s", &format!("text {}", watched.known.len()))?;
                    watched.target.ask("rest", "resting")
                })
                .map(drop),
        };
        match well {
            Err(error) => {
                outcome.harmed(&format!("the target: {error:#}"));
            }
            Ok(()) if !event.needs_own_target() => self.targets[which] = Some(watched),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// A random time: often while probes are put in place, and often while they are in place.
fn wait(event: Event, runs: &mut [Run], random: &mut Random) -> Result<()> {
    // An end is what is of interest there, not a beginning.
    if event.takes_the_output() || event == Event::KillEnding || random.percent(40) {
        for run in runs.iter_mut() {
            run.wait_attached(PATIENCE)?;
        }
        std::thread::sleep(random.up_to(1000));
    } else if random.percent(50) {
        std::thread::sleep(random.up_to(1500));
    } else {
        std::thread::sleep(random.up_to(400));
    }
    Ok(())
}

/// Stops map-probe for a while. Windows have to end without it.
fn stop(
    watched: &Watched,
    runs: &[Run],
    random: &mut Random,
    outcome: &mut Outcome<'_>,
) -> Result<()> {
    for run in runs {
        run.signal(libc::SIGSTOP);
    }
    if runs.iter().all(|run| matches!(run.mode, Mode::Within(_))) {
        let patience = Duration::from_secs(1);
        let left = text::wait_unchanged(watched.target.pid(), &watched.known, patience)?;
        outcome.figures.text += left.len() as u64;
        if !left.is_empty() {
            outcome.note(&format!("{} probes stay while it is stopped", left.len()));
        }
    }
    std::thread::sleep(random.up_to(500));
    for run in runs {
        run.signal(libc::SIGCONT);
    }
    Ok(())
}

/// Has the target make children; the answer has to be one of these.
fn children(target: &mut SelfCheck, command: &str, well: &[&str], outcome: &mut Outcome<'_>) {
    match target.ask(command, "") {
        Ok(answer) if well.contains(&answer.as_str()) => {}
        Ok(answer) => outcome.harmed(&format!("its child: {answer}")),
        Err(error) => outcome.harmed(&format!("the target, with children: {error:#}")),
    }
}

/// Whether a run ended as it has to.
fn judge(
    event: Event,
    run: &Run,
    status: Option<ExitStatus>,
    attached: bool,
    lives: u64,
    outcome: &mut Outcome<'_>,
) {
    let Some(status) = status else {
        outcome.figures.processes += 1;
        outcome.note("map-probe does not end");
        return;
    };
    let said = run.said();
    let last = said.lines().last().unwrap_or_default();
    if event.takes_the_output() {
        if status.success() {
            outcome.figures.lost += 1;
            outcome.note("a report that nobody got is no error");
        }
        return;
    }
    let report = run.report();
    if event.ends_target() && !run.is_attached() {
        if status.code() != Some(ENDED_BEFORE) {
            outcome.figures.lost += 1;
            outcome.note(&format!("{status} for a target that ended before: {last}"));
        }
        return;
    }
    let due = !event.kills() && (attached || event.ends_target());
    if due && (report.is_none() || !status.success()) {
        outcome.figures.lost += 1;
        outcome.note(&format!("{status}, report: {}; {last}", report.is_some()));
    }
    // A file appears whole or not at all, whatever happened; what was cut off on standard output is nobody's fault.
    let whole = due || run.writes_a_file();
    if let Some(report) = report.filter(|_| whole) {
        let lives = if attached { lives } else { 1 };
        if let Err(error) = run.judge(&report, lives) {
            outcome.figures.inconsistent += 1;
            outcome.note(&format!("its report: {error:#}"));
        }
    }
}
