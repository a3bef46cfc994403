//! Loads a program of the kernel side, with what the kernel wants to know of its functions.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya_obj::btf::BtfKind;
use aya_obj::generated::{BPF_ALU64, BPF_CALL, BPF_JMP, BPF_K, BPF_MOV, bpf_func_id, bpf_insn};
use map_probe_common::walk::WALK_STATE_BYTES;

use super::attach::Way;
use super::bpf::{self, Kind};
use super::btf::{Linkage, Types};
use super::load::Program;
use super::refusal::{Missing, internal, not_permitted, too_old};
use crate::error::{Failure, Status, shortage};

/// As much of the verifier's log as is kept: its end says why.
const VERIFIER_LOG_BYTES: usize = 16 << 20;
/// As many lines of it as are shown.
const VERIFIER_LINES: usize = 6;

/// Loads one of the object's programs, its maps in place. With a `verbosity` of 2 the verifier's whole log is shown if it
/// refuses.
pub(super) fn load(
    object: &aya_obj::Object,
    program: Program,
    way: Way,
    verbosity: u8,
) -> Result<OwnedFd, Failure> {
    let kind = match way {
        _ if program.samples() => Kind::PerfEvent,
        Way::Link => Kind::UprobeMulti,
        Way::Event => Kind::Uprobe,
    };
    load_as(object, program.name(), kind, verbosity)
}

/// The same for one of this name.
pub(super) fn load_as(
    object: &aya_obj::Object,
    name: &str,
    kind: Kind,
    verbosity: u8,
) -> Result<OwnedFd, Failure> {
    let missing = || internal(Missing(name.to_owned()));
    let found = object.programs.get(name).ok_or_else(missing)?;
    let mut function = object
        .functions
        .get(&found.function_key())
        .ok_or_else(missing)?
        .clone();
    if matches!(kind, Kind::PerfEvent) {
        let instructions = &mut function.instructions;
        instructions.iter_mut().for_each(fail_instead_of_sleeping);
    }
    let btf = describe_functions(object, &mut function);
    let btf =
        bpf::load_btf(&btf).map_err(|error| not_permitted("load its type information", error))?;
    let name = CString::new(name).map_err(internal)?;
    bpf::load_program(kind, &name, &found.license, &function, btf.as_fd(), &mut []).map_err(
        |error| {
            let mut log = vec![0; VERIFIER_LOG_BYTES];
            let _ = bpf::load_program(
                kind,
                &name,
                &found.license,
                &function,
                btf.as_fd(),
                &mut log,
            );
            refused_by_verifier(&log, verbosity, error)
        },
    )
}

/// Replaces a call that may sleep by its failure: a timer's program cannot wait for a page to be brought in. (That it
/// never gets to the call is not enough: since Linux 6.15 the verifier looks at all of a global function's calls.)
fn fail_instead_of_sleeping(instruction: &mut bpf_insn) {
    const CALL: u8 = (BPF_JMP | BPF_CALL) as u8;
    const MOVE_CONSTANT: u8 = (BPF_ALU64 | BPF_MOV | BPF_K) as u8;
    // A helper's call has no source register; its result, and the move's, is in register 0.
    let sleeps = bpf_func_id::BPF_FUNC_copy_from_user as i32;
    if instruction.code == CALL && instruction.src_reg() == 0 && instruction.imm == sleeps {
        instruction.code = MOVE_CONSTANT;
        instruction.imm = -libc::EFAULT;
    }
}

/// Replaces the object's type information by the little that the kernel asks for: which functions the program
/// has, and what the global ones take. It refuses what compilers make of Rust's enums.
fn describe_functions(object: &aya_obj::Object, function: &mut aya_obj::Function) -> Vec<u8> {
    let id = |name| {
        let btf = object.btf.as_ref()?;
        btf.id_by_type_name_kind(name, BtfKind::Func).ok()
    };
    let mut types = Types::default();
    let nothing = types.function_type(&[], 0);
    let number = types.int("u32", 4);
    let word = types.int("u64", 8);
    let walk = types.structure("walk", WALK_STATE_BYTES as u32);
    let walk = types.pointer(walk);
    let key = [("caller", word), ("kind", word)];
    let map_key = [("map", word), ("caller", word), ("kind", word)];
    let globals = [
        ("walk_step", &[("walk", walk)][..]),
        ("claim_place", &[]),
        ("site_slot", &key),
        ("stack_slot", &key),
        ("map_slot", &map_key),
    ];
    let globals = globals.map(|(name, parameters)| {
        let typ = types.function_type(parameters, number);
        (id(name), name, typ)
    });
    for (index, info) in function.func_info.func_info.iter_mut().enumerate() {
        let global = globals.iter().find(|(id, ..)| *id == Some(info.type_id));
        info.type_id = match global {
            Some((_, name, typ)) => types.function(name, *typ, Linkage::Global),
            None => types.function(&format!("map_probe_{index}"), nothing, Linkage::Static),
        };
    }
    types.to_bytes()
}

/// What the verifier said, or that nothing was said at all: no permission.
fn refused_by_verifier(log: &[u8], verbosity: u8, error: io::Error) -> Failure {
    let words = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let words = String::from_utf8_lossy(words);
    // With these it is not the verifier that refuses, though it has said something before.
    let is_permitted = !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EPERM));
    if words.is_empty() || !is_permitted || shortage(&error).is_some() {
        return not_permitted("load its program into the kernel", error);
    }
    let lines = if verbosity < 2 {
        VERIFIER_LINES
    } else {
        usize::MAX
    };
    let mut last: Vec<_> = words.lines().rev().take(lines).collect();
    last.reverse();
    let last = last.join("\n    ");
    if let Some(release) = too_old() {
        let mut message = format!("this kernel ({release}) is too old for map-probe");
        if verbosity >= 2 {
            message = format!("{message}: its verifier says:\n    {last}");
        }
        return Failure::new(Status::NotPermitted, message)
            .caused_by(error)
            .hint("Linux 6.0 or later is needed, the first that has uprobe programs that may wait for memory");
    }
    Failure::new(
        Status::Internal,
        format!("this kernel's verifier refuses map-probe's program:\n    {last}"),
    )
    .caused_by(error)
    .hint("please report it with the kernel's version (uname -r) and the output of `map-probe -vv ...`")
}
