//! Keys compare as Go's `==` does.

use std::boxed::Box;
use std::vec;

use proptest::prelude::*;

use super::dice::Dice;
use super::operations::{Slots, at};
use super::target::{CLASSIC, SWISS, Target};
use super::values::{Shape, Value};
use crate::op::{Class, Op};
use crate::quality::Cause;
use crate::site::{KeyForm, Role};
use crate::walk::{End, Operation};

pub(super) const FOUND: bool = true;

/// A map with one bucket or group, all of whose slots hold `stored`, and a lookup of `key` in it.
pub(super) fn lookup(
    target: &mut Target,
    shape: &Shape,
    (key, stored): (&Value, &Value),
    dice: &mut Dice,
) -> (Slots, Operation) {
    let slots = target.place_map_type(shape, dice);
    let unit = target
        .memory
        .borrow_mut()
        .place_zeros(slots.unit_size as usize);
    let keys = [0; 8].map(|_| stored.clone());
    target.fill(&slots, unit, shape, ([9; 8], &keys), dice);
    let bytes = target.lay(shape, key, dice);
    let mut memory = target.memory.borrow_mut();
    let map = memory.place_zeros(48);
    memory.put_field(map, target.layout.storage, unit);
    let operation = Operation {
        op: Op::Lookup,
        role: Role::Search,
        key_form: KeyForm::Pointer,
        search: 0,
        map,
        key: memory.place(&bytes),
        key_len: 0,
        // Both a tophash and a second part of 9.
        hash: 9 << 56 | 9,
        table: 0,
    };
    drop(memory);
    (slots, operation)
}

/// How the lookup of `key` ends where all keys are `stored`, in both layouts.
fn end(shape: &Shape, key: &Value, stored: &Value) -> End {
    let [classic, swiss] = [&CLASSIC, &SWISS].map(|layout| {
        let dice = &mut Dice::new(1);
        let mut target = Target::new(layout);
        let (slots, operation) = lookup(&mut target, shape, (key, stored), dice);
        target.walk(target.read_map_type(&slots), &operation)
    });
    assert_eq!(classic, swiss);
    classic
}

fn is_found(shape: &Shape, key: &Value, stored: &Value) -> bool {
    match end(shape, key, stored) {
        found if found == at(FOUND, Class::Small, 1) => true,
        absent if absent == at(!FOUND, Class::Small, 1) => false,
        other => panic!("undecided: {other:?}"),
    }
}

proptest! {
    #[test]
    fn any_two_values_of_a_type_compare_as_in_go_and_no_fault_is_ignored(seed: u64) {
        let dice = &mut Dice::new(seed);
        let mut target = Target::new(dice.pick(&[&CLASSIC, &SWISS]));
        // The walk keeps three values under way; deeper nesting is tested below.
        let shape = Shape::random(dice, 2);
        let key = Value::random(&shape, dice, 2);
        let mut stored = key.clone();
        if dice.one_in(2) {
            stored.vary(&shape, dice, 2);
        }
        let (slots, operation) = lookup(&mut target, &shape, (&key, &stored), dice);
        let typ = target.read_map_type(&slots);
        let end = target.walk(typ, &operation);
        prop_assert_eq!(end, at(stored.equals(&key), Class::Small, 1), "{:?}", shape);
        target.assert_no_fault_is_ignored(typ, &operation);
    }
}

pub(super) fn any(shape: Shape, value: Value) -> Value {
    Value::Interface(Some(Box::new((shape, value))))
}

fn double(value: f64) -> Value {
    Value::Float64(vec![value])
}

#[test]
fn floats_compare_as_numbers() {
    let pairs = [
        (0.0, -0.0, true),
        (-0.0, -0.0, true),
        (f64::NAN, f64::NAN, false),
        (1.5, 1.5, true),
        (1.5, -1.5, false),
        (f64::INFINITY, f64::INFINITY, true),
        (f64::INFINITY, f64::NEG_INFINITY, false),
        (f64::MIN_POSITIVE, 0.0, false),
        (f64::from_bits(1), -f64::from_bits(1), false),
        (f64::from_bits(0x7ff0_0000_0000_0001), 1.0, false),
    ];
    for (a, b, equal) in pairs {
        assert_eq!(is_found(&Shape::Float64, &double(a), &double(b)), equal);
        let held = [a, b].map(|value| any(Shape::Float64, double(value)));
        assert_eq!(is_found(&Shape::Any, &held[0], &held[1]), equal);
        // Each part of a complex number counts.
        for parts in [[[a, 1.0], [b, 1.0]], [[1.0, a], [1.0, b]]] {
            let [a, b] = parts.map(|parts| Value::Float64(parts.to_vec()));
            assert_eq!(is_found(&Shape::Complex128, &a, &b), equal);
        }
    }
    let single = |bits: u32| Value::Float32(vec![f32::from_bits(bits)]);
    for nan in [0x7f80_0001, 0x7fc0_0000, 0xffff_ffff] {
        assert!(!is_found(&Shape::Float32, &single(nan), &single(nan)));
    }
    for number in [0x7f80_0000, 0xff80_0000, 0x7f7f_ffff, 1, 0x8000_0001] {
        assert!(is_found(&Shape::Float32, &single(number), &single(number)));
    }
    assert!(is_found(&Shape::Float32, &single(0), &single(1 << 31)));
}

#[test]
fn every_byte_of_plain_memory_counts() {
    for bytes in [1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 100, 128, 129, 200] {
        let shape = Shape::Plain(bytes);
        let key = vec![5; bytes];
        assert!(is_found(
            &shape,
            &Value::Plain(key.clone()),
            &Value::Plain(key.clone())
        ));
        for at in 0..bytes {
            let mut other = key.clone();
            other[at] ^= 0x80;
            assert!(!is_found(
                &shape,
                &Value::Plain(key.clone()),
                &Value::Plain(other)
            ));
        }
    }
}

#[test]
fn interfaces_are_equal_only_if_they_hold_equal_values_of_the_same_type() {
    let plain = |bytes: usize| any(Shape::Plain(bytes), Value::Plain(vec![7; bytes]));
    let text = any(Shape::Text, Value::Text(vec![7; 8]));
    let pointer = any(Shape::Pointer, Value::Plain(vec![7; 8]));
    let values = [Value::Interface(None), plain(8), plain(9), text, pointer];
    for shape in [Shape::Any, Shape::Methods] {
        for (number, key) in values.iter().enumerate() {
            for (other, stored) in values.iter().enumerate() {
                assert_eq!(is_found(&shape, key, stored), number == other);
            }
        }
    }
}

fn number() -> (Shape, Value) {
    (Shape::Plain(8), Value::Plain(vec![7; 8]))
}

/// An `any` in a struct, with a field behind it, as many times; at the bottom `inner`.
fn nested(depth: usize, mut inner: (Shape, Value)) -> (Shape, Value) {
    let shape = Shape::Struct(vec![Shape::Any, Shape::Plain(8)]);
    for _ in 0..depth {
        let (shape_in, value_in) = inner;
        let fields = vec![any(shape_in, value_in), Value::Plain(vec![7; 8])];
        inner = (shape.clone(), Value::Struct(fields));
    }
    inner
}

#[test]
fn values_nested_deeper_than_is_kept_track_of_are_not_decided() {
    for depth in 1..=3 {
        let (shape, value) = nested(depth, number());
        assert!(is_found(&shape, &value, &value), "{depth} deep");
    }
    for depth in 4..10 {
        let (shape, value) = nested(depth, number());
        assert_eq!(
            end(&shape, &value, &value),
            End::Failed(Cause::Undecidable),
            "{depth} deep"
        );
    }
}

#[test]
fn nesting_without_anything_behind_it_needs_no_keeping_track_of() {
    let only_any = Shape::Struct(vec![Shape::Any]);
    let mut value = Value::Struct(vec![Value::Interface(None)]);
    for _ in 0..50 {
        value = Value::Struct(vec![any(only_any.clone(), value)]);
    }
    assert!(is_found(&only_any, &value, &value));
    let shape = Shape::Struct(vec![Shape::Any, Shape::Plain(8)]);
    for depth in 1..=2 {
        let bottom = (only_any.clone(), value.clone());
        let nested = nested(depth, bottom).1;
        assert!(is_found(&shape, &nested, &nested), "{depth} deep");
    }
}

#[test]
fn bytes_that_both_strings_share_are_not_looked_at() {
    let dice = &mut Dice::new(1);
    let mut target = Target::new(&SWISS);
    let text = Value::Text(vec![1; 9]);
    let (slots, operation) = lookup(&mut target, &Shape::Text, (&text, &text), dice);
    let typ = target.read_map_type(&slots);
    let group = target.memory.borrow().get(operation.map + 16, 8);
    let group = u64::from_le_bytes(group.expect("a group").try_into().expect("a word"));
    let slot = group + u64::from(typ.keys_offset);
    // Where there is no memory.
    for header in [operation.key, slot] {
        target.memory.borrow_mut().put_word(header, 1 << 20);
    }
    assert_eq!(target.walk(typ, &operation), at(FOUND, Class::Small, 1));
}
