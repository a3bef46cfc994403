//! Where probes are to be in a process, as its own memory shows it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// The breakpoint that a probe is, on x86-64.
const BREAKPOINT: u8 = 0xcc;

/// Places in the memory of one program of a process.
#[derive(Debug)]
pub struct Places {
    memory: File,
    addresses: Vec<u64>,
}

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A breakpoint at each place.
    Probes,
    /// No memory: the process ended, or runs another program.
    Nothing,
    /// No breakpoint at this address: what was probed is not what the process runs.
    Blind(u64),
}

impl Places {
    pub(super) fn new(memory: File, addresses: Vec<u64>) -> Self {
        Self { memory, addresses }
    }

    /// Looks at all of them, while probes should be attached.
    #[must_use]
    pub fn look(&self) -> Seen {
        let mut seen = Seen::Probes;
        for address in &self.addresses {
            let mut byte = [0];
            // Linux reads nothing of a program that is gone.
            if self.memory.read_exact_at(&mut byte, *address).is_err() {
                return Seen::Nothing;
            }
            if byte != [BREAKPOINT] && seen == Seen::Probes {
                seen = Seen::Blind(*address);
            }
        }
        seen
    }
}
