//! Reads the kernel side's counters.

use std::collections::HashMap;

use aya::maps::{Array, HashMap as BpfHashMap, MapError, PerCpuArray};
use map_probe_common::counts::{Block, DeepKey, UNKNOWN_TYPE_BLOCK};
use map_probe_common::op::of_cell;
use map_probe_common::quality::CAUSES;
use map_probe_common::sample::{FunctionSamples, ProcessSamples};
use map_probe_common::walk::MapType;

use super::load::Loaded;
use super::refusal::internal;
use crate::error::Failure;
use crate::report::counts::{Counts, Quality, Rows};

/// The names of types, by address in the target: asked for once, also after the target has ended.
type Namer<'a> = dyn FnMut(u64) -> Option<String> + 'a;

/// All counters of a kernel side, with the types they are of.
#[derive(Debug, Default)]
pub struct Counters {
    names: HashMap<u64, Option<String>>,
}

impl Counters {
    /// The counts since the kernel side was loaded. `name` names a type that was not there before.
    ///
    /// # Errors
    /// A table of the kernel side cannot be read.
    pub fn read(&mut self, loaded: &Loaded, name: &mut Namer<'_>) -> Result<Counts, Failure> {
        self.read_tables(loaded, name).map_err(internal)
    }

    /// The samples since the kernel side was loaded: of the process, and by the functions' numbers.
    ///
    /// # Errors
    /// As [`Counters::read`].
    pub fn samples(loaded: &Loaded) -> Result<(ProcessSamples, Vec<FunctionSamples>), Failure> {
        Self::read_samples(loaded).map_err(internal)
    }

    fn read_samples(loaded: &Loaded) -> Result<(ProcessSamples, Vec<FunctionSamples>), Error> {
        let map = |name: &'static str| loaded.maps.get(name).ok_or(Error::NoTable(name));
        let process: PerCpuArray<_, ProcessSamples> = map("PROCESS_SAMPLES")?.try_into()?;
        let functions: PerCpuArray<_, FunctionSamples> = map("FUNCTION_SAMPLES")?.try_into()?;
        let mut sum = ProcessSamples::default();
        for cpu in process.get(&0, 0)?.iter() {
            sum.total = sum.total.saturating_add(cpu.total);
            sum.kernel = sum.kernel.saturating_add(cpu.kernel);
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
        Ok((sum, by_function))
    }

    fn read_tables(&mut self, loaded: &Loaded, name: &mut Namer<'_>) -> Result<Counts, Error> {
        let map = |name: &'static str| loaded.maps.get(name).ok_or(Error::NoTable(name));
        let types: BpfHashMap<_, u64, MapType> = map("TYPES")?.try_into()?;
        let used: Array<_, u64> = map("BLOCKS_USED")?.try_into()?;
        let counts: PerCpuArray<_, Block> = map("COUNTS")?.try_into()?;
        let deep: BpfHashMap<_, DeepKey, u64> = map("DEEP")?.try_into()?;
        let quality: PerCpuArray<_, [u64; CAUSES]> = map("QUALITY")?.try_into()?;

        let mut blocks: HashMap<u32, Rows> = HashMap::new();
        let used = used
            .get(&0, 0)?
            .min(u64::from(counts.len().saturating_sub(1)));
        for block in 0..=used as u32 {
            let mut rows = Rows::default();
            for cpu in counts.get(&block, 0)?.iter() {
                add(&mut rows, cpu);
            }
            blocks.insert(block, rows);
        }
        for entry in &deep {
            let (key, operations) = entry?;
            if let Some(kind) = of_cell(key.cell as usize) {
                blocks
                    .entry(key.block)
                    .or_default()
                    .record(kind, key.depth, operations);
            }
        }
        let mut of_block = HashMap::new();
        for entry in &types {
            let (typ, facts) = entry?;
            if facts.block != UNKNOWN_TYPE_BLOCK {
                of_block.insert(facts.block, typ);
            }
        }
        let named = blocks
            .into_iter()
            .filter(|(_, rows)| rows.total() > 0)
            .map(|(block, rows)| {
                let typ = of_block.get(&block);
                let name = typ
                    .and_then(|typ| self.names.entry(*typ).or_insert_with(|| name(*typ)).clone());
                (name, rows)
            });
        let mut causes = [0u64; CAUSES];
        for cpu in quality.get(&0, 0)?.iter() {
            for (sum, operations) in causes.iter_mut().zip(cpu) {
                *sum = sum.saturating_add(*operations);
            }
        }
        Ok(Counts::of_types(
            named.collect::<Vec<_>>(),
            Quality::from_causes(&causes),
        ))
    }
}

fn add(rows: &mut Rows, block: &Block) {
    for (cell, depths) in block.counts.iter().enumerate() {
        let Some(kind) = of_cell(cell) else { continue };
        for (depth, operations) in (1..).zip(depths) {
            rows.record(kind, depth, *operations);
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the kernel side has no table {0}")]
    NoTable(&'static str),
    #[error("a table of the kernel side cannot be read")]
    Table(#[from] MapError),
}
