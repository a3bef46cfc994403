//! Types' descriptors and values, laid out in the target's memory.

use std::vec::Vec;

use super::dice::Dice;
use super::target::Target;
use super::values::{Shape, Value};
use crate::equal::{EqualProgram, EqualStep};

impl Target {
    /// The address of the descriptor of `shape`, which is made if there is none yet.
    pub(super) fn type_of(&mut self, shape: &Shape) -> u64 {
        if let Some(&typ) = self.types.get(shape) {
            return typ;
        }
        let (kind, is_regular) = shape.kind();
        let typ = self.descriptor(
            shape.size() as u64,
            kind,
            is_regular,
            *shape == Shape::Pointer,
        );
        if *shape == Shape::Methods {
            let methods = self.layout.interface_methods;
            self.memory.borrow_mut().put_field(typ, methods, 3);
        }
        if matches!(shape, Shape::Struct(_)) {
            let mut steps = Vec::new();
            shape.flatten(0, &mut steps);
            self.add_program(typ, &steps);
        }
        self.types.insert(shape.clone(), typ);
        typ
    }

    /// A type's descriptor: as many bytes as that of an interface has.
    pub(super) fn descriptor(
        &self,
        size: u64,
        kind: u64,
        is_regular: bool,
        is_direct: bool,
    ) -> u64 {
        let layout = self.layout;
        let mut memory = self.memory.borrow_mut();
        let typ = memory.place_zeros(80);
        let mut flags = [0; 24];
        // KindGCProg of Go 1.23: not part of the kind.
        flags[usize::from(layout.kind_byte.offset)] |= kind as u8 | 0x40;
        if is_regular {
            flags[usize::from(layout.tflag.offset)] |= layout.regular_memory as u8;
        }
        if is_direct {
            flags[usize::from(layout.direct_interface.offset)] |=
                layout.direct_interface_mask as u8;
        }
        memory.put(typ, &flags);
        memory.put_word(typ, size);
        typ
    }

    pub(super) fn add_program(&mut self, typ: u64, steps: &[EqualStep]) {
        let start = self.steps.len() as u32;
        self.steps.extend_from_slice(steps);
        let end = self.steps.len() as u32;
        self.programs.insert(typ, EqualProgram { start, end });
    }

    /// The bytes of a value of `shape`, with anything in its padding; what it points to is put into memory.
    pub(super) fn lay(&mut self, shape: &Shape, value: &Value, dice: &mut Dice) -> Vec<u8> {
        match value {
            Value::Plain(bytes) => bytes.clone(),
            Value::Text(bytes) => {
                let known = self.texts.get(bytes).copied();
                let address = known.filter(|_| dice.one_in(2)).unwrap_or_else(|| {
                    let address = self.memory.borrow_mut().place(bytes);
                    self.texts.insert(bytes.clone(), address);
                    address
                });
                two_words(address, bytes.len() as u64)
            }
            Value::Float32(parts) => parts.iter().flat_map(|part| part.to_le_bytes()).collect(),
            Value::Float64(parts) => parts.iter().flat_map(|part| part.to_le_bytes()).collect(),
            Value::Interface(None) => two_words(0, 0),
            Value::Interface(Some(held)) => {
                let (held_shape, value) = &**held;
                self.lay_interface(held_shape, value, *shape == Shape::Methods, dice)
            }
            Value::Blank => dice.roll().to_le_bytes().to_vec(),
            Value::Struct(values) => {
                let Shape::Struct(fields) = shape else {
                    panic!("a struct's value and {shape:?}");
                };
                let mut bytes = Vec::new();
                for (field, value) in fields.iter().zip(values) {
                    bytes.extend(self.lay(field, value, dice));
                    bytes.resize_with(bytes.len().next_multiple_of(8), || dice.roll() as u8);
                }
                bytes
            }
        }
    }

    fn lay_interface(
        &mut self,
        shape: &Shape,
        value: &Value,
        has_methods: bool,
        dice: &mut Dice,
    ) -> Vec<u8> {
        let mut tab = self.type_of(shape);
        if has_methods {
            let typ = tab;
            let memory = &self.memory;
            let itab = || memory.borrow_mut().place_words(&[1, typ, 0]);
            tab = *self.itabs.entry(typ).or_insert_with(itab);
        }
        let bytes = self.lay(shape, value, dice);
        let data = match (shape, <[u8; 8]>::try_from(&bytes[..])) {
            (Shape::Pointer, Ok(word)) => u64::from_le_bytes(word),
            _ => self.memory.borrow_mut().place(&bytes),
        };
        two_words(tab, data)
    }
}

fn two_words(first: u64, second: u64) -> Vec<u8> {
    [first.to_le_bytes(), second.to_le_bytes()].concat()
}
