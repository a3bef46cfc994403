//! What is reported: plain data, and one file per output format.

pub mod counts;
pub mod estimates;
pub mod json;
pub mod model;
#[cfg(test)]
pub(crate) mod sample;
pub mod summary;
pub mod text;
pub mod who;
pub mod words;
