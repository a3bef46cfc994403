//! Finds keys in tables of slots. Atomically, as several CPUs, and several threads of one CPU, do so at once.

use aya_ebpf::maps::Array;
use map_probe_common::counts::{MAP_SLOTS, MapKey, SITE_SLOTS, SiteKey};
use map_probe_common::slots::{
    FILLED, FILLING, FREE, GIVEN, SLOTS_PROBED, STATUS, Slot, SlotKey, SlotValue, first_slot,
};

use crate::atomic;
use crate::tables::{BY_MAP, BY_SITE, BY_STACK};

/// What is said if there is no room for the key: no table has such a slot.
const NONE: u32 = u32::MAX;

// Global functions in the verifier's sense, which it checks once by themselves: inlined, all paths through their loops
// would be followed for all that was before, which takes it half a second.

/// The slot of [`BY_SITE`] for this key.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn site_slot(caller: u64, kind: u64) -> u32 {
    index(&BY_SITE, SITE_SLOTS, &SiteKey::new(caller, kind))
}

/// The slot of [`BY_STACK`] for this key.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn stack_slot(stack: u64, kind: u64) -> u32 {
    index(&BY_STACK, SITE_SLOTS, &SiteKey::new(stack, kind))
}

/// The slot of [`BY_MAP`] for this key.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn map_slot(map: u64, caller: u64, kind: u64) -> u32 {
    let site = SiteKey::new(caller, kind);
    index(&BY_MAP, MAP_SLOTS, &MapKey { map, site })
}

/// The slot for `key`, if it is the first that is looked at: most are, and it is not worth a call.
#[inline(always)]
pub(crate) fn first<K: SlotKey + 'static, V: SlotValue + 'static>(
    table: &'static Array<Slot<K, V>>,
    slots: u32,
    key: &K,
) -> Option<*mut Slot<K, V>> {
    let slot = table.get_ptr_mut(first_slot(key.slot_hash(), slots - 1))?;
    // SAFETY: as in `index`.
    let has = unsafe {
        (&raw const (*slot).state).read_volatile() & STATUS == FILLED && (*slot).key == *key
    };
    has.then_some(slot)
}

/// The slot for `key`, in a table of `slots` slots, a power of two.
///
/// A key can get two slots if it is new to two threads at once: userspace adds them up.
#[inline(always)]
fn index<K: SlotKey + 'static, V: SlotValue + 'static>(
    table: &'static Array<Slot<K, V>>,
    slots: u32,
    key: &K,
) -> u32 {
    let mask = slots - 1;
    let first = first_slot(key.slot_hash(), mask);
    let mut oldest = (first, u64::MAX);
    for distance in 0..SLOTS_PROBED {
        let index = first.wrapping_add(distance) & mask;
        let Some(slot) = table.get_ptr_mut(index) else {
            return NONE;
        };
        // SAFETY: the pointer is to a map's value; others write the state too, whole.
        let state = unsafe { (&raw const (*slot).state).read_volatile() };
        if state & STATUS == FILLED {
            // SAFETY: as above. A key does not change while its slot is filled.
            let (has, used) = unsafe { (&(*slot).key, (*slot).value.last_used()) };
            if has == key {
                return index;
            }
            // 0: it was given to somebody just now, who is about to count in it.
            if used != 0 && used < oldest.1 {
                oldest = (index, used);
            }
        } else if state == FREE && give(slot, state, state, key) {
            return index;
        }
    }
    if oldest.1 != u64::MAX
        && let Some(slot) = table.get_ptr_mut(oldest.0)
    {
        // SAFETY: as above.
        let state = unsafe { (&raw const (*slot).state).read_volatile() };
        if state & STATUS == FILLED && give(slot, state, state.wrapping_add(GIVEN), key) {
            return oldest.0;
        }
    }
    NONE
}

/// Gives the slot to `key`, with a state like `after`, if its state still is `before`.
#[inline(always)]
fn give<K: SlotKey, V: SlotValue>(slot: *mut Slot<K, V>, before: u64, after: u64, key: &K) -> bool {
    let after = after & !STATUS;
    // SAFETY: the pointer is to a map's value; who has changed the state to this one has the slot to himself. x86 shows
    // stores in their order to others (Intel's manual, volume 3, "Memory Ordering").
    unsafe {
        if atomic::compare_exchange(&raw mut (*slot).state, before, after | FILLING) != before {
            return false;
        }
        (&raw mut (*slot).key).write_volatile(*key);
        (&raw mut (*slot).value).write_volatile(V::default());
        (&raw mut (*slot).state).write_volatile(after | FILLED);
    }
    true
}
