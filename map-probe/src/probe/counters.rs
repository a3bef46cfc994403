//! Reads the kernel side's counters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use aya::maps::{Array, HashMap as BpfHashMap, MapError, PerCpuArray};
use map_probe_common::Site;
use map_probe_common::counts::{
    Block, DeepKey, FIRST_TYPE_BLOCK, MapKey, NO_MAP_BLOCK, NO_SITE_BLOCK, NO_STACK_BLOCK, Shape,
    SiteKey, SiteSlot, Stack, UNKNOWN_TYPE_BLOCK,
};
use map_probe_common::op::of_cell;
use map_probe_common::quality::CAUSES;
use map_probe_common::walk::MapType;

use super::load::Loaded;
use super::maps::Maps;
use super::refusal::internal;
use crate::budget::TypeNames;
use crate::error::Failure;
use crate::report::counts::{Counts, Frames, MapRows, Quality, Rows};
use crate::report::who;
use crate::wanted::Wanted;

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
#[derive(Debug)]
pub struct Counters {
    wanted: Wanted,
    /// Return addresses in wrappers of map functions, which no stack shows.
    wrappers: HashSet<u64>,
    types: HashMap<u64, Option<String>>,
    frames: HashMap<u64, Option<Frames>>,
    stacks: HashMap<u64, Stack>,
    maps: Maps,
    /// Blocks of types that the kernel side has been told to leave out.
    left_out: HashSet<u32>,
    /// The names of the blocks' types at the last reading.
    type_names: TypeNames,
}

impl Counters {
    /// Counters of a kernel side with these sites, of which the report has what is wanted.
    #[must_use]
    pub fn new(wanted: Wanted, sites: &[Site]) -> Self {
        let wrappers = sites.iter().flat_map(|site| &site.wrappers);
        Self {
            wanted,
            wrappers: wrappers.map(|wrapper| wrapper.return_address).collect(),
            types: HashMap::new(),
            frames: HashMap::new(),
            stacks: HashMap::new(),
            maps: Maps::default(),
            left_out: HashSet::new(),
            type_names: TypeNames::new(),
        }
    }

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
        for (index, slot) in loaded.by_map.filled() {
            self.maps.see(index, &slot, now);
        }
        self.maps.end();
        let mut readings = Readings {
            sites: loaded.by_site.filled().map(in_slot).collect(),
            stacks: Vec::new(),
            types: Types::default(),
        };
        if self.wanted.stacks {
            readings.stacks = loaded.by_stack.filled().map(in_slot).collect();
            loaded.read_all("STACKS", |number: u64, stack: Stack| {
                self.stacks.insert(number, stack);
            })?;
        }
        readings.types = read_types(loaded).map_err(internal)?;
        let names_of = self.name_types(loaded, &readings.types, names)?;
        let counts = self.counts(readings, &names_of, names, now);
        self.type_names = names_of;
        Ok(counts)
    }

    /// The names of types by the number of their counters, as of the last reading; unknown ones are left out.
    #[must_use]
    pub fn type_names(&self) -> &TypeNames {
        &self.type_names
    }

    /// The names of the blocks' types. What is not wanted the kernel side leaves out from now on.
    fn name_types(
        &mut self,
        loaded: &Loaded,
        types: &Types,
        names: &mut dyn Names,
    ) -> Result<TypeNames, Failure> {
        let mut by_block = TypeNames::new();
        let mut unwanted = Vec::new();
        for (block, typ) in &types.of_block {
            let name = self.types.entry(*typ).or_insert_with(|| names.typ(*typ));
            if !self.wanted.typ(name.as_deref()) && self.left_out.insert(*block) {
                unwanted.push(*block);
            }
            if let Some(name) = name {
                by_block.insert(*block, name.clone());
            }
        }
        loaded.leave_out(&unwanted)?;
        Ok(by_block)
    }

    fn counts(
        &mut self,
        mut readings: Readings,
        names_of: &TypeNames,
        names: &mut dyn Names,
        now: Duration,
    ) -> Counts {
        let blocks = &mut readings.types.blocks;
        let mut rest = |block| blocks.remove(&block).unwrap_or_default();
        let (no_site, no_map, no_stack) = (
            rest(NO_SITE_BLOCK),
            rest(NO_MAP_BLOCK),
            rest(NO_STACK_BLOCK),
        );
        let typ = |block: u32| names_of.get(&block).cloned();
        let wanted = self.wanted.clone();
        let wanted_type = |block: &u32| wanted.typ(names_of.get(block).map(String::as_str));
        let chosen = !wanted.functions.is_empty();

        let mut sites: Vec<_> = by_caller(&readings.sites)
            .into_iter()
            .filter(|((_, block), _)| wanted_type(block))
            .map(|((caller, block), rows)| (block, self.frames(caller, names), rows))
            .collect();
        sites.retain(|(_, frames, _)| wanted.site(frames.as_deref()));
        let mut quality = readings.types.quality;
        let mut counts = if chosen {
            // Only the call sites say which operations these are; of those without room for theirs nobody knows.
            quality.lost = quality.lost.saturating_add(no_site.total());
            let by_type = sites
                .iter()
                .map(|(block, _, rows)| (typ(*block), rows.clone()));
            Counts::of_types(by_type.collect::<Vec<_>>(), quality)
        } else {
            let blocks = readings.types.blocks.into_iter();
            let by_type = blocks
                .filter(|(block, rows)| rows.total() > 0 && wanted_type(block))
                .map(|(block, rows)| (typ(block), rows));
            Counts::of_types(by_type.collect::<Vec<_>>(), quality)
        };
        let sites = sites
            .into_iter()
            .map(|(block, frames, rows)| (frames, typ(block), rows));
        let everything = !chosen && wanted.types.is_empty();
        let rest = |rows: Rows| everything.then_some((None, None, rows));
        counts.by_site = who::sites_of(sites.chain(rest(no_site)));
        if wanted.stacks {
            let stacks = by_caller(&readings.stacks).into_iter();
            let stacks: Vec<_> = stacks
                .filter(|((_, block), _)| wanted_type(block))
                .filter_map(|((number, block), rows)| {
                    let (site, frames) = self.stack(number, names);
                    wanted
                        .site(site.as_deref())
                        .then(|| (frames, typ(block), rows))
                })
                .collect();
            counts.by_stack = who::sites_of(stacks.into_iter().chain(rest(no_stack)));
        }
        self.maps(&mut counts, &no_map, names_of, names, now);
        counts
    }

    fn maps(
        &mut self,
        counts: &mut Counts,
        no_map: &Rows,
        names_of: &TypeNames,
        names: &mut dyn Names,
        now: Duration,
    ) {
        let Self {
            wanted,
            maps,
            frames,
            ..
        } = self;
        let wanted = |key: &MapKey| {
            let frames = frames.get(&key.site.caller).and_then(Option::as_deref);
            wanted.typ(names_of.get(&key.site.block).map(String::as_str)) && wanted.site(frames)
        };
        let typ = |block| names_of.get(&block).cloned();
        let rows = maps.rows(now, wanted, typ, |map, shape| names.capacity(map, shape));
        // Of one address and one name of a type there is one map.
        who::add_maps(&mut counts.by_map, &rows);
        if maps.is_crowded() || no_map.total() > 0 {
            let rest = MapRows {
                address: None,
                typ: None,
                size: None,
                first_seen: Duration::ZERO,
                last_seen: now,
                rows: Rows::default(),
            };
            who::add_rest(&mut counts.by_map, &counts.operations, &rest);
            who::sort_maps(&mut counts.by_map);
        }
    }

    /// The functions at a return address.
    fn frames(&mut self, caller: u64, names: &mut dyn Names) -> Option<Frames> {
        if caller == 0 {
            return None;
        }
        let known = self.frames.entry(caller);
        known.or_insert_with(|| names.frames(caller)).clone()
    }

    /// The call site of a stack, and all its frames; those of which nothing is known are left out.
    fn stack(&mut self, number: u64, names: &mut dyn Names) -> (Option<Frames>, Option<Frames>) {
        let Some(stack) = self.stacks.get(&number).copied() else {
            return (None, None);
        };
        let mut callers = stack
            .callers
            .into_iter()
            .take_while(|caller| *caller != 0)
            .skip_while(|caller| self.wrappers.contains(caller))
            .collect::<Vec<_>>()
            .into_iter();
        let Some(site) = callers.next().and_then(|site| self.frames(site, names)) else {
            return (None, None);
        };
        let mut all = site.clone();
        for caller in callers {
            all.extend(self.frames(caller, names).into_iter().flatten());
        }
        (Some(site), Some(all))
    }
}

/// What the kernel side's tables say at one time.
struct Readings {
    sites: Vec<(SiteKey, u64)>,
    stacks: Vec<(SiteKey, u64)>,
    types: Types,
}

/// What is counted in a slot.
fn in_slot((_, slot): (usize, SiteSlot)) -> (SiteKey, u64) {
    (slot.key, slot.value)
}

/// Counts of the same caller and block of a type as rows.
fn by_caller(sites: &[(SiteKey, u64)]) -> BTreeMap<(u64, u32), Rows> {
    let mut by_caller: BTreeMap<(u64, u32), Rows> = BTreeMap::new();
    for (key, operations) in sites {
        if let Some(kind) = of_cell(key.cell.into()) {
            let rows = by_caller.entry((key.caller, key.block)).or_default();
            rows.record(kind, key.depth.into(), *operations);
        }
    }
    by_caller
}

/// The counts by type.
#[derive(Default)]
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
