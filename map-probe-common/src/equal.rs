//! Equality of keys, flattened: a type's `==` as a short list of steps.
//!
//! Userspace flattens every struct and array type whose equality is not that of
//! its memory (it holds strings, floats, interfaces, blank fields or padding);
//! simple types need no list.

use crate::shared::shared;

/// What one step compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EqualKind {
    /// `len` bytes as they are.
    Memory = 1,
    /// A string header, then its bytes.
    String = 2,
    /// A 32-bit float: NaN differs from all, 0 equals -0.
    Float32 = 3,
    /// A 64-bit float.
    Float64 = 4,
    /// An interface without methods: the type, then the value by its type.
    EmptyInterface = 5,
    /// An interface with methods: the itab, then the value by its type.
    Interface = 6,
}

/// One step: compare what lies `offset` bytes into both values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct EqualStep {
    /// An [`EqualKind`] as its number.
    pub kind: u32,
    /// Bytes from the start of the value.
    pub offset: u32,
    /// Bytes to compare; for [`EqualKind::Memory`] only.
    pub len: u32,
}
shared!(EqualStep, 12, { kind: u32, offset: u32, len: u32 });

/// A range of the table of steps: how one type compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct EqualProgram {
    /// The first step.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}
shared!(EqualProgram, 8, { start: u32, end: u32 });

/// The most steps one type may have; types with more are left out, and their operations counted as truncated.
pub const MAX_STEPS: usize = 64;

/// The steps that every table starts with: the basic types that are not plain memory.
pub const BASIC_STEPS: [EqualStep; 9] = [
    basic(EqualKind::String, 0),
    basic(EqualKind::Float32, 0),
    basic(EqualKind::Float64, 0),
    basic(EqualKind::Float32, 0),
    basic(EqualKind::Float32, 4),
    basic(EqualKind::Float64, 0),
    basic(EqualKind::Float64, 8),
    basic(EqualKind::EmptyInterface, 0),
    basic(EqualKind::Interface, 0),
];

const fn basic(kind: EqualKind, offset: u32) -> EqualStep {
    EqualStep {
        kind: kind as u32,
        offset,
        len: 0,
    }
}

/// Kinds of types, as Go numbers them.
pub mod kind {
    /// `float32`
    // Go 1.18..1.20 runtime/typekind.go: const kindFloat32 = 13
    // Go 1.21..1.27 internal/abi/type.go: const Float32 = 13
    pub const FLOAT32: u64 = 13;
    /// `float64`
    // Go 1.18..1.20 runtime/typekind.go: const kindFloat64 = 14
    // Go 1.21..1.27 internal/abi/type.go: const Float64 = 14
    pub const FLOAT64: u64 = 14;
    /// `complex64`
    // Go 1.18..1.20 runtime/typekind.go: const kindComplex64 = 15
    // Go 1.21..1.27 internal/abi/type.go: const Complex64 = 15
    pub const COMPLEX64: u64 = 15;
    /// `complex128`
    // Go 1.18..1.20 runtime/typekind.go: const kindComplex128 = 16
    // Go 1.21..1.27 internal/abi/type.go: const Complex128 = 16
    pub const COMPLEX128: u64 = 16;
    /// Interfaces without methods; with methods it is [`INTERFACE_WITH_METHODS`], a number of our own.
    // Go 1.18..1.20 runtime/typekind.go: const kindInterface = 20
    // Go 1.21..1.27 internal/abi/type.go: const Interface = 20
    pub const INTERFACE: u64 = 20;
    /// `string`
    // Go 1.18..1.20 runtime/typekind.go: const kindString = 24
    // Go 1.21..1.27 internal/abi/type.go: const String = 24
    pub const STRING: u64 = 24;
    /// Interfaces with methods.
    pub const INTERFACE_WITH_METHODS: u64 = INTERFACE | 32;
}

/// The programs of the basic types, in [`BASIC_STEPS`], by their kind: in the
/// table of programs a kind is a key like a type's address, which is never as small.
pub const BASIC_PROGRAMS: [(u64, EqualProgram); 7] = [
    (kind::STRING, EqualProgram { start: 0, end: 1 }),
    (kind::FLOAT32, EqualProgram { start: 1, end: 2 }),
    (kind::FLOAT64, EqualProgram { start: 2, end: 3 }),
    (kind::COMPLEX64, EqualProgram { start: 3, end: 5 }),
    (kind::COMPLEX128, EqualProgram { start: 5, end: 7 }),
    (kind::INTERFACE, EqualProgram { start: 7, end: 8 }),
    (
        kind::INTERFACE_WITH_METHODS,
        EqualProgram { start: 8, end: 9 },
    ),
];
