//! The Go fixtures and the oracle that the end-to-end tests compare with.
//!
//! A test builds a Go program ([`go`]), runs the profiler on it ([`profiler`]), and compares the report with what the
//! program itself says it did ([`oracle`]).

pub mod chaos;
pub mod exact;
pub mod go;
pub mod hdrhistogram;
pub mod kernel;
pub mod matrix;
pub mod oracle;
pub mod pprof;
pub mod profiler;
pub mod real;
pub mod report;
pub mod selfcheck;
pub mod target;
pub mod text;
pub mod tmux;
