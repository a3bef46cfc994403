//! map-probe: how deep every map operation of a running Go program has to probe.
//!
//! `ARCHITECTURE.md` follows one operation from the trap to the screen through these modules.

pub mod bench;
pub mod budget;
pub mod cli;
mod clock;
mod dashboard;
pub mod error;
pub mod kernel_log;
mod lives;
mod messages;
pub mod object;
pub mod output;
pub mod own;
mod place;
pub mod plan;
mod privileges;
pub mod probe;
pub mod record;
pub mod report;
pub mod run;
pub mod sampling;
pub mod session;
mod signals;
pub mod sites;
pub mod target;
pub mod verify;
pub mod wanted;
mod watching;
