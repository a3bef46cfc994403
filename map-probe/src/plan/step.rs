//! What one instruction does to what is known.

use std::collections::BTreeSet;

use iced_x86::{Mnemonic, OpKind, Register};

use super::callee::Callee;
use super::cfg::Node;
use super::effects::{ARGUMENTS, Access, NOTES, RAX, RBP, RSP, bit, number};
use super::facts::{Facts, Target};
use super::value::{Inputs, Slot, State, Value};

/// One instruction at work.
pub(super) struct Step<'a> {
    pub(super) facts: &'a Facts,
    pub(super) node: &'a Node,
    /// The slots of our own frame that the function loads from.
    pub(super) read_back: &'a BTreeSet<i32>,
}

impl Step<'_> {
    /// Turns what is known before the instruction into what is known after it.
    pub(super) fn apply(&self, state: &mut State) {
        let reads_seed = self
            .accesses()
            .any(|access| access.read && self.facts.is_seed(access, state));
        if self.node.callee.is_some() {
            self.call(state);
        } else if !(self.moves(state) || self.adjusts(state) || self.pushes_or_pops(state)) {
            self.computes(state);
        }
        if reads_seed {
            // Hashing begins.
            state.changed = false;
        }
    }

    fn accesses(&self) -> impl Iterator<Item = &Access> {
        self.node.effects.memory.iter()
    }

    /// A general register operand of 4 or 8 bytes, and its size.
    fn register(&self, operand: u32) -> Option<(usize, i32)> {
        let instruction = &self.node.instruction;
        if instruction.op_kind(operand) != OpKind::Register {
            return None;
        }
        let register = instruction.op_register(operand);
        let size = match register {
            r if r.is_gpr64() => 8,
            r if r.is_gpr32() => 4,
            _ => return None,
        };
        Some((number(register)?, size))
    }

    /// `mov` of 4 or 8 bytes, `lea`.
    fn moves(&self, state: &mut State) -> bool {
        let instruction = &self.node.instruction;
        match instruction.mnemonic() {
            Mnemonic::Mov => {}
            Mnemonic::Lea => return self.loads_address(state),
            _ => return false,
        }
        let access = self.accesses().next();
        match (self.register(0), self.register(1), access) {
            (Some((to, size)), Some((from, _)), None) => {
                let value = state.registers[from];
                state.registers[to] = self.cut(value, size, state);
            }
            (Some((to, _)), None, Some(access)) => {
                state.registers[to] = self.load(access, state);
            }
            (None, Some((from, size)), Some(access)) => {
                let value = state.registers[from];
                let value = self.cut(value, size, state);
                self.store(state, access, value);
            }
            _ => return false,
        }
        true
    }

    /// What is left of a value in its low `size` bytes.
    fn cut(&self, value: Value, size: i32, state: &mut State) -> Value {
        if self.facts.width(value) <= size {
            return value;
        }
        state.escaped |= matches!(value, Value::Frame(_));
        value.inputs().value()
    }

    fn loads_address(&self, state: &mut State) -> bool {
        let instruction = &self.node.instruction;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let Some((to, 8)) = self.register(0) else {
            return false;
        };
        let (true, true, Some(from)) = (
            base.is_gpr64(),
            index == Register::None,
            number(base).map(|register| state.registers[register]),
        ) else {
            return false;
        };
        let displacement = instruction.memory_displacement64().cast_signed();
        match from {
            Value::Frame(offset) => Self::set_frame(state, to, i64::from(offset), displacement),
            value if displacement == 0 => state.registers[to] = value,
            _ => return false,
        }
        true
    }

    /// `add` and `sub` of a constant to an address of the frame.
    fn adjusts(&self, state: &mut State) -> bool {
        let instruction = &self.node.instruction;
        let Some((to, 8)) = self.register(0) else {
            return false;
        };
        let Value::Frame(offset) = state.registers[to] else {
            return false;
        };
        let (2, Ok(constant)) = (instruction.op_count(), instruction.try_immediate(1)) else {
            return false;
        };
        let constant = constant.cast_signed();
        let change = match instruction.mnemonic() {
            Mnemonic::Add => constant,
            Mnemonic::Sub => constant.saturating_neg(),
            _ => return false,
        };
        Self::set_frame(state, to, i64::from(offset), change);
        true
    }

    fn set_frame(state: &mut State, register: usize, offset: i64, change: i64) {
        state.registers[register] = if let Ok(offset) = i32::try_from(offset.saturating_add(change))
        {
            Value::Frame(offset)
        } else {
            state.escaped = true;
            Value::Unknown
        };
    }

    fn pushes_or_pops(&self, state: &mut State) -> bool {
        let instruction = &self.node.instruction;
        let (Some((register, 8)), Some(access)) = (self.register(0), self.accesses().next()) else {
            return false;
        };
        let Some(pointer) = state.stack_pointer() else {
            return false;
        };
        match instruction.mnemonic() {
            Mnemonic::Push => {
                let value = state.registers[register];
                Self::set_frame(state, RSP, i64::from(pointer), -8);
                // The access is relative to the stack pointer before or after: the slot is where it points now.
                let pushed = Access {
                    displacement: 0,
                    ..*access
                };
                self.store(state, &pushed, value);
            }
            Mnemonic::Pop => {
                let popped = Access {
                    displacement: 0,
                    ..*access
                };
                let value = self.load(&popped, state);
                Self::set_frame(state, RSP, i64::from(pointer), 8);
                state.registers[register] = value;
            }
            _ => return false,
        }
        true
    }

    /// Any other instruction: what it writes is computed from what it reads.
    fn computes(&self, state: &mut State) {
        let effects = &self.node.effects;
        let mut inputs = Inputs::default();
        let mut reads_frame = false;
        for (register, value) in state.registers.iter().enumerate() {
            if effects.inputs & bit(register) != 0 {
                inputs = inputs.union(value.inputs());
                reads_frame |= matches!(value, Value::Frame(_));
            }
        }
        for access in self.accesses().filter(|access| access.read) {
            let value = self.load(access, state);
            inputs = inputs.union(value.inputs());
            reads_frame |= matches!(value, Value::Frame(_));
        }
        let writes_memory = self.accesses().any(|access| access.written);
        state.escaped |= reads_frame && (effects.writes_any || writes_memory);
        for access in self.accesses().filter(|access| access.written) {
            self.store(state, access, Value::Unknown);
        }
        for (register, value) in state.registers.iter_mut().enumerate() {
            if effects.writes & bit(register) != 0 {
                *value = inputs.value();
            }
        }
    }

    fn load(&self, access: &Access, state: &mut State) -> Value {
        let value = self.facts.load(access, state);
        state.escaped |= match Facts::target(access, state) {
            Target::Stack(offset) => state.loses_frame(Some(offset), access.size, value),
            Target::StackAnywhere => state.loses_frame(None, 0, value),
            Target::Memory(..) => false,
        };
        value
    }

    fn store(&self, state: &mut State, access: &Access, value: Value) {
        match Facts::target(access, state) {
            Target::Stack(offset) => {
                state.forget(offset, access.size);
                if value != Value::Unknown {
                    let size = access.size;
                    state.slots.insert(offset, Slot { value, size });
                }
            }
            Target::StackAnywhere => {
                state.escaped |= matches!(value, Value::Frame(_));
                state.slots.clear();
            }
            Target::Memory(..) => {
                state.changed |= !self.facts.is_writing(access, state);
                state.escaped |= matches!(value, Value::Frame(_));
                if state.escaped {
                    state.slots.clear();
                }
            }
        }
    }

    fn call(&self, state: &mut State) {
        let callee = self.node.callee.unwrap_or(Callee::Other);
        let hashes = self.facts.calls_hash(self.node, state);
        let result = match callee {
            _ if hashes => Value::Hash,
            Callee::Identity => state.registers[RAX],
            Callee::HashesPart => ARGUMENTS[..3]
                .iter()
                .fold(Inputs::default(), |inputs, &argument| {
                    inputs.union(state.registers[argument].inputs())
                })
                .value(),
            _ => Value::Unknown,
        };
        let keeps_addresses = hashes || matches!(callee, Callee::Identity | Callee::Morestack);
        if !keeps_addresses {
            let passed = callee.passed();
            state.escaped |= (0..).zip(&state.registers).any(|(register, value)| {
                passed & bit(register) != 0 && matches!(value, Value::Frame(_))
            });
        }
        match state.stack_pointer() {
            Some(pointer) if !state.escaped && callee != Callee::Morestack => {
                // What is in the callee's own frame is gone, and so is what may be an argument in ours. A variable
                // whose address is only passed through is none: it lies above the callee's one argument.
                let passed_through = match (callee, state.registers[RAX]) {
                    (Callee::Identity, Value::Frame(start)) => {
                        start.max(pointer.saturating_add(8))..start.saturating_add(16)
                    }
                    _ => 0..0,
                };
                state.slots.retain(|offset, _| {
                    *offset >= 0
                        || (*offset >= pointer && self.read_back.contains(offset))
                        || passed_through.contains(offset)
                });
            }
            Some(_) if !state.escaped => {}
            _ => state.slots.clear(),
        }
        for (register, value) in state.registers.iter_mut().enumerate() {
            if register != RSP && register != RBP {
                *value = Value::Unknown;
            }
        }
        state.registers[RAX] = result;
        if callee == Callee::WriteBarrier {
            state.registers[NOTES] = Value::Notes;
        }
        if callee != Callee::HashesPart {
            state.changed = !hashes;
        }
    }
}
