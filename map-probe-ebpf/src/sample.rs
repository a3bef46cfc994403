//! A sample of CPU time: if it meets the target in a map operation, walks that operation.
//!
//! This runs in a timer's hard interrupt. It cannot sleep, so memory that is not there is a fault; and nothing else of
//! its kind runs on the CPU until it has ended (`bpf_overflow_handler`, kernel/events/core.c, sees to it too), so that
//! it needs no claim to its scratch memory, and may well be given a stack of its own per CPU (Linux 6.13 and later).

use core::ffi::c_void;

use aya_ebpf::bindings::pt_regs;
use map_probe_common::counts::UNKNOWN_TYPE_BLOCK;
use map_probe_common::equal::EqualProgram;
use map_probe_common::op::{Class, Op, Outcome, cell};
use map_probe_common::quality::Cause;
use map_probe_common::sample::{BYTES_PER_ELEMENT, FRAMELESS, FunctionSamples, Sampled};
use map_probe_common::site::{Place, Site};
use map_probe_common::walk::hash::{Hashing, hash};
use map_probe_common::walk::{End, MapType, Operation, Search, World as _};

use crate::lives::is_current;
use crate::scratch::{self, Scratch};
use crate::tables::{CODE, FUNCTION_SAMPLES, PROCESS_SAMPLES, SAMPLED, SITES};
use crate::values::Values;
use crate::world::{Kernel, options};
use crate::{atomic, count, places, stack, types};

/// How many frames above the interrupted function's are looked at for a map function: the hash of a struct's string is four
/// calls deep (`mapaccess1`, `type:.hash.T`, `strhash`, `aeshashbody`), of which the last has no frame.
const FRAMES: usize = 4;

/// Where a sample met a map operation.
struct Met {
    /// The map function's number.
    function: u32,
    /// The entry in the table of code.
    entry: u32,
    /// The stack pointer of the map function.
    stack_pointer: u64,
    /// Whether it was in a function that the map function called.
    below: bool,
}

/// Takes one sample. `ctx` is the interrupted thread's registers.
#[inline(always)]
pub(crate) fn take(ctx: *mut c_void) {
    let Some(sampled) = SAMPLED.get(0) else {
        return;
    };
    if !meets(sampled) {
        return;
    }
    let Some(process) = PROCESS_SAMPLES.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the pointer is to a map's value.
    let process = unsafe { &mut *process };
    atomic::increment(&mut process.total);
    // SAFETY: a perf event's context begins with the registers.
    let regs = unsafe { &*ctx.cast::<pt_regs>() };
    if regs.cs & 3 == 0 {
        atomic::increment(&mut process.kernel);
        return;
    }
    let Some(met) = operation_at(sampled, regs.rip, regs.rsp, regs.rbp) else {
        return;
    };
    let Some(function) = FUNCTION_SAMPLES.get_ptr_mut(met.function) else {
        return;
    };
    // SAFETY: the pointer is to a map's value.
    let function: &mut FunctionSamples = unsafe { &mut *function };
    atomic::increment(if met.below {
        &mut function.below
    } else {
        &mut function.inside
    });
    let Some(scratch) = scratch::of_this_cpu() else {
        return;
    };
    match walk(ctx, sampled, &met, scratch) {
        Ok(true) => atomic::increment(&mut function.walked),
        Ok(false) => {}
        Err(cause) => count::failed(cause),
    }
}

/// Whether the CPU runs the process that is sampled.
#[inline(always)]
fn meets(sampled: &Sampled) -> bool {
    is_current(&sampled.process)
}

/// The map operation under way: that of the function at `ip`, or of one that called it.
#[inline(always)]
fn operation_at(sampled: &Sampled, ip: u64, rsp: u64, rbp: u64) -> Option<Met> {
    let (function, entry) = halves(find(sampled, ip));
    if entry != 0 && function != FRAMELESS {
        return Some(Met {
            function,
            entry: entry - 1,
            stack_pointer: rsp,
            below: false,
        });
    }
    // A function without a frame has its return address on top of the stack, others above the frame pointer's home.
    if entry != 0 {
        let return_address = Kernel.read::<u64>(rsp)?;
        if let Some(met) = called_at(sampled, return_address, rsp.wrapping_add(8)) {
            return Some(met);
        }
    }
    let mut frame = rbp;
    for _ in 0..FRAMES {
        let (above, return_address) = stack::up(frame)?;
        if let Some(met) = called_at(sampled, return_address, frame.wrapping_add(16)) {
            return Some(met);
        }
        if above == 0 {
            break;
        }
        frame = above;
    }
    None
}

/// The map operation of the function that a call returns to, with its stack pointer.
#[inline(always)]
fn called_at(sampled: &Sampled, return_address: u64, stack_pointer: u64) -> Option<Met> {
    // The last byte of the call, at which no instruction begins, stands for the time that the call takes.
    let (function, entry) = halves(find(sampled, return_address.wrapping_sub(1)));
    (entry != 0 && function != FRAMELESS).then(|| Met {
        function,
        entry: entry - 1,
        stack_pointer,
        below: true,
    })
}

fn halves(found: u64) -> (u32, u32) {
    ((found >> 32) as u32, found as u32)
}

/// The number of the function at `ip`, and the entry of that byte in the table of code, from 1 on; 0 if it is in none.
#[inline(never)]
fn find(sampled: &Sampled, ip: u64) -> u64 {
    let mut index = 0;
    // As many steps as halve `MAX_RANGES`.
    for step in [32, 16, 8, 4, 2, 1] {
        if sampled.code[(index + step) & 63].start <= ip {
            index += step;
        }
    }
    let range = &sampled.code[index & 63];
    if ip < range.start || ip >= range.end {
        return 0;
    }
    let entry = (range.first).wrapping_add((ip - range.start) as u32);
    u64::from(range.function) << 32 | u64::from(entry.wrapping_add(1))
}

/// Walks the operation, if it is known where its values are; false if not, or if the operation evacuates now.
#[inline(always)]
fn walk(
    ctx: *mut c_void,
    sampled: &Sampled,
    met: &Met,
    scratch: &mut Scratch,
) -> Result<bool, Cause> {
    let Some(element) = CODE.get(met.entry / BYTES_PER_ELEMENT as u32) else {
        return Ok(false);
    };
    let site = element >> (met.entry % BYTES_PER_ELEMENT as u32 * 16) & 0xffff;
    if site == 0 {
        return Ok(false);
    }
    let site = SITES.get(site as u32 - 1).ok_or(Cause::UnknownSite)?;
    if let Err(cause) = read_values(ctx, site, met.stack_pointer, scratch) {
        return Err(count::failed_at(0, UNKNOWN_TYPE_BLOCK, cause));
    }
    // SAFETY: they have just been written.
    let values = unsafe { scratch.values.assume_init_mut() };
    let operation = &mut values.operation;
    let only = options().map;
    if only != 0 && only != operation.map {
        return Ok(false);
    }
    let caller = values.caller;
    let typ = match types::of(Kernel, values.typ) {
        Ok(typ) => typ,
        Err(cause) => return Err(count::failed_at(caller, UNKNOWN_TYPE_BLOCK, cause)),
    };
    let failed = |cause| Err(count::failed_at(caller, typ.block, cause));
    let is_empty = match holds_nothing(operation.map) {
        Ok(is_empty) => is_empty,
        Err(cause) => return failed(cause),
    };
    if is_empty {
        // Lookups and deletes end before they hash; an insert finds nothing whatever the hash.
        if operation.op as u8 == Op::Insert as u8 {
            return Ok(false);
        }
        return counted(scratch, typ.block, Outcome::Absent, Class::Small, 1);
    }
    if site.hash == Place::NONE.0 {
        match hash_of(sampled, typ.key_program, typ.key_bytes, operation) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(cause) => return failed(cause),
        }
    }
    match Search::walk_in(
        &mut scratch.search,
        &mut scratch.shape,
        Kernel,
        typ,
        operation,
    ) {
        End::At {
            outcome,
            class,
            depth,
        } => counted(scratch, typ.block, outcome, class, depth),
        End::Deferred => Ok(false),
        End::Failed(cause) => failed(cause),
    }
}

// A function of its own: its stack is free again when the walk needs it, which is not the CPU's own up to Linux 6.12.
#[inline(never)]
fn read_values(
    ctx: *mut c_void,
    site: &Site,
    stack_pointer: u64,
    scratch: &mut Scratch,
) -> Result<(), Cause> {
    let Scratch { places, values, .. } = scratch;
    Values::at(ctx, site, stack_pointer, places, values)
}

/// Counts a sample whose operation was walked.
#[inline(always)]
fn counted(
    scratch: &mut Scratch,
    block: u32,
    outcome: Outcome,
    class: Class,
    depth: u32,
) -> Result<bool, Cause> {
    // SAFETY: written before the walk.
    let op = unsafe { scratch.values.assume_init_ref() }.operation.op;
    let cell = cell(op, outcome, class);
    count::operation(block, cell, depth)?;
    places::count(scratch, block, cell as u32, depth);
    Ok(true)
}

/// Whether a map is nil or has no entries: both families of maps begin with their number (`hmap.count`, `Map.used`).
#[inline(always)]
fn holds_nothing(map: u64) -> Result<bool, Cause> {
    if map == 0 {
        return Ok(true);
    }
    let entries = Kernel.read::<u64>(map).ok_or(Cause::Fault)?;
    Ok(entries == 0)
}

/// Computes the operation's hash, which the function does not have here; false if that cannot be done.
#[inline(never)]
fn hash_of(
    sampled: &Sampled,
    key_program: EqualProgram,
    key_bytes: u32,
    operation: &mut Operation,
) -> Result<bool, Cause> {
    // Only what is needed of the type is passed on: a pointer to it would take another copy of it on the caller's stack.
    let typ = &MapType {
        key_program,
        key_bytes,
        ..MapType::default()
    };
    if sampled.key_schedule == 0 {
        return Ok(false);
    }
    let uses_aes = Kernel.read::<u8>(sampled.uses_aes).ok_or(Cause::Fault)?;
    if uses_aes == 0 {
        return Ok(false);
    }
    let hashing = Hashing {
        key_schedule: sampled.key_schedule,
        seed: sampled.seed,
    };
    let key = (operation.key_form, operation.key, operation.key_len);
    match hash(Kernel, &hashing, typ, operation.map, key)? {
        Some(hash) => {
            operation.hash = hash;
            Ok(true)
        }
        None => Ok(false),
    }
}
