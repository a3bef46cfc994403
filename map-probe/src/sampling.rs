//! `--mode sample`: what the kernel side needs to know of a target, and how often to sample it.

use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::process::id as own_id;
use std::time::{Duration, Instant};

use map_probe_common::layout::Field;
use map_probe_common::sample::{BYTES_PER_ELEMENT, CodeRange, FRAMELESS, MAX_RANGES, Sampled};

use crate::error::{Failure, Status};
use crate::plan::sampling::{self, SampleTable};
use crate::probe::{Loaded, Sampler, max_frequency};
use crate::target::{AesHash, Binary};

/// The share of the target's CPU time that samples may cost, unless another is asked for.
pub const DEFAULT_SHARE: f64 = 0.003;
/// What walking an operation adds to a sample, in nanoseconds, at about the most that is usual.
const WALK_NS: f64 = 500.0;
/// How often and how long we are sampled ourselves, to see what a sample costs.
const TRIAL_FREQUENCY: u32 = 4000;
const TRIAL: Duration = Duration::from_millis(60);
/// A gap in our own time that is longer than usual by this much is no chance.
const GAP: Duration = Duration::from_nanos(400);

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
        ..identity(pid)?
    })
}

/// Our own process in the place of another, to see what a sample costs.
///
/// # Errors
/// Our own namespace cannot be seen.
pub fn ourselves(instead_of: &Sampled) -> Result<Sampled, Failure> {
    Ok(Sampled {
        code: instead_of.code,
        ..identity(own_id())?
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

/// Which process it is, in its own pid namespace: the only one in which the kernel side can ask for it.
fn identity(pid: u32) -> Result<Sampled, Failure> {
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid"));
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    let (namespace, status) = match (namespace, status) {
        (Ok(namespace), Ok(status)) => (namespace, status),
        (Err(error), _) | (_, Err(error)) => {
            return Err(Failure::new(
                Status::NoProcess,
                format!("the pid namespace of process {pid} cannot be seen"),
            )
            .caused_by(error)
            .hint("it ended, or map-probe needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"));
        }
    };
    Ok(Sampled {
        // As the kernel numbers devices inside.
        namespace_device: u64::from(libc::major(namespace.st_dev())) << 20
            | u64::from(libc::minor(namespace.st_dev())),
        namespace_inode: namespace.st_ino(),
        key_schedule: 0,
        uses_aes: 0,
        seed: Field::default(),
        pid: innermost_pid(&status).unwrap_or(pid),
        code: [CodeRange::NONE; MAX_RANGES],
    })
}

/// A line like `NSpid: 4711 12` has the ids from our namespace down to the process's own.
fn innermost_pid(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
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
    // Nobody else's: calibrating is over before the target is told.
    let trial = Sampler::start(loaded, TRIAL_FREQUENCY.min(most))?;
    let measured = longest_usual_gap(&gaps(TRIAL));
    drop(trial);
    let ns_per_sample = measured.map(|ns| ns + WALK_NS);
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

/// The most samples a second that cost no more than a share of the time.
fn affordable(share: f64, ns_per_sample: Option<f64>) -> u32 {
    /// What is taken where it could not be measured: more than was ever seen.
    const DEAR: f64 = 10_000.0;
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    let frequency = (share * 1e9 / ns_per_sample.unwrap_or(DEAR)).clamp(1.0, 1e6) as u32;
    // In step with the clock of the target or the kernel, the same work would be met again and again.
    if frequency > 1 && frequency.is_multiple_of(10) {
        frequency - 1
    } else {
        frequency
    }
}

/// How long we were away between one look at the clock and the next, in nanoseconds.
fn gaps(time: Duration) -> Vec<u64> {
    let mut gaps = Vec::with_capacity(1 << 22);
    let start = Instant::now();
    let mut last = start;
    while last - start < time && gaps.len() < gaps.capacity() {
        let now = Instant::now();
        gaps.push(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
        last = now;
    }
    gaps
}

/// The middle one of those gaps that are interruptions, less what a look at the clock takes; `None` of too few.
fn longest_usual_gap(gaps: &[u64]) -> Option<f64> {
    const ENOUGH: usize = 20;
    let mut gaps = gaps.to_vec();
    gaps.sort_unstable();
    let usual = *gaps.get(gaps.len() / 2)?;
    let first = gaps.partition_point(|gap| *gap < usual + GAP.as_nanos() as u64);
    let interruptions = &gaps[first..];
    (interruptions.len() >= ENOUGH).then(|| (interruptions[interruptions.len() / 2] - usual) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_is_the_highest_within_the_share_and_out_of_step() {
        assert_eq!(affordable(0.003, Some(2999.0)), 999);
        assert_eq!(affordable(0.003, Some(3000.0)), 999);
        assert_eq!(affordable(0.003, None), 299);
        assert_eq!(affordable(0.000_000_1, Some(3000.0)), 1);
    }

    #[test]
    fn a_sample_costs_what_most_interruptions_take() {
        let mut gaps = vec![25; 10_000];
        gaps.extend([3_025; 60]);
        gaps.extend([1_000_025; 5]);
        gaps.extend([700; 5]);
        assert_eq!(longest_usual_gap(&gaps), Some(3_000.0));
        assert_eq!(longest_usual_gap(&[25; 100]), None);
        assert_eq!(longest_usual_gap(&[]), None);
    }

    #[test]
    fn a_process_is_known_by_its_id_in_its_own_namespace() {
        assert_eq!(innermost_pid("Name:\tapp\nNSpid:\t4711\t12\n"), Some(12));
        assert_eq!(innermost_pid("NSpid:\t4711\n"), Some(4711));
        assert_eq!(innermost_pid("Name:\tapp\n"), None);
    }
}
