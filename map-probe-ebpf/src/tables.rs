//! The maps (in the kernel's sense) that userspace fills in and reads.
//!
//! Sizes here are the least that loads; userspace sets those it needs.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use map_probe_common::Site;
use map_probe_common::counts::{Block, DeepKey, FAILURE_KEYS, MapSlot, SiteKey, SiteSlot, Stack};
use map_probe_common::equal::{EqualProgram, EqualStep};
use map_probe_common::lives::{Identity, RING_BYTES};
use map_probe_common::quality::CAUSES;
use map_probe_common::sample::{FunctionSamples, MAX_RANGES, ProcessSamples, Sampled};
use map_probe_common::site::MAX_SITES;
use map_probe_common::verify::{Difference, Verdicts};
use map_probe_common::walk::{Expected, MapType};
use map_probe_common::window::Tally;

use crate::pending::Waiting;
use crate::scratch::{PER_CPU, Scratch};

/// Probe sites, by their cookie. Written by userspace.
#[map]
pub(crate) static SITES: Array<Site> = Array::with_max_entries(MAX_SITES, 0);

/// The cookies of probes, by the addresses of their instructions: for kernels that do not say them. Written by userspace.
#[map]
pub(crate) static COOKIES: HashMap<u64, u64> = HashMap::with_max_entries(1, 0);

/// The steps that compare values of composite types. Written by userspace.
#[map]
pub(crate) static EQUAL_STEPS: Array<EqualStep> = Array::with_max_entries(16, 0);

/// Composite types, by address: their range of `EQUAL_STEPS`. Written by userspace.
#[map]
pub(crate) static EQUAL_PROGRAMS: HashMap<u64, EqualProgram> = HashMap::with_max_entries(16, 0);

/// Map types met, by address. Written here, read by userspace.
#[map]
pub(crate) static TYPES: HashMap<u64, MapType> = HashMap::with_max_entries(4096, 0);

/// A type that was met last, with its block, for each value of a few bits of types' addresses: an array is found in at
/// less cost than a hash table. Written here.
#[map]
pub(crate) static TYPES_MET_LAST: Array<u64> =
    Array::with_max_entries(crate::types::recent::MET_LAST, 0);

/// Map types by their blocks. Written here.
#[map]
pub(crate) static TYPES_BY_BLOCK: Array<MapType> = Array::with_max_entries(2048, 0);

/// How many blocks of `COUNTS` have been given to types. Written here.
#[map]
pub(crate) static BLOCKS_USED: Array<u64> = Array::with_max_entries(1, 0);

/// Operations by type, cell and depth, for near depths. Written here, read by userspace.
#[map]
pub(crate) static COUNTS: PerCpuArray<Block> = PerCpuArray::with_max_entries(16, 0);

/// Operations deeper than that. Written here, read by userspace.
#[map]
pub(crate) static DEEP: HashMap<DeepKey, u64> = HashMap::with_max_entries(16384, 0);

/// Operations that could not be walked, by call site, type, and cause in the place of the cell. Written here, read by
/// userspace.
#[map]
pub(crate) static FAILURES: HashMap<SiteKey, u64> = HashMap::with_max_entries(FAILURE_KEYS, 0);

/// Operations by call site, type, cell and depth. Written here, read by userspace in its own memory.
#[map]
pub(crate) static BY_SITE: Array<SiteSlot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Operations by map, type, cell and depth: those of the maps that were used last. Written here, read by userspace
/// in its own memory.
#[map]
pub(crate) static BY_MAP: Array<MapSlot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// How often maps have been changed, by part of their addresses. Written here.
#[map]
pub(crate) static CHANGES: Array<u64> = Array::with_max_entries(1, 0);

/// Stacks met, by a number made of what is in them. Written here, read by userspace.
#[map]
pub(crate) static STACKS: HashMap<u64, Stack> = HashMap::with_max_entries(1, 0);

/// Operations by stack, type, cell and depth. Written here, read by userspace in its own memory.
#[map]
pub(crate) static BY_STACK: Array<SiteSlot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Types that are not wanted, by block: not 0. Written by userspace, as it learns their names.
#[map]
pub(crate) static UNWANTED: Array<u32> = Array::with_max_entries(16, 0);

/// Operations that are in no row, by cause. Written here, read by userspace.
#[map]
pub(crate) static QUALITY: PerCpuArray<[u64; CAUSES]> = PerCpuArray::with_max_entries(1, 0);

/// Goroutines whose operation waits for its map's old bucket to be evacuated. Written here.
#[map]
pub(crate) static PENDING: HashMap<u64, Waiting> = HashMap::with_max_entries(16384, 0);

/// Memory of operations under way. Used here only.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(PER_CPU, 0);

/// Whether operations are counted now: a `Gate`. Written by userspace, in its own memory.
#[map]
pub(crate) static GATE: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What traps cost, by CPU. Written here, read by userspace in its own memory.
#[map]
pub(crate) static TALLY: Array<Tally> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Operations counted in windows, `LOG_RECORDS` per CPU: each a `Record`. Written here, read by userspace in its own memory.
#[map]
pub(crate) static LOG: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The process that is watched. Written by userspace.
#[map]
pub(crate) static WATCHED: Array<Identity> = Array::with_max_entries(1, 0);

/// Not 0 once it runs another program. Written here.
#[map]
pub(crate) static CHANGED: Array<u64> = Array::with_max_entries(1, 0);

/// What happens to it, a word each. Written here, read by userspace.
#[map]
pub(crate) static LIVES: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// The process that is sampled. Written by userspace.
#[map]
pub(crate) static SAMPLED: Array<Sampled> = Array::with_max_entries(1, 0);

/// Which site describes each byte of the map functions, 16 bits each. Written by userspace.
#[map]
pub(crate) static CODE: Array<u64> = Array::with_max_entries(1, 0);

/// Samples of the process. Written here, read by userspace.
#[map]
pub(crate) static PROCESS_SAMPLES: PerCpuArray<ProcessSamples> =
    PerCpuArray::with_max_entries(1, 0);

/// Samples of each map function, by its number. Written here, read by userspace.
#[map]
pub(crate) static FUNCTION_SAMPLES: PerCpuArray<FunctionSamples> =
    PerCpuArray::with_max_entries(MAX_RANGES as u32, 0);

/// Goroutines whose operation has been walked and has not returned. Written here, when verifying.
#[map]
pub(crate) static EXPECTED: HashMap<u64, Expected> = HashMap::with_max_entries(1, 0);

/// What came of verifying, by map function. Written here, read by userspace.
#[map]
pub(crate) static VERDICTS: PerCpuArray<Verdicts> = PerCpuArray::with_max_entries(1, 0);

/// The first operations on which walk and runtime differed. Written here, read by userspace.
#[map]
pub(crate) static DIFFERENCES: Array<Difference> = Array::with_max_entries(1, 0);

/// How many places of `DIFFERENCES` have been given away. Written here.
#[map]
pub(crate) static DIFFERENCES_USED: Array<u64> = Array::with_max_entries(1, 0);

/// Where the target's zero values lie. Written by userspace.
#[map]
pub(crate) static ZERO: Array<[u64; 2]> = Array::with_max_entries(1, 0);
