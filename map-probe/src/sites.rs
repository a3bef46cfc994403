//! `map-probe sites BINARY`: what would be probed, without touching a process.

use std::fs::File;

use crate::cli::{Sites, SitesFormat};
use crate::error::Failure;
use crate::output;
use crate::plan::sites_text;
use crate::session::plan_binary;
use crate::target::{Binary, TargetError};

/// Prints the probe sites of a program.
///
/// # Errors
/// It is nothing that can be probed, or they cannot be printed.
pub fn sites(request: &Sites) -> Result<(), Failure> {
    let path = request.binary.display().to_string();
    let file = File::open(&request.binary).map_err(|source| TargetError::Read {
        path: path.clone(),
        source,
    })?;
    let binary = Binary::open_assuming(file, &path, request.assumptions.assume_go)?;
    let planned = plan_binary(&binary);
    let layout = binary.maps().name.as_str();
    let mut sites = sites_text::Sites::new(&path, &binary.version().text, layout, &planned);
    sites.assumed_go = binary.assumed().map(|go| go.to_string());
    sites.untested = binary.is_untested();
    output::print("the sites", |mut out| match request.format {
        SitesFormat::Text => sites.write_text(&mut out),
        SitesFormat::Json => sites.write_json(&mut out),
    })
}
