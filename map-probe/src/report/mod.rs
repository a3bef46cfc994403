//! What is reported: plain data, and one file per output format.

pub mod model;
