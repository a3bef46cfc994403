//! `map-probe verify`: compares for some seconds what the runtime returns with what the walk found.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use crate::cli::{Target, Verify, VerifyFormat};
use crate::error::{Failure, Status};
use crate::kernel_log::KernelLog;
use crate::probe::guard::ended as guard_ended;
use crate::probe::{Change, Guard, Held};
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
    // Before there are threads.
    let guard = Guard::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(run::failed_to_wait)?;
    runtime.block_on(perform(request, &guard))
}

async fn perform(request: &Verify, guard: &Arc<Guard>) -> Result<Status, Failure> {
    let (mut out, name): (Box<dyn Write>, _) = match &request.output {
        Some(path) => {
            let (file, name) = output::create(path)?;
            (Box::new(file), name)
        }
        None => (Box::new(io::stdout()), "standard output".to_owned()),
    };
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
    let mut changes = session.changes()?;
    let exit = Exit::of(pid)?;
    let guarded = Exit::of(guard.pid())?;
    let mut log = KernelLog::of(session.loaded(), request.verbosity)?;
    let attached = session.attach_to_verify(guard)?;
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
            () = guarded.happens() => return Err(guard_ended()),
            change = changes.next() => {
                if change == Change::Executed {
                    messages::say(&format!(
                        "verifying ends, as process {pid} runs another program now"
                    ));
                    break;
                }
            }
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
    let written = match request.format {
        VerifyFormat::Text => {
            let unicode = output::utf8_locale(|name| std::env::var(name).ok());
            out.write_all(text::verify(&report, unicode).as_bytes())
        }
        VerifyFormat::Json => json::write_verify(&mut out, &report),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure::new(
                Status::Internal,
                format!("cannot write the report to {name}"),
            )
            .caused_by(error)
            .hint("make room there, or give another file with --output"));
        }
        _ => {}
    }
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
