//! Where a program keeps what it hashes with: found in the code of its own hash functions.
//!
//! Go: `runtime/asm_amd64.s` (`runtime·useAeshash`, `runtime·aeskeysched`; to 1.26), `internal/runtime/maps` (1.27).

use std::collections::BTreeSet;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::Function;

/// The functions that hash 4 and 8 bytes, in which the key schedule is named.
const HASH_WORDS: [&str; 4] = [
    "internal/runtime/maps.memHash32AES",
    "internal/runtime/maps.memHash64AES",
    "runtime.memhash32",
    "runtime.memhash64",
];

/// The functions that first look whether the processor has AES.
const CHECK_FLAG: [&str; 5] = [
    "internal/runtime/maps.MemHash",
    "internal/runtime/maps.MemHash32",
    "internal/runtime/maps.MemHash64",
    "runtime.memhash32",
    "runtime.memhash64",
];

/// Where the parts of hashing lie, as linked addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AesHash {
    /// 128 random bytes, made as the program starts (`aeskeysched`).
    pub key_schedule: u64,
    /// The byte that is not zero if hashes are made by AES (`useAeshash`).
    pub used: u64,
}

impl AesHash {
    /// Finds them by the functions of a program; `None` if those are not there or not as known.
    #[must_use]
    pub fn find<'a>(find: &dyn Fn(&str) -> Option<Function<'a>>) -> Option<Self> {
        let mut schedules = BTreeSet::new();
        for function in HASH_WORDS.iter().filter_map(|name| find(name)) {
            let keys: Vec<u64> = instructions(&function)
                .filter_map(|i| round_key(&i))
                .collect();
            match keys.as_slice() {
                [] => {}
                [first, second, third]
                    if first.checked_add(16) == Some(*second)
                        && first.checked_add(32) == Some(*third) =>
                {
                    schedules.insert(*first);
                }
                _ => return None,
            }
        }
        let mut flags = BTreeSet::new();
        for function in CHECK_FLAG.iter().filter_map(|name| find(name)) {
            flags.extend(instructions(&function).filter_map(|i| flag(&i)));
        }
        match (schedules.len(), flags.len()) {
            (1, 1) => Some(Self {
                key_schedule: *schedules.first()?,
                used: *flags.first()?,
            }),
            _ => None,
        }
    }
}

/// The names of all functions that [`AesHash::find`] asks for.
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    HASH_WORDS.into_iter().chain(CHECK_FLAG)
}

fn instructions<'a>(function: &Function<'a>) -> impl Iterator<Item = Instruction> + use<'a> {
    let mut decoder = Decoder::with_ip(64, function.code, function.address, DecoderOptions::NONE);
    std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
}

/// `aesenc xmm, [key]`
fn round_key(instruction: &Instruction) -> Option<u64> {
    (instruction.mnemonic() == Mnemonic::Aesenc).then(|| fixed_address(instruction))?
}

/// `cmp byte [flag], 0`
fn flag(instruction: &Instruction) -> Option<u64> {
    let compares = instruction.mnemonic() == Mnemonic::Cmp
        && instruction.op1_kind() == OpKind::Immediate8
        && instruction.immediate8() == 0;
    compares.then(|| fixed_address(instruction))?
}

fn fixed_address(instruction: &Instruction) -> Option<u64> {
    (instruction.memory_base() == Register::RIP).then(|| instruction.memory_displacement64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAG: u64 = 0x50_0000;
    const SCHEDULE: u64 = 0x50_1000;

    fn found(keys: &[u64]) -> Option<AesHash> {
        const START: u64 = 0x40_0000;
        // Each instruction with the address that it names, relative to its end; then what follows that.
        let mut code: Vec<u8> = Vec::new();
        let mut add = |opcode: &[u8], address: u64, rest: &[u8]| {
            let end = START + (code.len() + opcode.len() + 4 + rest.len()) as u64;
            code.extend(opcode);
            code.extend(((address - end) as u32).to_le_bytes());
            code.extend(rest);
        };
        // cmp byte [FLAG], 0
        add(&[0x80, 0x3d], FLAG, &[0]);
        for key in keys {
            // aesenc xmm0, [key]
            add(&[0x66, 0x0f, 0x38, 0xdc, 0x05], *key, &[]);
        }
        AesHash::find(&|name| {
            (name == "runtime.memhash64").then(|| Function {
                name: name.to_owned(),
                address: START,
                code: &code,
            })
        })
    }

    #[test]
    fn the_key_schedule_is_what_three_rounds_use_one_after_the_other() {
        let [one, two, three] = [SCHEDULE, SCHEDULE + 16, SCHEDULE + 32];
        let expected = AesHash {
            key_schedule: SCHEDULE,
            used: FLAG,
        };
        assert_eq!(found(&[one, two, three]), Some(expected));
        assert_eq!(found(&[one, two]), None);
        assert_eq!(found(&[two, one, three]), None);
        assert_eq!(found(&[]), None);
    }
}
