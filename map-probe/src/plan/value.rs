//! What a register or stack slot is known to hold, and all that is known before an instruction.

use std::collections::BTreeMap;

use super::effects::{RSP, Registers, bit};

/// What a register or stack slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Anything.
    Unknown,
    /// The map's type.
    Typ,
    /// The map.
    Map,
    /// The key, or the pointer to it.
    Key,
    /// The length of a string key.
    KeyLen,
    /// The type's hasher: a closure.
    HasherClosure,
    /// The code of the type's hasher.
    HasherCode,
    /// The map's hash seed.
    Seed,
    /// The key's hash.
    Hash,
    /// Swiss: the directory of tables, or a small map's only group.
    Directory,
    /// Swiss: a table of the directory.
    Table,
    /// The address of room for notes to the garbage collector.
    Notes,
    /// Computed from what the [`Inputs`] say.
    Mix(Inputs),
    /// The address so many bytes above the stack pointer on entry.
    Frame(i32),
}

/// Which of key and seed went into a computed value: a set of bits, never empty in a [`Value::Mix`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs(u8);

impl Inputs {
    /// The key.
    pub(super) const KEY: Self = Self(1);
    /// The seed.
    pub(super) const SEED: Self = Self(2);

    /// All that is in either.
    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// A value computed from these.
    pub(super) const fn value(self) -> Value {
        if self.0 == 0 {
            Value::Unknown
        } else {
            Value::Mix(self)
        }
    }
}

impl Value {
    /// What goes into a value computed from this one.
    pub(super) const fn inputs(self) -> Inputs {
        match self {
            Self::Key => Inputs::KEY,
            Self::Seed => Inputs::SEED,
            Self::Mix(inputs) => inputs,
            _ => Inputs(0),
        }
    }

    /// What is known where two paths meet that bring these values.
    ///
    /// Where one way of hashing is a call and the other is computed in place (Go 1.27's `_fast32` and `_fast64`
    /// functions; the hasher of interfaces in profile-guided builds), a value that is still used afterwards, and is
    /// the hash on one path and computed from the seed on the other, is the variable that holds the hash on both: a
    /// register in use has one variable, and nothing but hashing reads the seed. The key need not have gone in: the
    /// hash of a nil interface is the seed.
    fn meet(self, other: Self, live: bool) -> Self {
        let seeded = |value: Self| value.inputs().0 & Inputs::SEED.0 != 0;
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Hash, computed) | (computed, Self::Hash) if live && seeded(computed) => {
                Self::Hash
            }
            (a, b) => Inputs(a.inputs().0 & b.inputs().0).value(),
        }
    }

    const fn is_frame(self) -> bool {
        matches!(self, Self::Frame(_))
    }
}

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// What it is.
    pub(super) value: Value,
    /// Bytes that were stored, from the slot's start.
    pub(super) size: i32,
}

/// All that is known before an instruction, whichever path led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The sixteen registers.
    pub(super) registers: [Value; 16],
    /// Stack slots, by bytes above the stack pointer on entry.
    pub(super) slots: BTreeMap<i32, Slot>,
    /// Whether an address of the stack frame may be in unknown hands: any call and store may then change any slot.
    pub(super) escaped: bool,
    /// Whether the map may have changed since the hash was computed.
    pub(super) changed: bool,
}

impl State {
    /// What is known on entry, arguments apart.
    pub(super) fn on_entry() -> Self {
        let mut registers = [Value::Unknown; 16];
        registers[RSP] = Value::Frame(0);
        Self {
            registers,
            slots: BTreeMap::new(),
            escaped: false,
            changed: false,
        }
    }

    /// Whether a value is anywhere.
    pub(super) fn holds(&self, value: Value) -> bool {
        self.registers.contains(&value) || self.slots.values().any(|slot| slot.value == value)
    }

    /// Bytes from the stack pointer on entry to that here.
    pub(super) fn stack_pointer(&self) -> Option<i32> {
        match self.registers[RSP] {
            Value::Frame(offset) => Some(offset),
            _ => None,
        }
    }

    /// Forgets the slots that overlap `size` bytes from `start`.
    pub(super) fn forget(&mut self, start: i32, size: i32) {
        let end = start.saturating_add(size);
        self.slots
            .retain(|&offset, slot| offset >= end || offset.saturating_add(slot.size) <= start);
    }

    /// Whether reading `value` from so many bytes at `offset` (`None`: anywhere on the stack) reads an address of
    /// the frame without being known as such.
    pub(super) fn loses_frame(&self, offset: Option<i32>, size: i32, value: Value) -> bool {
        let read = |&(&start, slot): &(&i32, &Slot)| {
            offset.is_none_or(|offset| {
                start < offset.saturating_add(size) && offset < start.saturating_add(slot.size)
            })
        };
        let mut slots = self.slots.iter().filter(read);
        !value.is_frame() && slots.any(|(_, slot)| slot.value.is_frame())
    }

    /// Keeps what is also true of `other`; `live` are the registers still used. Whether anything changed.
    pub(super) fn meet(&mut self, other: &Self, live: Registers) -> bool {
        let before = self.clone();
        for (register, (mine, &theirs)) in
            self.registers.iter_mut().zip(&other.registers).enumerate()
        {
            let is_live = live & bit(register) != 0;
            let met = mine.meet(theirs, is_live);
            // An address of the frame that is no longer followed, and still in use.
            let lost = *mine != theirs && (mine.is_frame() || theirs.is_frame());
            self.escaped |= lost && is_live;
            *mine = met;
        }
        let kept = |offset: &i32, slot: &Slot, there: &BTreeMap<i32, Slot>| {
            there.get(offset) == Some(slot)
        };
        let lost = |here: &BTreeMap<i32, Slot>, there: &BTreeMap<i32, Slot>| {
            here.iter()
                .any(|(offset, slot)| slot.value.is_frame() && !kept(offset, slot, there))
        };
        self.escaped |= lost(&self.slots, &other.slots) || lost(&other.slots, &self.slots);
        self.slots
            .retain(|offset, slot| kept(offset, slot, &other.slots));
        self.escaped |= other.escaped;
        self.changed |= other.changed;
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_value_is_the_hash_only_if_the_seed_went_in_and_it_is_used() {
        let both = Value::Mix(Inputs::KEY.union(Inputs::SEED));
        assert_eq!(Value::Hash.meet(both, true), Value::Hash);
        assert_eq!(both.meet(Value::Hash, true), Value::Hash);
        assert_eq!(Value::Hash.meet(both, false), Value::Unknown);
        assert_eq!(Value::Hash.meet(Value::Seed, true), Value::Hash);
        assert_eq!(
            Value::Seed.meet(both, true).meet(Value::Hash, true),
            Value::Hash
        );
        let key_only = Value::Mix(Inputs::KEY);
        assert_eq!(Value::Hash.meet(key_only, true), Value::Unknown);
        assert_eq!(Value::Hash.meet(Value::Unknown, true), Value::Unknown);
    }

    #[test]
    fn a_store_forgets_what_it_overlaps_and_nothing_else() {
        let mut state = State::on_entry();
        for offset in [0, 8, 16] {
            state.slots.insert(
                offset,
                Slot {
                    value: Value::Map,
                    size: 8,
                },
            );
        }
        state.forget(15, 1);
        assert_eq!(state.slots.keys().copied().collect::<Vec<_>>(), [0, 16]);
    }
}
