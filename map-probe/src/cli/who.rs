//! Which operations are wanted, and what is said of who does them.

use clap::Args;
use map_probe_common::op::Op;
use wildmatch::WildMatch;

use crate::report::ranked::{Ranking, Sort};
use crate::wanted::Wanted;

/// Options of a run.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Who {
    /// Count by stack too: who called the function that does the operation
    ///
    /// Costs the target some 0.4 µs more for each operation.
    #[arg(long)]
    stacks: bool,

    /// Only maps of types with this name, like 'map[string]*' or '*main.Order'; may be given more than once
    ///
    /// Names are as `%T` prints them. * stands for anything, ? for one character, all others for themselves.
    #[arg(long = "type", value_name = "GLOB", value_parser = glob)]
    types: Vec<WildMatch>,

    /// Only operations that this function does, like 'main.(*Cache).*'; may be given more than once
    ///
    /// Or one that is inlined into it. Names are as in Go's traces.
    #[arg(long = "function", value_name = "GLOB", value_parser = glob)]
    functions: Vec<WildMatch>,

    /// Only these operations: lookup, insert, delete, with commas between them
    ///
    /// Others are not probed, and cost the target nothing.
    #[arg(long = "op", value_name = "OPS", value_delimiter = ',', value_parser = op)]
    ops: Vec<Op>,

    /// Only the map at this address, as a report names it
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    map: Option<u64>,

    /// Show this many types, maps, call sites and stacks [default: 10 as text, else all]
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Count by type alone
    #[arg(long, hide = true)]
    bench_types_alone: bool,

    /// What comes first of them [default: count; on the dashboard excess]
    #[arg(long, value_enum)]
    sort: Option<Sort>,
}

impl Who {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            stacks: self.stacks,
            types: self.types.clone(),
            functions: self.functions.clone(),
            ops: self.ops.clone(),
            map: self.map,
            types_alone: self.bench_types_alone,
        }
    }

    pub(super) fn ranking(&self) -> Ranking {
        Ranking {
            sort: self.sort,
            top: self.top,
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the form that clap asks for; every text is a glob"
)]
fn glob(text: &str) -> Result<WildMatch, String> {
    Ok(WildMatch::new(text))
}

fn op(text: &str) -> Result<Op, String> {
    match text {
        "lookup" => Ok(Op::Lookup),
        "insert" => Ok(Op::Insert),
        "delete" => Ok(Op::Delete),
        _ => Err("no such operation; write lookup, insert or delete".to_owned()),
    }
}

fn address(text: &str) -> Result<u64, String> {
    text.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .filter(|address| *address != 0)
        .ok_or_else(|| "no address; write it as reports do, like 0xc000123400".to_owned())
}
