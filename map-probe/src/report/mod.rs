//! What is reported: plain data, and one file per output format.

pub mod counts;
pub mod json;
pub mod model;
#[cfg(test)]
pub(crate) mod sample;
pub mod samples;
pub mod summary;
pub mod text;
pub mod words;
