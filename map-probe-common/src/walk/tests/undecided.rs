//! Comparisons that userspace's tables of programs and steps do not cover.

use std::vec;

use super::compare::{FOUND, any, lookup};
use super::dice::Dice;
use super::operations::at;
use super::target::{SWISS, Target};
use super::values::{Shape, Value};
use crate::equal::{EqualKind, EqualProgram, EqualStep};
use crate::op::Class;
use crate::quality::Cause;
use crate::walk::End;

/// A lookup of an `any` that holds a struct, in a target that is `changed` first.
fn end_after(change: impl Fn(&mut Target, u64)) -> End {
    let dice = &mut Dice::new(1);
    let mut target = Target::new(&SWISS);
    let held = Shape::Struct(vec![Shape::Text]);
    let value = any(held.clone(), Value::Struct(vec![Value::Text(vec![1; 9])]));
    let (slots, operation) = lookup(&mut target, &Shape::Any, (&value, &value), dice);
    let typ = target.type_of(&held);
    change(&mut target, typ);
    target.walk(target.read_map_type(&slots), &operation)
}

#[test]
fn what_the_tables_do_not_know_is_not_decided() {
    assert_eq!(end_after(|_, _| {}), at(FOUND, Class::Small, 1));
    let unknown_type = end_after(|target, typ| {
        target.programs.remove(&typ).expect("known before");
    });
    assert_eq!(unknown_type, End::Failed(Cause::Undecidable));
    let beyond_the_table = end_after(|target, typ| {
        let (start, end) = (u32::MAX - 1, u32::MAX);
        target.programs.insert(typ, EqualProgram { start, end });
    });
    assert_eq!(beyond_the_table, End::Failed(Cause::Undecidable));
    for kind in [0, EqualKind::Interface as u32 + 1, u32::MAX] {
        let unknown_step = end_after(|target, typ| {
            let (offset, len) = (0, 8);
            target.add_program(typ, &[EqualStep { kind, offset, len }]);
        });
        assert_eq!(unknown_step, End::Failed(Cause::Undecidable));
    }
}
