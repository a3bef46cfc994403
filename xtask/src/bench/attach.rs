//! How long it takes to put all probes of a target in place, and to take them away.

use super::stats::Series;
use super::table::{Row, Unit};
use super::target::Target;
use crate::process::{new_descriptor, read};
use crate::{tools, workspace};
use anyhow::{Context, Result, bail};
use map_probe_tests::report::site_addresses;
use object::{Object as _, ObjectSegment as _};
use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Taking perf events away takes seconds.
const PERF_ROUNDS: u32 = 3;

/// Rows for the link that map-probe makes, and for what it would be with a perf event per site.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let [_, version] = tools::BENCH_GO_VERSIONS;
    let binary = super::build_target(version)?;
    let target = Target::start(&binary)?;
    let (mut sites, mut multi) = (0, [Series::default(), Series::default()]);
    let text = read(
        Command::new(workspace::map_probe())
            .args(["--pid", &target.pid().to_string(), "--max-overhead", "off"])
            .args(["--bench-attach", &rounds.to_string()]),
    )?;
    for line in text.lines() {
        // Number of sites, milliseconds to attach, milliseconds to detach.
        let words: Vec<_> = line.split_whitespace().collect();
        let [count, attach, detach] = words[..] else {
            bail!("map-probe said {line:?}");
        };
        sites = count.parse::<usize>()?;
        multi[0].push(attach.parse()?);
        multi[1].push(detach.parse()?);
    }
    let offsets = site_offsets(&binary)?;
    if offsets.len() != sites {
        bail!("{sites} sites were attached, {} are planned", offsets.len());
    }
    let mut perf = [Series::default(), Series::default()];
    for _ in 0..PERF_ROUNDS {
        let (attach, detach) = perf_events(&binary, target.pid(), &offsets)?;
        perf[0].push(attach);
        perf[1].push(detach);
    }
    let names = ["attach", "detach"];
    let mut rows = Vec::new();
    for (how, series) in [("uprobe_multi", multi), ("perf events", perf)] {
        for (what, series) in names.into_iter().zip(series) {
            let name = format!("{what} {sites} sites, {how}");
            rows.push(Row::new(name, Unit::Milliseconds, series));
        }
    }
    Ok(rows)
}

/// The addresses of the sites that map-probe plans.
pub(super) fn planned_sites(binary: &Path) -> Result<Vec<u64>> {
    let text = read(
        Command::new(workspace::map_probe())
            .arg("sites")
            .arg(binary)
            .args(["--format", "json"]),
    )?;
    site_addresses(&text)
}

/// Where in the file they lie.
fn site_offsets(binary: &Path) -> Result<Vec<u64>> {
    let file = fs::read(binary)?;
    let file = object::File::parse(&*file)?;
    planned_sites(binary)?
        .into_iter()
        .map(|address| {
            let mut segments = file.segments();
            let segment = segments.find(|segment| {
                (segment.address()..segment.address() + segment.size()).contains(&address)
            });
            let segment = segment.with_context(|| format!("no code at {address:#x}"))?;
            Ok(segment.file_range().0 + (address - segment.address()))
        })
        .collect()
}

/// Milliseconds to make a perf event for each site, and to close them all.
fn perf_events(binary: &Path, pid: u32, offsets: &[u64]) -> Result<(f64, f64)> {
    let kind = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")
        .context("this kernel has no perf events for uprobes")?;
    let kind: u32 = kind.trim().parse()?;
    let path = CString::new(binary.as_os_str().as_bytes())?;
    let pid = i32::try_from(pid)?;
    let begun = Instant::now();
    let mut events = Vec::with_capacity(offsets.len());
    for offset in offsets {
        events.push(perf_event(kind, &path, *offset, pid)?);
    }
    let attached = begun.elapsed();
    let begun = Instant::now();
    drop(events);
    let detached = begun.elapsed();
    Ok((attached.as_secs_f64() * 1e3, detached.as_secs_f64() * 1e3))
}

fn perf_event(kind: u32, path: &CString, offset: u64, pid: i32) -> Result<OwnedFd> {
    /// `PERF_FLAG_FD_CLOEXEC` (`linux/perf_event.h`).
    const CLOSE_ON_EXEC: u64 = 8;
    /// `struct perf_event_attr` (`linux/perf_event.h`) as words, up to `PERF_ATTR_SIZE_VER5`.
    const WORDS: usize = 14;
    let mut attributes = [0_u64; WORDS];
    // `type` and `size`.
    attributes[0] = u64::from(kind) | (size_of_val(&attributes) as u64) << 32;
    // `config1` (`uprobe_path`) and `config2` (`probe_offset`).
    attributes[7] = path.as_ptr() as u64;
    attributes[8] = offset;
    let (any_cpu, no_group) = (-1, -1);
    // SAFETY: the attributes are of the size that they say, and the path outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            attributes.as_ptr(),
            pid,
            any_cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    // SAFETY: it is a new descriptor or negative.
    unsafe { new_descriptor(fd) }.context("cannot make a perf event")
}
