//! `map-probe verify`: compares for some seconds what the runtime returns with what the walk found.

use std::time::Instant;

use crate::cli::{Target, Verify, VerifyFormat};
use crate::error::{Failure, Status};
use crate::kernel_log::KernelLog;
use crate::probe::Held;
use crate::report::verify::{Conclusion, Report};
use crate::report::{json, text};
use crate::run::{self, Exit, Signals};
use crate::session::Session;
use crate::{messages, output};

/// Verifies as the command line asks.
///
/// # Errors
/// The target cannot be probed, or the report cannot be written.
pub fn verify(request: &Verify) -> Result<Status, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(run::failed_to_wait)?;
    runtime.block_on(perform(request))
}

async fn perform(request: &Verify) -> Result<Status, Failure> {
    let mut out = output::place(request.output.as_deref())?;
    let mut signals = Signals::new(false)?;
    let mut command = match &request.target {
        Target::Command(command) => Some(Held::start(command, None)?),
        Target::Pid(_) => None,
    };
    let pid = match (&command, &request.target) {
        (Some(held), _) => held.pid(),
        (None, Target::Pid(pid)) => pid.cast_unsigned(),
        (None, Target::Command(_)) => 0,
    };
    let mut session =
        Session::prepare_to_verify(pid, request.verbosity, request.assumptions, request.lie)?;
    let exit = Exit::of(pid)?;
    let mut log = KernelLog::of(session.loaded(), request.verbosity)?;
    let attached = session.attach_to_verify()?;
    let start = Instant::now();
    run::announce(&session.info(), None);
    run::note(&session.info(), None, None);
    if let Some(command) = &mut command {
        command.release()?;
    }
    let end = run::until(start, Some(request.duration));
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = signals.any() => break,
            () = exit.happens() => break,
            () = &mut end => break,
            () = log.flushed() => {}
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    // Returns when no program runs any more: what is read then is all there is.
    drop(attached);
    log.flush();
    let quality = session.read()?.quality;
    let (functions, differences) = session.verdicts()?;
    let report = Report {
        target: session.info(),
        seconds,
        functions,
        left_out: session.left_out().to_vec(),
        differences,
        quality,
    };
    let _ = match request.format {
        VerifyFormat::Text => {
            let unicode = output::unicode();
            out.write(|out| out.write_all(text::verify(&report, unicode).as_bytes()))
        }
        VerifyFormat::Json => out.write(|out| json::write_verify(out, &report)),
    }?;
    out.finish()?;
    if let Some(command) = &mut command
        && !command.has_ended()
    {
        messages::say(&format!(
            "the command still runs, as process {}",
            command.pid()
        ));
    }
    Ok(match report.conclusion() {
        Conclusion::Same => Status::Done,
        Conclusion::Different => Status::Different,
        Conclusion::Nothing => Status::NothingCompared,
    })
}
