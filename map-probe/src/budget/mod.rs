//! `--max-overhead 1%`: watching a target in windows of time, so that it is slowed down by no more than that.
//!
//! `pacer` decides when, `watch` does it, `trap_price` knows what a trap costs, `estimate` makes of what was seen what there
//! was, and `batches` says how sure that is.

pub mod batches;
pub mod estimate;
pub mod pacer;
mod report;
pub mod rows;
mod thread;
pub mod trap_price;
mod watch;

#[cfg(test)]
mod tests;

pub use report::{Account, Told};
pub use rows::TypeNames;
pub use watch::{News, Taken, Watch};
