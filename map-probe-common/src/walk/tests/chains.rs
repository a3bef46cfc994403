//! Overflow chains of classic maps that are long, that never end, or that change.

use super::classic::{Bucket, Map, place};
use super::dice::Dice;
use super::operations::{Slots, at};
use super::target::{CLASSIC, Target};
use super::values::{Shape, Value};
use crate::op::{Class, Op};
use crate::quality::Cause;
use crate::walk::{End, Operation};

/// A map of one chain of `depth` buckets that have no key; its `hmap` and last bucket.
fn long_chain(target: &mut Target, slots: &Slots, depth: usize) -> (u64, u64) {
    let key = Value::Plain(std::vec![0; 8]);
    let bucket: Bucket = ([1; 8], [0; 8].map(|_| key.clone()));
    let dice = &mut Dice::new(0);
    let map = Map {
        b: 0,
        is_same_size_growth: false,
        is_written: false,
        buckets: Some(std::vec![std::vec![bucket; depth]]),
        old: None,
    };
    let hmap = place(target, slots, &Shape::Plain(8), &map, dice);
    let memory = target.memory.borrow();
    let mut last = memory.get(hmap + 16, 8).expect("buckets");
    for _ in 1..depth {
        let bucket = u64::from_le_bytes(last.try_into().expect("a word"));
        last = memory
            .get(bucket + slots.unit_size - 8, 8)
            .expect("overflow");
    }
    (hmap, u64::from_le_bytes(last.try_into().expect("a word")))
}

fn lookup_in_long_chain(depth: usize) -> (Target, Slots, Operation, u64) {
    let dice = &mut Dice::new(1);
    let mut target = Target::new(&CLASSIC);
    let shape = Shape::Plain(8);
    let slots = target.place_map_type(&shape, dice);
    let (hmap, last) = long_chain(&mut target, &slots, depth);
    let key = Value::random(&shape, dice, 0);
    let operation = target.operation(hmap, (&shape, &key), 0, dice);
    let operation = Operation {
        op: Op::Lookup,
        ..operation
    };
    (target, slots, operation, last)
}

#[test]
fn a_long_chain_is_walked_to_its_end() {
    let (target, slots, operation, _) = lookup_in_long_chain(1000);
    let typ = target.read_map_type(&slots);
    assert_eq!(target.walk(typ, &operation), at(false, Class::Small, 1000));
}

#[test]
fn a_chain_that_leads_back_into_itself_ends_at_the_bound() {
    let (target, slots, operation, last) = lookup_in_long_chain(3);
    let first = target
        .memory
        .borrow()
        .get(operation.map + 16, 8)
        .expect("buckets");
    target
        .memory
        .borrow_mut()
        .put(last + slots.unit_size - 8, &first);
    let typ = target.read_map_type(&slots);
    assert_eq!(target.walk(typ, &operation), End::Failed(Cause::Bound));
}

#[test]
fn a_map_that_gets_other_buckets_while_it_is_walked_is_torn() {
    // The words of hmap that hold buckets, oldbuckets, and flags with B.
    for (offset, word) in [(16, 0x1000), (24, 0x1000), (8, 0x0103)] {
        let (target, slots, operation, _) = lookup_in_long_chain(3);
        let typ = target.read_map_type(&slots);
        let written = (3, operation.map + offset, word);
        let end = target.walk_disturbed(typ, &operation, written);
        assert_eq!(end, End::Failed(Cause::Torn));
    }
}

#[test]
fn more_buckets_than_memory_holds_are_torn() {
    let (target, slots, operation, _) = lookup_in_long_chain(1);
    let typ = target.read_map_type(&slots);
    for b in 49..=255 {
        target
            .memory
            .borrow_mut()
            .put_field(operation.map, CLASSIC.shift, b);
        assert_eq!(target.walk(typ, &operation), End::Failed(Cause::Torn));
    }
}
