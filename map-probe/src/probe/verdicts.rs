//! Reads what came of verifying.

use aya::maps::{Array, MapError, PerCpuArray};
use map_probe_common::verify::{Difference, Verdicts};

use super::load::Loaded;
use super::refusal::{Missing, internal};
use crate::error::Failure;

/// What came of verifying, so far.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// By map function, in the order of their numbers.
    pub functions: Vec<Verdicts>,
    /// The first differences.
    pub differences: Vec<Difference>,
}

/// Reads it.
///
/// # Errors
/// A table of the kernel side cannot be read.
pub fn read(loaded: &Loaded) -> Result<Verified, Failure> {
    let table = |name: &str| {
        let missing = || internal(Missing(name.to_owned()));
        loaded.maps.get(name).ok_or_else(missing)
    };
    let failed = |error: MapError| internal(error);
    let verdicts: PerCpuArray<_, Verdicts> = table("VERDICTS")?.try_into().map_err(failed)?;
    let differences: Array<_, Difference> = table("DIFFERENCES")?.try_into().map_err(failed)?;
    let used: Array<_, u64> = table("DIFFERENCES_USED")?.try_into().map_err(failed)?;
    let mut verified = Verified::default();
    for function in 0..verdicts.len() {
        let mut sum = Verdicts::default();
        for cpu in verdicts.get(&function, 0).map_err(failed)?.iter() {
            for (sum, count) in sum.counts.iter_mut().zip(cpu.counts) {
                *sum = sum.saturating_add(count);
            }
            sum.unread = sum.unread.saturating_add(cpu.unread);
        }
        verified.functions.push(sum);
    }
    let used = used.get(&0, 0).map_err(failed)?;
    for index in 0..used.min(u64::from(differences.len())) as u32 {
        let difference = differences.get(&index, 0).map_err(failed)?;
        verified.differences.push(difference);
    }
    Ok(verified)
}
