//! Types and values as Go has them: made at random, and compared as Go does.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::dice::Dice;
use crate::equal::{EqualKind, EqualStep, kind};

/// A Go type, as far as comparing and laying out its values goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// So many bytes that compare as they are.
    Plain(usize),
    /// A pointer: the one shape that an interface's data word holds itself.
    Pointer,
    Text,
    Float32,
    Float64,
    Complex64,
    Complex128,
    Any,
    /// An interface with methods.
    Methods,
    /// A blank field: not compared.
    Blank,
    /// Fields, each at a multiple of eight bytes: there is padding between them.
    Struct(Vec<Shape>),
}

impl Shape {
    /// Bytes of a value.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Plain(bytes) => *bytes,
            Self::Float32 => 4,
            Self::Pointer | Self::Float64 | Self::Complex64 | Self::Blank => 8,
            Self::Text | Self::Complex128 | Self::Any | Self::Methods => 16,
            Self::Struct(fields) => fields.iter().map(Self::padded_size).sum(),
        }
    }

    fn padded_size(&self) -> usize {
        self.size().next_multiple_of(8)
    }

    /// A type whose values hold interfaces at most `nesting` deep.
    pub(super) fn random(dice: &mut Dice, nesting: usize) -> Self {
        match dice.below(if nesting == 0 { 8 } else { 11 }) {
            0 | 1 => Self::Plain(dice.below(41)),
            2 => Self::Pointer,
            3 => Self::Text,
            4 => dice.pick(&[Self::Float32, Self::Float64]),
            5 => dice.pick(&[Self::Complex64, Self::Complex128]),
            6 | 7 => {
                let fields = dice.below(5);
                let mut fields: Vec<_> = (0..fields).map(|_| Self::random(dice, nesting)).collect();
                fields.insert(dice.below(fields.len() + 1), Self::Blank);
                Self::Struct(fields)
            }
            8 | 9 => Self::Any,
            _ => Self::Methods,
        }
    }

    /// The steps that compare a value `offset` bytes into another.
    pub(super) fn flatten(&self, offset: usize, steps: &mut Vec<EqualStep>) {
        let mut step = |kind: EqualKind, offset: usize, len: usize| {
            steps.push(EqualStep {
                kind: kind as u32,
                offset: offset as u32,
                len: len as u32,
            });
        };
        match self {
            Self::Plain(bytes) => step(EqualKind::Memory, offset, *bytes),
            Self::Pointer => step(EqualKind::Memory, offset, 8),
            Self::Text => step(EqualKind::String, offset, 0),
            Self::Float32 => step(EqualKind::Float32, offset, 0),
            Self::Float64 => step(EqualKind::Float64, offset, 0),
            Self::Complex64 => {
                step(EqualKind::Float32, offset, 0);
                step(EqualKind::Float32, offset + 4, 0);
            }
            Self::Complex128 => {
                step(EqualKind::Float64, offset, 0);
                step(EqualKind::Float64, offset + 8, 0);
            }
            Self::Any => step(EqualKind::EmptyInterface, offset, 0),
            Self::Methods => step(EqualKind::Interface, offset, 0),
            Self::Blank => {}
            Self::Struct(fields) => {
                let mut at = offset;
                for field in fields {
                    field.flatten(at, steps);
                    at += field.padded_size();
                }
            }
        }
    }

    /// The kind, as `internal/abi/type.go` numbers it, and whether equality is that of the memory.
    pub(super) fn kind(&self) -> (u64, bool) {
        match self {
            // An array.
            Self::Plain(_) | Self::Blank => (17, true),
            Self::Pointer => (22, true),
            Self::Text => (kind::STRING, false),
            Self::Float32 => (kind::FLOAT32, false),
            Self::Float64 => (kind::FLOAT64, false),
            Self::Complex64 => (kind::COMPLEX64, false),
            Self::Complex128 => (kind::COMPLEX128, false),
            Self::Any | Self::Methods => (kind::INTERFACE, false),
            Self::Struct(_) => (25, false),
        }
    }
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Plain(Vec<u8>),
    Text(Vec<u8>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Interface(Option<Box<(Shape, Value)>>),
    Blank,
    Struct(Vec<Value>),
}

impl Value {
    /// A value of `shape`: one of few, so that two are often equal.
    pub(super) fn random(shape: &Shape, dice: &mut Dice, nesting: usize) -> Self {
        let floats = [
            0.0,
            -0.0,
            f64::NAN,
            -f64::NAN,
            1.5,
            f64::INFINITY,
            -f64::INFINITY,
        ];
        let parts = if matches!(shape, Shape::Complex64 | Shape::Complex128) {
            2
        } else {
            1
        };
        match shape {
            Shape::Plain(_) | Shape::Pointer => {
                let mut bytes = vec![7; shape.size()];
                if !bytes.is_empty() && dice.one_in(2) {
                    let at = dice.below(bytes.len());
                    bytes[at] = dice.pick(&[0, 8]);
                }
                Self::Plain(bytes)
            }
            Shape::Text => {
                let mut bytes = vec![b'a'; dice.pick(&[0, 1, 5, 33, 70])];
                if let Some(last) = bytes.last_mut() {
                    *last = dice.pick(b"ab");
                }
                Self::Text(bytes)
            }
            Shape::Float32 | Shape::Complex64 => {
                Self::Float32((0..parts).map(|_| dice.pick(&floats) as f32).collect())
            }
            Shape::Float64 | Shape::Complex128 => {
                Self::Float64((0..parts).map(|_| dice.pick(&floats)).collect())
            }
            Shape::Any | Shape::Methods => Self::Interface((!dice.one_in(4)).then(|| {
                let inner = nesting.saturating_sub(1);
                let shape = Shape::random(dice, inner);
                let value = Self::random(&shape, dice, inner);
                Box::new((shape, value))
            })),
            Shape::Blank => Self::Blank,
            Shape::Struct(fields) => {
                let fields = fields
                    .iter()
                    .map(|field| Self::random(field, dice, nesting));
                Self::Struct(fields.collect())
            }
        }
    }

    /// The same value with one part drawn anew.
    pub(super) fn vary(&mut self, shape: &Shape, dice: &mut Dice, nesting: usize) {
        match (self, shape) {
            (Self::Struct(values), Shape::Struct(fields)) => {
                let at = dice.below(fields.len());
                values[at].vary(&fields[at], dice, nesting);
            }
            (Self::Interface(Some(held)), _) => {
                let (shape, value) = &mut **held;
                value.vary(shape, dice, nesting.saturating_sub(1));
            }
            (value, shape) => *value = Self::random(shape, dice, nesting),
        }
    }

    /// Go's `==`.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) | (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Float32(a), Self::Float32(b)) => a == b,
            (Self::Float64(a), Self::Float64(b)) => a == b,
            (Self::Blank, Self::Blank) | (Self::Interface(None), Self::Interface(None)) => true,
            (Self::Interface(Some(a)), Self::Interface(Some(b))) => a.0 == b.0 && a.1.equals(&b.1),
            (Self::Struct(a), Self::Struct(b)) => a.iter().zip(b).all(|(a, b)| a.equals(b)),
            _ => false,
        }
    }
}
