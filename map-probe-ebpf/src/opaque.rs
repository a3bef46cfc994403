//! Keeps the compiler from knowing what the verifier has to see.

use core::arch::asm;

/// The same number, of which the compiler then knows nothing: what it knows to be
/// in range it does not check, and the verifier wants to see the check.
#[inline(always)]
pub(crate) fn number(mut value: usize) -> usize {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) value) };
    value
}

/// The same pointer; what it points to is not what the compiler knows of it.
#[inline(always)]
pub(crate) fn pointer<T>(mut value: *const T) -> *const T {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) value) };
    value
}
