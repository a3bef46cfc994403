//! Why a function is not covered: the sentence that the user gets to read.

use thiserror::Error;

/// Why no site could be proved right. Offsets are bytes from the function's start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Reason {
    /// More code than any map function has.
    #[error("its code is longer than {limit} bytes")]
    TooLong {
        /// Bytes.
        limit: usize,
    },
    /// More instructions than any map function has.
    #[error("it has more than {limit} instructions")]
    TooManyInstructions {
        /// Instructions.
        limit: usize,
    },
    /// Bytes that are no instruction, or one that runs past the end.
    #[error("no instruction can be decoded at +{offset:#x}")]
    Undecodable {
        /// Where.
        offset: usize,
    },
    /// Two ways of reading the same bytes.
    #[error("a jump leads into the middle of the instruction at +{offset:#x}")]
    Overlapping {
        /// Where.
        offset: usize,
    },
    /// A jump table, or a tail call through a register.
    #[error("the jump at +{offset:#x} has no fixed target")]
    IndirectJump {
        /// Where.
        offset: usize,
    },
    /// A tail call.
    #[error("the jump at +{offset:#x} leaves the function")]
    JumpOutside {
        /// Where.
        offset: usize,
    },
    /// An instruction that Go's compiler never emits.
    #[error("unexpected instruction at +{offset:#x}")]
    Unexpected {
        /// Where.
        offset: usize,
    },
    /// The table of functions names an argument beyond the registers.
    #[error("its arguments are not all in registers")]
    Arguments,
    /// The data-flow analysis reached its bound.
    #[error("following its values takes too many steps")]
    Unsettled,
    /// More than one value could be the hash where the ways of hashing meet.
    #[error("two values may be the hash at +{offset:#x}")]
    Ambiguous {
        /// Where.
        offset: usize,
    },
    /// No call of the type's hasher with the map's seed was recognised.
    #[error("no call of the type's hasher was recognised")]
    NoHash,
    /// The hash was found, but nowhere together with the other values.
    #[error("after hashing, the {value} cannot be located")]
    Missing {
        /// `type`, `map`, ...
        value: &'static str,
    },
    /// The values were found, but nowhere within one window of the stack.
    #[error("its values lie too far apart on the stack")]
    Scattered,
    /// Values are all there only after the map may have changed, or in a loop.
    #[error("its values come together only after the map may have changed, or within a loop")]
    TooLate,
    /// The values are there, but some hashed operations take another path.
    #[error("no instruction after hashing is passed by all hashed operations")]
    NotOnAllPaths,
    /// Nothing there may be probed.
    #[error("no instruction where its values are known can be probed")]
    NotProbeable,
    /// A classic insert or delete without the call that evacuates.
    #[error("it does not call {name}, which was probably inlined")]
    NoGrowWork {
        /// The function that evacuates.
        name: &'static str,
    },
    /// More such calls than any map function has.
    #[error("it calls {name} at more places than expected")]
    TooManyCalls {
        /// The function that evacuates.
        name: &'static str,
    },
    /// A classic insert or delete whose values are lost over the evacuation.
    #[error("its values cannot be located after the call of {name} at +{offset:#x}")]
    LostByGrowWork {
        /// The function that evacuates.
        name: &'static str,
        /// Where it is called.
        offset: usize,
    },
}
