//! The kernel side at work: loading it, attaching it to a target, reading its counters.

mod attach;
mod bpf;
mod btf;
mod command;
mod counters;
mod load;
mod program;
mod refusal;
mod sampler;

pub use attach::{Attached, Placed};
pub use command::Held;
pub use counters::Counters;
pub use load::{Loaded, Program, Tables};
pub use sampler::{Sampler, max_frequency};
