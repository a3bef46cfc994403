//! Swiss maps: the walk against a search in plain groups.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::dice::Dice;
use super::operations::{Slots, at, key_shape};
use super::target::{SWISS, Target};
use super::values::{Shape, Value};
use crate::op::{Class, Op};
use crate::quality::Cause;
use crate::site::PASSES_TOMBSTONE_FIRST;
use crate::walk::{End, Operation};

const EMPTY: u8 = 0x80;
const TOMBSTONE: u8 = 0xfe;

/// A group: control bytes and keys. Slots that are free have keys too: what was there before.
type Group = ([u8; 8], [Value; 8]);

/// A map as `internal/runtime/maps` has it.
struct Map {
    is_written: bool,
    storage: Storage,
}

enum Storage {
    /// Before the first insert.
    None,
    Small(Box<Group>),
    /// Tables, and for each entry of the directory the index of its table.
    Tables(Vec<Vec<Group>>, Vec<usize>),
}

fn random_group(shape: &Shape, hash: u64, is_crowded: bool, dice: &mut Dice) -> Group {
    let controls = [0; 8].map(|_| match dice.below(if is_crowded { 8 } else { 9 }) {
        0..4 => (hash & 0x7f) as u8,
        4 | 5 => (dice.roll() & 0x7f) as u8,
        6 | 7 => TOMBSTONE,
        _ => EMPTY,
    });
    (controls, controls.map(|_| Value::random(shape, dice, 1)))
}

impl Map {
    fn random(shape: &Shape, hash: u64, dice: &mut Dice) -> Self {
        let storage = match dice.below(8) {
            0 => Storage::None,
            1 | 2 => Storage::Small(Box::new(random_group(shape, hash, false, dice))),
            _ => {
                let tables = (0..=dice.below(3)).map(|_| {
                    let groups = 1 << dice.below(5);
                    let is_crowded = dice.one_in(2);
                    let group = |_| {
                        let is_crowded = is_crowded && !dice.one_in(4);
                        random_group(shape, hash, is_crowded, dice)
                    };
                    (0..groups).map(group).collect()
                });
                let tables: Vec<Vec<Group>> = tables.collect();
                let entries = 1 << dice.below(4);
                let directory = (0..entries).map(|_| dice.below(tables.len())).collect();
                Storage::Tables(tables, directory)
            }
        };
        Self {
            is_written: dice.one_in(8),
            storage,
        }
    }

    /// What the runtime does, after `getWithKey` and `PutSlot` of `map.go` and `table.go`.
    fn reference(&self, operation: &Operation, key: &Value) -> End {
        if self.is_written && operation.op == Op::Lookup {
            return End::Failed(Cause::Torn);
        }
        let (hash, h2) = (operation.hash, (operation.hash % 128) as u8);
        let has_key = |(controls, keys): &Group| {
            let mut slots = controls.iter().zip(keys);
            slots.any(|(control, there)| *control == h2 && there.equals(key))
        };
        match &self.storage {
            Storage::None => at(false, Class::Small, 1),
            Storage::Small(group) => at(has_key(group), Class::Small, 1),
            Storage::Tables(tables, directory) => {
                let depth = directory.len().ilog2();
                let entry = hash.checked_shr(64 - depth).unwrap_or(0);
                let groups = &tables[directory[entry as usize]];
                let h1 = hash as usize / 128;
                for number in 0..groups.len() {
                    // Triangular numbers.
                    let group = &groups[(h1 + number * (number + 1) / 2) % groups.len()];
                    let depth = number + 1;
                    if has_key(group) {
                        return at(true, Class::Table, depth);
                    }
                    let mut free = group.0.iter().filter(|&&control| control >= 0x80);
                    let ends = if operation.search & PASSES_TOMBSTONE_FIRST == 0 {
                        free.any(|&control| control == EMPTY)
                    } else {
                        free.next() == Some(&EMPTY)
                    };
                    if ends {
                        return at(false, Class::Table, depth);
                    }
                }
                // The runtime leaves an empty slot in every table: there is no end here.
                End::Failed(Cause::Endless)
            }
        }
    }
}

fn place_groups(
    target: &mut Target,
    slots: &Slots,
    shape: &Shape,
    groups: &[Group],
    dice: &mut Dice,
) -> u64 {
    let bytes = slots.unit_size as usize * groups.len();
    let start = target.memory.borrow_mut().place_zeros(bytes);
    for (number, (controls, keys)) in groups.iter().enumerate() {
        let unit = start + slots.unit_size * number as u64;
        target.fill(slots, unit, shape, (*controls, keys), dice);
    }
    start
}

/// Puts the map into memory; the address of its `maps.Map`.
fn place(target: &mut Target, slots: &Slots, shape: &Shape, map: &Map, dice: &mut Dice) -> u64 {
    let (storage, entries) = match &map.storage {
        Storage::None => (0, 0),
        Storage::Small(group) => {
            let group = std::slice::from_ref(&**group);
            (place_groups(target, slots, shape, group, dice), 0)
        }
        Storage::Tables(tables, directory) => {
            let mut table = |groups: &Vec<Group>| {
                let data = place_groups(target, slots, shape, groups, dice);
                let table = [0, 0, data, groups.len() as u64 - 1];
                target.memory.borrow_mut().place_words(&table)
            };
            let tables: Vec<u64> = tables.iter().map(&mut table).collect();
            let entries: Vec<u64> = directory.iter().map(|&table| tables[table]).collect();
            let storage = target.memory.borrow_mut().place_words(&entries);
            (storage, entries.len() as u64)
        }
    };
    let shift = 64 - u64::from(entries.max(1).ilog2());
    let mut memory = target.memory.borrow_mut();
    let address = memory.place_zeros(48);
    memory.put_field(address, SWISS.writing, u64::from(map.is_written));
    memory.put_field(address, SWISS.shift, shift);
    memory.put_field(address, SWISS.storage, storage);
    memory.put_field(address, SWISS.second, entries);
    address
}

proptest! {
    #[test]
    fn a_walk_ends_as_a_search_of_the_groups_does_and_ignores_no_fault(seed: u64) {
        let dice = &mut Dice::new(seed);
        let mut target = Target::new(&SWISS);
        let shape = key_shape(dice);
        let key = Value::random(&shape, dice, 1);
        let hash = dice.roll();
        let map = Map::random(&shape, hash, dice);
        let slots = target.place_map_type(&shape, dice);
        let address = place(&mut target, &slots, &shape, &map, dice);
        let operation = target.operation(address, (&shape, &key), hash, dice);
        let typ = target.read_map_type(&slots);
        let end = target.walk(typ, &operation);
        prop_assert_eq!(end, map.reference(&operation, &key), "{:?} {:?}", operation, shape);
        target.assert_no_fault_is_ignored(typ, &operation);
        let table = table_of(&target, &operation);
        if !map.is_written && table != 0 {
            let known = Operation { table, ..operation };
            prop_assert_eq!(target.walk(typ, &known), end, "in its table {:?}", known);
            target.assert_no_fault_is_ignored(typ, &known);
        }
    }
}

/// The table that an operation's hash leads to; 0 if the map has none.
fn table_of(target: &Target, operation: &Operation) -> u64 {
    let memory = target.memory.borrow();
    let word = |address| {
        let bytes = memory.get(address, 8).expect("a word of the map");
        u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
    };
    let header = operation.map;
    let tables = word(header + u64::from(SWISS.second.offset));
    if tables == 0 {
        return 0;
    }
    let index = operation.hash.checked_shr(64 - tables.ilog2()).unwrap_or(0);
    word(word(header + u64::from(SWISS.storage.offset)) + index * 8)
}

/// A lookup in a table whose groups all are as `controls` says, and that has no key of its hash.
fn lookup_in_table(controls: [u8; 8], groups: usize) -> (Target, Slots, Operation) {
    let dice = &mut Dice::new(1);
    let mut target = Target::new(&SWISS);
    let shape = Shape::Plain(8);
    let slots = target.place_map_type(&shape, dice);
    let key = Value::random(&shape, dice, 0);
    let group = (controls, [0; 8].map(|_| key.clone()));
    let map = Map {
        is_written: false,
        storage: Storage::Tables(vec![vec![group; groups]], vec![0]),
    };
    let address = place(&mut target, &slots, &shape, &map, dice);
    let operation = Operation {
        op: Op::Lookup,
        search: 0,
        ..target.operation(address, (&shape, &key), 0x1234_5600, dice)
    };
    (target, slots, operation)
}

#[test]
fn a_table_without_an_empty_slot_is_passed_once_and_then_known_to_end_never() {
    let (target, slots, operation) = lookup_in_table([TOMBSTONE; 8], 128);
    let typ = target.read_map_type(&slots);
    assert_eq!(target.walk(typ, &operation), End::Failed(Cause::Endless));
    assert_eq!(target.steps_taken(), 128, "one step per group");
}

#[test]
fn a_map_that_gets_another_directory_while_it_is_walked_is_torn() {
    // The words of Map that hold dirPtr, dirLen, and globalDepth with globalShift.
    for (offset, word) in [(16, 0x1000), (24, 2), (32, 0x3f01)] {
        let (target, slots, operation) = lookup_in_table([TOMBSTONE; 8], 8);
        let typ = target.read_map_type(&slots);
        let written = (4, operation.map + offset, word);
        let end = target.walk_disturbed(typ, &operation, written);
        assert_eq!(end, End::Failed(Cause::Torn));
    }
}

#[test]
fn a_directory_too_small_for_the_hash_is_torn() {
    let (target, slots, operation) = lookup_in_table([EMPTY; 8], 1);
    let typ = target.read_map_type(&slots);
    target
        .memory
        .borrow_mut()
        .put_field(operation.map, SWISS.second, 2);
    for shift in 0..63 {
        // The entry after the last.
        let operation = Operation {
            hash: 2 << shift,
            ..operation
        };
        target
            .memory
            .borrow_mut()
            .put_field(operation.map, SWISS.shift, shift);
        assert_eq!(target.walk(typ, &operation), End::Failed(Cause::Torn));
    }
}
