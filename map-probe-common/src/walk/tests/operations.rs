//! Map types, slots and operations in the target's memory.

use std::vec::Vec;

use super::dice::Dice;
use super::target::Target;
use super::values::{Shape, Value};
use crate::op::{Class, Op, Outcome};
use crate::quality::Cause;
use crate::site::{KeyForm, Role};
use crate::walk::{End, MapType, Operation};

/// Types of keys that maps are tested with.
pub(super) fn key_shape(dice: &mut Dice) -> Shape {
    match dice.below(6) {
        0 => Shape::Plain(4),
        1 => Shape::Plain(8),
        2 => Shape::Text,
        // Above 128 bytes slots hold pointers.
        3 => Shape::Plain(1 + dice.below(200)),
        4 => Shape::Struct(std::vec![Shape::Text, Shape::Float64, Shape::Any]),
        _ => Shape::random(dice, 1),
    }
}

/// How a map lays out its slots, as the runtime's `MapType` says.
pub(super) struct Slots {
    /// Address of the map type.
    pub(super) typ: u64,
    pub(super) unit_size: u64,
    keys_offset: u64,
    key_stride: u64,
    is_indirect: bool,
    elems_offset: u64,
    elem_stride: u64,
}

impl Target {
    /// Makes a map type with keys of `shape`.
    pub(super) fn place_map_type(&mut self, shape: &Shape, dice: &mut Dice) -> Slots {
        let key_type = self.type_of(shape);
        let is_indirect = shape.size() > 128;
        let key_size = if is_indirect { 8 } else { shape.size() as u64 };
        let elem_size = dice.pick(&[0, 1, 8, 24]);
        let after_keys = 8 + 8 * key_size;
        let (key_stride, unit_size, elems_offset, elem_stride) = if !self.is_swiss() {
            let slots = 8 * (key_size + elem_size);
            let unit_size = 8 + slots.next_multiple_of(8) + 8;
            (key_size, unit_size, after_keys, elem_size)
        } else if dice.one_in(2) {
            // GOEXPERIMENT=mapsplitgroup.
            let unit_size = 8 + 8 * (key_size + elem_size);
            (key_size, unit_size, after_keys, elem_size)
        } else {
            let slot = (key_size + elem_size).next_multiple_of(8);
            (slot, 8 + 8 * slot, 8 + key_size, slot)
        };
        let layout = self.layout;
        let mut memory = self.memory.borrow_mut();
        let typ = memory.place_zeros(136);
        let other_flags = u64::from(!layout.indirect_key & 0x1f);
        let flags = other_flags
            | if is_indirect {
                u64::from(layout.indirect_key)
            } else {
                0
            };
        memory.put_field(typ, layout.key_type, key_type);
        memory.put_field(typ, layout.type_flags, flags);
        memory.put_field(typ, layout.unit_size, unit_size);
        memory.put_field(typ, layout.keys_offset, 8);
        memory.put_field(typ, layout.key_stride, key_stride);
        let counted = (elems_offset - u64::from(layout.elems_base)) / u64::from(layout.elems_times);
        memory.put_field(typ, layout.elems_offset, counted);
        memory.put_field(typ, layout.elem_stride, elem_stride);
        drop(memory);
        Slots {
            typ,
            unit_size,
            keys_offset: 8,
            key_stride,
            is_indirect,
            elems_offset,
            elem_stride,
        }
    }

    /// The map type as the walk reads it, which must be what was written.
    pub(super) fn read_map_type(&self, slots: &Slots) -> MapType {
        let typ = self.map_type(slots.typ).expect("a sound map type");
        assert_eq!(u64::from(typ.unit_size), slots.unit_size);
        assert_eq!(u64::from(typ.keys_offset), slots.keys_offset);
        assert_eq!(u64::from(typ.key_stride), slots.key_stride);
        assert_eq!(typ.indirect_key != 0, slots.is_indirect);
        assert_eq!(u64::from(typ.elems_offset), slots.elems_offset);
        assert_eq!(u64::from(typ.elem_stride), slots.elem_stride);
        typ
    }

    /// Fills the slots of the bucket or group at `unit`.
    pub(super) fn fill(
        &mut self,
        slots: &Slots,
        unit: u64,
        shape: &Shape,
        (tags, keys): ([u8; 8], &[Value; 8]),
        dice: &mut Dice,
    ) {
        self.memory.borrow_mut().put(unit, &tags);
        let mut address = unit + slots.keys_offset;
        for key in keys {
            let mut bytes = self.lay(shape, key, dice);
            let mut memory = self.memory.borrow_mut();
            if slots.is_indirect {
                bytes = memory.place(&bytes).to_le_bytes().to_vec();
            }
            memory.put(address, &bytes);
            address += slots.key_stride;
        }
    }

    /// A random operation on the map at `map`, with its key somewhere in memory.
    pub(super) fn operation(
        &mut self,
        map: u64,
        (shape, key): (&Shape, &Value),
        hash: u64,
        dice: &mut Dice,
    ) -> Operation {
        let form = match shape {
            Shape::Plain(4) => KeyForm::Value32,
            Shape::Plain(8) => KeyForm::Value64,
            Shape::Text => KeyForm::String,
            _ => KeyForm::Pointer,
        };
        let key_form = dice.pick(&[form, KeyForm::Pointer]);
        let bytes = self.lay(shape, key, dice);
        let word = |at: usize| {
            let bytes = bytes
                .get(at..at + 8)
                .and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.expect("eight bytes"))
        };
        let (key, key_len) = match key_form {
            KeyForm::Pointer => (self.memory.borrow_mut().place(&bytes), dice.roll()),
            KeyForm::Value32 => {
                let low: Vec<u8> = [&bytes[..], &dice.roll().to_le_bytes()[..4]].concat();
                let low = <[u8; 8]>::try_from(low).expect("eight bytes");
                (u64::from_le_bytes(low), dice.roll())
            }
            KeyForm::Value64 => (word(0), dice.roll()),
            KeyForm::String => (word(0), word(8)),
        };
        Operation {
            op: dice.pick(&[Op::Lookup, Op::Insert, Op::Delete]),
            role: dice.pick(&[Role::Search, Role::SearchOrDefer, Role::AfterEvacuation]),
            key_form,
            search: dice.below(4) as u8,
            map,
            key,
            key_len,
            hash,
            table: 0,
        }
    }

    /// Asserts that whichever read of the walk fails, the operation is counted as not walked.
    pub(super) fn assert_no_fault_is_ignored(&self, typ: MapType, operation: &Operation) {
        let mut ends = self.with_each_fault(|target| target.walk(typ, operation));
        // The last read may be the one that asks whether the map is still the same.
        if ends.last() == Some(&End::Failed(Cause::Torn)) {
            ends.pop();
        }
        for end in ends {
            assert_eq!(end, End::Failed(Cause::Fault));
        }
    }
}

/// The end of a walk that examined `depth` buckets or groups.
pub(super) fn at(is_found: bool, class: Class, depth: usize) -> End {
    let outcome = if is_found {
        Outcome::Found
    } else {
        Outcome::Absent
    };
    End::At {
        outcome,
        class,
        depth: depth as u32,
    }
}
