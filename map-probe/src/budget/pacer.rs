//! When to attach and for how long, so that the target's slowdown stays within its bound: a state machine without a clock.
//!
//! The target has an account of time, in nanoseconds. Elapsed time fills it, at the rate of the bound, and at a part of it if
//! the target has less than a CPU for itself: what a trap takes is a larger part of that. What watching costs the target is taken from it. A window may open only when the account covers the most it can cost: the target stands still
//! from the first trap to the last. So whatever the target does, it never pays more than the bound, as long as windows end
//! in time; should one not (we were not given a CPU), the account is overdrawn, and the next windows wait until it is not.
//!
//! **Where windows lie.** Time is cut into spans, whose length is decided before they begin, from what is known then. Each
//! has one window, at a random place in it, uniformly distributed and independent of all others; it stands for its whole span. So
//! the sum over windows of span × pace is an unbiased estimate of all operations, whatever the target does, and nothing periodic
//! is aliased: any other sequence of places would be more even for some periods, and less for others. Where the account makes
//! the watching pause beyond a span, the windows that follow stand for the pause too, each for not more of it than for its own
//! span: a single one would weigh as much as all others.
//!
//! **Targets that cost little** are watched without a pause: a window is looked at every few milliseconds, as often as the
//! account needs it, and closed when it becomes too costly.

/// Nanoseconds.
pub type Ns = u64;

/// Spans are not shorter: a grace period and a tick go before each window, some 12 ms, and it takes 0.5 ms of our own CPU.
pub const SHORTEST_SPAN: f64 = 50e6;
/// As much of a span is not in its window: so that attaching does not often push the next one.
const PAUSE: f64 = 10e6;
/// Windows are not shorter, else little of them would be left beside attaching.
const SHORTEST_WINDOW: f64 = 300e3;
/// Windows are not longer; a target that costs little gets one after the other without detaching.
const LONGEST_WINDOW: f64 = 1e9;
/// A window is looked at after this time at the latest: the log must not run full.
const LONGEST_LOOK: f64 = 4e6;
/// And not more often than this.
const SHORTEST_LOOK: f64 = 500e3;
/// How much income the account can hold: what a sudden change can cost at once.
const HELD: f64 = 0.5e9;
/// A target that costs less than this share of the bound is watched without a pause.
const ALWAYS: f64 = 0.7;
/// How much a new window weighs in what is expected of the next.
const NEWS: f64 = 0.15;
/// The same of one that says that the target is cheap: it is believed, as the next look ends a window that is not.
const CHEAP_NEWS: f64 = 1.0;
/// What is left of the dearest and the latest window when another has been neither.
const FADING: f64 = 0.97;
/// What a nanosecond of lateness is taken to cost at least.
const LEAST_RATE: f64 = 0.1;
/// How much of what the account has more than it needs, or lacks, is evened out in one span.
const EVEN: f64 = 0.3;
/// A span is not longer than this many times what its window takes to be paid: what is lacking then makes a pause.
const LONGER: f64 = 2.0;

/// The account and what has been learnt.
#[derive(Clone, Debug)]
pub struct Pacer {
    bound: f64,
    credit: f64,
    until: Ns,
    /// How much of a CPU the target has, from 0 to 1: as was last said, and usually.
    share: f64,
    usual: f64,
    /// Where the current span begins.
    span_start: Ns,
    /// Time of pauses that no window stands for yet.
    owed: f64,
    /// What an attached nanosecond costs, from 0 to 1.
    rate: f64,
    /// What attaching and detaching cost, beside the traps: usually, and at most.
    fixed: f64,
    dearest: f64,
    /// How much longer than planned a window may last.
    slack: f64,
    /// The span that was planned last.
    span: f64,
}

/// A window to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// When to attach.
    pub attach_at: Ns,
    /// How long to stay, from when the gate opens.
    pub length: Ns,
    /// When to look first; not after `length`.
    pub look: Ns,
    /// The time it stands for; `None`: only itself, as it is to go on without a pause.
    pub span: Option<Ns>,
}

impl Pacer {
    /// An empty account. `bound` is a share of 1, `fixed` a first guess of what attaching costs, in nanoseconds.
    #[must_use]
    pub fn new(bound: f64, now: Ns, fixed: f64) -> Self {
        Self {
            bound,
            credit: 0.0,
            until: now,
            share: 1.0,
            usual: 1.0,
            span_start: now,
            owed: 0.0,
            rate: 1.0,
            fixed,
            dearest: fixed,
            slack: 200e3,
            span: 0.0,
        }
    }

    /// How much of a CPU the target had until now, from 0 to 1, for so long.
    pub fn had(&mut self, share: f64, elapsed: Ns, now: Ns) {
        self.share = share;
        let news = (elapsed as f64 / SHORTEST_SPAN).min(1.0) * NEWS;
        self.usual += news * (share - self.usual);
        self.earn(now);
    }

    /// What a nanosecond of time usually brings.
    fn income(&self) -> f64 {
        self.bound * self.usual
    }

    /// Plans the next window, at this place in its span: a random number from 0 to 1.
    pub fn plan(&mut self, now: Ns, place: f64) -> Plan {
        self.earn(now);
        let rate = self.rate.clamp(1e-6, 1.0);
        let income = self.income();
        let always = rate <= ALWAYS * income || self.bound >= 1.0;
        let length = if always {
            LONGEST_WINDOW
        } else {
            // Not much shorter than what it costs in any case: little would be seen for that.
            let shortest = SHORTEST_WINDOW.max(self.fixed / 2.0);
            ((income * SHORTEST_SPAN - self.fixed) / rate).clamp(shortest, LONGEST_WINDOW)
        };
        let look = if length <= 2.0 * SHORTEST_LOOK {
            length
        } else {
            SHORTEST_LOOK
        };
        // To go on without a pause, there has to be something left after attaching.
        let covered = self.need(if always { 4.0 * SHORTEST_LOOK } else { look });
        let ready = now.saturating_add(to_ns((covered - self.credit) / income));
        if always {
            self.span_start = ready;
            return Plan {
                attach_at: ready,
                length: to_ns(length),
                look: to_ns(look),
                span: None,
            };
        }
        let cost = rate * length + self.fixed;
        // The account should cover the window wherever it lies in its span, and the next one's too: what is there beyond
        // that shortens the span, and what is missing makes it longer.
        let begins = self.span_start.saturating_sub(now) as f64;
        let spare = self.credit + income * begins - self.need(look) - 0.5 * cost;
        self.span = (cost - spare * EVEN).min(LONGER * cost) / income;
        self.span = self.span.max(length + PAUSE).max(SHORTEST_SPAN);
        let end = self.span_start.saturating_add(to_ns(self.span));
        let place = self.span_start.saturating_add(to_ns(place * self.span));
        let attach_at = place.max(ready).max(now);
        // A span cannot end before its window.
        self.owed += attach_at.saturating_sub(end) as f64;
        self.span_start = end.max(attach_at);
        let owed = self.owed.min(self.span);
        self.owed -= owed;
        let span = to_ns(self.span + owed);
        Plan {
            attach_at,
            length: to_ns(length),
            look: to_ns(look),
            span: Some(span),
        }
    }

    /// A window has cost so much more, until now. When to look again; `None`: detach.
    pub fn look(&mut self, now: Ns, cost: f64) -> Option<Ns> {
        self.earn(now);
        self.credit -= cost;
        let spare = self.credit - self.need(0.0);
        (spare >= SHORTEST_LOOK).then(|| now.saturating_add(to_ns(spare.min(LONGEST_LOOK))))
    }

    /// A window has ended: what it cost beside what was said to [`Pacer::look`], and what was seen of it in all.
    pub fn ended(&mut self, now: Ns, cost: f64, seen: Seen) {
        self.earn(now);
        self.credit -= cost;
        let Seen {
            live,
            traps,
            fixed,
            late,
        } = seen;
        let rate = if live > 0.0 {
            (traps / live).min(1.0)
        } else {
            0.0
        };
        // A long window says more than a short one; and a target that may be cheap enough to be watched all the time is
        // soon tried: should it not be, the next look ends that.
        let cheap = rate <= ALWAYS * self.income();
        let news = if cheap { CHEAP_NEWS } else { NEWS };
        let news = news.max((live / SHORTEST_SPAN).min(1.0));
        self.rate += news * (rate - self.rate);
        // A single dear one must not make the next spans long: what they stand for would weigh more than others.
        self.fixed += NEWS * (fixed - self.fixed);
        self.dearest = fixed.max(self.dearest * FADING).max(self.fixed);
        self.slack = late.max(self.slack * FADING).clamp(50e3, 20e6);
        self.span_start = self.span_start.max(now.saturating_sub(to_ns(self.span)));
    }

    /// The time of the target that may be spent, in nanoseconds; below 0 if too much was.
    #[must_use]
    pub fn credit(&self) -> f64 {
        self.credit
    }

    /// The most that a window can cost until it is first looked at and then closed. Where attached time costs little, so does
    /// lateness, likely: else one stall of ours would keep a target that is idle unwatched for long.
    fn need(&self, look: f64) -> f64 {
        look + self.slack * self.rate.clamp(LEAST_RATE, 1.0) + self.dearest
    }

    fn earn(&mut self, now: Ns) {
        let elapsed = now.saturating_sub(self.until) as f64;
        self.until = self.until.max(now);
        let most = (self.bound * HELD).max(4.0 * self.need(2.0 * SHORTEST_LOOK));
        self.credit = (self.credit + self.bound * self.share * elapsed).min(most);
    }
}

/// What was seen of a window, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// From the first trap to the last.
    pub live: f64,
    /// What the traps cost; not more than `live`.
    pub traps: f64,
    /// What attaching and detaching cost the target.
    pub fixed: f64,
    /// How much longer than planned it lasted.
    pub late: f64,
}

#[expect(clippy::cast_sign_loss, reason = "negative becomes 0")]
fn to_ns(ns: f64) -> Ns {
    ns as Ns
}
