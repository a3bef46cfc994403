//! Loads the kernel side: its tables, sized and filled for the target, and its program.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData};
use aya_obj::btf::BtfKind;
use map_probe_common::equal::{BASIC_PROGRAMS, BASIC_STEPS, EqualProgram, EqualStep};
use map_probe_common::walk::WALK_STATE_BYTES;
use map_probe_common::{Layout, Site};

use super::bpf;
use super::btf::{Linkage, Types};
use crate::error::{Failure, Status};
use crate::object::OBJECT;

/// Types that get counters of their own; the operations of further ones are counted as of unknown type.
/// Each costs 1.5 KiB of kernel memory per CPU.
const TYPE_BLOCKS: u32 = 1024;

/// Which of the kernel side's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The one that walks and counts.
    Walk,
    /// One that does nothing: what a trap costs by itself.
    Empty,
}

/// What userspace tells the kernel side of a target.
#[derive(Debug)]
pub struct Tables {
    /// How its maps are laid out.
    pub layout: Layout,
    /// Its probe sites; a site's cookie is its index.
    pub sites: Vec<Site>,
    /// How its composite types compare, by address in the target.
    pub equal: Vec<(u64, Vec<EqualStep>)>,
}

/// The kernel side, loaded. Dropping it unloads it.
#[derive(Debug)]
pub struct Loaded {
    pub(super) program: OwnedFd,
    pub(super) maps: HashMap<String, Map>,
}

impl Loaded {
    /// Loads it for a target. `verbosity` is how much of its own log it writes: 0 none, 1 failures, 2 every operation.
    ///
    /// # Errors
    /// Not permitted, or a kernel that lacks something.
    pub fn new(tables: &Tables, program: Program, verbosity: u8) -> Result<Self, Failure> {
        let (steps, programs) = equality(&tables.equal);
        let mut object = aya_obj::Object::parse(OBJECT).map_err(internal)?;
        let level = [log_level(verbosity)];
        object
            .patch_map_data(HashMap::from([
                ("AYA_LOG_LEVEL", (&level[..], true)),
                ("LAYOUT", (bytes_of(&tables.layout), true)),
            ]))
            .map_err(internal)?;
        let sizes = HashMap::from([
            ("EQUAL_STEPS", steps.len()),
            ("EQUAL_PROGRAMS", programs.len()),
            ("COUNTS", TYPE_BLOCKS as usize + 1),
        ]);
        let mut maps = HashMap::new();
        for (name, map) in &mut object.maps {
            if let Some(size) = sizes.get(name.as_str()) {
                map.set_max_entries(u32::try_from(*size).map_err(internal)?);
            }
            let data =
                MapData::create(map.clone(), name, None).map_err(|error| not_created(error))?;
            if !map.data().is_empty() {
                bpf::fill_and_freeze(data.fd().as_fd(), map.data()).map_err(internal)?;
            }
            maps.insert(name.clone(), data);
        }
        let text_sections = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect::<HashSet<_>>();
        let relocations: Vec<_> = object
            .maps
            .iter()
            .map(|(name, map)| {
                (
                    name.clone(),
                    maps[name].fd().as_fd().as_raw_fd(),
                    map.clone(),
                )
            })
            .collect();
        object
            .relocate_maps(
                relocations
                    .iter()
                    .map(|(name, fd, map)| (name.as_str(), *fd, map)),
                &text_sections,
            )
            .map_err(internal)?;
        object.relocate_calls(&text_sections).map_err(internal)?;

        let fd = |name: &str| {
            let map = maps.get(name);
            map.map(|map| map.fd().as_fd())
                .ok_or_else(|| internal(Missing(name.to_owned())))
        };
        bpf::update(fd("SITES")?, &indexes(tables.sites.len()), &tables.sites).map_err(internal)?;
        bpf::update(fd("EQUAL_STEPS")?, &indexes(steps.len()), &steps).map_err(internal)?;
        let (types, programs): (Vec<_>, Vec<_>) = programs.into_iter().unzip();
        bpf::update(fd("EQUAL_PROGRAMS")?, &types, &programs).map_err(internal)?;

        let program = load_program(&object, program)?;
        let mut typed = HashMap::new();
        for (name, data) in maps {
            // Maps of kinds without a type in aya (the log level's) are kept alive by the program.
            if let Ok(map) = Map::from_map_data(data) {
                typed.insert(name, map);
            }
        }
        Ok(Self {
            program,
            maps: typed,
        })
    }

    /// The number that the kernel knows the program by.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn program_id(&self) -> io::Result<u32> {
        bpf::program_id(&self.program)
    }
}

/// One table of steps for all types, and each type's range of it. Types that no longer fit are left out.
fn equality(types: &[(u64, Vec<EqualStep>)]) -> (Vec<EqualStep>, Vec<(u64, EqualProgram)>) {
    let mut steps = BASIC_STEPS.to_vec();
    let mut programs = BASIC_PROGRAMS.to_vec();
    for (typ, own) in types {
        let start = steps.len();
        steps.extend(own);
        if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(steps.len())) {
            programs.push((*typ, EqualProgram { start, end }));
        }
    }
    (steps, programs)
}

fn bytes_of<T: aya::Pod>(value: &T) -> &[u8] {
    // SAFETY: `Pod` values have no padding: each of their bytes can be read.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

fn indexes(count: usize) -> Vec<u32> {
    (0..).take(count).collect()
}

/// aya-log's levels: 0 off, 4 debug. The verifier removes what is off.
fn log_level(verbosity: u8) -> u8 {
    match verbosity {
        0 => 0,
        1 => 3,
        _ => 4,
    }
}

fn load_program(object: &aya_obj::Object, program: Program) -> Result<OwnedFd, Failure> {
    let name = match program {
        Program::Walk => "map_probe",
        Program::Empty => "empty",
    };
    let missing = || internal(Missing(name.to_owned()));
    let found = object.programs.get(name).ok_or_else(missing)?;
    let mut function = object
        .functions
        .get(&found.function_key())
        .ok_or_else(missing)?
        .clone();
    let btf = describe_functions(object, &mut function);
    let btf =
        bpf::load_btf(&btf).map_err(|error| not_permitted("load its type information", error))?;
    let name = CString::new(name).map_err(internal)?;
    bpf::load_program(&name, &found.license, &function, btf.as_fd(), &mut [])
        .map_err(|error| refused_by_verifier(&name, found, &function, btf.as_fd(), error))
}

/// Replaces the object's type information by the little that the kernel asks for: which functions the program
/// has, and what the global one takes. It refuses what compilers make of Rust's enums.
fn describe_functions(object: &aya_obj::Object, function: &mut aya_obj::Function) -> Vec<u8> {
    let walk_step = object
        .btf
        .as_ref()
        .and_then(|btf| btf.id_by_type_name_kind("walk_step", BtfKind::Func).ok());
    let mut types = Types::default();
    let nothing = types.function_type(&[], 0);
    let number = types.int("u32", 4);
    let walk = types.structure("walk", WALK_STATE_BYTES as u32);
    let walk = types.pointer(walk);
    let step = types.function_type(&[("walk", walk)], number);
    for (index, info) in function.func_info.func_info.iter_mut().enumerate() {
        info.type_id = if Some(info.type_id) == walk_step {
            types.function("walk_step", step, Linkage::Global)
        } else {
            types.function(&format!("map_probe_{index}"), nothing, Linkage::Static)
        };
    }
    types.to_bytes()
}

/// Loads once more for the verifier's words, of which the last lines say why.
fn refused_by_verifier(
    name: &CStr,
    program: &aya_obj::Program,
    function: &aya_obj::Function,
    btf: BorrowedFd<'_>,
    error: io::Error,
) -> Failure {
    let mut log = vec![0; 16 << 20];
    let _ = bpf::load_program(name, &program.license, function, btf, &mut log);
    let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default());
    if text.is_empty() {
        return not_permitted("load its program into the kernel", error);
    }
    log::debug!("the verifier's log:\n{text}");
    let last: Vec<_> = text.lines().rev().take(6).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n    ");
    Failure::new(
        Status::Internal,
        format!("this kernel's verifier refuses map-probe's program:\n    {last}"),
    )
    .caused_by(error)
    .hint("Linux 6.6 or later is needed; if this kernel is one, please report it with the output of `map-probe -vv`")
}

fn not_created(error: aya::maps::MapError) -> Failure {
    match error {
        aya::maps::MapError::CreateError { io_error, .. } => {
            not_permitted("create its tables in the kernel", io_error)
        }
        other => internal(other),
    }
}

/// A `bpf(2)` call failed: for want of permission, or of something in the kernel.
pub(super) fn not_permitted(what: &str, error: io::Error) -> Failure {
    let message = format!("map-probe may not {what}");
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            let hint = match std::fs::read_to_string("/sys/kernel/security/lockdown") {
                Ok(lockdown) if lockdown.contains("[confidentiality]") => {
                    "the kernel is locked down (/sys/kernel/security/lockdown says [confidentiality]): \
                     BPF may not read memory then; boot with lockdown=integrity or none"
                        .to_owned()
                }
                _ => "run it as root (sudo), or give it the capabilities: \
                      setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep $(which map-probe)"
                    .to_owned(),
            };
            Failure::new(Status::NotPermitted, message)
                .caused_by(error)
                .hint(hint)
        }
        Some(libc::ENOSYS) => Failure::new(Status::NotPermitted, message)
            .caused_by(error)
            .hint("this kernel has no bpf(2): use one built with CONFIG_BPF_SYSCALL"),
        _ => Failure::new(Status::Internal, format!("cannot {what}")).caused_by(error),
    }
}

/// A failure that nobody but a developer of map-probe can mend.
pub(super) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(Status::Internal, "cannot load map-probe's kernel side")
        .caused_by(error)
        .hint("this is a bug in map-probe, or the system is out of memory: please report it")
}

#[derive(Debug, thiserror::Error)]
#[error("the kernel side has no {0}")]
struct Missing(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_gets_its_own_range_behind_the_basic_steps() {
        let step = |offset| EqualStep {
            kind: 1,
            offset,
            len: 1,
        };
        let types = [(0x10, vec![step(0), step(8)]), (0x20, vec![step(4)])];
        let (steps, programs) = equality(&types);
        assert_eq!(steps[..BASIC_STEPS.len()], BASIC_STEPS);
        for ((typ, own), (of, program)) in types.iter().zip(&programs[BASIC_PROGRAMS.len()..]) {
            assert_eq!(typ, of);
            assert_eq!(&steps[program.start as usize..program.end as usize], own);
        }
    }
}
