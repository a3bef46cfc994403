//! The kernel side at work: loading it, attaching it to a target, reading its counters.

mod attach;
mod bpf;
mod btf;
mod changes;
mod command;
mod command_output;
mod counters;
mod cut;
pub mod guard;
mod interned;
mod kept;
mod load;
mod mapped;
mod maps;
mod not_started;
mod perf;
mod prelude;
mod program;
mod refusal;
mod sampler;
mod samples;
mod slots;
mod tracefs;
mod trap_cost;
mod verdicts;
mod window;

pub use attach::{Placed, Way};
pub use changes::{Change, Changes};
pub use command::Held;
pub use command_output::CommandOutput;
pub use counters::{Counters, Names};
pub(crate) use refusal::internal;

pub use guard::{Attached, Guard, Set};
pub use load::{Loaded, Program, Tables};
pub use prelude::Prelude;
pub use sampler::{Sampler, max_frequency};
pub use samples::samples;
pub use trap_cost::{Calibration, calibrate};
pub use verdicts::{Verified, read as read_verdicts};
pub use window::WindowMemory;
