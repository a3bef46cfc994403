//! What a trap costs on this machine, measured on instructions of our own: before a target pays for one.

use std::arch::global_asm;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use map_probe_common::window::TRAP_KINDS;

use super::attach::{NotAttached, Placed, Probes, Way};
use super::refusal::{internal, no_tracefs, not_attached};
use crate::error::{Failure, system_failure};

/// Nanoseconds that a trap costs by itself, with a program that does nothing, by kind of instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration(pub [f64; TRAP_KINDS]);

/// Calls of each instruction at a time; the fastest of [`ROUNDS`] counts, as interruptions only add.
const CALLS: [u32; TRAP_KINDS] = [400, 40];
const ROUNDS: usize = 7;

// One function for each kind of instruction, in the order of `TRAP_KINDS`, and the same without.
global_asm!(
    ".pushsection .text.map_probe_trap_cost, \"ax\"",
    ".balign 64",
    ".globl map_probe_emulated",
    "map_probe_emulated:",
    "nop",
    "ret",
    ".balign 64",
    ".globl map_probe_stepped",
    "map_probe_stepped:",
    "mov rax, rax",
    "ret",
    ".popsection",
);

unsafe extern "C" {
    safe fn map_probe_emulated();
    safe fn map_probe_stepped();
}

const PROBED: [extern "C" fn(); TRAP_KINDS] = [map_probe_emulated, map_probe_stepped];

/// Measures what traps cost in this process: about 10 ms, and 10 more until the probes are in place.
///
/// # Errors
/// Not permitted, or the kernel lacks something.
pub fn calibrate(way: Way, empty: BorrowedFd<'_>) -> Result<Calibration, Failure> {
    let without = time_all();
    let mut placed = Vec::new();
    for function in PROBED {
        let address = function as usize as u64;
        placed.push(Placed {
            offset: file_offset(address).map_err(internal)?,
            address,
            cookie: 0,
        });
    }
    let pid = std::process::id();
    let refused = |error| match error {
        NotAttached::Tracefs(error) => no_tracefs(error),
        NotAttached::Refused(error) => not_attached(pid, error),
    };
    let unreadable =
        |error| system_failure("cannot measure traps in map-probe's own program", error);
    let empty = empty.try_clone_to_owned().map_err(unreadable)?;
    let ours = fs::File::open("/proc/self/exe").map_err(unreadable)?;
    let probes = Probes::new(way, empty, ours.into(), placed, pid).map_err(refused)?;
    let attached = probes.attach().map_err(|error| not_attached(pid, error))?;
    let with = time_all();
    // Detaching waits for the kernel; nobody has to wait with it.
    // Where there can be no more threads, what was handed over is dropped here.
    let _ = std::thread::Builder::new().spawn(move || drop((attached, probes)));
    let mut cost = [0.0; TRAP_KINDS];
    for (cost, (with, without)) in cost.iter_mut().zip(with.into_iter().zip(without)) {
        *cost = (with - without).max(1.0);
    }
    Ok(Calibration(cost))
}

/// Nanoseconds per call of each kind.
fn time_all() -> [f64; TRAP_KINDS] {
    let mut fastest = [f64::INFINITY; TRAP_KINDS];
    for _ in 0..ROUNDS {
        for ((fastest, function), calls) in fastest.iter_mut().zip(PROBED).zip(CALLS) {
            let start = Instant::now();
            for _ in 0..calls {
                function();
            }
            *fastest = fastest.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
        }
    }
    fastest
}

/// Where an address of ours lies in our executable.
fn file_offset(address: u64) -> io::Result<u64> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    maps.lines()
        .find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            let (start, end) = (hex(start)?, hex(end)?);
            let offset = hex(fields.nth(1)?)?;
            (start..end)
                .contains(&address)
                .then(|| address - start + offset)
        })
        .ok_or_else(|| io::Error::other("our own code is not in /proc/self/maps"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probed_instructions_are_where_the_file_has_them() {
        let file = fs::read("/proc/self/exe").expect("our own file");
        let at = |function: extern "C" fn()| {
            let offset = file_offset(function as usize as u64).expect("our own code");
            let offset = usize::try_from(offset).expect("an offset");
            &file[offset..offset + 5]
        };
        assert_eq!(at(map_probe_emulated)[..2], [0x90, 0xc3]);
        assert_eq!(at(map_probe_stepped)[3], 0xc3);
    }

    #[test]
    fn calling_them_takes_some_time_but_not_much() {
        assert!(time_all().iter().all(|ns| *ns > 0.0 && *ns < 1e6));
    }
}
