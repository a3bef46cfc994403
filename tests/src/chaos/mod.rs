//! Everything that can happen to map-probe and to its target, at random moments: for `cargo xtask chaos` and `tests/chaos.rs`.
//!
//! In each round (`round.rs`) one to three map-probes look at a target that checks itself (`fixtures/selfcheck`), and an
//! [`event::Event`] happens. Then everything has to be as before: the target well, its code as in its file, nothing left in the
//! kernel, no process; and each report that is due is there and agrees with itself. Most rounds are on the same two targets,
//! in which anything that is left behind would add up.

pub mod cgroup;
pub mod event;
pub mod kernel;
pub mod processes;
pub mod random;
mod round;
pub mod run;
pub mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::go::{self, Go, Variant};
use event::Event;
use random::Random;
use round::World;
use table::Table;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long.
    pub length: Duration,
    /// What repeats the same events in the same order.
    pub seed: u64,
    /// Only these events; none are all.
    pub only: Vec<Event>,
    /// The program under test.
    pub program: PathBuf,
}

/// The programs that targets run, with Go 1.23 and with Go 1.27.
#[derive(Debug)]
struct Fixtures {
    selfcheck: [PathBuf; 2],
    fork: [PathBuf; 2],
}

impl Fixtures {
    fn build() -> Result<Self> {
        let build = |name, go, variant| go::fixture(name, go, variant);
        Ok(Self {
            selfcheck: [
                build("selfcheck", Go::V1_23, Variant::Plain)?,
                build("selfcheck", Go::V1_27, Variant::Plain)?,
            ],
            fork: [
                build("fork", Go::V1_23, Variant::Cgo)?,
                build("fork", Go::V1_27, Variant::Cgo)?,
            ],
        })
    }
}

/// Brings events about until the time is over or `stop` is set, and tells `progress` the number of rounds and what went wrong
/// in the last one, after each.
///
/// # Errors
///
/// Something of the tests' own fails; what map-probe does wrong is in the table.
pub fn run(
    options: &Options,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64, &[String]),
) -> Result<Table> {
    let mut table = Table::default();
    let mut random = Random::new(options.seed);
    let mut world = World::new(options, Fixtures::build()?)?;
    let deadline = Instant::now() + options.length;
    let mut rounds = 0;
    while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
        let event = choose(&options.only, &mut random);
        let said = table.failures.len();
        if let Some(figures) = world.round(event, &mut random, &mut table)? {
            table.add(event, figures);
        }
        rounds += 1;
        progress(rounds, &table.failures[said..]);
    }
    Ok(table)
}

/// One of the wanted events, each as often as its share says.
fn choose(only: &[Event], random: &mut Random) -> Event {
    let wanted = |(event, _): &&(Event, usize)| only.is_empty() || only.contains(event);
    let all: Vec<_> = Event::ALL.iter().filter(wanted).copied().collect();
    let mut place = random.below(all.iter().map(|(_, share)| share).sum());
    for (event, share) in all {
        if place < share {
            return event;
        }
        place -= share;
    }
    Event::Kill
}
