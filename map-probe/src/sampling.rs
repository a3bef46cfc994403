//! `--mode sample`: what the kernel side needs to know of a target, and how often to sample it.

use std::process::id as own_id;
use std::time::{Duration, Instant};

use map_probe_common::layout::Field;
use map_probe_common::lives::Identity;
use map_probe_common::sample::{BYTES_PER_ELEMENT, CodeRange, FRAMELESS, MAX_RANGES, Sampled};

use crate::error::{Failure, Status};
use crate::plan::sampling::{self, SampleTable};
use crate::probe::{Loaded, Sampler, max_frequency, samples};
use crate::target::{AesHash, Binary, identity};

/// The share of the target's CPU time that samples may cost, unless another is asked for.
pub const DEFAULT_SHARE: f64 = 0.003;
/// What walking an operation adds to a sample, in nanoseconds: measured on lookups that hash in the kernel, too.
const WALK_NS: f64 = 2000.0;
/// How often, how long and how many times we are sampled ourselves, to see what a sample costs.
const TRIAL_FREQUENCY: u32 = 4000;
const TRIAL: Duration = Duration::from_millis(20);
const TRIALS: usize = 3;
/// A gap in our own time is no chance if it is longer than usual by this much, in nanoseconds, and no sample by this much.
const SHORTEST_GAP: u64 = 400;
const LONGEST_GAP: u64 = 100_000;
/// Gaps from which the usual one is taken.
const USUAL_OF: usize = 1001;
/// Samples from which the cost of one is reckoned, at least.
const ENOUGH: u64 = 20;
/// By how much fewer than asked for there are in a second: two less the golden ratio, which no fraction comes close to.
const OUT_OF_STEP: f64 = 0.381_966_011_250_105_2;

/// How often to sample, as the user says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Samples a second and CPU; `None`: as many as the share allows.
    pub frequency: Option<u32>,
    /// The share of the target's CPU time that samples may cost, of 1; `None`: any. Without a frequency it is never more
    /// than [`DEFAULT_SHARE`].
    pub share: Option<f64>,
}

/// How often a target is sampled, and what a sample costs it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Samples a second and CPU.
    pub frequency: u32,
    /// Nanoseconds of the target's time that one takes; `None` if that could not be measured.
    pub ns_per_sample: Option<f64>,
    /// The share that was to be kept, of 1.
    pub bound: Option<f64>,
}

impl Rate {
    /// The share of a CPU's time that samples take, of 1.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        Some(f64::from(self.frequency) * self.ns_per_sample? / 1e9)
    }
}

/// The map functions of a program, as the sampler's tables have them.
#[must_use]
pub fn table(binary: &Binary) -> SampleTable {
    sampling::table(
        binary.maps(),
        &|name| binary.function(name),
        &|address| binary.name_at(address),
        &|address| binary.stack_bytes(address),
    )
}

/// What the kernel side is told of process `pid`, which runs `binary` with a load bias.
///
/// # Errors
/// The process's namespace cannot be seen.
pub fn process(
    pid: u32,
    binary: &Binary,
    bias: u64,
    table: &SampleTable,
) -> Result<Sampled, Failure> {
    let hashing = AesHash::find(&|name| binary.function(name));
    let maps = binary.maps();
    Ok(Sampled {
        key_schedule: hashing.map_or(0, |aes| aes.key_schedule.wrapping_add(bias)),
        uses_aes: hashing.map_or(0, |aes| aes.used.wrapping_add(bias)),
        seed: Field::at(maps.seed_offset as u16, maps.seed_width as u16),
        code: ranges(table, bias)?,
        ..of(identity(pid)?)
    })
}

/// Our own process in the place of another, to see what a sample costs.
///
/// # Errors
/// Our own namespace cannot be seen.
pub fn ourselves(instead_of: &Sampled) -> Result<Sampled, Failure> {
    Ok(Sampled {
        code: instead_of.code,
        ..of(identity(own_id())?)
    })
}

/// Which site describes each byte of the map functions, as the kernel side has it.
#[must_use]
pub fn code(table: &SampleTable) -> Vec<u64> {
    let elements = table.code.chunks(BYTES_PER_ELEMENT);
    let element = |entries: &[u16]| {
        let numbered = entries.iter().enumerate();
        numbered.fold(0, |element, (index, site)| {
            element | u64::from(*site) << (index * 16)
        })
    };
    elements.map(element).collect()
}

/// A process of whose code nothing is known.
fn of(process: Identity) -> Sampled {
    Sampled {
        process,
        key_schedule: 0,
        uses_aes: 0,
        seed: Field::default(),
        reserved: 0,
        code: [CodeRange::NONE; MAX_RANGES],
    }
}

fn ranges(table: &SampleTable, bias: u64) -> Result<[CodeRange; MAX_RANGES], Failure> {
    let functions = (0..).zip(&table.functions).map(|(number, function)| {
        let end = function.address.wrapping_add(function.len as u64);
        (function.address, end, function.first as u32, number)
    });
    let frameless = table.frameless.iter();
    let frameless = frameless.map(|&(start, end)| (start, end, 0, FRAMELESS));
    let mut all: Vec<_> = functions.chain(frameless).collect();
    all.sort_unstable();
    if all.len() > MAX_RANGES {
        return Err(Failure::new(
            Status::Internal,
            "the program has more map functions than there is room for",
        ));
    }
    let mut ranges = [CodeRange::NONE; MAX_RANGES];
    for (range, (start, end, first, function)) in ranges.iter_mut().zip(all) {
        *range = CodeRange {
            start: start.wrapping_add(bias),
            end: end.wrapping_add(bias),
            first,
            function,
        };
    }
    Ok(ranges)
}

/// Decides how often to sample, after looking what a sample costs on this machine.
///
/// # Errors
/// We may not sample, or the frequency is more than the kernel allows.
pub fn rate(loaded: &Loaded, wanted: Wanted) -> Result<Rate, Failure> {
    let most = max_frequency();
    if let Some(frequency) = wanted.frequency
        && frequency > most
    {
        return Err(Failure::new(
            Status::Usage,
            format!("--frequency {frequency}: this kernel allows at most {most} samples a second"),
        )
        .hint("give fewer, or raise the limit: sysctl kernel.perf_event_max_sample_rate=RATE"));
    }
    let ns_per_sample = ns_per_sample(loaded, TRIAL_FREQUENCY.min(most))?;
    let share = match wanted.frequency {
        Some(_) => wanted.share,
        None => Some(wanted.share.unwrap_or(DEFAULT_SHARE).min(DEFAULT_SHARE)),
    };
    let affordable = share.map_or(most, |share| affordable(share, ns_per_sample).min(most));
    Ok(Rate {
        frequency: wanted.frequency.unwrap_or(affordable).min(affordable),
        ns_per_sample,
        bound: share,
    })
}

/// The time between two samples, in nanoseconds, for about so many in a second. What goes on once a second, or a whole number of
/// times, as what a Go ticker sets off, would be met always or never if a second were a whole number of these.
#[must_use]
#[expect(clippy::cast_sign_loss, reason = "the frequency is positive")]
pub fn period(frequency: u32) -> u64 {
    let frequency = f64::from(frequency.max(1));
    (1e9 / (frequency - OUT_OF_STEP.min(frequency / 100.0))).round() as u64
}

/// The most samples a second that cost no more than a share of the time.
#[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
fn affordable(share: f64, ns_per_sample: Option<f64>) -> u32 {
    /// What is taken where it could not be measured: more than was ever seen.
    const DEAR: f64 = 10_000.0;
    (share * 1e9 / ns_per_sample.unwrap_or(DEAR)).clamp(1.0, 1e6) as u32
}

/// What a sample costs, in nanoseconds, as we feel it ourselves: what is taken from us with timers, over what is without.
/// `None` of too few samples. Others interrupt us too, now and then: of several trials, the middle one counts over the least
/// that was taken without timers, which is rather too much than too little.
fn ns_per_sample(loaded: &Loaded, frequency: u32) -> Result<Option<f64>, Failure> {
    let start = Instant::now();
    let clock = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut usually = u64::MAX;
    let mut trials = [(0, 0); TRIALS];
    for trial in &mut trials {
        usually = usually.min(taken(TRIAL, clock));
        let (before, _) = samples(loaded)?;
        let timers = Sampler::start(loaded, frequency)?;
        let taken = taken(TRIAL, clock);
        drop(timers);
        let (after, _) = samples(loaded)?;
        *trial = (taken, after.total.saturating_sub(before.total));
    }
    Ok(middle_cost(trials, usually).map(|ns| ns + WALK_NS))
}

/// The middle one of the costs of a sample that trials tell, each by what was taken, of it `usually` anyway, and by the number
/// of samples.
fn middle_cost(trials: [(u64, u64); TRIALS], usually: u64) -> Option<f64> {
    let mut costs =
        trials.map(|(taken, samples)| taken.saturating_sub(usually) as f64 / samples.max(1) as f64);
    costs.sort_unstable_by(f64::total_cmp);
    let enough = trials.iter().all(|(_, samples)| *samples >= ENOUGH);
    enough.then_some(costs[TRIALS / 2])
}

/// How many nanoseconds of this time were taken from us by short interruptions: by what some looks at the clock are further
/// apart than usual. Keeps no list of them all: new memory is given in interruptions too.
fn taken(time: Duration, mut clock: impl FnMut() -> u64) -> u64 {
    let start = clock();
    let mut last = start;
    let mut gap = || {
        let before = std::mem::replace(&mut last, clock());
        (last - before, last)
    };
    let mut first = [0; USUAL_OF];
    for entry in &mut first {
        (*entry, _) = gap();
    }
    first.sort_unstable();
    let usual = first[USUAL_OF / 2];
    let end = start.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    let mut taken = 0;
    loop {
        let (gap, now) = gap();
        let more = gap.saturating_sub(usual);
        if (SHORTEST_GAP..LONGEST_GAP).contains(&more) {
            taken += more;
        }
        if now >= end {
            return taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_is_the_highest_within_the_share() {
        assert_eq!(affordable(0.003, Some(3000.0)), 1000);
        assert_eq!(affordable(0.003, Some(3003.0)), 999);
        assert_eq!(affordable(0.003, None), 300);
        assert_eq!(affordable(0.000_000_1, Some(3000.0)), 1);
    }

    #[test]
    fn samples_keep_no_step_with_what_goes_on_a_whole_number_of_times_a_second() {
        for frequency in [49, 100, 199, 200, 225, 997, 1000] {
            let period = period(frequency);
            for times in [1, 2, 4, 8, 10, 25, 50, 100] {
                let cycle = 1_000_000_000 / times;
                // Where the samples of 10 s lie in it.
                let samples = (0..u64::from(frequency) * 10).map(|sample| sample * period % cycle);
                let mut samples: Vec<_> = samples.collect();
                samples.sort_unstable();
                samples.push(samples[0] + cycle);
                let between = samples.windows(2).map(|pair| pair[1] - pair[0]);
                let longest = between.max().expect("there are samples");
                assert!(
                    longest < period / 5,
                    "{frequency} Hz, {times} times a second: {longest} ns of it are never met"
                );
            }
        }
    }

    #[test]
    fn there_are_nearly_as_many_samples_as_asked_for() {
        assert_eq!(period(1), 1_010_101_010);
        assert_eq!(period(10), 101_010_101);
        assert_eq!(period(999), 1_001_384);
    }

    #[test]
    fn a_sample_costs_what_the_middle_trial_says_if_each_has_some() {
        let trials = [(800_000, 80), (1_000_000, 80), (5_000_000, 80)];
        assert_eq!(middle_cost(trials, 200_000), Some(10_000.0));
        let few = [(800_000, 80), (1_000_000, 80), (0, 3)];
        assert_eq!(middle_cost(few, 0), None);
    }

    #[test]
    fn what_is_taken_is_what_interruptions_are_longer_than_a_look_at_the_clock() {
        let mut looks = 0_u64;
        let mut now = 0;
        let taken = taken(Duration::from_millis(1), || {
            looks += 1;
            // Interruptions of 3 µs, one of them split in two, among many looks; and a thread that had our CPU for 5 ms.
            now += match looks {
                2000 | 5000 | 8000 => 3025,
                6000 | 6001 => 1525,
                9000 => 5_000_025,
                _ => 25,
            };
            now
        });
        assert_eq!(taken, 12_000);
    }
}
