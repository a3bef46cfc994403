//! Where a map function returns, for `map-probe verify`: what it found is then in registers.
//!
//! Go: `runtime/map*.go` (classic), `internal/runtime/maps/runtime*.go` (Swiss), 1.18 to 1.27: `mapaccess1…` return the
//! element's address, `mapaccess2…` that and a bool, `mapassign…` the element's address, deletes nothing; a lookup
//! that misses returns the address of `runtime.zeroVal`. `cmd/compile/abi-internal.md`: results are in RAX, RBX, ...

use iced_x86::{Mnemonic, Register};

use super::MapFunction;
use super::cfg::Cfg;
use crate::target::Function;

/// The near return that Go's compiler emits, and no other.
const RET: &[u8] = &[0xc3];

/// What there is to know of a function's returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// Virtual addresses in the file of its RET instructions.
    pub addresses: Vec<u64>,
    /// Virtual addresses outside of its code that it takes: the zero value's is among a lookup's.
    pub taken: Vec<u64>,
}

/// The returns of a map function.
///
/// # Errors
///
/// Why they cannot be probed, for the user.
pub fn returns(
    function: &MapFunction,
    code: &Function<'_>,
    resolve: &dyn Fn(u64) -> Option<String>,
) -> Result<Returns, String> {
    let cfg = Cfg::new(code.code, code.address, resolve, function.grow_work)
        .map_err(|reason| reason.to_string())?;
    let mut found = Returns::default();
    for node in &cfg.nodes {
        let end = node.offset + node.instruction.len();
        if node.is_return() {
            if code.code.get(node.offset..end) != Some(RET) {
                return Err(format!("its return at +{:#x} is none of Go's", node.offset));
            }
            found.addresses.push(code.address + node.offset as u64);
        }
        let instruction = &node.instruction;
        if instruction.mnemonic() == Mnemonic::Lea && instruction.memory_base() == Register::RIP {
            found.taken.push(instruction.memory_displacement64());
        }
    }
    if found.addresses.is_empty() {
        return Err("it has no return".to_owned());
    }
    Ok(found)
}

/// Whether a function returns a bool beside the element's address.
#[must_use]
pub fn says_found(function: &MapFunction) -> bool {
    function.symbol.starts_with("runtime.mapaccess2")
}
