//! The few `bpf(2)` calls that aya 0.14 does not make for us: it has no
//! `uprobe_multi` link, and a program for one is loaded with an attach type that
//! aya does not set. To be dropped for aya's own as soon as it has them.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_prog_type};

/// Zeroes are a valid `bpf_attr`: a union of C structs of integers.
fn attributes() -> bpf_attr {
    // SAFETY: see above.
    unsafe { mem::zeroed() }
}

fn call(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attributes` is as large as said; what it points to outlives the call at every caller.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as u32,
            std::ptr::from_mut(attributes),
            mem::size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

/// How often a program is given to the verifier that a signal takes out of it.
const LOADED: u32 = 20;
/// How much longer is waited before each time.
const LOADED_AFTER: Duration = Duration::from_millis(2);

/// The verifier gives up while a signal is pending (`do_check` in kernel/bpf/verifier.c), whatever comes of the signal: so it is
/// asked again, a number of times, as soon as the signal was handled.
fn retry<T>(mut load: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for time in 1..LOADED {
        match load() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {
                thread::sleep(LOADED_AFTER * time);
            }
            other => return other,
        }
    }
    load()
}

fn call_for_fd(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: these commands return a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor is never negative.
    fd.as_raw_fd().cast_unsigned()
}

fn address<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

/// Loads type information.
pub(super) fn load_btf(btf: &[u8]) -> io::Result<OwnedFd> {
    let mut attributes = attributes();
    attributes.__bindgen_anon_7.btf = address(btf);
    attributes.__bindgen_anon_7.btf_size = btf.len() as u32;
    call_for_fd(bpf_cmd::BPF_BTF_LOAD, &mut attributes)
}

/// Writes the contents of a one-element map, and makes it read-only for all.
pub(super) fn fill_and_freeze(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let mut attr = attributes();
    let key = [0u32];
    // SAFETY: one view of the union is written, and the same one read by the kernel.
    let element = unsafe { &mut attr.__bindgen_anon_2 };
    element.map_fd = number(map);
    element.key = address(&key);
    element.__bindgen_anon_1.value = address(value);
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr)?;
    let mut attr = attributes();
    attr.__bindgen_anon_2.map_fd = number(map);
    call(bpf_cmd::BPF_MAP_FREEZE, &mut attr)?;
    Ok(())
}

/// Writes many elements at once (Linux 5.6). `K` and `V` are the map's key and value.
pub(super) fn update<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> io::Result<()> {
    let count = keys.len().min(values.len());
    if count == 0 {
        return Ok(());
    }
    let mut attr = attributes();
    attr.batch.map_fd = number(map);
    attr.batch.keys = address(keys);
    attr.batch.values = address(values);
    attr.batch.count = count as u32;
    call(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr)?;
    Ok(())
}

/// Elements that one call reads.
const BATCH: usize = 4096;

/// Reads all elements of a hash table, many at once (Linux 5.6). Such as are added meanwhile may be left out, and one
/// that is moved may come twice.
pub(super) fn read_all<K: aya::Pod + Default, V: aya::Pod + Default>(
    map: BorrowedFd<'_>,
    mut each: impl FnMut(K, V),
) -> io::Result<()> {
    // Where to go on: a number of four bytes to the kernel, for tables of this kind; room for a key to be safe.
    let mut from = [0_u64; 8];
    let mut to = [0_u64; 8];
    let mut first = true;
    let mut keys = vec![K::default(); BATCH];
    let mut values = vec![V::default(); BATCH];
    loop {
        let mut attr = attributes();
        attr.batch.map_fd = number(map);
        attr.batch.in_batch = if first { 0 } else { address(&from) };
        attr.batch.out_batch = std::ptr::from_mut(&mut to) as u64;
        attr.batch.keys = keys.as_mut_ptr() as u64;
        attr.batch.values = values.as_mut_ptr() as u64;
        attr.batch.count = keys.len() as u32;
        let result = call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr);
        // SAFETY: the kernel has written this view of the union.
        let count = unsafe { attr.batch.count } as usize;
        let more = match result {
            Ok(_) => true,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => false,
            // A chain of the table is longer than there is room for.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && keys.len() < 1 << 20 => {
                keys.resize(keys.len() * 2, K::default());
                values.resize(values.len() * 2, V::default());
                continue;
            }
            Err(error) => return Err(error),
        };
        for (key, value) in keys.iter().zip(&values).take(count) {
            each(*key, *value);
        }
        if !more {
            return Ok(());
        }
        from = to;
        first = false;
    }
}

/// What a program is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Sleepable, for a `uprobe_multi` link.
    UprobeMulti,
    /// Sleepable, for perf events of uprobes.
    Uprobe,
    /// For perf events that are timers.
    PerfEvent,
    /// For a tracepoint of the kernel, as it is.
    RawTracepoint,
}

/// Loads a program. `log` receives the verifier's words.
pub(super) fn load_program(
    kind: Kind,
    name: &CStr,
    license: &CStr,
    function: &aya_obj::Function,
    btf: BorrowedFd<'_>,
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    let functions = function.func_info.func_info_bytes();
    // SAFETY: one view of the union is written, and the same one read by the kernel.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    match kind {
        Kind::Uprobe | Kind::UprobeMulti => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
            program.prog_flags = aya_obj::generated::BPF_F_SLEEPABLE;
            if matches!(kind, Kind::UprobeMulti) {
                program.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
            }
        }
        Kind::PerfEvent => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT as u32;
        }
        Kind::RawTracepoint => {
            program.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
        }
    }
    program.insns = address(&function.instructions);
    program.insn_cnt = function.instructions.len() as u32;
    program.license = license.as_ptr() as u64;
    for (to, from) in program.prog_name.iter_mut().take(15).zip(name.to_bytes()) {
        *to = from.cast_signed();
    }
    program.prog_btf_fd = number(btf);
    program.func_info = address(&functions);
    program.func_info_cnt = function.func_info.len() as u32;
    program.func_info_rec_size = function.func_info_rec_size as u32;
    if !log.is_empty() {
        program.log_level = 1;
        program.log_buf = address(log);
        program.log_size = log.len() as u32;
    }
    retry(|| call_for_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr))
}

/// Has a tracepoint of the kernel run a program (Linux 4.17). Closing the descriptor ends that.
pub(super) fn open_raw_tracepoint(name: &CStr, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    // SAFETY: one view of the union is written, and the same one read by the kernel.
    let tracepoint = unsafe { &mut attr.raw_tracepoint };
    tracepoint.name = name.as_ptr() as u64;
    tracepoint.prog_fd = number(program);
    call_for_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Puts a program at places in a file, for one process (Linux 6.6). Closing the descriptor takes it away.
pub(super) fn link_uprobes(
    program: BorrowedFd<'_>,
    path: &CStr,
    offsets: &[u64],
    cookies: &[u64],
    pid: u32,
) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    // SAFETY: one view of the union is written, and the same one read by the kernel.
    let link = unsafe { &mut attr.link_create };
    link.__bindgen_anon_1.prog_fd = number(program);
    link.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: as above.
    let probes = unsafe { &mut link.__bindgen_anon_3.uprobe_multi };
    probes.path = path.as_ptr() as u64;
    probes.offsets = address(offsets);
    probes.cookies = address(cookies);
    probes.cnt = offsets.len().min(cookies.len()) as u32;
    probes.pid = pid;
    call_for_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Whether this kernel has links of uprobes (Linux 6.6, or an older one to which they were added). Told by how it refuses
/// one for what is no file.
pub(super) fn has_uprobe_links() -> bool {
    let refused = load_nothing(Kind::UprobeMulti)
        .and_then(|program| link_uprobes(program.as_fd(), c"/", &[0], &[0], 0))
        .err()
        .and_then(|error| error.raw_os_error());
    // Not permitted: whoever comes next says so.
    matches!(refused, Some(libc::EBADF | libc::EPERM | libc::EACCES))
}

/// Loads a program for uprobes that does nothing.
pub(super) fn load_nothing(kind: Kind) -> io::Result<OwnedFd> {
    // r0 = 0; exit
    let instructions: [u64; 2] = [0xb7, 0x95];
    let mut attr = attributes();
    // SAFETY: one view of the union is written, and the same one read by the kernel.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    program.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    if matches!(kind, Kind::UprobeMulti) {
        program.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    }
    program.insns = address(&instructions);
    program.insn_cnt = instructions.len() as u32;
    program.license = c"GPL".as_ptr() as u64;
    call_for_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// The number that the kernel knows a loaded program by.
pub(super) fn program_id(program: &OwnedFd) -> io::Result<u32> {
    // SAFETY: zeroes are valid for a C struct of integers.
    let mut info: aya_obj::generated::bpf_prog_info = unsafe { mem::zeroed() };
    let mut attr = attributes();
    attr.info.bpf_fd = number(program.as_fd());
    attr.info.info_len = mem::size_of_val(&info) as u32;
    attr.info.info = std::ptr::from_mut(&mut info) as u64;
    call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_loaded_again_after_a_signal_and_not_for_ever() {
        let failing = |times: u32, errno| {
            let mut calls = 0;
            let result = retry(|| {
                calls += 1;
                if calls > times {
                    Ok(())
                } else {
                    Err(io::Error::from_raw_os_error(errno))
                }
            });
            (calls, result.is_ok())
        };
        assert_eq!(failing(0, libc::EAGAIN), (1, true));
        assert_eq!(failing(3, libc::EAGAIN), (4, true));
        assert_eq!(failing(3, libc::EINTR), (4, true));
        assert_eq!(failing(1, libc::EACCES), (1, false));
        assert_eq!(failing(u32::MAX, libc::EAGAIN), (LOADED, false));
    }
}
