//! The `map-probe` program.

use std::io;
use std::process::ExitCode;

use map_probe::cli::{self, Request};
use map_probe::error::{Failure, Status};

fn main() -> ExitCode {
    match perform() {
        Ok(status) => status.into(),
        Err(failure) => {
            // If that cannot be said, the exit status still says it.
            let _ = failure.explain(&mut io::stderr());
            failure.status().into()
        }
    }
}

fn perform() -> Result<Status, Failure> {
    match cli::parse(std::env::args_os())? {
        Request::Probe(request) => return map_probe::run::run(&request),
        Request::Verify(request) => return map_probe::verify::verify(&request),
        Request::Sites(request) => map_probe::sites::sites(&request)?,
        Request::Generate(what) => cli::generate(&what)?,
        Request::Explain(text) => cli::explain(&text)?,
    }
    Ok(Status::Done)
}
