//! What a process turns into while it is watched: the programs that it runs by `exec`, and the children that it forks.

use crate::shared::shared;

/// A process, as the kernel side can recognise it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Identity {
    /// The device of its pid namespace, as the kernel numbers it.
    pub namespace_device: u64,
    /// The namespace's inode.
    pub namespace_inode: u64,
    /// Its process id in that namespace.
    pub pid: u64,
}
shared!(Identity, 24, { namespace_device: u64, namespace_inode: u64, pid: u64 });

/// Bytes of the ring in which the kernel side tells of changes: some hundreds of them, and a whole number of pages.
pub const RING_BYTES: u32 = 1 << 16;

/// The process runs another program now. Messages in the ring are a word each: one of these, and above [`KIND_BITS`] when it
/// happened (`CLOCK_MONOTONIC`, in nanoseconds; its lowest bits are lost).
pub const EXECUTED: u64 = 1;
/// The process has a child that runs on in a copy of its memory.
pub const FORKED: u64 = 2;
/// Bits of a message that say what happened.
pub const KIND_BITS: u64 = 3;

/// `CLONE_VM` (`linux/sched.h`): a new thread, or a child that shares the memory until it runs another program.
pub const SHARES_MEMORY: u64 = 0x100;
