//! Reads the kernel side's counters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Array, MapError, PerCpuArray};
use map_probe_common::Site;
use map_probe_common::counts::{
    Block, FIRST_TYPE_BLOCK, MapKey, NEAR_DEPTHS, NO_MAP_BLOCK, NO_SITE_BLOCK, NO_STACK_BLOCK,
    Shape, SiteKey, Stack, UNKNOWN_TYPE_BLOCK,
};
use map_probe_common::op::{CELLS, of_cell};
use map_probe_common::options::{MAPS, SITES, STACKS};
use map_probe_common::quality::{ALL, CAUSES};
use map_probe_common::walk::MapType;

use super::cut::{Kind, Kinds, hold_back};
use super::interned::Interned;
use super::kept::Kept;
use super::load::Loaded;
use super::maps::{About, Maps};
use super::refusal::internal;
use super::slots::Slots;
use crate::budget::TypeNames;
use crate::budget::estimate::Sums;
use crate::error::Failure;
use crate::report::counts::{
    Counts, FailureRow, Frame, Frames, Name, Quality, Rows, SiteRows, TypeRows,
};
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
    /// What the kernel side counts: [`SITES`] and its siblings.
    counted: u32,
    /// In windows: what was taken from the log so far.
    taken: Option<Kinds>,
    known: Known,
    maps: Maps,
    /// Blocks' counts as they were last told.
    types: Vec<(SiteKey, u64)>,
    by_type: Kept<u32, TypeRows>,
    by_site: Places,
    by_stack: Places,
    /// Blocks of types that the kernel side has been told to leave out.
    left_out: HashSet<u32>,
}

/// Call sites, or stacks.
#[derive(Debug, Default)]
struct Places {
    /// As they were last told: by key, in order. Those without room for theirs have a block of no type.
    counts: Vec<(SiteKey, u64)>,
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
    /// Counters of a kernel side with these sites that counts this, of which the report has what is wanted.
    #[must_use]
    pub fn new(wanted: Wanted, counted: u32, sites: &[Site]) -> Self {
        let wrappers = sites.iter().flat_map(|site| &site.wrappers);
        Self {
            wanted,
            counted,
            taken: None,
            types: Vec::new(),
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

    /// In windows: what was taken from the log of operations before the next reading.
    pub fn took(&mut self, sums: &Sums) {
        let taken = self.taken.get_or_insert_default();
        for (record, kind) in &sums.kinds {
            taken.add((record.cell(), record.depth()), kind.seen);
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
        let mut tables = Tables {
            types: types.counts,
            sites,
            stacks,
            maps_rest: Vec::new(),
        };
        tables.give_rests();
        let quality = types.quality;
        self.cut(&mut tables);
        let failures = self.failures(loaded, names)?;
        Ok(Counts {
            failures,
            ..self.counts(tables, quality, names, now)
        })
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

    /// The operations that could not be walked, as far as they are wanted.
    fn failures(
        &mut self,
        loaded: &Loaded,
        names: &mut dyn Names,
    ) -> Result<Vec<FailureRow>, Failure> {
        let mut counts = HashMap::new();
        // A `SiteKey`, as two words.
        loaded.read_all("FAILURES", |key: [u64; 2], count: u64| {
            counts.insert(key, count);
        })?;
        let mut rows: BTreeMap<_, u64> = BTreeMap::new();
        for ([caller, rest], count) in counts {
            // Block, cell and depth, from the lowest bits on.
            let (block, cause) = (rest as u32, (rest >> 32) as u16);
            let (site, typ) = (self.known.caller(caller, names), self.known.block(block));
            if self.wanted.typ(self.known.name(typ)) && self.wanted.site(self.known.frames(site)) {
                let row = rows.entry((cause, site, typ)).or_default();
                *row = row.saturating_add(count);
            }
        }
        let rows = rows.into_iter().filter_map(|((cause, site, typ), count)| {
            Some(FailureRow {
                cause: *ALL.get(usize::from(cause))?,
                typ: self.known.names.value(typ).cloned(),
                frames: self.known.all_frames.value(site).cloned(),
                count,
            })
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|row| Reverse(row.count));
        Ok(rows)
    }

    /// Leaves in all tables the operations that all of them have. With a filter some lists are made of one table and some of
    /// several, and no kind of operation is the same in all: then nothing is left out.
    fn cut(&mut self, tables: &mut Tables) {
        if !self.wanted.functions.is_empty() || !self.wanted.types.is_empty() {
            return;
        }
        let kinds = |list: &[(SiteKey, u64)]| -> Kinds {
            list.iter()
                .map(|(key, count)| (kind(key), *count))
                .collect()
        };
        let mut cut = kinds(&tables.types);
        if self.counted & SITES != 0 {
            cut.limit(&kinds(&tables.sites));
        }
        if self.counted & STACKS != 0 {
            cut.limit(&kinds(&tables.stacks));
        }
        if let Some(taken) = &self.taken {
            cut.limit(taken);
        }
        if self.counted & MAPS != 0 {
            if let Some(maps) = self.maps.kinds(kinds(&tables.maps_rest)) {
                cut.limit(&maps);
            }
            self.maps.hold_back(&cut);
        }
        hold_back(&mut tables.types, &self.types, kind, &cut);
        hold_back(&mut tables.sites, &self.by_site.counts, kind, &cut);
        hold_back(&mut tables.stacks, &self.by_stack.counts, kind, &cut);
        self.types.clone_from(&tables.types);
    }

    fn counts(
        &mut self,
        tables: Tables,
        mut quality: Quality,
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
        let chosen = !wanted.functions.is_empty();
        let no_room = tables
            .sites
            .iter()
            .filter(|(key, _)| key.block == NO_SITE_BLOCK);
        let no_room: u64 = no_room.map(|(_, operations)| operations).sum();

        by_site.update(tables.sites, known, |known, key| {
            let frames = known.caller(key.caller, names);
            let of_type = known.block(key.block);
            (wanted.typ(known.name(of_type)) && wanted.site(known.frames(frames)))
                .then_some((frames, of_type))
        });
        let mut rows: HashMap<u32, Rows> = HashMap::new();
        if chosen {
            // Only the call sites say which operations these are; of those without room for theirs nobody knows.
            quality.lost = quality.lost.saturating_add(no_room);
            for site in by_site.rows.list().iter() {
                let of_type = known.names.number(site.typ.clone());
                rows.entry(of_type).or_default().add(&site.rows);
            }
        } else {
            for (key, operations) in &tables.types {
                let of_type = known.block(key.block);
                if let Some(kind) = of_cell(key.cell.into())
                    && wanted.typ(known.name(of_type))
                {
                    let rows = rows.entry(of_type).or_default();
                    rows.record(kind, key.depth.into(), *operations);
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
            by_stack.update(tables.stacks, known, |known, key| {
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
            by_map: maps.rows(now, &operations, !tables.maps_rest.is_empty(), &mut about),
            by_site: by_site.rows.list(),
            by_stack: by_stack.rows.list(),
            operations,
            quality,
            estimates: None,
            samples: None,
            failures: Vec::new(),
        }
    }
}

impl Places {
    /// Takes in a later reading; `place` gives the numbers of frames and type, `None` if it is not wanted.
    fn update(
        &mut self,
        counts: Vec<(SiteKey, u64)>,
        known: &mut Known,
        mut place: impl FnMut(&mut Known, &SiteKey) -> Option<(u32, u32)>,
    ) {
        if self.counts == counts {
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
        self.rows.update(rows, |(frames, typ)| SiteRows {
            frames: known.all_frames.value(frames).cloned(),
            typ: known.names.value(typ).cloned(),
            rows: Rows::default(),
        });
        self.counts = counts;
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

/// All that was read of the kernel side's tables.
struct Tables {
    types: Vec<(SiteKey, u64)>,
    sites: Vec<(SiteKey, u64)>,
    stacks: Vec<(SiteKey, u64)>,
    /// Operations on maps that found no room.
    maps_rest: Vec<(SiteKey, u64)>,
}

impl Tables {
    /// Gives the counts of operations that found no room in a table to the list that is made of it.
    fn give_rests(&mut self) {
        let Self {
            types,
            sites,
            stacks,
            maps_rest,
        } = self;
        types.retain(|count| {
            let rest = match count.0.block {
                NO_SITE_BLOCK => &mut *sites,
                NO_STACK_BLOCK => stacks,
                NO_MAP_BLOCK => maps_rest,
                _ => return true,
            };
            rest.push(*count);
            false
        });
        for list in [types, sites, stacks] {
            list.sort_unstable();
        }
    }
}

fn kind(key: &SiteKey) -> Kind {
    (key.cell.into(), key.depth.into())
}

/// What is counted in the slots, by key: a key may have several.
fn in_order(slots: &Slots<SiteKey, u64>) -> Vec<(SiteKey, u64)> {
    let slots = slots.filled().map(|(_, slot)| (slot.key, slot.value));
    let mut counts: Vec<_> = slots.collect();
    counts.sort_unstable();
    counts.dedup_by(|(next, more), (key, count)| {
        let same = next == key;
        if same {
            *count = count.saturating_add(*more);
        }
        same
    });
    counts
}

/// The counts by type.
struct Types {
    /// Of which no caller is known; each key once.
    counts: Vec<(SiteKey, u64)>,
    /// The type that has a block, by address.
    of_block: HashMap<u32, u64>,
    quality: Quality,
}

fn read_types(loaded: &Loaded) -> Result<Types, Failure> {
    let (mut counts, quality) = read_blocks(loaded).map_err(internal)?;
    // A `DeepKey`.
    let mut deep = HashMap::new();
    loaded.read_all("DEEP", |key: [u32; 3], operations: u64| {
        deep.insert(key, operations);
    })?;
    for ([block, cell, depth], operations) in deep {
        count(&mut counts, (block, cell as usize, depth), operations);
    }
    let mut of_block = HashMap::new();
    loaded.read_all("TYPES", |typ: u64, facts: MapType| {
        if facts.block != UNKNOWN_TYPE_BLOCK {
            of_block.insert(facts.block, typ);
        }
    })?;
    Ok(Types {
        counts,
        of_block,
        quality,
    })
}

/// The tables that are arrays.
fn read_blocks(loaded: &Loaded) -> Result<(Vec<(SiteKey, u64)>, Quality), Error> {
    let map = |name: &'static str| loaded.maps.get(name).ok_or(Error::NoTable(name));
    let used: Array<_, u64> = map("BLOCKS_USED")?.try_into()?;
    let blocks: PerCpuArray<_, Block> = map("COUNTS")?.try_into()?;
    let quality: PerCpuArray<_, [u64; CAUSES]> = map("QUALITY")?.try_into()?;

    let mut counts = Vec::new();
    let used = used
        .get(&0, 0)?
        .saturating_add(u64::from(FIRST_TYPE_BLOCK) - 1)
        .min(u64::from(blocks.len().saturating_sub(1)));
    for block in 0..=used as u32 {
        let cpus = blocks.get(&block, 0)?;
        for cell in 0..CELLS {
            for near in 0..NEAR_DEPTHS {
                let operations = cpus.iter().map(|cpu| cpu.counts[cell][near]).sum();
                count(&mut counts, (block, cell, near as u32 + 1), operations);
            }
        }
    }
    let mut causes = [0u64; CAUSES];
    for cpu in quality.get(&0, 0)?.iter() {
        for (sum, operations) in causes.iter_mut().zip(cpu) {
            *sum = sum.saturating_add(*operations);
        }
    }
    Ok((counts, Quality::from_causes(&causes)))
}

fn count(
    counts: &mut Vec<(SiteKey, u64)>,
    (block, cell, depth): (u32, usize, u32),
    operations: u64,
) {
    if operations > 0 {
        let key = SiteKey {
            caller: 0,
            block,
            cell: cell as u16,
            depth: depth as u16,
        };
        counts.push((key, operations));
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the kernel side has no table {0}")]
    NoTable(&'static str),
    #[error("a table of the kernel side cannot be read")]
    Table(#[from] MapError),
}
