//! Reads the kernel side's counters.

use std::collections::HashMap;
use std::time::Duration;

use aya::maps::{Array, HashMap as BpfHashMap, MapError, PerCpuArray};
use map_probe_common::counts::{
    Block, DeepKey, FIRST_TYPE_BLOCK, MapCount, MapKey, NO_MAP_BLOCK, NO_SITE_BLOCK, Shape,
    SiteKey, UNKNOWN_TYPE_BLOCK,
};
use map_probe_common::op::of_cell;
use map_probe_common::quality::CAUSES;
use map_probe_common::walk::MapType;

use super::load::Loaded;
use super::maps::Maps;
use super::refusal::internal;
use crate::error::Failure;
use crate::report::counts::{Counts, Frames, MapRows, Quality, Rows};
use crate::report::who;

/// What only the target knows. Each thing is asked for once, also after the target has ended.
pub trait Names {
    /// The name of the type at an address in the target.
    fn typ(&mut self, address: u64) -> Option<String>;
    /// The functions that a call returns to at an address in the target: the innermost inlined one first.
    fn frames(&mut self, return_address: u64) -> Option<Frames>;
    /// The slots of the map at an address in the target, if it still has this shape.
    fn capacity(&mut self, map: u64, shape: &Shape) -> Option<u64>;
}

/// All counters of a kernel side, with what they are of.
#[derive(Debug, Default)]
pub struct Counters {
    types: HashMap<u64, Option<String>>,
    frames: HashMap<u64, Option<Frames>>,
    maps: Maps,
}

impl Counters {
    /// The counts since the kernel side was loaded; `now` is how long ago the probes were put in place.
    ///
    /// # Errors
    /// A table of the kernel side cannot be read.
    pub fn read(
        &mut self,
        loaded: &Loaded,
        names: &mut dyn Names,
        now: Duration,
    ) -> Result<Counts, Failure> {
        // By map and by site first: what is in these tables is in the types' by then.
        self.maps.begin();
        loaded.read_all("BY_MAP", |key: MapKey, count: MapCount| {
            self.maps.see(key, &count, now);
        })?;
        self.maps.end();
        let mut sites: Vec<(SiteKey, u64)> = Vec::new();
        loaded.read_all("BY_SITE", |key: SiteKey, operations: u64| {
            sites.push((key, operations));
        })?;
        // A table that is written to meanwhile may show an entry twice.
        sites.sort_unstable();
        sites.dedup_by_key(|(key, _)| *key);
        let tables = read_types(loaded).map_err(internal)?;
        Ok(self.name(tables, &sites, names, now))
    }

    fn name(
        &mut self,
        tables: Types,
        sites: &[(SiteKey, u64)],
        names: &mut dyn Names,
        now: Duration,
    ) -> Counts {
        let Types {
            mut blocks,
            of_block,
            quality,
        } = tables;
        let no_site = blocks.remove(&NO_SITE_BLOCK).unwrap_or_default();
        let no_map = blocks.remove(&NO_MAP_BLOCK).unwrap_or_default();
        let mut by_block: HashMap<u32, Option<String>> = HashMap::new();
        for (block, typ) in of_block {
            let name = self.types.entry(typ).or_insert_with(|| names.typ(typ));
            by_block.insert(block, name.clone());
        }
        let typ = |block: u32| by_block.get(&block).cloned().flatten();
        let by_type = blocks
            .into_iter()
            .filter(|(_, rows)| rows.total() > 0)
            .map(|(block, rows)| (typ(block), rows));
        let mut counts = Counts::of_types(by_type.collect::<Vec<_>>(), quality);

        let mut by_site: HashMap<(u64, u32), Rows> = HashMap::new();
        for (key, operations) in sites {
            if let Some(kind) = of_cell(key.cell.into()) {
                let rows = by_site.entry((key.caller, key.block)).or_default();
                rows.record(kind, key.depth.into(), *operations);
            }
        }
        let by_site = by_site.into_iter().map(|((caller, block), rows)| {
            let frames = match caller {
                0 => None,
                _ => self
                    .frames
                    .entry(caller)
                    .or_insert_with(|| names.frames(caller))
                    .clone(),
            };
            (frames, typ(block), rows)
        });
        counts.by_site = who::sites_of(by_site.chain([(None, None, no_site)]));

        let maps = self
            .maps
            .rows(now, |_| true, typ, |map, shape| names.capacity(map, shape));
        // Of one address and one name of a type there is one map.
        who::add_maps(&mut counts.by_map, &maps);
        if self.maps.is_crowded() || no_map.total() > 0 {
            let rest = MapRows {
                address: None,
                typ: None,
                size: None,
                first_seen: Duration::ZERO,
                last_seen: now,
                rows: no_map,
            };
            who::add_rest(&mut counts.by_map, &counts.operations, &rest);
            who::sort_maps(&mut counts.by_map);
        }
        counts
    }
}

/// The counts by type.
struct Types {
    blocks: HashMap<u32, Rows>,
    /// The type that has a block, by address.
    of_block: HashMap<u32, u64>,
    quality: Quality,
}

fn read_types(loaded: &Loaded) -> Result<Types, Error> {
    let map = |name: &'static str| loaded.maps.get(name).ok_or(Error::NoTable(name));
    let types: BpfHashMap<_, u64, MapType> = map("TYPES")?.try_into()?;
    let used: Array<_, u64> = map("BLOCKS_USED")?.try_into()?;
    let counts: PerCpuArray<_, Block> = map("COUNTS")?.try_into()?;
    let deep: BpfHashMap<_, DeepKey, u64> = map("DEEP")?.try_into()?;
    let quality: PerCpuArray<_, [u64; CAUSES]> = map("QUALITY")?.try_into()?;

    let mut blocks: HashMap<u32, Rows> = HashMap::new();
    let used = used
        .get(&0, 0)?
        .saturating_add(u64::from(FIRST_TYPE_BLOCK) - 1)
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
    let mut causes = [0u64; CAUSES];
    for cpu in quality.get(&0, 0)?.iter() {
        for (sum, operations) in causes.iter_mut().zip(cpu) {
            *sum = sum.saturating_add(*operations);
        }
    }
    Ok(Types {
        blocks,
        of_block,
        quality: Quality::from_causes(&causes),
    })
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
