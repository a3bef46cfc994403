//! Operations that wait for their map's old bucket to be evacuated, by goroutine:
//! threads and stacks may change meanwhile.

use aya_ebpf::bindings::BPF_ANY;
use map_probe_common::quality::Cause;

use crate::tables::PENDING;

/// Remembers that the goroutine's operation has not been counted yet.
#[inline(always)]
pub(crate) fn put(goroutine: u64) -> Result<(), Cause> {
    PENDING
        .insert(&goroutine, &1, u64::from(BPF_ANY))
        .map_err(|_| Cause::TableFull)
}

/// Whether the goroutine's operation was waiting; it no longer is.
#[inline(always)]
pub(crate) fn take(goroutine: u64) -> bool {
    PENDING.remove(&goroutine).is_ok()
}
