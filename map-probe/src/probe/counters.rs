//! Reads the kernel side's counters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Array, MapError, PerCpuArray};
use map_probe_common::Site;
use map_probe_common::counts::{
    Block, FIRST_TYPE_BLOCK, MapKey, NO_MAP_BLOCK, NO_SITE_BLOCK, NO_STACK_BLOCK, Shape, SiteKey,
    Stack, UNKNOWN_TYPE_BLOCK,
};
use map_probe_common::op::of_cell;
use map_probe_common::quality::CAUSES;
use map_probe_common::walk::MapType;

use super::interned::Interned;
use super::kept::Kept;
use super::load::Loaded;
use super::maps::{About, Maps};
use super::refusal::internal;
use super::slots::Slots;
use crate::budget::TypeNames;
use crate::error::Failure;
use crate::report::counts::{Counts, Frame, Frames, Name, Quality, Rows, SiteRows, TypeRows};
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
    known: Known,
    maps: Maps,
    by_type: Kept<u32, TypeRows>,
    by_site: Places,
    by_stack: Places,
    /// Blocks of types that the kernel side has been told to leave out.
    left_out: HashSet<u32>,
}

/// Call sites, or stacks.
#[derive(Debug, Default)]
struct Places {
    /// As they were last read.
    counts: Vec<(SiteKey, u64)>,
    /// Those without room for theirs, as they were last read.
    rest: Rows,
    /// By the numbers of frames and type.
    rows: Kept<(u32, u32), SiteRows>,
}

/// Names that have been looked up. Names and frames are known by numbers; 0 is unknown.
#[derive(Debug, Default)]
struct Known {
    names: Interned<str>,
    all_frames: Interned<[Frame]>,
    /// By address.
    types: HashMap<u64, u32>,
    /// By block, the number and the name.
    blocks: HashMap<u32, u32>,
    type_names: Arc<TypeNames>,
    /// By return address.
    callers: HashMap<u64, u32>,
    /// By a stack's number, its call site and all its frames.
    stacks: HashMap<u64, (u32, u32)>,
    /// Return addresses in wrappers of map functions, which no stack shows.
    wrappers: HashSet<u64>,
}

impl Counters {
    /// Counters of a kernel side with these sites, of which the report has what is wanted.
    #[must_use]
    pub fn new(wanted: Wanted, sites: &[Site]) -> Self {
        let wrappers = sites.iter().flat_map(|site| &site.wrappers);
        Self {
            wanted,
            known: Known {
                wrappers: wrappers.map(|wrapper| wrapper.return_address).collect(),
                stacks: HashMap::from([(0, (0, 0))]),
                ..Known::default()
            },
            maps: Maps::default(),
            by_type: Kept::default(),
            by_site: Places::default(),
            by_stack: Places::default(),
            left_out: HashSet::new(),
        }
    }

    /// The program is the `life`th that the process runs while it is watched, from 0.
    pub fn set_life(&mut self, life: u32) {
        self.maps.life = life;
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
            self.maps.see(index, &slot);
        }
        self.maps.end();
        let sites = in_order(&loaded.by_site);
        let mut stacks = Vec::new();
        if self.wanted.stacks {
            stacks = in_order(&loaded.by_stack);
            self.known.look_up_stacks(loaded, &stacks, names)?;
        }
        let types = read_types(loaded)?;
        self.name_types(loaded, &types, names)?;
        Ok(self.counts(types, sites, stacks, names, now))
    }

    /// The names of types by the number of their counters, as of the last reading; unknown ones are left out.
    #[must_use]
    pub fn type_names(&self) -> &Arc<TypeNames> {
        &self.known.type_names
    }

    /// Names the blocks' types. What is not wanted the kernel side leaves out from now on.
    fn name_types(
        &mut self,
        loaded: &Loaded,
        types: &Types,
        names: &mut dyn Names,
    ) -> Result<(), Failure> {
        let mut unwanted = Vec::new();
        for (block, typ) in &types.of_block {
            let name = self.known.name_block(*block, *typ, names);
            if !self.wanted.typ(name) && self.left_out.insert(*block) {
                unwanted.push(*block);
            }
        }
        loaded.leave_out(&unwanted)
    }

    fn counts(
        &mut self,
        types: Types,
        sites: Vec<(SiteKey, u64)>,
        stacks: Vec<(SiteKey, u64)>,
        names: &mut dyn Names,
        now: Duration,
    ) -> Counts {
        let Self {
            wanted,
            known,
            maps,
            by_type,
            by_site,
            by_stack,
            ..
        } = self;
        let mut blocks = types.blocks;
        let mut without = |block| blocks.remove(&block).unwrap_or_default();
        let (no_site, no_map, no_stack) = (
            without(NO_SITE_BLOCK),
            without(NO_MAP_BLOCK),
            without(NO_STACK_BLOCK),
        );
        let mut quality = types.quality;
        let chosen = !wanted.functions.is_empty();
        let everything = !chosen && wanted.types.is_empty();
        let rest_of = |rows: &Rows| {
            if everything {
                rows.clone()
            } else {
                Rows::default()
            }
        };

        by_site.update(sites, rest_of(&no_site), known, |known, key| {
            let frames = known.caller(key.caller, names);
            let of_type = known.block(key.block);
            (wanted.typ(known.name(of_type)) && wanted.site(known.frames(frames)))
                .then_some((frames, of_type))
        });
        let mut rows: HashMap<u32, Rows> = HashMap::new();
        if chosen {
            // Only the call sites say which operations these are; of those without room for theirs nobody knows.
            quality.lost = quality.lost.saturating_add(no_site.total());
            for site in by_site.rows.list().iter() {
                let of_type = known.names.number(site.typ.clone());
                rows.entry(of_type).or_default().add(&site.rows);
            }
        } else {
            for (block, of_block) in blocks {
                let of_type = known.block(block);
                if wanted.typ(known.name(of_type)) {
                    rows.entry(of_type).or_default().add(&of_block);
                }
            }
        }
        let mut operations = Rows::default();
        for of_type in rows.values() {
            operations.add(of_type);
        }
        by_type.update(rows, |number| TypeRows {
            name: known.names.value(number).cloned(),
            rows: Rows::default(),
        });
        if wanted.stacks {
            by_stack.update(stacks, rest_of(&no_stack), known, |known, key| {
                let (site, frames) = known.stacks.get(&key.caller).copied().unwrap_or_default();
                let of_type = known.block(key.block);
                (wanted.typ(known.name(of_type)) && wanted.site(known.frames(site)))
                    .then_some((frames, of_type))
            });
        }
        let mut about = AboutMaps {
            wanted,
            known,
            names,
        };
        Counts {
            by_type: by_type.list(),
            by_map: maps.rows(now, &operations, !no_map.is_empty(), &mut about),
            by_site: by_site.rows.list(),
            by_stack: by_stack.rows.list(),
            operations,
            quality,
            estimates: None,
            samples: None,
        }
    }
}

impl Places {
    /// Takes in a later reading; `place` gives the numbers of frames and type, `None` if it is not wanted.
    fn update(
        &mut self,
        counts: Vec<(SiteKey, u64)>,
        rest: Rows,
        known: &mut Known,
        mut place: impl FnMut(&mut Known, &SiteKey) -> Option<(u32, u32)>,
    ) {
        if self.counts == counts && self.rest == rest {
            return;
        }
        let mut rows: HashMap<_, Rows> = HashMap::new();
        // They come in the order of callers and blocks.
        for of_one in counts
            .chunk_by(|(one, _), (next, _)| (one.caller, one.block) == (next.caller, next.block))
        {
            let Some(place) = place(known, &of_one[0].0) else {
                continue;
            };
            let rows = rows.entry(place).or_default();
            for (key, operations) in of_one {
                if let Some(kind) = of_cell(key.cell.into()) {
                    rows.record(kind, key.depth.into(), *operations);
                }
            }
        }
        rows.entry((0, 0)).or_default().add(&rest);
        self.rows.update(rows, |(frames, typ)| SiteRows {
            frames: known.all_frames.value(frames).cloned(),
            typ: known.names.value(typ).cloned(),
            rows: Rows::default(),
        });
        self.counts = counts;
        self.rest = rest;
    }
}

impl Known {
    /// The number of the name of a block's type.
    fn block(&self, block: u32) -> u32 {
        self.blocks.get(&block).copied().unwrap_or(0)
    }

    fn name(&self, number: u32) -> Option<&str> {
        self.names.value(number).map(AsRef::as_ref)
    }

    fn frames(&self, number: u32) -> Option<&[Frame]> {
        self.all_frames.value(number).map(AsRef::as_ref)
    }

    /// Names the type of a block.
    fn name_block(&mut self, block: u32, typ: u64, names: &mut dyn Names) -> Option<&str> {
        let known = self.types.get(&typ).copied();
        let number = known.unwrap_or_else(|| self.names.number(names.typ(typ).map(Into::into)));
        self.types.insert(typ, number);
        if self.blocks.insert(block, number) != Some(number)
            && let Some(name) = self.names.value(number)
        {
            Arc::make_mut(&mut self.type_names).insert(block, Arc::clone(name));
        }
        self.name(number)
    }

    /// The number of the functions at a return address.
    fn caller(&mut self, caller: u64, names: &mut dyn Names) -> u32 {
        if caller == 0 {
            return 0;
        }
        if let Some(number) = self.callers.get(&caller) {
            return *number;
        }
        let number = self.all_frames.number(names.frames(caller));
        self.callers.insert(caller, number);
        number
    }

    /// Makes known the stacks that are met for the first time.
    fn look_up_stacks(
        &mut self,
        loaded: &Loaded,
        counted: &[(SiteKey, u64)],
        names: &mut dyn Names,
    ) -> Result<(), Failure> {
        let is_new = |(key, _): &(SiteKey, u64)| !self.stacks.contains_key(&key.caller);
        if !counted.iter().any(is_new) {
            return Ok(());
        }
        loaded.read_all("STACKS", |number: u64, stack: Stack| {
            if !self.stacks.contains_key(&number) {
                let frames = self.stack(&stack, names);
                self.stacks.insert(number, frames);
            }
        })
    }

    /// The call site of a stack, and all its frames; those of which nothing is known are left out.
    fn stack(&mut self, stack: &Stack, names: &mut dyn Names) -> (u32, u32) {
        let callers = stack.callers.iter().copied();
        let callers = callers
            .take_while(|caller| *caller != 0)
            .skip_while(|caller| self.wrappers.contains(caller));
        let callers: Vec<_> = callers.collect();
        let numbers: Vec<_> = callers
            .into_iter()
            .map(|caller| self.caller(caller, names))
            .collect();
        let Some(site) = numbers.first().copied().filter(|site| *site != 0) else {
            return (0, 0);
        };
        let frames = numbers.iter().filter_map(|number| self.frames(*number));
        let all: Frames = frames.flatten().cloned().collect();
        (site, self.all_frames.number(Some(all)))
    }
}

/// What maps are asked for.
struct AboutMaps<'a> {
    wanted: &'a Wanted,
    known: &'a Known,
    names: &'a mut dyn Names,
}

impl About for AboutMaps<'_> {
    fn wanted(&self, key: &MapKey) -> bool {
        let frames = self.known.callers.get(&key.site.caller);
        let frames = frames.and_then(|frames| self.known.frames(*frames));
        let typ = self.typ(key.site.block);
        self.wanted.typ(self.known.name(typ)) && self.wanted.site(frames)
    }

    fn typ(&self, block: u32) -> u32 {
        self.known.block(block)
    }

    fn name(&self, number: u32) -> Name {
        self.known.names.value(number).cloned()
    }

    fn capacity(&mut self, map: u64, shape: &Shape) -> Option<u64> {
        self.names.capacity(map, shape)
    }
}

/// What is counted in the slots, by key: a key may have several.
fn in_order(slots: &Slots<SiteKey, u64>) -> Vec<(SiteKey, u64)> {
    let slots = slots.filled().map(|(_, slot)| (slot.key, slot.value));
    let mut counts: Vec<_> = slots.collect();
    counts.sort_unstable();
    counts
}

/// The counts by type.
#[derive(Default)]
struct Types {
    blocks: HashMap<u32, Rows>,
    /// The type that has a block, by address.
    of_block: HashMap<u32, u64>,
    quality: Quality,
}

fn read_types(loaded: &Loaded) -> Result<Types, Failure> {
    let (mut blocks, quality) = read_blocks(loaded).map_err(internal)?;
    // A `DeepKey`.
    loaded.read_all("DEEP", |[block, cell, depth]: [u32; 3], operations: u64| {
        if let Some(kind) = of_cell(cell as usize) {
            let rows = blocks.entry(block).or_default();
            rows.record(kind, depth, operations);
        }
    })?;
    let mut of_block = HashMap::new();
    loaded.read_all("TYPES", |typ: u64, facts: MapType| {
        if facts.block != UNKNOWN_TYPE_BLOCK {
            of_block.insert(facts.block, typ);
        }
    })?;
    Ok(Types {
        blocks,
        of_block,
        quality,
    })
}

/// The tables that are arrays.
fn read_blocks(loaded: &Loaded) -> Result<(HashMap<u32, Rows>, Quality), Error> {
    let map = |name: &'static str| loaded.maps.get(name).ok_or(Error::NoTable(name));
    let used: Array<_, u64> = map("BLOCKS_USED")?.try_into()?;
    let counts: PerCpuArray<_, Block> = map("COUNTS")?.try_into()?;
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
    let mut causes = [0u64; CAUSES];
    for cpu in quality.get(&0, 0)?.iter() {
        for (sum, operations) in causes.iter_mut().zip(cpu) {
            *sum = sum.saturating_add(*operations);
        }
    }
    Ok((blocks, Quality::from_causes(&causes)))
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
