//! For `cargo xtask bench`: what is not seen from outside.

use std::io::{self, Write as _};
use std::time::Instant;

use crate::error::{Failure, Status};
use crate::session::Session;

/// Puts all probes in place and takes them away, so many times; for each prints the number of sites and the milliseconds
/// that both took.
///
/// # Errors
/// As [`Session::attach`], or nobody reads.
pub fn attach(session: &Session, rounds: u32) -> Result<(), Failure> {
    for _ in 0..rounds {
        let begun = Instant::now();
        let attached = session.attach()?;
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
