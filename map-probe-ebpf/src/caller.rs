//! Whose operation it is: the return address of the map function, or of the wrapper that called it.

use core::mem::MaybeUninit;

use map_probe_common::Site;
use map_probe_common::site::{MAX_WRAPPERS, NO_CALLER, Place, STACK_WORDS, WRAPPER_LEVELS};

use crate::opaque;
use crate::values::PLACES;
use crate::world::read_into;

/// Where the code that does the operation goes on when it is done; 0 if that cannot be read.
/// `words` of the stack window have been read.
#[inline(always)]
pub(crate) fn of(site: &Site, places: &[u64; PLACES], words: u8, stack: u64) -> u64 {
    if site.caller_offset == NO_CALLER {
        return 0;
    }
    let mut offset = u64::from(site.caller_offset);
    let mut caller = word(site, places, words, stack, offset);
    for _ in 0..WRAPPER_LEVELS {
        let Some(distance) = distance(site, caller) else {
            break;
        };
        offset = offset.wrapping_add(distance);
        caller = word(site, places, words, stack, offset);
    }
    caller
}

/// How far up the stack the wrapper's own return address is, if `caller` is in one.
#[inline(always)]
fn distance(site: &Site, caller: u64) -> Option<u64> {
    for index in 0..MAX_WRAPPERS {
        let wrapper = &site.wrappers[index];
        if wrapper.return_address == 0 {
            break;
        }
        if wrapper.return_address == caller {
            return Some(wrapper.distance);
        }
    }
    None
}

/// The word so many bytes above the stack pointer: from the window that has been read, or from the stack.
#[inline(always)]
fn word(site: &Site, places: &[u64; PLACES], words: u8, stack: u64, offset: u64) -> u64 {
    let index = offset.wrapping_sub(u64::from(site.stack_offset)) / 8;
    if index < u64::from(words) {
        let index = opaque::number(index as usize);
        if index < STACK_WORDS {
            return places[usize::from(Place::FIRST_STACK_WORD) + index];
        }
    }
    let mut found = MaybeUninit::<u64>::uninit();
    // SAFETY: there is room for as many bytes.
    match unsafe { read_into(found.as_mut_ptr().cast(), 8, stack.wrapping_add(offset)) } {
        // SAFETY: it has just been written.
        Some(()) => unsafe { found.assume_init() },
        None => 0,
    }
}
