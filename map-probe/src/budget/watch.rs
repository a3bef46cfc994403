//! The watching itself: a thread that attaches, opens the gate, closes it, detaches, and pays.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use map_probe_common::window::{TRAP_KINDS, Tally};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::estimate::{OnCpu, Piece, Sums};
use super::pacer::{Ns, Pacer, Plan, Seen};
use super::thread::{random, random_below, sleep_exactly, sleep_until};
use super::trap_price::TrapPrice;
use crate::clock::{cpu_time_of, now, tick};
use crate::error::{Failure, system_failure};
use crate::own;
use crate::probe::Attached;
use crate::session::{Reattach, check_places};

/// What the first window is taken to cost besides, in nanoseconds: little, so that it opens soon. It is paid for in full
/// afterwards, before the second.
const FIRST_FIXED: f64 = 200e3;
/// What is seen without a pause is taken in pieces of this length, in nanoseconds: each has its own pace.
const PIECE: Ns = 20_000_000;
/// A target is taken to have at least so much of a CPU: else one that does nothing could not be watched for when it does.
const LEAST_SHARE: f64 = 0.1;
/// How often the target's time is metered while there is no window, in nanoseconds.
const METERED_EVERY: Ns = 100_000_000;
/// When the probes are gone for certain after detaching began: 20 µs were measured.
const PROBES_GONE: Duration = Duration::from_millis(1);
/// How long it may take to open the gate after attaching before the guard ends the window, in nanoseconds: some 50 µs are usual.
const OPENING: Ns = 1_000_000;
/// The same of the first window, on a machine of which nothing is known; and at most.
const FIRST_OPENING: Ns = 20_000_000;
const MOST_OPENING: Ns = 100_000_000;
/// How late a look at a window may be before the guard ends it, in nanoseconds: then we are not given a CPU.
const LATE: Ns = 10_000_000;

/// What is told by the thread that watches: that the first window is open, or why there can be no more.
pub type News = Result<(), Failure>;

/// A target being watched. Dropping it ends that.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    taken: Mutex<Taken>,
}

/// What was taken, and what was paid, since it was last asked for.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// The operations.
    pub sums: Sums,
    /// Windows.
    pub windows: u64,
    /// For how long probes were in place, in nanoseconds.
    pub attached: f64,
    /// Traps.
    pub traps: u64,
    /// What they cost, in nanoseconds of all CPUs together: likely.
    pub trap_time: f64,
    /// What watching cost the target at most, in nanoseconds of its time.
    pub paid: f64,
    /// That time: of each nanosecond as much as the target had of a CPU.
    pub served: f64,
}

impl Taken {
    /// Adds what was taken later.
    pub fn merge(&mut self, later: &Self) {
        let Self {
            sums,
            windows,
            attached,
            traps,
            trap_time,
            paid,
            served,
        } = later;
        self.sums.merge(sums);
        self.windows += windows;
        self.attached += attached;
        self.traps += traps;
        self.trap_time += trap_time;
        self.paid += paid;
        self.served += served;
    }
}

impl Watch {
    /// Begins to watch, within a bound (a share of 1). The receiver is told when the first window is open, and, at any time, why
    /// there can be no more.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn begin(target: Reattach, bound: f64) -> Result<(Self, UnboundedReceiver<News>), Failure> {
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = unbounded_channel();
        let watcher = Watcher::new(target, bound, Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("windows".to_owned())
            .spawn(move || watcher.run(&sender))
            .map_err(|error| {
                system_failure("cannot start the thread that keeps the windows", error)
            })?;
        let watch = Self {
            shared,
            thread: Some(thread),
        };
        Ok((watch, receiver))
    }

    /// What was taken since the last call.
    #[must_use]
    pub fn take(&self) -> Taken {
        std::mem::take(&mut *self.shared.taken())
    }

    /// Ends the window, if there is one, and returns when no probe is in place any more: what is taken then is all there is.
    pub fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It does not panic; if it did, what it took before is still there.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watcher {
    target: Reattach,
    /// How often each site was the last of a CPU to be trapped.
    busy: HashMap<u64, u64>,
    pacer: Pacer,
    price: TrapPrice,
    shared: Arc<Shared>,
    /// CPUs that the target shares with us.
    cpus: f64,
    /// Our CPU time that has been paid for.
    own_paid: Duration,
    /// When the target's CPU time was last read, and what it was.
    metered: (Ns, Option<Ns>),
    /// How long after it was attached a window is opened, at most: the guard's clock runs from then.
    opening: Ns,
    /// How much of a CPU the target had then, at most 1: only what it could have used can be taken from it.
    running: f64,
}

/// A window that is open.
struct Window {
    /// All tallies before it.
    before: Vec<Tally>,
    /// When the gate was opened.
    opened: Ns,
    /// Paid for its traps so far.
    paid: f64,
    /// All tallies when a piece was last taken.
    reported: Vec<Tally>,
    /// The current piece.
    piece: PieceSoFar,
}

/// What is attached while a window is open.
struct InPlace {
    prelude: Attached,
    sites: Attached,
    /// When we began to attach.
    begun: Ns,
    /// The CPU time that changing the target's code took us, in nanoseconds: beyond that of the prelude, which changes none.
    attaching: Ns,
}

struct PieceSoFar {
    begun: Ns,
    before: Vec<Tally>,
    cpus: Vec<OnCpu>,
}

impl Watcher {
    fn new(target: Reattach, bound: f64, shared: Arc<Shared>) -> Self {
        let metered = (now(), cpu_time_of(target.pid));
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            pacer: Pacer::new(bound, now(), FIRST_FIXED),
            price: TrapPrice::new(target.calibration),
            target,
            busy: HashMap::new(),
            shared,
            cpus: cpus as f64,
            own_paid: Duration::ZERO,
            metered,
            opening: FIRST_OPENING,
            running: 1.0,
        }
    }

    fn run(mut self, news: &UnboundedSender<News>) {
        sleep_exactly();
        if let Err(failure) = self.watch(news) {
            // Nobody waits: nothing to be done about it.
            let _ = news.send(Err(failure));
        }
        let Self {
            mut target,
            price,
            shared,
            ..
        } = self;
        // Returns when no program runs any more. What was under way as its window closed stands for itself.
        target.probes.guard().settle();
        let mut last = Piece {
            length: 1.0,
            span: None,
            cpus: vec![OnCpu::default(); target.memory.cpus()],
        };
        for (cpu, on) in last.cpus.iter_mut().enumerate() {
            target.memory.drain(cpu, &mut on.operations);
        }
        if last.cpus.iter().any(|on| !on.operations.is_empty()) {
            shared.taken().sums.add(&last, &price);
        }
    }

    /// Watches until the run ends.
    fn watch(&mut self, news: &UnboundedSender<News>) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        self.own_paid = own::cpu_time();
        let mut first = true;
        loop {
            let plan = self.pacer.plan(now(), random());
            if !self.wait_until(plan.attach_at) {
                return Ok(());
            }
            self.order_sites()?;
            let prelude = self.target.prelude.wait()?;
            // That ended at a tick of the clock: the window is to begin at any time until the next.
            let begins = now() + random_below(tick());
            if !sleep_until(begins, &shared.stop) {
                return Ok(());
            }
            self.target.memory.begin();
            let before = self.tallies();
            let in_place = self.attach(prelude, &plan)?;
            self.target.memory.set_gate(true);
            let opened = now();
            self.note_opening(opened.saturating_sub(in_place.sites.attached_at()));
            let mut window = Window {
                piece: PieceSoFar::new(opened, self.tallies()),
                reported: before.clone(),
                before,
                opened,
                paid: 0.0,
            };
            shared.taken().windows += 1;
            // Of a window that the guard has ended already it cannot be told.
            if self.check(&in_place)? && std::mem::take(&mut first) {
                // Nobody waits: nothing to be done about it.
                let _ = news.send(Ok(()));
            }
            let ends = plan.span.map(|_| opened + plan.length);
            self.stay(&mut window, opened + plan.look, ends);
            self.close(window, in_place, plan.span, ends);
        }
    }

    /// Attaches the probes, after a prelude.
    fn attach(&self, prelude: Attached, plan: &Plan) -> Result<InPlace, Failure> {
        let begun = now();
        let most = plan.span.map_or(Ns::MAX, |_| plan.length);
        let sites = self
            .target
            .probes
            .attach(Some(most.min(plan.look + LATE)))?;
        let of_nothing = prelude.attaching_took() * sites.part_count() as u64;
        Ok(InPlace {
            attaching: sites.attaching_took().saturating_sub(of_nothing),
            prelude,
            sites,
            begun,
        })
    }

    /// Whether the probes are in what the process runs; `false` if they have been detached meanwhile.
    fn check(&self, in_place: &InPlace) -> Result<bool, Failure> {
        let checked = check_places(&self.target.places, self.target.pid);
        if self.has_ended(in_place.begun) {
            return Ok(false);
        }
        checked.map(|()| true)
    }

    /// Notes how long it took to open the gate: on a machine that is slow now, more time is allowed for it.
    fn note_opening(&mut self, took: Ns) {
        let usual = self.opening - self.opening / 16;
        self.opening = usual.max(2 * took).clamp(OPENING, MOST_OPENING);
    }

    /// Whether the guard has ended the window that was begun then.
    fn has_ended(&self, begun: Ns) -> bool {
        self.target.probes.guard().window_ended() >= begun
    }

    /// Waits for the next window; `false` if the run ends instead. The target's time is metered meanwhile: a report may be
    /// asked for.
    fn wait_until(&mut self, then: Ns) -> bool {
        let shared = Arc::clone(&self.shared);
        loop {
            let next = then.min(now() + METERED_EVERY);
            let goes_on = sleep_until(next, &shared.stop);
            self.meter();
            if !goes_on {
                return false;
            }
            if next >= then {
                // Probes that nobody takes away would be paid for by the target.
                if self.target.probes.guard().is_ready() {
                    return true;
                }
                std::thread::sleep(PROBES_GONE);
            }
        }
    }

    /// Stays attached until the window ends, is no longer covered, or the run ends.
    fn stay(&mut self, window: &mut Window, first_look: Ns, ends: Option<Ns>) {
        let shared = Arc::clone(&self.shared);
        let mut look = first_look;
        loop {
            let until = ends.map_or(look, |ends| look.min(ends));
            if !sleep_until(until, &shared.stop) {
                return;
            }
            let now = now();
            if ends.is_some_and(|ends| now >= ends) || self.has_ended(window.opened) {
                return;
            }
            self.drain(window);
            let cost = self.bill(window, now) + self.own_cost();
            shared.taken().paid += cost;
            self.meter();
            let Some(next) = self.pacer.look(now, cost) else {
                return;
            };
            look = next;
            let extended = ends.map_or(look + LATE, |ends| ends.min(look + LATE));
            self.target.probes.guard().extend_window_to(extended);
            if ends.is_none() && now - window.piece.begun >= PIECE {
                self.cut(window, now, None);
            }
        }
    }

    /// Closes the gate, detaches, pays, and takes what was seen.
    fn close(&mut self, mut window: Window, in_place: InPlace, span: Option<Ns>, ends: Option<Ns>) {
        let InPlace {
            prelude,
            sites,
            begun,
            attaching,
        } = in_place;
        self.target.memory.set_gate(false);
        let closed = now();
        sites.detach();
        // The probes are gone long before; what comes later is the kernel's waiting for nobody to be in one.
        std::thread::sleep(PROBES_GONE);
        let guard = self.target.probes.guard();
        // The guard may have been first.
        let ended = guard.window_ended();
        let closed = if ended >= begun {
            closed.min(ended).max(window.opened)
        } else {
            closed
        };
        let detaching = guard.detaching_took() as f64;
        prelude.detach();
        self.drain(&mut window);
        let traps = self.traps_cost(&window);
        let live = self.live(&window, closed);
        // While we change its code, the target may have to wait for us, on each of its CPUs.
        self.meter();
        let disturbed = (attaching as f64 + detaching) * self.running;
        let own = self.own_cost();
        let cost = self.bill(&mut window, closed) + disturbed + own;
        let planned = ends.map_or(0.0, |ends| (ends - window.opened) as f64);
        let late = ends.map_or(0, |ends| closed.saturating_sub(ends)) as f64;
        // What an attached nanosecond costs is what the last piece says, not a long window that was cheap until just now.
        let (piece_live, piece_traps) = match span {
            Some(_) => (live, traps.min(live)),
            None => self.piece_cost(&window, closed),
        };
        let rate = if piece_live > 0.0 {
            piece_traps / piece_live
        } else {
            0.0
        };
        let beside = if span.is_some() {
            (live - planned).clamp(0.0, 20e6) * rate
        } else {
            0.0
        };
        self.meter();
        self.pacer.ended(
            now(),
            cost,
            Seen {
                live: piece_live,
                traps: piece_traps,
                fixed: disturbed + own + beside,
                late,
            },
        );
        self.note_sites(&window.before);
        self.cut(&mut window, closed, span);
        let mut taken = self.shared.taken();
        taken.paid += cost;
        // Beside the time in which operations were counted, probes were in place while they were put there and taken away.
        taken.attached += (live - (closed - window.opened) as f64).max(0.0);
    }

    /// Takes a piece of a window, and begins the next.
    fn cut(&mut self, window: &mut Window, now: Ns, span: Option<Ns>) {
        let tallies = self.tallies();
        let next = PieceSoFar::new(now, tallies.clone());
        let PieceSoFar {
            begun,
            before,
            mut cpus,
        } = std::mem::replace(&mut window.piece, next);
        let length = (now - begun) as f64;
        for ((on, after), before) in cpus.iter_mut().zip(&tallies).zip(&before) {
            on.traps = difference(after.open_traps, before.open_traps);
            on.program_ns = after.open_program_ns.saturating_sub(before.open_program_ns) as f64;
            self.price.learn(on.traps, length - on.program_ns);
        }
        let piece = Piece {
            length,
            span: span.map(|span| span as f64),
            cpus,
        };
        let mut taken = self.shared.taken();
        taken.attached += length;
        taken.sums.add(&piece, &self.price);
        for (after, before) in tallies.iter().zip(&window.reported) {
            let traps = difference(after.traps, before.traps);
            let program = after.program_ns.saturating_sub(before.program_ns) as f64;
            taken.traps += traps.iter().sum::<u64>();
            taken.trap_time += program + self.price.of(traps).likely;
        }
        window.reported = tallies;
    }

    /// Sites go live one after the other: the busiest last, and away first.
    fn order_sites(&mut self) -> Result<(), Failure> {
        let busy = &self.busy;
        self.target.probes.order(|placed| {
            let index = u64::from(placed.cookie as u32);
            busy.get(&index).copied().unwrap_or(0)
        })
    }

    /// Notes which sites were the last to be trapped: that is a sample of the busy ones.
    fn note_sites(&mut self, before: &[Tally]) {
        for (after, before) in self.tallies().iter().zip(before) {
            if after.traps != before.traps {
                *self.busy.entry(after.last_site).or_default() += 1;
            }
        }
    }

    fn drain(&mut self, window: &mut Window) {
        for (cpu, on) in window.piece.cpus.iter_mut().enumerate() {
            self.target.memory.drain(cpu, &mut on.operations);
        }
    }

    fn tallies(&self) -> Vec<Tally> {
        let memory = &self.target.memory;
        (0..memory.cpus()).map(|cpu| memory.tally(cpu)).collect()
    }

    /// What is to be paid for traps since the last time, at most, and not more than the window is long.
    fn bill(&self, window: &mut Window, now: Ns) -> f64 {
        let traps = self.traps_cost(window).min(self.live(window, now));
        let more = (traps - window.paid).max(0.0);
        window.paid += more;
        more
    }

    /// What all traps of the window cost, at most. Threads may wait for each other: so their times are added up.
    fn traps_cost(&self, window: &Window) -> f64 {
        self.cost_since(&window.before)
    }

    fn cost_since(&self, before: &[Tally]) -> f64 {
        let tallies = self.tallies();
        let of = |(after, before): (&Tally, &Tally)| {
            let traps = difference(after.traps, before.traps);
            let program = after.program_ns.saturating_sub(before.program_ns) as f64;
            program + self.price.of(traps).most
        };
        tallies.iter().zip(before).map(of).sum()
    }

    /// Length and cost of the current piece.
    fn piece_cost(&self, window: &Window, now: Ns) -> (f64, f64) {
        let live = (now - window.piece.begun) as f64;
        (live, self.cost_since(&window.piece.before).min(live))
    }

    /// From the first trap of the window to the last.
    fn live(&self, window: &Window, closed: Ns) -> f64 {
        let tallies = self.tallies();
        let first = tallies
            .iter()
            .map(|tally| tally.first)
            .filter(|first| *first > 0)
            .min();
        let last = tallies
            .iter()
            .zip(&window.before)
            .filter(|(after, before)| after.traps != before.traps)
            .map(|(after, _)| after.last)
            .max();
        match (first, last) {
            (Some(first), Some(last)) => last.max(closed).saturating_sub(first) as f64,
            _ => (closed - window.opened) as f64,
        }
    }

    /// How much of a CPU the target had since the last time. A target that waits for other things than CPUs is not
    /// slowed down by all that a trap takes; but one that has less of them than it could use is, and they cannot be told apart.
    fn meter(&mut self) {
        let (before, cpu_before) = self.metered;
        self.metered = (now(), cpu_time_of(self.target.pid));
        let elapsed = self.metered.0 - before;
        let cpu = self.metered.1.zip(cpu_before);
        if elapsed == 0 {
            return;
        }
        let share = cpu.map_or(1.0, |(cpu, before)| {
            cpu.saturating_sub(before) as f64 / elapsed as f64
        });
        self.running = share.min(1.0);
        let share = share.clamp(LEAST_SHARE, 1.0);
        self.pacer.had(share, elapsed, self.metered.0);
        self.shared.taken().served += share * elapsed as f64;
    }

    /// Our own CPU time since it was last paid for, for reports too: a CPU that the target could have had.
    fn own_cost(&mut self) -> f64 {
        let now = own::cpu_time();
        let own = now.saturating_sub(self.own_paid);
        self.own_paid = now;
        own.as_nanos() as f64 / self.cpus * self.running
    }
}

impl PieceSoFar {
    fn new(begun: Ns, before: Vec<Tally>) -> Self {
        Self {
            begun,
            cpus: vec![OnCpu::default(); before.len()],
            before,
        }
    }
}

fn difference(after: [u64; TRAP_KINDS], before: [u64; TRAP_KINDS]) -> [u64; TRAP_KINDS] {
    let mut difference = after;
    for (difference, before) in difference.iter_mut().zip(before) {
        *difference = difference.saturating_sub(before);
    }
    difference
}
