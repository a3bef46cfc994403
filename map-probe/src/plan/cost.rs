//! What a probe on an instruction costs, as the kernel's `arch/x86/kernel/uprobes.c` decides it.

use super::Cost;

/// What the running kernel does with probes on nops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// It emulates nops of several bytes.
    pub emulates_nops: bool,
    /// It replaces a 5-byte nop by a call, into a page that fork does not copy: a child that gets there is killed (seen on 6.18).
    pub optimises_nop5: bool,
}

impl Kernel {
    /// A kernel of which nothing is known but that it has uprobes.
    pub const ANY: Self = Self {
        emulates_nops: false,
        optimises_nop5: false,
    };

    /// What a kernel does by its release, as `uname -r` says it (`6.18.44-amd64`).
    #[must_use]
    pub fn of_release(release: &str) -> Self {
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map_while(|number| number.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Self {
            emulates_nops: version >= (6, 16),
            optimises_nop5: version >= (6, 18),
        }
    }
}

const NOP5: &[u8] = &[0x0f, 0x1f, 0x44, 0x00, 0x00];

/// The kernel's own nops of several bytes: it compares whole instructions (`x86_nops`).
const LONG_NOPS: &[&[u8]] = &[
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    NOP5,
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/// What a probe on the instruction with these bytes costs; `None` if it must not or cannot be probed.
pub(super) fn of(bytes: &[u8], kernel: Kernel) -> Option<Cost> {
    match bytes {
        NOP5 if kernel.optimises_nop5 => return None,
        nop if kernel.emulates_nops && LONG_NOPS.contains(&nop) => return Some(Cost::Emulated),
        _ => {}
    }
    if is_emulated_everywhere(bytes) {
        return Some(Cost::Emulated);
    }
    steps_safely(bytes).then_some(Cost::SingleStepped)
}

/// Whether every kernel with uprobes emulates the instruction (since 4.17 for `push`).
fn is_emulated_everywhere(bytes: &[u8]) -> bool {
    let (first, length) = match bytes {
        // With a prefix: `push r8` to `push r15`, the nop that objdump calls `xchg ax,ax`, near jcc.
        [0x41, 0x50..=0x57] | [0x66, 0x90] | [0x0f, 0x80..=0x8f, _, _, _, _] => return true,
        [first, ..] => (*first, bytes.len()),
        [] => return false,
    };
    match first {
        // push, nop
        0x50..=0x57 | 0x90 => length == 1,
        // short jcc, short jmp
        0x70..=0x7f | 0xeb => length == 2,
        // call, jmp
        0xe8 | 0xe9 => length == 5,
        _ => false,
    }
}

/// Whether an instruction is one of the plain ones that can be executed elsewhere: moves, arithmetic, comparisons.
fn steps_safely(bytes: &[u8]) -> bool {
    // Operand size and REX are the only prefixes: no lock, no repetition, no segment.
    let bytes = bytes.strip_prefix(&[0x66]).unwrap_or(bytes);
    let bytes = match bytes {
        [0x40..=0x4f, rest @ ..] => rest,
        _ => bytes,
    };
    match bytes {
        // movzx, movsx, cmovcc, setcc, bt, imul, bsf/bsr, multi-byte nop
        [0x0f, second, ..] => matches!(
            second,
            0x1f | 0x40..=0x4f | 0x90..=0x9f | 0xa3 | 0xaf | 0xb6 | 0xb7 | 0xba..=0xbf
        ),
        [first, ..] => match first {
            // add, or, adc, sbb, and, sub, xor, cmp: register, memory and constant forms
            0x00..=0x3f => first & 7 < 6,
            // movsxd, imul, the same with constants, test, xchg, mov, lea, shifts, not/neg/mul/div
            0x63
            | 0x69
            | 0x6b
            | 0x80
            | 0x81
            | 0x83..=0x8b
            | 0x8d
            | 0xa8
            | 0xa9
            | 0xb0..=0xbf
            | 0xc0
            | 0xc1
            | 0xc6
            | 0xc7
            | 0xd0..=0xd3
            | 0xf6
            | 0xf7 => true,
            _ => false,
        },
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_pushes_and_short_nops_are_emulated_by_every_kernel() {
        for bytes in [
            &[0x90][..],
            &[0x66, 0x90],
            &[0x75, 0x10],
            &[0x0f, 0x84, 1, 2, 3, 4],
            &[0xeb, 0x10],
            &[0xe8, 1, 2, 3, 4],
            &[0x41, 0x57],
        ] {
            assert_eq!(of(bytes, Kernel::ANY), Some(Cost::Emulated), "{bytes:x?}");
        }
    }

    #[test]
    fn a_long_nop_is_as_cheap_as_the_kernel_makes_it() {
        let old = Kernel::of_release("6.12.9");
        let newer = Kernel::of_release("6.16.0-rc1");
        let newest = Kernel::of_release("6.18.44-amd64");
        let costs = |bytes| [of(bytes, old), of(bytes, newer), of(bytes, newest)];
        assert_eq!(
            costs(NOP5),
            [Some(Cost::SingleStepped), Some(Cost::Emulated), None],
            "a call in its place would kill forked children"
        );
        assert_eq!(
            costs(&[0x0f, 0x1f, 0x00]),
            [
                Some(Cost::SingleStepped),
                Some(Cost::Emulated),
                Some(Cost::Emulated)
            ]
        );
    }

    #[test]
    fn moves_and_arithmetic_are_single_stepped() {
        for bytes in [
            &[0x48, 0x8b, 0x5c, 0x24, 0x48][..],
            &[0x48, 0x83, 0x7b, 0x10, 0x00],
            &[0x66, 0x44, 0x0f, 0xb6, 0x00],
        ] {
            assert_eq!(of(bytes, Kernel::ANY), Some(Cost::SingleStepped));
        }
    }

    #[test]
    fn what_is_unsafe_or_refused_by_the_kernel_is_never_probed() {
        for bytes in [
            &[0xf3, 0x90][..],                              // pause
            &[0x66, 0xe9, 0, 0],                            // jmp with an operand-size prefix
            &[0xf0, 0x48, 0x0f, 0xb1, 0x0a],                // lock cmpxchg
            &[0x0f, 0x05],                                  // syscall
            &[0xcc],                                        // int3
            &[0xf4],                                        // hlt
            &[0xf3, 0x48, 0xab],                            // rep stos
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], // 10-byte nop
            &[0x8e, 0xd0],                                  // mov ss, eax
            &[0x9d],                                        // popf
            &[],
        ] {
            assert_eq!(of(bytes, Kernel::of_release("7.0.0")), None, "{bytes:x?}");
        }
    }
}
