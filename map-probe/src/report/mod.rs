//! What is reported: plain data, and one file per output format.

pub mod about;
pub mod consistency;
pub mod counts;
pub mod csv;
pub mod estimates;
pub mod hlog;
pub mod json;
pub mod list;
pub mod model;
pub mod pprof;
pub mod ranked;
pub mod rows;
#[cfg(test)]
pub(crate) mod sample;
pub mod samples;
pub mod summary;
pub mod text;
pub mod verify;
pub mod words;
