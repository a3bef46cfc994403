//! Map types, read from their descriptors.

use proptest::prelude::*;

use super::dice::Dice;
use super::operations::key_shape;
use super::target::{CLASSIC, SWISS, Target};
use super::values::Shape;
use crate::equal::{BASIC_PROGRAMS, EqualProgram, kind};
use crate::layout::Field;
use crate::quality::Cause;

proptest! {
    #[test]
    fn a_map_type_is_read_as_it_was_written_and_no_fault_is_ignored(seed: u64) {
        let dice = &mut Dice::new(seed);
        let mut target = Target::new(dice.pick(&[&CLASSIC, &SWISS]));
        let shape = key_shape(dice);
        let slots = target.place_map_type(&shape, dice);
        let typ = target.read_map_type(&slots);
        match shape {
            Shape::Plain(_) | Shape::Pointer => {
                prop_assert_eq!(typ.key_bytes as usize, shape.size());
                prop_assert_eq!(typ.key_program, EqualProgram::default());
            }
            Shape::Struct(_) => {
                let key_type = target.type_of(&shape);
                prop_assert_eq!(typ.key_program, target.programs[&key_type]);
            }
            _ => prop_assert!(BASIC_PROGRAMS.iter().any(|(_, basic)| *basic == typ.key_program)),
        }
        for read in target.with_each_fault(|target| target.map_type(slots.typ)) {
            prop_assert_eq!(read, Err(Cause::Fault));
        }
    }
}

/// A map type with keys of `shape`, and its address.
fn target_with(shape: &Shape) -> (Target, u64) {
    let mut target = Target::new(&SWISS);
    let slots = target.place_map_type(shape, &mut Dice::new(1));
    (target, slots.typ)
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let fields: [Field; 5] = [
        SWISS.unit_size,
        SWISS.keys_offset,
        SWISS.key_stride,
        SWISS.elems_offset,
        SWISS.elem_stride,
    ];
    for field in fields {
        for size in [2065, 1 << 32, (1 << 32) + 8, 1 << 63, u64::MAX] {
            let (target, typ) = target_with(&Shape::Plain(8));
            target.memory.borrow_mut().put_field(typ, field, size);
            assert_eq!(target.map_type(typ), Err(Cause::Undecidable), "{field:?}");
        }
    }
}

#[test]
fn keys_of_four_gigabytes_and_more_are_refused() {
    for size in [1 << 32, 1 << 63, u64::MAX] {
        let (mut target, typ) = target_with(&Shape::Plain(8));
        let key_type = target.type_of(&Shape::Plain(8));
        target.memory.borrow_mut().put_word(key_type, size);
        assert_eq!(target.map_type(typ), Err(Cause::Undecidable));
    }
}

#[test]
fn each_kind_that_is_not_plain_memory_has_its_program() {
    let kinds = [
        (Shape::Text, kind::STRING),
        (Shape::Float32, kind::FLOAT32),
        (Shape::Float64, kind::FLOAT64),
        (Shape::Complex64, kind::COMPLEX64),
        (Shape::Complex128, kind::COMPLEX128),
        (Shape::Any, kind::INTERFACE),
        (Shape::Methods, kind::INTERFACE_WITH_METHODS),
    ];
    for (shape, kind) in kinds {
        let (target, typ) = target_with(&shape);
        let read = target.map_type(typ).expect("a sound map type");
        assert_eq!(read.key_program, target.programs[&kind], "{shape:?}");
    }
}

#[test]
fn a_key_type_without_known_equality_is_refused() {
    let (mut target, typ) = target_with(&Shape::Struct(std::vec![Shape::Text]));
    target.programs.retain(|&typ, _| typ < 64);
    assert_eq!(target.map_type(typ), Err(Cause::Undecidable));
    // Kinds of integers, whose memory is always regular.
    for kind in 0..kind::FLOAT32 {
        let key_type = target.descriptor(8, kind, false, false);
        target
            .memory
            .borrow_mut()
            .put_field(typ, SWISS.key_type, key_type);
        assert_eq!(target.map_type(typ), Err(Cause::Undecidable), "kind {kind}");
    }
}

#[test]
fn values_of_no_size_are_all_equal() {
    let (target, typ) = target_with(&Shape::Plain(0));
    // A struct of blank fields, say, whose flags do not call its memory regular.
    let key_type = target.descriptor(0, 25, false, false);
    target
        .memory
        .borrow_mut()
        .put_field(typ, SWISS.key_type, key_type);
    let read = target.map_type(typ).expect("a sound map type");
    assert_eq!(
        (read.key_bytes, read.key_program),
        (0, EqualProgram::default())
    );
}
