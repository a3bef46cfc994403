//! Classic maps: the walk against a search in plain buckets.

use std::vec::Vec;

use proptest::prelude::*;

use super::dice::Dice;
use super::operations::{Slots, at, key_shape};
use super::target::{CLASSIC, Target};
use super::values::{Shape, Value};
use crate::op::{Class, Op};
use crate::quality::Cause;
use crate::site::{Role, STOPS_AT_EMPTY_REST};
use crate::walk::{End, Operation};

/// A bucket: tophashes and keys. Slots that are not filled have keys too: what was there before.
pub(super) type Bucket = ([u8; 8], [Value; 8]);
/// A bucket and its overflow buckets.
pub(super) type Chain = Vec<Bucket>;

/// A map as `runtime/map.go` has it.
pub(super) struct Map {
    pub(super) b: u8,
    pub(super) is_same_size_growth: bool,
    pub(super) is_written: bool,
    /// None before the first insert.
    pub(super) buckets: Option<Vec<Chain>>,
    /// While it grows.
    pub(super) old: Option<Vec<Chain>>,
}

/// `tophash` of runtime/map.go.
fn tophash(hash: u64) -> u8 {
    match (hash >> 56) as u8 {
        mark @ 0..5 => mark + 5,
        top => top,
    }
}

impl Map {
    fn random(shape: &Shape, hash: u64, dice: &mut Dice) -> Self {
        let b = dice.below(4) as u8;
        let tag = tophash(hash);
        let mut chains = |count: usize| -> Vec<Chain> {
            let mut bucket = |is_first: bool| -> Bucket {
                let tags = [0; 8].map(|_| match dice.below(12) {
                    0..5 => tag,
                    5..7 => 5 + dice.below(251) as u8,
                    7..10 => 1,
                    10 => 0,
                    _ => 2 + dice.below(3) as u8,
                });
                let mut bucket = (tags, [0; 8].map(|_| Value::random(shape, dice, 1)));
                if is_first && dice.one_in(2) {
                    bucket.0[0] = dice.pick(&[0, 1, 2, 3, 4, 5, 255]);
                }
                bucket
            };
            let mut chain = || {
                let overflow = [0, 0, 1, 2, 5][bucket(false).0[3] as usize % 5];
                (0..=overflow).map(|number| bucket(number == 0)).collect()
            };
            (0..count).map(|_| chain()).collect()
        };
        let buckets = chains(1 << b);
        let smaller = chains(1 << b.saturating_sub(1));
        let same = chains(1 << b);
        let is_same_size_growth = dice.one_in(2);
        let old = if is_same_size_growth { same } else { smaller };
        Self {
            b,
            is_same_size_growth,
            is_written: dice.one_in(8),
            buckets: (!dice.one_in(16)).then_some(buckets),
            old: dice.one_in(2).then_some(old),
        }
    }

    /// What the runtime does, after `mapaccess1`, `mapassign` and `mapdelete` of runtime/map.go.
    fn reference(&self, operation: &Operation, key: &Value) -> End {
        if self.is_written && operation.op == Op::Lookup {
            return End::Failed(Cause::Torn);
        }
        let class = if self.b == 0 {
            Class::Small
        } else {
            Class::Table
        };
        let Some(buckets) = &self.buckets else {
            return at(false, class, 1);
        };
        let mut chain = &buckets[operation.hash as usize % buckets.len()];
        if let (Some(old), false) = (&self.old, operation.role == Role::AfterEvacuation) {
            let old = &old[operation.hash as usize % old.len()];
            let is_evacuated = 1 < old[0].0[0] && old[0].0[0] < 5;
            match operation.op {
                _ if is_evacuated => {}
                Op::Lookup => chain = old,
                Op::Insert | Op::Delete => return End::Deferred,
            }
        }
        let top = tophash(operation.hash);
        for (bucket, (tags, keys)) in chain.iter().enumerate() {
            for (tag, there) in tags.iter().zip(keys) {
                if *tag == top && there.equals(key) {
                    return at(true, class, bucket + 1);
                }
                if *tag == 0 && operation.search & STOPS_AT_EMPTY_REST != 0 {
                    return at(false, class, bucket + 1);
                }
            }
        }
        at(false, class, chain.len())
    }
}

fn place_chains(
    target: &mut Target,
    slots: &Slots,
    shape: &Shape,
    chains: &[Chain],
    dice: &mut Dice,
) -> u64 {
    let size = slots.unit_size;
    let place = |target: &Target, count: usize| {
        target
            .memory
            .borrow_mut()
            .place_zeros(size as usize * count)
    };
    let start = place(target, chains.len());
    for (number, chain) in chains.iter().enumerate() {
        let mut unit = start + size * number as u64;
        for (depth, (tags, keys)) in chain.iter().enumerate() {
            target.fill(slots, unit, shape, (*tags, keys), dice);
            if depth + 1 < chain.len() {
                let overflow = place(target, 1);
                target
                    .memory
                    .borrow_mut()
                    .put_word(unit + size - 8, overflow);
                unit = overflow;
            }
        }
    }
    start
}

/// Puts the map into memory; the address of its `hmap`.
pub(super) fn place(
    target: &mut Target,
    slots: &Slots,
    shape: &Shape,
    map: &Map,
    dice: &mut Dice,
) -> u64 {
    let mut chains = |chains: &Option<Vec<Chain>>| {
        chains
            .as_ref()
            .map_or(0, |chains| place_chains(target, slots, shape, chains, dice))
    };
    let (buckets, old) = (chains(&map.buckets), chains(&map.old));
    // Iterators may be under way too.
    let flags = 3 | u64::from(map.is_written) << 2 | u64::from(map.is_same_size_growth) << 3;
    let mut memory = target.memory.borrow_mut();
    let hmap = memory.place_zeros(48);
    memory.put_field(hmap, CLASSIC.writing, flags);
    memory.put_field(hmap, CLASSIC.shift, u64::from(map.b));
    memory.put_field(hmap, CLASSIC.storage, buckets);
    memory.put_field(hmap, CLASSIC.second, old);
    hmap
}

proptest! {
    #[test]
    fn a_walk_ends_as_a_search_of_the_buckets_does_and_ignores_no_fault(seed: u64) {
        let dice = &mut Dice::new(seed);
        let mut target = Target::new(&CLASSIC);
        let shape = key_shape(dice);
        let key = Value::random(&shape, dice, 1);
        let hash = dice.roll() >> (8 * dice.below(2));
        let map = Map::random(&shape, hash, dice);
        let slots = target.place_map_type(&shape, dice);
        let hmap = place(&mut target, &slots, &shape, &map, dice);
        let operation = target.operation(hmap, (&shape, &key), hash, dice);
        let typ = target.read_map_type(&slots);
        let end = target.walk(typ, &operation);
        prop_assert_eq!(end, map.reference(&operation, &key), "{:?} {:?}", operation, shape);
        target.assert_no_fault_is_ignored(typ, &operation);
    }
}
