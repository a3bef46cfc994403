//! What is known beforehand of a function and its Go version's maps, and what memory holds by that.

use map_probe_common::layout::{Field, LayoutKind};
use map_probe_common::site::KeyForm;

use super::callee::Callee;
use super::cfg::Node;
use super::effects::{ARGUMENTS, Access, RAX, RBP, RBX, RSP, number};
use super::reason::Reason;
use super::value::{State, Value};
use super::{Arguments, MapFunction};
use crate::target::GoMaps;

/// What the analysis has to know of the function and its Go version's maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    arguments: Arguments,
    key_form: KeyForm,
    hasher_offset: i64,
    seed_offset: i64,
    seed_width: i32,
    /// Offset and width of the header's field that says it is being written to.
    writing: (i64, i32),
    /// Offset and width of the header's field that points to the buckets or tables.
    storage: (i64, i32),
    is_swiss: bool,
}

impl Facts {
    pub(super) fn new(function: &MapFunction, maps: &GoMaps) -> Self {
        let place = |field: Field| (i64::from(field.offset), i32::from(field.width));
        Self {
            arguments: function.arguments,
            key_form: function.key_form,
            hasher_offset: i64::from(maps.hasher_offset),
            seed_offset: i64::from(maps.seed_offset),
            seed_width: i32::try_from(maps.seed_width).unwrap_or(0),
            writing: place(maps.layout.writing),
            storage: place(maps.layout.storage),
            is_swiss: maps.layout.kind == LayoutKind::Swiss as u32,
        }
    }

    /// How many low bytes of a register or slot the value needs.
    pub(super) fn width(&self, value: Value) -> i32 {
        match value {
            Value::Key if self.key_form == KeyForm::Value32 => 4,
            Value::Seed => self.seed_width,
            _ => 8,
        }
    }

    /// What is known when the function is entered.
    pub(super) fn entry(&self) -> Result<State, Reason> {
        let mut state = State::on_entry();
        let Arguments { typ, map, key } = self.arguments;
        let mut place = |argument: u8, value| {
            let register = ARGUMENTS
                .get(usize::from(argument))
                .ok_or(Reason::Arguments)?;
            state.registers[*register] = value;
            Ok(())
        };
        place(typ, Value::Typ)?;
        place(map, Value::Map)?;
        place(key, Value::Key)?;
        if self.key_form == KeyForm::String {
            place(key.saturating_add(1), Value::KeyLen)?;
        }
        Ok(state)
    }
}

/// Where an access leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// This many bytes above the stack pointer on entry.
    Stack(i32),
    /// Somewhere on our stack.
    StackAnywhere,
    /// Not on our stack, as long as no address of it has escaped: so far beyond a value, or just anywhere.
    Memory(Value, i64),
}

impl Facts {
    /// Where an access leads.
    pub(super) fn target(access: &Access, state: &State) -> Target {
        let value = |register: Option<usize>| register.map(|r| state.registers[r]);
        let (base, index) = (value(access.base), value(access.index));
        let is_frame = |value| matches!(value, Some(Value::Frame(_)));
        match base {
            Some(Value::Frame(offset)) if index.is_none() && access.size > 0 => {
                i32::try_from(i64::from(offset).saturating_add(access.displacement))
                    .map_or(Target::StackAnywhere, Target::Stack)
            }
            _ if is_frame(base) || is_frame(index) || matches!(access.base, Some(RSP | RBP)) => {
                Target::StackAnywhere
            }
            Some(value) if index.is_none() && access.size > 0 => {
                Target::Memory(value, access.displacement)
            }
            _ => Target::Memory(Value::Unknown, 0),
        }
    }

    /// Whether an access is one of the whole seed of the map.
    pub(super) fn is_seed(&self, access: &Access, state: &State) -> bool {
        Self::target(access, state) == Target::Memory(Value::Map, self.seed_offset)
            && access.size == self.seed_width
    }

    /// Whether an access is one of the header's field that says it is being written to.
    pub(super) fn is_writing(&self, access: &Access, state: &State) -> bool {
        let (offset, width) = self.writing;
        Self::target(access, state) == Target::Memory(Value::Map, offset) && access.size == width
    }

    /// Whether an access is one of the header's pointer to the buckets: a map that has none gets its first, empty one.
    pub(super) fn is_storage(&self, access: &Access, state: &State) -> bool {
        let (offset, width) = self.storage;
        Self::target(access, state) == Target::Memory(Value::Map, offset) && access.size == width
    }

    /// Whether an access is one of an entry of the directory of tables: a small map has none, and of its group nothing is
    /// read so.
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: (*Map).directoryAt has "return *(**table)(unsafe.Pointer(uintptr(m.dirPtr) + goarch.PtrSize*i))"
    pub(super) fn is_table(access: &Access, state: &State) -> bool {
        let base = access.base.map(|register| state.registers[register]);
        base == Some(Value::Directory)
            && access.index.is_some()
            && (access.scale, access.displacement, access.size) == (8, 0, 8)
    }

    /// What a load brings.
    pub(super) fn load(&self, access: &Access, state: &State) -> Value {
        if Self::is_table(access, state) {
            return Value::Table;
        }
        match Self::target(access, state) {
            Target::Stack(offset) => match state.slots.get(&offset) {
                Some(slot)
                    if access.size == slot.size
                        || self.width(slot.value) <= access.size.min(slot.size) =>
                {
                    slot.value
                }
                Some(slot) => slot.value.inputs().value(),
                None => Value::Unknown,
            },
            Target::Memory(Value::Typ, offset)
                if offset == self.hasher_offset && access.size == 8 =>
            {
                Value::HasherClosure
            }
            Target::Memory(Value::HasherClosure, 0) if access.size == 8 => Value::HasherCode,
            _ if self.is_seed(access, state) => Value::Seed,
            _ if self.is_swiss && self.is_storage(access, state) => Value::Directory,
            _ => Value::Unknown,
        }
    }

    /// Whether a call computes the hash of our key with our map's seed.
    pub(super) fn calls_hash(&self, node: &Node, state: &State) -> bool {
        let by_type = match node.callee {
            Some(Callee::Hash) => false,
            Some(Callee::Other) if self.calls_hasher_of_type(node, state) => true,
            _ => return false,
        };
        let by_value = state.registers[RAX] == Value::Key;
        let by_address = match state.registers[RAX] {
            Value::Frame(offset) => {
                let holds = |offset: i32, value| {
                    state.slots.get(&offset).map(|slot| slot.value) == Some(value)
                };
                holds(offset, Value::Key)
                    && (self.key_form != KeyForm::String
                        || holds(offset.saturating_add(8), Value::KeyLen))
            }
            _ => false,
        };
        let takes_key = match self.key_form {
            KeyForm::Pointer => by_value,
            // The type's hasher takes the address of a key, those for 4 and 8 bytes and for strings also the key.
            _ => by_address || (by_value && !by_type),
        };
        takes_key && state.registers[RBX] == Value::Seed
    }

    fn calls_hasher_of_type(&self, node: &Node, state: &State) -> bool {
        let instruction = &node.instruction;
        if !instruction.is_call_near_indirect() {
            return false;
        }
        let code = match number(instruction.op0_register()) {
            Some(register) => state.registers[register],
            // `call [closure]`; the other access writes the return address.
            None => match node.effects.memory.iter().find(|access| access.read) {
                Some(access) => self.load(access, state),
                None => Value::Unknown,
            },
        };
        code == Value::HasherCode
    }
}
