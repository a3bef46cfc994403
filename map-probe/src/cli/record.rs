//! `map-probe record`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Probe, Watch};
use crate::error::Failure;
use crate::output::Format;

/// How often the progress bar moves, in shares of the whole and at most.
const STEPS: u32 = 100;
const SLOWEST: Duration = Duration::from_secs(1);
const FASTEST: Duration = Duration::from_millis(100);

#[derive(Args)]
#[command(
    override_usage = "map-probe record --pid <PID> [OPTIONS]\n       map-probe record [OPTIONS] -- <COMMAND> [ARGS]...",
    after_help = "\
Then, for example:
  go tool pprof -top maps.pb.gz                             where the excess probes are
  go tool pprof -sample_index=operations -peek Get maps.pb.gz
  go tool pprof -http=: -tagfocus=op=insert maps.pb.gz      graph and flame graph in a browser

Sample types: operations; probes, the buckets or groups they examined; excess_probes, those beyond
the first, which better hashing or sizing would save. Labels: op, outcome, class, type, depth.
With --mode sample: samples, and the cpu time that they stand for; same labels."
)]
pub(super) struct Record {
    #[command(flatten)]
    watch: Watch,

    /// Write the profile to this file, at the end
    #[arg(short, long, value_name = "FILE", default_value = "maps.pb.gz")]
    output: PathBuf,

    /// Write the report of the same run to this file, as --format json does
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Record {
    pub(super) fn probe(self) -> Result<Probe, Failure> {
        let interval = self.watch.duration.map_or(SLOWEST, |duration| {
            (duration / STEPS).clamp(FASTEST, SLOWEST)
        });
        let mut probe = self.watch.probe(Format::Pprof, interval)?;
        probe.output = Some(self.output);
        probe.json = self.json;
        Ok(probe)
    }
}
