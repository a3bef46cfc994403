//! Reads the kernel side's counters.

use std::collections::HashMap;

use aya::maps::{Array, HashMap as BpfHashMap, MapData, MapError, PerCpuArray};
use map_probe_common::counts::{Block, DeepKey, UNKNOWN_TYPE_BLOCK};
use map_probe_common::op::of_cell;
use map_probe_common::quality::CAUSES;
use map_probe_common::walk::MapType;

use super::load::Loaded;
use super::refusal::internal;
use crate::budget::TypeNames;
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

    /// The names of types by the number of their counters; unknown ones are left out.
    ///
    /// # Errors
    /// The table of types cannot be read.
    pub fn type_names(
        &mut self,
        loaded: &Loaded,
        name: &mut Namer<'_>,
    ) -> Result<TypeNames, Failure> {
        let types = loaded.maps.get("TYPES");
        let types = types.ok_or(Error::NoTable("TYPES")).map_err(internal)?;
        let types = types.try_into().map_err(internal)?;
        let of_block = types_of_blocks(&types).map_err(internal)?;
        let names = of_block.into_iter().filter_map(|(block, typ)| {
            let name = self.names.entry(typ).or_insert_with(|| name(typ)).clone();
            Some((block, name?))
        });
        Ok(names.collect())
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
        let of_block = types_of_blocks(&types)?;
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

/// Addresses of types by the number of their counters.
fn types_of_blocks(
    types: &BpfHashMap<&MapData, u64, MapType>,
) -> Result<HashMap<u32, u64>, MapError> {
    let mut of_block = HashMap::new();
    for entry in types {
        let (typ, facts) = entry?;
        if facts.block != UNKNOWN_TYPE_BLOCK {
            of_block.insert(facts.block, typ);
        }
    }
    Ok(of_block)
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
