//! Calls of map functions by other functions of the runtime, on behalf of the code that does the operation: Go 1.27's
//! `mapaccess1` only calls `mapaccess2`, all `mapdelete` of Swiss maps end in one method.

use iced_x86::{Decoder, DecoderOptions, Instruction};
use map_probe_common::site::{MAX_WRAPPERS, NO_CALLER, STACK_WORDS, Site, Wrapper};

use super::{Coverage, MapFunction, PlannedFunction};
use crate::target::Function;

/// Lets all sites know the wrappers of their function, so that the kernel side can tell whose operation it is.
///
/// `find` finds a function by its symbol; `stack_bytes` says how far above the stack pointer the return address of the
/// function at a linked address is there. Addresses are linked ones, as in [`super::PlannedSite`].
pub fn name_callers<'a>(
    planned: &mut [PlannedFunction],
    find: &dyn Fn(&str) -> Option<Function<'a>>,
    stack_bytes: &dyn Fn(u64) -> Option<u32>,
) {
    for function in planned {
        let Coverage::Covered(sites) = &mut function.coverage else {
            continue;
        };
        let calls = wrappers(&function.function, function.address, find, stack_bytes);
        for site in sites {
            set(&mut site.site, &calls);
        }
    }
}

/// The calls by which the wrappers of a function, which is at `address`, reach it and each other.
pub(super) fn wrappers<'a>(
    function: &MapFunction,
    address: u64,
    find: &dyn Fn(&str) -> Option<Function<'a>>,
    stack_bytes: &dyn Fn(u64) -> Option<u32>,
) -> Vec<Wrapper> {
    let wrappers = function.wrappers.iter();
    let wrappers: Vec<_> = wrappers.filter_map(|name| find(name)).collect();
    let mut callees: Vec<u64> = wrappers.iter().map(|wrapper| wrapper.address).collect();
    callees.push(address);
    wrappers
        .iter()
        .flat_map(|wrapper| calls(wrapper, &callees, stack_bytes))
        .collect()
}

/// Lets a site know the wrappers of its function.
pub(super) fn set(site: &mut Site, calls: &[Wrapper]) {
    let mut words = site.stack_words;
    for (index, call) in calls.iter().take(MAX_WRAPPERS).enumerate() {
        site.wrappers[index] = *call;
        words = words_to(site, call).map_or(words, |reach| words.max(reach));
    }
    site.wide_words = words;
}

/// How long a site's window has to be to have a wrapper's return address in it; `None` if it cannot be.
fn words_to(site: &Site, call: &Wrapper) -> Option<u8> {
    if site.caller_offset == NO_CALLER {
        return None;
    }
    let offset = u64::from(site.caller_offset).checked_add(call.distance)?;
    let words = offset.checked_sub(site.stack_offset.into())? / 8 + 1;
    u8::try_from(words)
        .ok()
        .filter(|words| usize::from(*words) <= STACK_WORDS)
}

/// Whether a function calls one of `callees` that is not itself.
pub(super) fn calls_any(function: &Function<'_>, callees: &[u64]) -> bool {
    calls_of(function, callees).next().is_some()
}

/// The instructions that call one of `callees`, the function itself not among them.
fn calls_of(function: &Function<'_>, callees: &[u64]) -> impl Iterator<Item = Instruction> {
    let decoder = Decoder::with_ip(64, function.code, function.address, DecoderOptions::NONE);
    decoder.into_iter().filter(|instruction| {
        let target = instruction.near_branch_target();
        instruction.is_call_near() && target != function.address && callees.contains(&target)
    })
}

/// The calls in `wrapper` of `callees`, itself not among them, with what lies above their frames.
fn calls(
    wrapper: &Function<'_>,
    callees: &[u64],
    stack_bytes: &dyn Fn(u64) -> Option<u32>,
) -> Vec<Wrapper> {
    calls_of(wrapper, callees)
        .filter_map(|call| {
            // As the call returns, its return address has just been taken off the stack.
            let distance = u64::from(stack_bytes(call.ip())?) + 8;
            Some(Wrapper {
                return_address: call.next_ip(),
                distance,
            })
        })
        .take(MAX_WRAPPERS)
        .collect()
}
