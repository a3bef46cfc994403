//! For `cargo xtask bench`: what is not seen from outside.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use crate::cli::Probe;
use crate::error::{Failure, Status};
use crate::probe::{Guard, Program};
use crate::session::Session;

/// Attaches all probes to a process and detaches them, so many times; for each prints the number of sites and the milliseconds
/// that both took.
///
/// # Errors
/// As [`Session::attach`], or nobody reads.
pub fn attach(pid: u32, request: &Probe, guard: &Arc<Guard>, rounds: u32) -> Result<(), Failure> {
    let session = Session::prepare(
        pid,
        Program::Empty,
        request.verbosity,
        request.assumptions,
        &request.wanted,
    )?;
    for _ in 0..rounds {
        let begun = Instant::now();
        let attached = session.attach(guard)?;
        let attaching = begun.elapsed().as_secs_f64() * 1e3;
        let begun = Instant::now();
        drop(attached);
        let detaching = begun.elapsed().as_secs_f64() * 1e3;
        let sites = session.sites();
        writeln!(io::stdout(), "{sites} {attaching:.3} {detaching:.3}")
            .map_err(|error| Failure::new(Status::Internal, "cannot print").caused_by(error))?;
    }
    Ok(())
}
