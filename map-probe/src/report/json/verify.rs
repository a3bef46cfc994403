//! What `map-probe verify` found, for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::{NotCovered, SCHEMA, Target};
use crate::report::model::Quality;
use crate::report::verify;

/// Writes what `map-probe verify` found as one document.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_verify(out: &mut dyn Write, report: &verify::Report) -> io::Result<()> {
    let Quality {
        lost,
        faults,
        torn,
        truncated,
    } = report.quality;
    let left_out = report.target.not_covered.iter().chain(&report.left_out);
    let document = VerifyDocument {
        schema: SCHEMA,
        target: Target::of(&report.target),
        seconds: report.seconds,
        conclusion: report.conclusion().as_str(),
        all: report.sum(),
        functions: &report.functions,
        not_compared: left_out
            .map(|(function, reason)| NotCovered { function, reason })
            .collect(),
        quality: VerifyQuality {
            lost,
            faults,
            torn,
            truncated,
        },
        differences: &report.differences,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct VerifyDocument<'a> {
    schema: u32,
    target: Target<'a>,
    seconds: f64,
    conclusion: &'static str,
    all: verify::FunctionResult,
    functions: &'a [verify::FunctionResult],
    not_compared: Vec<NotCovered<'a>>,
    quality: VerifyQuality,
    differences: &'a [verify::Difference],
}

#[derive(Serialize)]
struct VerifyQuality {
    lost: u64,
    faults: u64,
    torn: u64,
    truncated: u64,
}
