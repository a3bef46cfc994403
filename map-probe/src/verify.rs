//! `map-probe verify`: compares for some seconds what the runtime returns with what the walk found.

use std::sync::Arc;
use std::time::Instant;

use crate::cli::{Target, Verify, VerifyFormat};
use crate::error::{Failure, Status};
use crate::kernel_log::KernelLog;
use crate::messages;
use crate::output;
use crate::probe::guard::ended as guard_ended;
use crate::probe::{Change, Guard, Held};
use crate::report::model::TargetInfo;
use crate::report::verify::{Conclusion, Report};
use crate::report::{json, text};
use crate::run::{self, Ending, Exit};
use crate::session::Session;
use crate::signals::Signals;

/// Verifies as the command line asks.
///
/// # Errors
/// The target cannot be probed, or the report cannot be written.
pub fn verify(request: &Verify) -> Result<Status, Failure> {
    // Before there are threads.
    let guard = Guard::start()?;
    run::runtime()?.block_on(perform(request, &guard))
}

async fn perform(request: &Verify, guard: &Arc<Guard>) -> Result<Status, Failure> {
    let mut out = output::place(request.output.as_deref())?;
    let mut signals = Signals::new()?;
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
    let mut changes = session.changes()?;
    let exit = Exit::of(pid)?;
    let guarded = Exit::of(guard.pid())?;
    let mut log = KernelLog::of(session.loaded(), request.verbosity)?;
    session.sweep(guard)?;
    let attached = session.attach_to_verify(guard)?;
    let start = Instant::now();
    run::announce(&session.info(), None);
    run::note(&session.info(), None, None);
    if let Some(command) = &mut command {
        command.release()?;
    }
    let end = run::until(start, Some(request.duration));
    tokio::pin!(end);
    let ending = loop {
        tokio::select! {
            biased;
            () = signals.any() => break Ending::Asked,
            () = exit.happens() => break Ending::Target,
            () = guarded.happens() => return Err(guard_ended()),
            () = &mut end => break Ending::Duration,
            change = changes.next() => {
                if matches!(change, Change::Executed(_)) {
                    messages::say(&format!(
                        "verifying ends, as process {pid} runs another program now"
                    ));
                    break Ending::OtherProgram;
                }
            }
            () = log.flushed() => {}
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    // Returns when no program runs any more: what is read then is all there is.
    drop(attached);
    log.flush();
    let quality = session.read()?.quality;
    let (functions, differences) = session.verdicts()?;
    let fate = command.as_mut().and_then(Held::fate);
    let report = Report {
        target: TargetInfo {
            ended: fate,
            ..session.info()
        },
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
    if let Some(command) = &mut command {
        run::say_fate(command);
    }
    Ok(match report.conclusion() {
        Conclusion::Same => run::status(fate, ending),
        Conclusion::Different => Status::Different,
        Conclusion::Nothing => Status::NothingCompared,
    })
}
