//! Reads the kernel side's counters of samples.

use aya::maps::{MapError, PerCpuArray};
use map_probe_common::sample::{FunctionSamples, ProcessSamples};

use super::load::Loaded;
use super::refusal::{Missing, internal};
use crate::error::Failure;

/// The samples since the kernel side was loaded: of the process, and by the functions' numbers.
///
/// # Errors
/// A table of the kernel side cannot be read.
pub fn samples(loaded: &Loaded) -> Result<(ProcessSamples, Vec<FunctionSamples>), Failure> {
    let map = |name: &str| {
        let missing = || internal(Missing(name.to_owned()));
        loaded.maps.get(name).ok_or_else(missing)
    };
    read(map("PROCESS_SAMPLES")?, map("FUNCTION_SAMPLES")?).map_err(internal)
}

fn read(
    process: &aya::maps::Map,
    functions: &aya::maps::Map,
) -> Result<(ProcessSamples, Vec<FunctionSamples>), MapError> {
    let process: PerCpuArray<_, ProcessSamples> = process.try_into()?;
    let functions: PerCpuArray<_, FunctionSamples> = functions.try_into()?;
    let mut all = ProcessSamples::default();
    for cpu in process.get(&0, 0)?.iter() {
        all.total = all.total.saturating_add(cpu.total);
        all.kernel = all.kernel.saturating_add(cpu.kernel);
    }
    let mut by_function = Vec::new();
    for number in 0..functions.len() {
        let mut sum = FunctionSamples::default();
        for cpu in functions.get(&number, 0)?.iter() {
            sum.inside = sum.inside.saturating_add(cpu.inside);
            sum.below = sum.below.saturating_add(cpu.below);
            sum.walked = sum.walked.saturating_add(cpu.walked);
        }
        by_function.push(sum);
    }
    Ok((all, by_function))
}
