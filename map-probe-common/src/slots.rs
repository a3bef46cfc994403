//! Tables that the kernel side writes and userspace reads in its own memory: an array of slots, in which a key is looked for
//! from the place that its hash says. At several times the price of this the kernel's own hash tables can do more.

/// The most slots that are looked at for a key, one after the other.
pub const SLOTS_PROBED: u32 = 16;

/// A slot: free, being filled, or filled with a key and what is counted under it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slot<K, V> {
    /// The slot's status in the lowest bits, and above them how often it has been given to another key.
    pub state: u64,
    /// The key.
    pub key: K,
    /// What is counted under it.
    pub value: V,
}

/// The bits of [`Slot::state`] that are the status.
pub const STATUS: u64 = 3;
/// Nobody has the slot.
pub const FREE: u64 = 0;
/// Somebody is about to have it.
pub const FILLING: u64 = 1;
/// It has a key, which stays until the next [`FILLING`].
pub const FILLED: u64 = 2;
/// How often the slot has been given to another key, once more.
pub const GIVEN: u64 = STATUS + 1;

/// A key that slots can have.
pub trait SlotKey: Copy + PartialEq {
    /// A number made of all of it.
    fn slot_hash(&self) -> u64;
}

/// What is counted in a slot.
pub trait SlotValue: Copy + Default {
    /// When it was last counted in: the slot that is longest ago is given to another key if there is no free one.
    /// `u64::MAX`, if slots are never given away.
    fn last_used(&self) -> u64;
}

impl SlotValue for u64 {
    #[inline]
    fn last_used(&self) -> u64 {
        u64::MAX
    }
}

/// Two numbers as one, of which the upper half is as good as random.
#[inline]
#[must_use]
pub fn mix(first: u64, second: u64) -> u64 {
    // An odd number without a pattern: 2^64 over the golden ratio.
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (first ^ second.wrapping_mul(ODD)).wrapping_mul(ODD);
    mixed ^ mixed >> 32
}

/// The place of the first slot for a key, in a table of so many slots less one; their number is a power of two.
#[inline]
#[must_use]
pub fn first_slot(hash: u64, mask: u32) -> u32 {
    (hash >> 24) as u32 & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::{MapKey, SiteKey};
    use std::collections::HashMap;

    #[test]
    fn keys_that_differ_little_have_places_of_their_own() {
        // Maps as an allocator of one size gives them, with the kinds and depths that each has.
        let keys = (0..1024u64).flat_map(|map| {
            (0..4u16).map(move |depth| MapKey {
                map: 0xc000_0000_0000 + map * 48,
                site: SiteKey {
                    caller: 0,
                    block: 4,
                    cell: 3,
                    depth,
                },
            })
        });
        let mut places: HashMap<u32, u32> = HashMap::new();
        for key in keys {
            *places
                .entry(first_slot(key.slot_hash(), 16_383))
                .or_default() += 1;
        }
        // 4,096 keys at random in 16,384 places: about 3,624 different ones.
        assert!(places.len() > 3500, "{} places", places.len());
        assert!(places.values().all(|keys| *keys <= 6));
    }
}
