//! The kernel side of map-probe: at every probe site, finds the operation's
//! values, walks the target's map, and counts the depth.
//!
//! It knows no Go version and makes no policy: userspace says where the values
//! are and how maps are laid out, and reads the counters.
#![no_std]
#![no_main]
// For `atomic`: Rust has no atomic arithmetic for this target yet.
#![feature(asm_experimental_arch)]

mod atomic;
mod caller;
mod cookie;
mod count;
mod lives;
mod opaque;
mod pending;
mod places;
mod sample;
mod scratch;
mod sights;
mod slots;
mod stack;
mod tables;
mod types;
mod values;
mod verify;
mod window;
mod world;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{perf_event, uprobe};
use aya_ebpf::programs::{PerfEventContext, ProbeContext};
use aya_log_ebpf::{debug, info};
use map_probe_common::counts::UNKNOWN_TYPE_BLOCK;
use map_probe_common::op::cell;
use map_probe_common::quality::Cause;
use map_probe_common::site::Role;
use map_probe_common::walk::{End, Search};
use map_probe_common::window::Record;

use crate::scratch::Scratch;
use crate::values::Values;
use crate::window::Trap;
use crate::world::Kernel;

/// A probe site was reached. Sleepable, so that memory the target has not touched yet can be read.
#[uprobe(sleepable)]
fn map_probe(ctx: ProbeContext) -> u32 {
    scratch::stay_on_the_threads_stack();
    let trap = window::enter();
    if trap.counts() {
        let result = scratch::claim().and_then(|scratch| {
            let result = operation::<false>(&ctx, trap, scratch);
            scratch::release(scratch);
            result
        });
        if let Err(cause) = result {
            count::failed(cause);
        }
    }
    trap.leave(&ctx);
    0
}

/// The same, and at a function's returns compares what the runtime found with what the walk found. Never in windows.
#[uprobe(sleepable)]
fn map_probe_verify(ctx: ProbeContext) -> u32 {
    scratch::stay_on_the_threads_stack();
    if let Some(cookie) = verify::at_return(&ctx) {
        verify::compare(&ctx, cookie);
        return 0;
    }
    let result = scratch::claim().and_then(|scratch| {
        let result = operation::<true>(&ctx, window::always(), scratch);
        scratch::release(scratch);
        result
    });
    if let Err(cause) = result {
        count::failed(cause);
    }
    0
}

/// Does nothing: what a trap costs by itself (`cargo xtask bench`).
#[uprobe(sleepable)]
fn empty(_ctx: ProbeContext) -> u32 {
    0
}

/// The timer of a CPU fired.
#[perf_event]
fn map_sample(ctx: PerfEventContext) -> u32 {
    sample::take(ctx.as_ptr());
    0
}

/// Does nothing: what a sample costs by itself (`cargo xtask bench`).
#[perf_event]
fn empty_sample(_ctx: PerfEventContext) -> u32 {
    0
}

#[inline(always)]
fn operation<const VERIFY: bool>(
    ctx: &ProbeContext,
    trap: Trap,
    scratch: &mut Scratch,
) -> Result<(), Cause> {
    if let Err(cause) = Values::read(ctx, &mut scratch.places, &mut scratch.values) {
        return Err(count::failed_at(0, UNKNOWN_TYPE_BLOCK, cause));
    }
    // SAFETY: they have just been written.
    let values = unsafe { scratch.values.assume_init_mut() };
    if world::options().map != 0 && world::options().map != values.operation.map {
        return Ok(());
    }
    if values.operation.role as u8 == Role::AfterEvacuation as u8 {
        // Most operations here were counted at their first site: an insert that grew its map passes again.
        let Some(hash) = pending::take(values.goroutine, trap.window()) else {
            return Ok(());
        };
        values.operation.hash = hash;
    }
    let typ = match types::of(Kernel, values.typ) {
        Ok(typ) => typ,
        Err(cause) => return Err(count::failed_at(values.caller, UNKNOWN_TYPE_BLOCK, cause)),
    };
    if types::is_unwanted(&typ) {
        return Ok(());
    }
    values.sight = sights::before(values.operation.op, values.operation.map);
    match Search::walk_in(
        &mut scratch.search,
        &mut scratch.shape,
        Kernel,
        typ,
        &values.operation,
    ) {
        End::At {
            outcome,
            class,
            depth,
        } => {
            debug!(
                ctx,
                "map {:x} type {:x} hash {:x}: op {} outcome {} class {} depth {}",
                values.operation.map,
                values.typ,
                values.operation.hash,
                values.operation.op as u8,
                outcome as u8,
                class as u8,
                depth
            );
            let op = values.operation.op;
            let cell = cell(op, outcome, class);
            // Whatever can fail comes before anything is counted; then the operation is in all lists, or in none.
            if VERIFY {
                verify::expect(ctx, scratch, &typ, cell)?;
            }
            let place = trap.reserve()?;
            if let Err(cause) = count::operation(typ.block, cell, depth) {
                trap.log(place, Record::VOID);
                return Err(cause);
            }
            places::count(scratch, typ.block, cell as u32, depth);
            trap.log(place, Record::new(typ.block, cell as u32, depth));
            Ok(())
        }
        End::Deferred => pending::put(values.goroutine, values.operation.hash, trap.window()),
        End::Failed(cause) => {
            info!(
                ctx,
                "map {:x} type {:x} hash {:x}: not walked, cause {}",
                values.operation.map,
                values.typ,
                values.operation.hash,
                cause as u32
            );
            Err(count::failed_at(values.caller, typ.block, cause))
        }
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing in this program can panic; the verifier would refuse a path that gets here.
    unsafe { core::hint::unreachable_unchecked() }
}

/// The helpers that read user memory are for GPL-compatible programs, as one under the MIT licence is.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
