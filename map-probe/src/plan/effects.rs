//! What one instruction reads and writes, in the terms that the analyses need.

use iced_x86::{
    Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, UsedMemory,
};

use super::callee::Callee;

/// RAX, as the instruction set numbers the registers.
pub(super) const RAX: usize = 0;
/// RBX.
pub(super) const RBX: usize = 3;
/// RSP.
pub(super) const RSP: usize = 4;
/// RBP.
pub(super) const RBP: usize = 5;

/// R11, in which `gcWriteBarrier` leaves its result (`runtime/asm_amd64.s`, since 1.21).
pub(super) const NOTES: usize = 11;

/// The registers of integer arguments and results in Go's register ABI, in order.
// Go 1.18..1.27 cmd/compile/abi-internal.md: says "RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11"
// Go 1.18..1.27 internal/abi/abi_amd64.go: const IntArgRegs = 9
pub(super) const ARGUMENTS: [usize; 9] = [RAX, RBX, 1, 7, 6, 8, 9, 10, 11];

/// A set of general registers, one bit each.
pub(super) type Registers = u16;

/// The bit of one register.
pub(super) const fn bit(register: usize) -> Registers {
    1 << register
}

/// RDX, which holds a closure's context at a call.
// Go 1.18..1.27 cmd/compile/abi-internal.md: says "| RDX | Closure context pointer |"
pub(super) const CONTEXT: Registers = bit(2);
/// R14, which holds the goroutine.
// Go 1.18..1.27 cmd/compile/abi-internal.md: says "| R14 | Current goroutine |"
const GOROUTINE: Registers = bit(14);

/// The number of a general register of any width; `None` for all other registers.
pub(super) fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

/// One use of memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// The register of the base address; `None` if there is none, or it is none of the sixteen.
    pub(super) base: Option<usize>,
    /// The register of the index.
    pub(super) index: Option<usize>,
    /// What the index is multiplied by.
    pub(super) scale: u32,
    /// Bytes added to both.
    pub(super) displacement: i64,
    /// Bytes used; 0 if unknown, repeated or in an unusual addressing mode.
    pub(super) size: i32,
    /// Whether it is read.
    pub(super) read: bool,
    /// Whether it is written.
    pub(super) written: bool,
}

/// What an instruction uses.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Registers read, for addresses too.
    pub(super) reads: Registers,
    /// Registers read for more than an address.
    pub(super) inputs: Registers,
    /// Registers changed, if only in part or on a condition.
    pub(super) writes: Registers,
    /// Registers of which nothing is left.
    pub(super) replaces: Registers,
    /// Whether any register is changed, vector registers included.
    pub(super) writes_any: bool,
    /// Memory used.
    pub(super) memory: Vec<Access>,
}

impl Effects {
    /// What the instruction uses. A call's uses are those of its callee too, by Go's register ABI.
    pub(super) fn of(
        instruction: &Instruction,
        callee: Option<Callee>,
        factory: &mut InstructionInfoFactory,
    ) -> Self {
        let mut effects = Self::default();
        if instruction.mnemonic() == Mnemonic::Nop {
            return effects;
        }
        let info = factory.info(instruction);
        let mut addresses: Registers = 0;
        for memory in info.used_memory() {
            let access = Access::of(instruction, memory);
            // `lea` uses no memory, so its registers are inputs.
            if access.read || access.written {
                addresses |= access.base.map_or(0, bit) | access.index.map_or(0, bit);
                effects.memory.push(access);
            }
        }
        let mut operands: Registers = 0;
        for operand in 0..instruction.op_count() {
            if instruction.op_kind(operand) == OpKind::Register
                && let Some(register) = number(instruction.op_register(operand))
            {
                operands |= bit(register);
            }
        }
        for used in info.used_registers() {
            let access = used.access();
            effects.writes_any |= writes(access);
            let Some(register) = number(used.register()) else {
                continue;
            };
            if reads(access) {
                effects.reads |= bit(register);
            }
            if writes(access) {
                effects.writes |= bit(register);
            }
            let whole = used.register().size() >= 4;
            if matches!(access, OpAccess::Write | OpAccess::ReadWrite) && whole {
                effects.replaces |= bit(register);
            }
        }
        effects.inputs = effects.reads & (operands | !addresses);
        if let Some(callee) = callee {
            effects.reads |= callee.passed() | GOROUTINE;
            effects.replaces = !(bit(RSP) | bit(RBP) | GOROUTINE);
        } else if instruction.mnemonic() == Mnemonic::Ret {
            effects.reads |= ARGUMENTS.iter().fold(0, |set, &r| set | bit(r));
        }
        effects
    }
}

impl Access {
    fn of(instruction: &Instruction, memory: &UsedMemory) -> Self {
        let plain = |register: Register| register.is_gpr64() || register == Register::None;
        let usual = plain(memory.base())
            && plain(memory.index())
            && !matches!(memory.segment(), Register::FS | Register::GS)
            && !instruction.is_string_instruction();
        Self {
            base: number(memory.base()),
            index: number(memory.index()),
            scale: memory.scale(),
            displacement: memory.displacement().cast_signed(),
            size: if usual {
                i32::try_from(memory.memory_size().size()).unwrap_or(0)
            } else {
                0
            },
            read: reads(memory.access()),
            written: writes(memory.access()),
        }
    }
}

fn reads(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}
