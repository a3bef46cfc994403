//! Operations that wait for their map's old bucket to be evacuated, by goroutine:
//! threads and stacks may change meanwhile.

use aya_ebpf::bindings::BPF_ANY;
use map_probe_common::quality::Cause;

use crate::tables::PENDING;

/// What is known of such an operation.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Waiting {
    hash: u64,
    /// The window that it began in: in a later one it has long ended, unseen.
    window: u64,
}

/// Remembers that the goroutine's operation has not been counted yet, and its
/// hash: after the evacuation some functions no longer have it.
#[inline(always)]
pub(crate) fn put(goroutine: u64, hash: u64, window: u64) -> Result<(), Cause> {
    PENDING
        .insert(&goroutine, &Waiting { hash, window }, u64::from(BPF_ANY))
        .map_err(|_| Cause::TableFull)
}

/// The hash of the goroutine's operation, if it was waiting; it no longer is.
#[inline(always)]
pub(crate) fn take(goroutine: u64, window: u64) -> Option<u64> {
    // SAFETY: only this goroutine's own operations change its entry, one after the other.
    let waiting = *unsafe { PENDING.get(&goroutine) }?;
    PENDING.remove(&goroutine).ok()?;
    (waiting.window == window).then_some(waiting.hash)
}
