//! Memory that no Go program ever had: a walk through it ends soon, harmlessly, and never silently wrong.

use std::vec::Vec;

use proptest::prelude::*;

use super::dice::Dice;
use super::image::Image;
use super::operations::at;
use super::target::{CLASSIC, SWISS, Target};
use crate::equal::{EqualKind, EqualProgram, EqualStep, kind};
use crate::op::{Class, Op};
use crate::quality::Cause;
use crate::site::{KeyForm, Role};
use crate::walk::{End, MAX_STEPS, MapType, Operation};

const WORDS: usize = 256;

/// A word that is likely to lead the walk somewhere.
fn word(dice: &mut Dice) -> u64 {
    let bytes = [0, 1, 2, 4, 5, 0x24, 0x28, 0x7f, 0x80, 0xfe, 0xff];
    match dice.below(8) {
        0..4 => Image::START + dice.below(WORDS * 8) as u64 / 8 * 8,
        4 => dice.pick(&[
            0,
            1,
            8,
            16,
            kind::STRING,
            kind::INTERFACE,
            1 << 63,
            u64::MAX,
        ]),
        5 => u64::from_le_bytes([0; 8].map(|_| dice.pick(&bytes))),
        6 => u64::from(dice.pick(&bytes)) * 0x0101_0101_0101_0101,
        _ => dice.roll(),
    }
}

fn random_target(dice: &mut Dice) -> Target {
    let mut target = Target::new(dice.pick(&[&CLASSIC, &SWISS]));
    let words: Vec<u64> = (0..WORDS).map(|_| word(dice)).collect();
    for _ in 0..8 {
        let offset = dice.pick(&[0, 8, 24, 1000, u32::MAX]);
        let len = dice.pick(&[0, 1, 8, 100, u32::MAX]);
        let kind = dice.below(8) as u32;
        target.steps.push(EqualStep { kind, offset, len });
    }
    let steps = target.steps.len();
    for word in &words {
        let (start, end) = (dice.below(steps) as u32, dice.below(steps + 2) as u32);
        if dice.one_in(2) {
            target.programs.insert(*word, EqualProgram { start, end });
        }
    }
    let mut memory = target.memory.borrow_mut();
    memory.place_words(&words);
    memory.is_everywhere = dice.one_in(4);
    drop(memory);
    target
}

fn random_type(target: &Target, dice: &mut Dice) -> MapType {
    // As the kernel side has it, or any numbers at all.
    if let (Ok(typ), true) = (target.map_type(word(dice)), dice.one_in(2)) {
        return typ;
    }
    let mut number = || dice.pick(&[0, 1, 8, 24, 80, 144, 208, 2064, u32::MAX]);
    MapType {
        block: number(),
        unit_size: number(),
        keys_offset: number(),
        key_stride: number(),
        indirect_key: number() & 1,
        elems_offset: number(),
        elem_stride: number(),
        indirect_elem: number() & 1,
        key_bytes: number(),
        key_program: EqualProgram {
            start: number() & 15,
            end: number() & 15,
        },
    }
}

fn random_operation(dice: &mut Dice) -> Operation {
    let forms = [
        KeyForm::Pointer,
        KeyForm::Value32,
        KeyForm::Value64,
        KeyForm::String,
    ];
    Operation {
        op: dice.pick(&[Op::Lookup, Op::Insert, Op::Delete]),
        role: dice.pick(&[Role::Search, Role::SearchOrDefer, Role::AfterEvacuation]),
        key_form: dice.pick(&forms),
        search: dice.roll() as u8,
        map: word(dice),
        key: word(dice),
        key_len: dice.pick(&[0, 1, 40, 1 << 63, u64::MAX, word(&mut Dice::new(1))]),
        hash: word(dice),
        table: dice.pick(&[0, word(&mut Dice::new(2))]),
    }
}

proptest! {
    #[test]
    fn a_walk_through_random_memory_ends_within_its_bound(seed: u64) {
        let dice = &mut Dice::new(seed);
        let target = random_target(dice);
        let typ = random_type(&target, dice);
        for _ in 0..3 {
            let operation = random_operation(dice);
            let end = target.walk(typ, &operation);
            // `walk` itself asserts the bound on steps and on bytes.
            let is_decided = matches!(end, End::At { .. } | End::Deferred);
            prop_assert!(target.steps_taken() < MAX_STEPS || !is_decided);
            if let End::At { depth, .. } = end {
                prop_assert!((1..=MAX_STEPS).contains(&depth));
            }
            if target.reads().len() < 40 {
                target.assert_no_fault_is_ignored(typ, &operation);
            }
        }
    }

    #[test]
    fn a_map_type_read_from_random_memory_is_small_or_refused(seed: u64) {
        let dice = &mut Dice::new(seed);
        let target = random_target(dice);
        for _ in 0..32 {
            let Ok(typ) = target.map_type(word(dice)) else { continue };
            prop_assert!(typ.unit_size <= 2072);
            prop_assert!(typ.keys_offset <= typ.unit_size && typ.key_stride <= typ.unit_size);
        }
    }
}

/// Memory that is `words` over and over, and a lookup in the map at its start.
fn end_in(layout: &'static crate::Layout, words: &[u64], operation: Operation) -> (End, u32) {
    let target = Target::new(layout);
    let mut memory = target.memory.borrow_mut();
    memory.is_everywhere = true;
    memory.place_words(words);
    drop(memory);
    let typ = MapType {
        unit_size: 144,
        keys_offset: 8,
        key_stride: 16,
        // complex128
        key_program: EqualProgram { start: 5, end: 7 },
        ..MapType::default()
    };
    (target.walk(typ, &operation), target.steps_taken())
}

const LOOKUP: Operation = Operation {
    op: Op::Lookup,
    role: Role::Search,
    key_form: KeyForm::Pointer,
    search: 0,
    map: 0,
    key: 0,
    key_len: 0,
    hash: 0,
    table: 0,
};

#[test]
fn a_string_of_half_the_address_space_ends_at_the_bound() {
    // Its length is 2^63 wherever one looks; a matching tag is in every word.
    let words = [1 << 63];
    for (layout, hash) in [(&CLASSIC, 0x80 << 56), (&SWISS, 0)] {
        let operation = Operation {
            key_form: KeyForm::String,
            key: 8,
            key_len: 1 << 63,
            op: Op::Insert,
            role: Role::AfterEvacuation,
            hash,
            ..LOOKUP
        };
        let (end, steps) = end_in(layout, &words, operation);
        assert_eq!((end, steps), (End::Failed(Cause::Bound), MAX_STEPS));
    }
}

#[test]
fn tables_without_an_end_end_at_the_bound() {
    // dirLen, lengthMask and all controls are all ones: no slot is empty, no group the last.
    let (end, steps) = end_in(
        &SWISS,
        &[u64::MAX],
        Operation {
            op: Op::Insert,
            ..LOOKUP
        },
    );
    assert_eq!((end, steps), (End::Failed(Cause::Bound), MAX_STEPS));
}

#[test]
fn a_key_at_the_end_of_the_address_space_is_compared_without_overflow() {
    // dirLen, lengthMask and all controls and keys are 8; the tag is 0.
    let key = u64::MAX - 7;
    let (end, _) = end_in(&SWISS, &[8], Operation { key, ..LOOKUP });
    assert_eq!(end, at(true, Class::Table, 1));
}

/// How a lookup ends whose key and the stored one are an `any` in a struct, each holding itself.
fn end_of_self_containing(fields_behind: u32) -> End {
    let mut target = Target::new(&SWISS);
    let typ = target.descriptor(16, 25, false, false);
    let any = EqualStep {
        kind: EqualKind::EmptyInterface as u32,
        ..EqualStep::default()
    };
    target.add_program(typ, &std::vec![any; 1 + fields_behind as usize]);
    let mut memory = target.memory.borrow_mut();
    let [key, group] = [16, 8 + 8 * 16].map(|bytes| memory.place_zeros(bytes));
    memory.put_word(key, typ);
    memory.put_word(key + 8, key);
    memory.put_word(group + 8, typ);
    memory.put_word(group + 16, group + 8);
    let map = memory.place_words(&[0, 0, group, 0, 0, 0]);
    drop(memory);
    let map_type = MapType {
        unit_size: 8 + 8 * 16,
        keys_offset: 8,
        key_stride: 16,
        key_program: target.programs[&typ],
        ..MapType::default()
    };
    target.walk(map_type, &Operation { map, key, ..LOOKUP })
}

#[test]
fn values_that_contain_themselves_are_followed_no_further_than_the_bound() {
    assert_eq!(end_of_self_containing(0), End::Failed(Cause::Bound));
    assert_eq!(end_of_self_containing(1), End::Failed(Cause::Undecidable));
}
