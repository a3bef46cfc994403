//! A target made ready to be verified: probes at the returns of its map functions too.

use std::sync::Arc;

use map_probe_common::Layout;
use map_probe_common::layout::Field;
use map_probe_common::verify::Cookie;

use super::{Session, Watched};
use crate::cli::Assumptions;
use crate::error::{Failure, Status};
use crate::plan::returns::{self, Returns};
use crate::plan::{Coverage, PlannedFunction};
use crate::probe::{Guard, Program, Verified, read_verdicts};
use crate::report::verify::{Difference, FunctionResult};
use crate::target::Binary;
use crate::wanted::Wanted;

/// The most returns that are probed at once; programs built by Go's own toolchain have about 100.
const MAX_RETURNS: usize = 256;

/// Where the map functions return.
#[derive(Debug)]
pub(super) struct Verifying {
    /// Linked address, and the cookie.
    returns: Vec<(u64, Cookie)>,
    /// Map functions whose returns cannot be probed, each with the reason.
    left_out: Vec<(String, String)>,
    /// Addresses in the target between which the zero value lies.
    zero: [u64; 2],
}

impl Verifying {
    /// Finds the returns of the functions that are covered.
    pub(super) fn plan(
        binary: &Binary,
        planned: &[PlannedFunction],
        bias: u64,
        exe: &str,
    ) -> Result<Self, Failure> {
        let mut verifying = Self {
            returns: Vec::new(),
            left_out: Vec::new(),
            zero: [0; 2],
        };
        let mut zero = Vec::new();
        for (number, function) in (0..).zip(planned) {
            let symbol = function.function.symbol;
            let (Coverage::Covered(_), Some(code)) = (&function.coverage, binary.function(symbol))
            else {
                continue;
            };
            match returns::returns(&function.function, &code, &|address| {
                binary.name_at(address)
            }) {
                Ok(Returns { addresses, taken }) => {
                    let cookie = Cookie::at_return(number, returns::says_found(&function.function));
                    let returns = addresses.into_iter().map(|address| (address, cookie));
                    verifying.returns.extend(returns);
                    // The zero value is in no file: it is all zeros. What else has its address taken is code or text.
                    zero.extend(
                        taken
                            .into_iter()
                            .filter(|address| binary.file_offset(*address).is_none()),
                    );
                }
                Err(reason) => verifying.left_out.push((symbol.to_owned(), reason)),
            }
        }
        if verifying.returns.len() > MAX_RETURNS {
            return Err(Failure::new(
                Status::NotProbeable,
                format!(
                    "the map functions of '{exe}' return in {} places; at most {MAX_RETURNS} are probed",
                    verifying.returns.len()
                ),
            )
            .hint("please report it, with how the program was built"));
        }
        zero.sort_unstable();
        zero.dedup();
        if let &[zero] = zero.as_slice() {
            let zero = zero.wrapping_add(bias);
            verifying.zero = [zero, zero.wrapping_add(1)];
        } else {
            return Err(Failure::new(
                Status::NotProbeable,
                format!("cannot tell where '{exe}' has the zero value that its lookups return"),
            )
            .caused_by(format!("{} addresses may be it", zero.len()))
            .hint("please report it, with how the program was built; tracing does not need it: leave out `verify`"));
        }
        Ok(verifying)
    }

    pub(super) fn zero(&self) -> [u64; 2] {
        self.zero
    }
}

impl Session {
    /// As [`Session::prepare`], to be attached by [`Session::attach_to_verify`].
    ///
    /// # Errors
    /// As there, or the returns cannot be probed.
    pub fn prepare_to_verify(
        pid: u32,
        verbosity: u8,
        assumptions: Assumptions,
        lie: Option<Lie>,
    ) -> Result<Self, Failure> {
        let wanted = Wanted::default();
        Self::prepare_with(pid, Program::Verify, verbosity, assumptions, &wanted, lie)
    }

    /// Puts the probes in place, those at returns first: an operation that passes a site is then sure to be compared
    /// when it returns, and leaves nothing behind that a later one could be compared with.
    ///
    /// # Errors
    /// As [`Session::attach`].
    pub fn attach_to_verify(&self, guard: &Arc<Guard>) -> Result<Watched, Failure> {
        let mut placed = Vec::new();
        for (address, cookie) in self.verifying.iter().flat_map(|v| &v.returns) {
            placed.push(self.place(*address, cookie.0)?);
        }
        let mut index = 0;
        for (function, planned) in (0..).zip(&self.planned) {
            let Coverage::Covered(sites) = &planned.coverage else {
                continue;
            };
            for site in sites {
                placed.push(self.place(site.address, Cookie::site(index, function).0)?);
                index += 1;
            }
        }
        self.attach_at(guard, placed)
    }

    /// Map functions whose operations are walked and cannot be compared, each with the reason.
    #[must_use]
    pub fn left_out(&self) -> &[(String, String)] {
        self.verifying.as_ref().map_or(&[], |v| &v.left_out)
    }

    /// What came of comparing so far: by map function, and the first differences.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn verdicts(&self) -> Result<(Vec<FunctionResult>, Vec<Difference>), Failure> {
        let Verified {
            functions,
            differences,
        } = read_verdicts(&self.loaded)?;
        let name = |index: usize| {
            let planned = self.planned.get(index);
            planned.map_or("", |planned| planned.function.symbol)
        };
        let covered = self.planned.iter().zip(functions);
        let results = covered
            .filter(|(planned, _)| matches!(planned.coverage, Coverage::Covered(_)))
            .map(|(planned, verdicts)| FunctionResult::of(planned.function.symbol, &verdicts))
            .collect();
        let differences = differences
            .iter()
            .map(|difference| {
                let typ = difference.expected.typ;
                let typ = self.binary.type_name(typ, self.bias, &self.process);
                Difference::of(
                    difference,
                    name(usize::from(difference.expected.function)),
                    typ,
                )
            })
            .collect();
        Ok((results, differences))
    }
}

/// A wrong fact told to the walk, so that verifying has something to find: proof that it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Lie {
    /// Where keys are.
    Keys,
    /// Where elements are.
    Elements,
    /// How many entries a map has.
    Count,
}

impl Lie {
    pub(super) fn tell(self, layout: &mut Layout) {
        match self {
            Self::Keys => layout.keys_offset = Field::constant(16),
            Self::Elements => layout.elems_base += 1,
            // Of the pointer to its storage, which may change, but by one never.
            Self::Count => layout.entries = layout.storage,
        }
    }
}
