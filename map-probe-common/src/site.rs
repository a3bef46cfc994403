//! A probe site: where, at one instruction, the operation's values live.

use crate::op::Op;
use crate::shared::shared;

/// The most sites one target can have.
pub const MAX_SITES: u32 = 256;

/// Words of the stack that a site can have read: one window of them.
pub const STACK_WORDS: usize = 16;

/// Calls by which wrappers of the runtime reach one map function: `runtime.mapdelete_faststr` and its siblings call
/// `(*Map).Delete`.
pub const MAX_WRAPPERS: usize = 8;

/// Wrappers between a map function and the code that does the operation, at most.
pub const WRAPPER_LEVELS: usize = 2;

/// A call in a wrapper: the code that does the operation is the wrapper's caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Wrapper {
    /// Where that call returns to, in the target; 0 for none.
    pub return_address: u64,
    /// Bytes from there on the stack to the wrapper's own return address.
    pub distance: u64,
}
shared!(Wrapper, 16, { return_address: u64, distance: u64 });

/// Where a value lives: 0–15 a register in the order of the instruction set
/// (`RAX RCX RDX RBX RSP RBP RSI RDI R8..R15`), 16 and up a word of the stack
/// window, [`Place::NONE`] nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Place(pub u8);

impl Place {
    /// The value is not there at all (a length that the operation has none of).
    pub const NONE: Self = Self(0xff);
    /// The first word of the stack window.
    pub const FIRST_STACK_WORD: u8 = 16;

    /// The register with this number in the instruction set's order.
    #[must_use]
    pub const fn register(number: u8) -> Self {
        Self(number & 15)
    }

    /// A word of the stack window.
    #[must_use]
    pub const fn stack_word(index: u8) -> Self {
        Self(Self::FIRST_STACK_WORD + index)
    }
}

/// How the operation holds its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyForm {
    /// `key` points to it.
    Pointer = 0,
    /// The low four bytes of `key` are it.
    Value32 = 1,
    /// `key` is it.
    Value64 = 2,
    /// `key` points to the bytes of a string, `key_len` is its length.
    String = 3,
}

/// When a site's operation is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// At once.
    Search = 0,
    /// At once, unless a classic map's old bucket is about to be evacuated: then
    /// at the [`Role::AfterEvacuation`] site of the same function.
    SearchOrDefer = 1,
    /// Only for an operation that was deferred.
    AfterEvacuation = 2,
}

/// The search stops at a slot that says all later ones of the chain are empty.
pub const STOPS_AT_EMPTY_REST: u8 = 1;
/// The search passes over a group whose first free slot is a tombstone, even if it has an empty one.
pub const PASSES_TOMBSTONE_FIRST: u8 = 2;

/// The offset of a return address that is not known.
pub const NO_CALLER: u32 = u32::MAX;

/// One probe site, as the kernel side needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Site {
    /// Where the stack window starts, in bytes above the stack pointer.
    pub stack_offset: u32,
    /// Words to read there; 0 for none, at most [`STACK_WORDS`].
    pub stack_words: u8,
    /// An [`Op`] as its number.
    pub op: u8,
    /// A [`KeyForm`] as its number.
    pub key_form: u8,
    /// A [`Role`] as its number.
    pub role: u8,
    /// [`STOPS_AT_EMPTY_REST`], [`PASSES_TOMBSTONE_FIRST`].
    pub search: u8,
    /// The map's type.
    pub typ: u8,
    /// The map.
    pub map: u8,
    /// The key, as `key_form` says.
    pub key: u8,
    /// The length of a string key.
    pub key_len: u8,
    /// The hash; [`Place::NONE`] at an [`Role::AfterEvacuation`] site where the function no longer has it: it is then
    /// the one that the operation had when it was deferred.
    pub hash: u8,
    /// Words that are read there if they can be, instead of `stack_words`: up to the return addresses of wrappers. Beyond
    /// the function's own frame there may be nothing.
    pub wide_words: u8,
    /// Whether the frame pointer (RBP) is set up for the function's own frame, as user stacks need it: 0 or 1.
    pub has_frame_pointer: u8,
    /// Bytes from the stack pointer to the function's return address; [`NO_CALLER`] if that is not known.
    pub caller_offset: u32,
    /// Swiss: the table that is searched; [`Place::NONE`] where it is still to be found by the hash.
    pub table: u8,
    /// Keeps the size a multiple of eight.
    pub reserved: [u8; 3],
    /// Calls of this function in wrappers, and of those in others.
    pub wrappers: [Wrapper; MAX_WRAPPERS],
}
shared!(Site, 152, {
    stack_offset: u32, stack_words: u8, op: u8, key_form: u8, role: u8, search: u8,
    typ: u8, map: u8, key: u8, key_len: u8, hash: u8, wide_words: u8, has_frame_pointer: u8,
    caller_offset: u32, table: u8, reserved: [u8; 3], wrappers: [Wrapper; MAX_WRAPPERS],
});

impl Site {
    /// The operation; `None` if the number is none of [`Op`]'s.
    #[must_use]
    pub const fn op(&self) -> Option<Op> {
        match self.op {
            0 => Some(Op::Lookup),
            1 => Some(Op::Insert),
            2 => Some(Op::Delete),
            _ => None,
        }
    }

    /// How the key is held; `None` if the number is none of [`KeyForm`]'s.
    #[must_use]
    pub const fn key_form(&self) -> Option<KeyForm> {
        match self.key_form {
            0 => Some(KeyForm::Pointer),
            1 => Some(KeyForm::Value32),
            2 => Some(KeyForm::Value64),
            3 => Some(KeyForm::String),
            _ => None,
        }
    }

    /// When operations are walked; `None` if the number is none of [`Role`]'s.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        match self.role {
            0 => Some(Role::Search),
            1 => Some(Role::SearchOrDefer),
            2 => Some(Role::AfterEvacuation),
            _ => None,
        }
    }
}
