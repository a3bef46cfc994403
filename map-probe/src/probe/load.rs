//! Loads the kernel side: its tables, sized and filled for the target, and its program.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData, RingBuf};
use map_probe_common::counts::{
    Block, CHANGE_COUNTERS, FIRST_TYPE_BLOCK, MAP_SLOTS, MapCount, MapKey, SITE_SLOTS, SiteKey,
};
use map_probe_common::equal::{BASIC_PROGRAMS, BASIC_STEPS, EqualProgram, EqualStep};
use map_probe_common::lives::Identity;
use map_probe_common::options::{MAPS, Options, SITES, STACKS};
use map_probe_common::sample::Sampled;
use map_probe_common::site::MAX_SITES;
use map_probe_common::window::LOG_RECORDS;
use map_probe_common::{Layout, Site};

use super::attach::{Placed, Way};
use super::changes::{self, Changes};
use super::mapped::Mapped;
use super::refusal::{Missing, internal, no_cpus, not_created};
use super::slots::Slots;
use super::{bpf, program};
use crate::error::Failure;
use crate::object::OBJECT;

/// Sizes of the tables that only [`Program::Verify`] uses: goroutines with an operation under way, map functions, and
/// differences that are shown.
const VERIFY_SIZES: [(&str, usize); 3] =
    [("EXPECTED", 16384), ("VERDICTS", 64), ("DIFFERENCES", 8)];

/// Probes that are known by their addresses only: sites, and returns when verifying.
const COOKIES: usize = 1024;

/// Different stacks that are remembered; 600 bytes of kernel memory each, only with `--stacks`.
const STACKS_MET: usize = 16_384;

/// Which of the kernel side's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The one that walks and counts.
    Walk,
    /// The same, counting in windows of time only, and what it costs.
    Windows,
    /// The same, which then compares with what the runtime returns.
    Verify,
    /// One that does nothing: what a trap costs by itself.
    Empty,
    /// The one that a timer runs: it walks the operation that it meets.
    Sample,
    /// One that does nothing either: what a sample costs by itself.
    EmptySample,
}

impl Program {
    /// Its name in the object.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Walk | Self::Windows => "map_probe",
            Self::Verify => "map_probe_verify",
            Self::Empty => "empty",
            Self::Sample => "map_sample",
            Self::EmptySample => "empty_sample",
        }
    }

    /// Whether a timer runs it, and not a trap.
    #[must_use]
    pub const fn samples(self) -> bool {
        matches!(self, Self::Sample | Self::EmptySample)
    }
}

/// What userspace tells the kernel side of a target.
#[derive(Debug)]
pub struct Tables {
    /// How its maps are laid out.
    pub layout: Layout,
    /// Which process it is.
    pub process: Identity,
    /// Its probe sites; a site's cookie is its index.
    pub sites: Vec<Site>,
    /// What to count beside the types.
    pub options: Options,
    /// How its composite types compare, by address in the target.
    pub equal: Vec<(u64, Vec<EqualStep>)>,
    /// For programs that sample: which site describes each byte of the map functions.
    pub code: Vec<u64>,
    /// Only for [`Program::Verify`]: addresses in the target between which the runtime's zero value lies.
    pub zero: [u64; 2],
}

/// The kernel side, loaded. Dropping it unloads it.
#[derive(Debug)]
pub struct Loaded {
    pub(super) program: OwnedFd,
    /// The one that does nothing, if there are windows: to measure what a trap costs.
    pub(super) empty: Option<OwnedFd>,
    pub(super) maps: HashMap<String, Map>,
    /// Operations by call site, by stack, and by map.
    pub(super) by_site: Slots<SiteKey, u64>,
    pub(super) by_stack: Slots<SiteKey, u64>,
    pub(super) by_map: Slots<MapKey, MapCount>,
    way: Way,
    /// What tells of changes.
    _tracepoints: Vec<OwnedFd>,
}

impl Loaded {
    /// Loads it for a target. `verbosity` is how much of its own log it writes: 0 none, 1 failures, 2 every operation.
    ///
    /// # Errors
    /// Not permitted, or a kernel that lacks something.
    pub fn new(
        tables: &Tables,
        program: Program,
        way: Way,
        verbosity: u8,
    ) -> Result<Self, Failure> {
        let windowed = program == Program::Windows;
        let (steps, programs) = equality(&tables.equal);
        let mut object = aya_obj::Object::parse(OBJECT).map_err(internal)?;
        let level = [log_level(verbosity)];
        let code = &tables.code;
        let options = Options {
            by_address: u32::from(way == Way::Event),
            ..tables.options
        };
        object
            .patch_map_data(HashMap::from([
                ("AYA_LOG_LEVEL", (&level[..], true)),
                ("LAYOUT", (bytes_of(&tables.layout), true)),
                ("WINDOWED", (bytes_of(&u32::from(windowed)), true)),
                ("OPTIONS", (bytes_of(&options), true)),
            ]))
            .map_err(internal)?;
        let asked = |what| tables.options.count & what != 0;
        let slots = |what, slots| if asked(what) { slots } else { 1 };
        let (by_site, by_stack) = (slots(SITES, SITE_SLOTS), slots(STACKS, SITE_SLOTS));
        let (by_map, changes) = (slots(MAPS, MAP_SLOTS), slots(MAPS, CHANGE_COUNTERS));
        let blocks = FIRST_TYPE_BLOCK as usize + type_blocks(nr_cpus()?);
        let cpus = if windowed { nr_cpus()? } else { 1 };
        let mut sizes = HashMap::from([
            ("TALLY", cpus),
            ("LOG", cpus * LOG_RECORDS as usize),
            ("EQUAL_STEPS", steps.len()),
            ("EQUAL_PROGRAMS", programs.len()),
            ("COUNTS", blocks),
            ("BY_SITE", by_site as usize),
            ("STACKS", if asked(STACKS) { STACKS_MET } else { 1 }),
            ("BY_STACK", by_stack as usize),
            ("UNWANTED", blocks),
            ("CHANGES", changes as usize),
            ("BY_MAP", by_map as usize),
            ("SITES", tables.sites.len().max(MAX_SITES as usize)),
            ("CODE", code.len().max(1)),
            ("COOKIES", if way == Way::Event { COOKIES } else { 1 }),
        ]);
        if program == Program::Verify {
            sizes.extend(VERIFY_SIZES);
        }
        let maps = create_maps(&mut object, &sizes)?;
        relocate(&mut object, &maps)?;

        let table = |name: &str| {
            let map = maps.get(name);
            let map = map.ok_or_else(|| internal(Missing(name.to_owned())))?;
            Ok::<_, Failure>(map.fd().as_fd())
        };
        let fill = |name: &str, fill: &dyn Fn(BorrowedFd<'_>) -> io::Result<()>| {
            fill(table(name)?).map_err(internal)
        };
        let (types, programs): (Vec<_>, Vec<_>) = programs.into_iter().unzip();
        fill("SITES", &|map| {
            bpf::update(map, &indexes(tables.sites.len()), &tables.sites)
        })?;
        fill("EQUAL_STEPS", &|map| {
            bpf::update(map, &indexes(steps.len()), &steps)
        })?;
        fill("CODE", &|map| bpf::update(map, &indexes(code.len()), code))?;
        fill("EQUAL_PROGRAMS", &|map| bpf::update(map, &types, &programs))?;
        fill("WATCHED", &|map| {
            bpf::update(map, &[0u32], &[tables.process])
        })?;
        fill("ZERO", &|map| bpf::update(map, &[0u32], &[tables.zero]))?;

        let by_site = Slots::new(table("BY_SITE")?, by_site).map_err(internal)?;
        let by_stack = Slots::new(table("BY_STACK")?, by_stack).map_err(internal)?;
        let by_map = Slots::new(table("BY_MAP")?, by_map).map_err(internal)?;
        let empty = if windowed {
            Some(program::load(&object, Program::Empty, way, verbosity)?)
        } else {
            None
        };
        let program = program::load(&object, program, way, verbosity)?;
        let tracepoints = changes::listen(&object, verbosity)?;
        // Maps of kinds that aya has no type for (constants) are kept alive by the program.
        let maps = maps
            .into_iter()
            .filter_map(|(name, data)| Some((name, Map::from_map_data(data).ok()?)))
            .collect();
        Ok(Self {
            program,
            empty,
            maps,
            by_site,
            by_stack,
            by_map,
            way,
            _tracepoints: tracepoints,
        })
    }

    /// How it is to be attached.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// Tells the kernel side which probe is where, if it does not hear that at each trap.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub fn place(&self, placed: &[Placed]) -> Result<(), Failure> {
        if self.way == Way::Link {
            return Ok(());
        }
        let Some(Map::HashMap(data)) = self.maps.get("COOKIES") else {
            return Err(internal(Missing("COOKIES".to_owned())));
        };
        let (addresses, cookies): (Vec<_>, Vec<_>) = placed
            .iter()
            .map(|placed| (placed.address, placed.cookie))
            .unzip();
        bpf::update(data.fd().as_fd(), &addresses, &cookies).map_err(internal)
    }

    /// The program, to attach it.
    #[must_use]
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// The word that says whether operations are counted now; `None` unless there are windows.
    #[must_use]
    pub fn gate(&self) -> Option<BorrowedFd<'_>> {
        match self.maps.get("GATE") {
            Some(Map::Array(gate)) if self.empty.is_some() => Some(gate.fd().as_fd()),
            _ => None,
        }
    }

    /// The program that does nothing; `None` unless there are windows.
    #[must_use]
    pub fn empty(&self) -> Option<BorrowedFd<'_>> {
        self.empty.as_ref().map(AsFd::as_fd)
    }

    /// What happens to the target from now on. To be asked for once.
    ///
    /// # Errors
    /// The system gives no more descriptors, or there is no runtime to wait with.
    pub fn changes(&mut self) -> Result<Changes, Failure> {
        let name = "LIVES";
        let ring = self.maps.remove(name);
        let ring = ring.ok_or_else(|| internal(Missing(name.to_owned())))?;
        Changes::new(RingBuf::try_from(ring).map_err(internal)?)
    }

    /// Says which process is to be sampled.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub fn sample(&self, process: Sampled) -> Result<(), Failure> {
        let map = self.maps.get("SAMPLED");
        let Some(Map::Array(data)) = map else {
            return Err(internal(Missing("SAMPLED".to_owned())));
        };
        bpf::update(data.fd().as_fd(), &[0_u32], &[process]).map_err(internal)
    }

    /// Maps an array of the kernel side that has so many words.
    pub(super) fn map(&self, name: &str, words: usize) -> Result<Mapped, Failure> {
        let Some(Map::Array(data)) = self.maps.get(name) else {
            return Err(internal(Missing(name.to_owned())));
        };
        Mapped::new(data.fd().as_fd(), words).map_err(internal)
    }

    /// Reads a hash table of the kernel side.
    pub(super) fn read_all<K: aya::Pod + Default, V: aya::Pod + Default>(
        &self,
        name: &str,
        each: impl FnMut(K, V),
    ) -> Result<(), Failure> {
        let map = self
            .maps
            .get(name)
            .ok_or_else(|| internal(Missing(name.to_owned())))?;
        let Map::HashMap(data) = map else {
            return Err(internal(Missing(name.to_owned())));
        };
        bpf::read_all(data.fd().as_fd(), each).map_err(internal)
    }

    /// Has the kernel side leave out the types with these blocks from now on.
    pub(super) fn leave_out(&self, blocks: &[u32]) -> Result<(), Failure> {
        let name = "UNWANTED";
        let Some(Map::Array(data)) = self.maps.get(name) else {
            return Err(internal(Missing(name.to_owned())));
        };
        bpf::update(data.fd().as_fd(), blocks, &vec![1_u32; blocks.len()]).map_err(internal)
    }

    /// The number that the kernel knows the program by.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn program_id(&self) -> io::Result<u32> {
        bpf::program_id(&self.program)
    }
}

/// The CPUs that there may be: per-CPU tables have room for each.
pub(super) fn nr_cpus() -> Result<usize, Failure> {
    aya::util::nr_cpus().map_err(|(path, error)| no_cpus(path, error))
}

/// How many types get counters of their own; the operations of further ones are counted as of unknown type.
///
/// `--help` and ARCHITECTURE.md say so too.
fn type_blocks(cpus: usize) -> usize {
    const MOST: usize = 1024;
    const MOST_MEMORY: usize = 64 << 20;
    (MOST_MEMORY / (size_of::<Block>() * cpus.max(1))).min(MOST)
}

/// Creates the object's maps in the kernel, those named in `sizes` as large as that; constants with their values.
fn create_maps(
    object: &mut aya_obj::Object,
    sizes: &HashMap<&str, usize>,
) -> Result<HashMap<String, MapData>, Failure> {
    let mut maps = HashMap::new();
    for (name, map) in &mut object.maps {
        if let Some(size) = sizes.get(name.as_str()) {
            map.set_max_entries(u32::try_from(*size).map_err(internal)?);
        }
        let data = MapData::create(map.clone(), name, None).map_err(not_created)?;
        if !map.data().is_empty() {
            bpf::fill_and_freeze(data.fd().as_fd(), map.data()).map_err(internal)?;
        }
        maps.insert(name.clone(), data);
    }
    Ok(maps)
}

/// Makes the object's instructions refer to the kernel's maps and to each other.
fn relocate(object: &mut aya_obj::Object, maps: &HashMap<String, MapData>) -> Result<(), Failure> {
    let text = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect::<HashSet<_>>();
    let described: Vec<_> = object
        .maps
        .iter()
        .filter_map(|(name, map)| {
            let fd = maps.get(name)?.fd().as_fd().as_raw_fd();
            Some((name.clone(), fd, map.clone()))
        })
        .collect();
    let references = described
        .iter()
        .map(|(name, fd, map)| (name.as_str(), *fd, map));
    object.relocate_maps(references, &text).map_err(internal)?;
    object.relocate_calls(&text).map_err(internal)
}

/// One table of steps for all types, and each type's range of it. Types that no longer fit are left out.
fn equality(types: &[(u64, Vec<EqualStep>)]) -> (Vec<EqualStep>, Vec<(u64, EqualProgram)>) {
    let mut steps = BASIC_STEPS.to_vec();
    let mut programs = BASIC_PROGRAMS.to_vec();
    for (typ, own) in types {
        let start = steps.len();
        steps.extend(own);
        if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(steps.len())) {
            programs.push((*typ, EqualProgram { start, end }));
        }
    }
    (steps, programs)
}

fn bytes_of<T: aya::Pod>(value: &T) -> &[u8] {
    // SAFETY: `Pod` values have no padding: each of their bytes can be read.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

fn indexes(count: usize) -> Vec<u32> {
    (0..).take(count).collect()
}

/// aya-log's levels: 0 off, 4 debug. The verifier removes what is off.
fn log_level(verbosity: u8) -> u8 {
    match verbosity {
        0 => 0,
        1 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_take_no_more_memory_on_machines_with_many_cpus() {
        let memory = |cpus| type_blocks(cpus) * cpus * size_of::<Block>();
        assert_eq!(type_blocks(2), 1024);
        assert_eq!(type_blocks(42), 1024);
        assert_eq!(type_blocks(256), 170);
        for cpus in [1, 2, 42, 64, 256, 8192] {
            assert!(type_blocks(cpus) >= 5);
            assert!(memory(cpus) <= 64 << 20);
        }
    }

    #[test]
    fn every_type_gets_its_own_range_behind_the_basic_steps() {
        let step = |offset| EqualStep {
            kind: 1,
            offset,
            len: 1,
        };
        let types = [(0x10, vec![step(0), step(8)]), (0x20, vec![step(4)])];
        let (steps, programs) = equality(&types);
        assert_eq!(steps[..BASIC_STEPS.len()], BASIC_STEPS);
        for ((typ, own), (of, program)) in types.iter().zip(&programs[BASIC_PROGRAMS.len()..]) {
            assert_eq!(typ, of);
            assert_eq!(&steps[program.start as usize..program.end as usize], own);
        }
    }
}
