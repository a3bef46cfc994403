//! Why an operation was seen and yet is in no row: one counter per cause.

/// A cause. Each has one counter per CPU in the kernel; reports and `--help` show them by the word each names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Cause {
    /// Operations: a table of the kernel side had no room, or no place for the walk's state was free. Part of `lost`.
    TableFull = 0,
    /// Operations: a probe fired that the kernel side has no site for. Part of `lost`.
    UnknownSite = 1,
    /// Operations: memory of the target could not be read. Reported as `faults`.
    Fault = 2,
    /// Operations: the map changed while it was walked. Reported as `torn`.
    Torn = 3,
    /// Operations: the walk reached its bound. Part of `truncated`.
    Bound = 4,
    /// Operations: the key's type has no equality we can decide in the kernel. Part of `truncated`.
    Undecidable = 5,
    /// Operations: no group of the table has an empty slot, and the key is not in it: the search does not end. Part of
    /// `truncated`.
    Endless = 6,
    /// Operations: of a program that the process began to run a moment before, and that was not read. Part of `lost`.
    OtherProgram = 7,
}

/// How many causes there are.
pub const CAUSES: usize = 8;

/// All causes, by their numbers.
pub const ALL: [Cause; CAUSES] = [
    Cause::TableFull,
    Cause::UnknownSite,
    Cause::Fault,
    Cause::Torn,
    Cause::Bound,
    Cause::Undecidable,
    Cause::Endless,
    Cause::OtherProgram,
];
