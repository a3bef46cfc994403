//! A target made ready to be probed: what it is, where to probe it, and the kernel side loaded for it.

mod blind;
mod sweep;
mod verifying;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use map_probe_common::Site;
use map_probe_common::counts::Shape;
use map_probe_common::op::Op;
use map_probe_common::options::Options;
use map_probe_common::sample::{self, ProcessSamples, SAMPLED_STEPS};
use map_probe_common::window::COOKIE_KIND_SHIFT;

pub use verifying::Lie;

use crate::budget::{Taken, TypeNames};
use crate::cli::Assumptions;
use crate::error::{Failure, Status};
use crate::messages::say;
use crate::plan::{self, Coverage, Kernel, PlannedFunction};
use crate::probe::guard::Wanted as Probed;
use crate::probe::{
    Attached, Calibration, Changes, Counters, Guard, Loaded, Names, Placed, Prelude, Program,
    Sampler, Set, Tables, Way, WindowMemory, calibrate, internal, samples,
};
use crate::report::model::{Counts, Frame, Frames, FunctionRow, Samples, TargetInfo};
use crate::sampling::{self, Rate};
use crate::target::{Binary, Forks, Libraries, Places, Process, identity};
use crate::wanted::Wanted;

pub(crate) use blind::check as check_places;
use verifying::Verifying;

/// Why a plugin's operations are not counted.
const OTHER_GO_CODE: &str =
    "this library has map functions of its own, and only those of the program are probed";

/// Why a forked child's operations are not counted.
const OF_A_CHILD: &str = "only the process itself is counted, and its forked child passes the breakpoints too, while they are attached";

/// A process, its program, and its probe sites.
#[derive(Debug)]
pub struct Session {
    process: Process,
    libraries: Libraries,
    forks: Forks,
    binary: Binary,
    bias: u64,
    planned: Vec<PlannedFunction>,
    verifying: Option<Verifying>,
    loaded: Loaded,
    counters: Counters,
    wanted: Wanted,
    /// When probes were first in place.
    start: OnceCell<Instant>,
    sampled: Option<Sampled>,
}

/// A target that is sampled.
#[derive(Debug)]
struct Sampled {
    /// What the kernel side is told of it.
    process: sample::Sampled,
    /// Its map functions, by number.
    functions: Vec<&'static str>,
    rate: Rate,
    /// What was counted before it began.
    before: ProcessSamples,
}

impl Session {
    /// Reads the process's program, plans its sites and loads the kernel side for it.
    ///
    /// # Errors
    /// The process cannot be probed, or not by us.
    pub fn prepare(
        pid: u32,
        program: Program,
        verbosity: u8,
        assumptions: Assumptions,
        wanted: &Wanted,
    ) -> Result<Self, Failure> {
        Self::prepare_with(pid, program, verbosity, assumptions, wanted, None)
    }

    /// Says when probes were first attached to the process, if that was in an earlier program.
    pub fn started_at(&mut self, start: Instant) {
        self.start.get_or_init(|| start);
    }

    /// Says that the program is the `life`th that the process runs since then, from 0.
    pub fn set_life(&mut self, life: u32) {
        self.counters.set_life(life);
    }

    fn prepare_with(
        pid: u32,
        program: Program,
        verbosity: u8,
        assumptions: Assumptions,
        wanted: &Wanted,
        lie: Option<Lie>,
    ) -> Result<Self, Failure> {
        let process = Process::open(pid)?;
        let binary = process.binary_assuming(assumptions.assume_go)?;
        let bias = process.load_bias(&binary)?;
        let planned = plan_binary(&binary);
        check_covered(&binary, &planned, process.exe())?;
        let mut equal = binary.equal_steps()?;
        for (typ, _) in &mut equal {
            *typ = typ.wrapping_add(bias);
        }
        let verifying = match program {
            Program::Verify => Some(Verifying::plan(&binary, &planned, bias, process.exe())?),
            _ => None,
        };
        let libraries = Libraries::of(pid, binary.entry().wrapping_add(bias));
        let mut layout = binary.maps().layout;
        if let Some(lie) = lie {
            lie.tell(&mut layout);
        }
        let table = program.samples().then(|| sampling::table(&binary));
        let tables = Tables {
            process: identity(pid)?,
            layout,
            sites: match &table {
                Some(table) => at_bias_all(table.sites.iter().copied(), bias),
                None => at_bias_all(sites(&planned).map(|site| site.site), bias),
            },
            options: Options {
                steps: if program.samples() { SAMPLED_STEPS } else { 0 },
                // Verifying counts slots, and nothing else.
                ..match verifying {
                    Some(_) => Options::default(),
                    None => wanted.options(sees_changes(program, &planned, &libraries)),
                }
            },
            equal,
            code: table.as_ref().map_or(Vec::new(), sampling::code),
            zero: verifying.as_ref().map_or([0; 2], Verifying::zero),
        };
        let sampled = match &table {
            Some(table) => Some(Sampled {
                process: sampling::process(pid, &binary, bias, table)?,
                functions: table.functions.iter().map(|f| f.symbol).collect(),
                rate: Rate::default(),
                before: ProcessSamples::default(),
            }),
            None => None,
        };
        let way = if assumptions.no_uprobe_links {
            Way::Event
        } else {
            Way::of_this_kernel()
        };
        let loaded = Loaded::new(&tables, program, way, verbosity)?;
        Ok(Self {
            process,
            libraries,
            forks: Forks::default(),
            binary,
            bias,
            planned,
            verifying,
            loaded,
            counters: Counters::new(wanted.clone(), tables.options.count, &tables.sites),
            wanted: wanted.clone(),
            sampled,
            start: OnceCell::new(),
        })
    }

    /// The kernel side.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What happens to the target from now on. To be asked for once.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn changes(&mut self) -> Result<Changes, Failure> {
        self.loaded.changes()
    }

    /// The process forked: its children are looked for at the next [`Session::read`].
    pub fn forked(&mut self) {
        self.forks.expect();
    }

    /// Whether the process still runs this program.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// How many probe sites there are.
    #[must_use]
    pub fn sites(&self) -> usize {
        sites(&self.planned).count()
    }

    /// Attaches the probes.
    ///
    /// # Errors
    /// The target ended, or the kernel refuses.
    pub fn attach(&self, guard: &Arc<Guard>) -> Result<Watched, Failure> {
        self.attach_at(guard, self.placed()?)
    }

    /// What it takes to attach the probes again and again, apart from this session.
    ///
    /// # Errors
    /// The kernel side was not loaded as [`Program::Windows`], or as [`Session::attach`].
    pub fn reattach(&self, guard: &Arc<Guard>) -> Result<Reattach, Failure> {
        self.start.get_or_init(Instant::now);
        let calibration = match self.loaded.empty() {
            Some(empty) => calibrate(self.loaded.way(), empty)?,
            None => return Err(internal("no program to measure traps with")),
        };
        // Lookups, which are first in every list, are likely the busiest, and so to come last.
        let placed: Vec<_> = self.placed()?.into_iter().rev().collect();
        let pid = self.process.pid();
        let memory = WindowMemory::new(&self.loaded)?;
        Ok(Reattach {
            places: self.places(&placed)?,
            probes: self.probes(guard, placed)?,
            prelude: Prelude::new(guard, self.loaded.way(), self.loaded.program(), pid)?,
            pid,
            memory,
            calibration,
        })
    }

    fn places(&self, placed: &[Placed]) -> Result<Places, Failure> {
        let addresses = placed.iter().map(|place| place.address).collect();
        Ok(self.process.places(addresses)?)
    }

    /// The sites of the operations that are wanted.
    fn placed(&self) -> Result<Vec<Placed>, Failure> {
        let mut placed = Vec::new();
        for (index, site) in (0..).zip(sites(&self.planned)) {
            if !site.site.op().is_some_and(|op| self.wanted.op(op)) {
                continue;
            }
            let kind: u64 = match site.cost {
                plan::Cost::Emulated => 0,
                plan::Cost::SingleStepped => 1,
            };
            placed.push(self.place(site.address, kind << COOKIE_KIND_SHIFT | index)?);
        }
        if placed.is_empty() {
            let exe = self.process.exe();
            let message = format!("'{exe}' has no map function for these operations");
            return Err(Failure::new(Status::NotProbeable, message)
                .hint("`map-probe sites BINARY` lists what it has; give others with --op"));
        }
        Ok(placed)
    }

    /// Puts a single probe at a linked address. For `cargo xtask bench`.
    ///
    /// # Errors
    /// There is no code at that address, or as [`Session::attach`].
    pub fn attach_at_address(&self, guard: &Arc<Guard>, address: u64) -> Result<Watched, Failure> {
        self.attach_at(guard, vec![self.place(address, 0)?])
    }

    /// Samples the CPUs, as often as `wanted` allows.
    ///
    /// # Errors
    /// The target ended, or the kernel refuses.
    pub fn sample(&mut self, wanted: sampling::Wanted) -> Result<Sampler, Failure> {
        self.check_running()?;
        let Some(sampled) = &mut self.sampled else {
            return Err(Failure::new(
                Status::Internal,
                "the kernel side was not loaded to sample",
            ));
        };
        self.loaded.sample(sampling::ourselves(&sampled.process)?)?;
        sampled.rate = sampling::rate(&self.loaded, wanted)?;
        (sampled.before, _) = samples(&self.loaded)?;
        self.loaded.sample(sampled.process)?;
        let timers = Sampler::start(&self.loaded, sampled.rate.frequency)?;
        self.start.get_or_init(Instant::now);
        Ok(timers)
    }

    /// How often the target is sampled, if it is.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.sampled.as_ref().map(|sampled| sampled.rate)
    }

    /// What the kernel is told of a probe at a linked address.
    fn place(&self, address: u64, cookie: u64) -> Result<Placed, Failure> {
        Ok(Placed {
            offset: self.file_offset(address)?,
            address: address.wrapping_add(self.bias),
            cookie,
        })
    }

    fn attach_at(&self, guard: &Arc<Guard>, placed: Vec<Placed>) -> Result<Watched, Failure> {
        let looked_at = self.places(&placed)?;
        let attached = self.probes(guard, placed)?.attach(None)?;
        let watched = Watched {
            _attached: attached,
            places: looked_at,
            pid: self.process.pid(),
        };
        watched.check()?;
        self.start.get_or_init(Instant::now);
        Ok(watched)
    }

    fn probes(&self, guard: &Arc<Guard>, placed: Vec<Placed>) -> Result<Set, Failure> {
        self.check_running()?;
        if self.process.has_lost_its_first_thread() {
            return Err(blind::first_thread_ended(self.process.pid()));
        }
        self.loaded.place(&placed)?;
        let probed = Probed {
            way: self.loaded.way(),
            program: self.loaded.program(),
            file: self.process.program(),
            gate: self.loaded.gate(),
            in_target: true,
        };
        Set::new(guard, &probed, placed, self.process.pid())
    }

    fn check_running(&self) -> Result<(), Failure> {
        if self.process.is_running() {
            return Ok(());
        }
        Err(Failure::new(
            Status::NoProcess,
            format!(
                "process {} ended before the probes were in place",
                self.process.pid()
            ),
        )
        .hint("start it under map-probe instead: map-probe -- COMMAND"))
    }

    fn file_offset(&self, address: u64) -> Result<u64, Failure> {
        self.binary.file_offset(address).ok_or_else(|| {
            Failure::new(
                Status::NotProbeable,
                format!("the code at {address:#x} is not in the file"),
            )
            .hint("build the program with the Go toolchain's own linker, unpacked")
        })
    }

    /// All counts since the kernel side was loaded.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(&mut self) -> Result<Counts, Failure> {
        let pid = self.process.pid();
        for child in self.forks.look(pid) {
            say(&format!(
                "note: process {child} was forked from process {pid}, and runs on in a copy of its memory: {OF_A_CHILD}"
            ));
        }
        let Self {
            process,
            binary,
            bias,
            loaded,
            counters,
            libraries,
            sampled,
            start,
            ..
        } = self;
        libraries.look();
        let mut names = Target {
            binary,
            bias: *bias,
            process,
        };
        let now = start.get().map_or(Duration::ZERO, Instant::elapsed);
        let mut counts = counters.read(loaded, &mut names, now)?;
        if let Some(sampled) = sampled {
            counts.samples = Some(sampled.read(loaded)?);
        }
        Ok(counts)
    }

    /// In windows: what was taken of them before the next [`Session::read`].
    pub fn took(&mut self, taken: &Taken) {
        self.counters.took(&taken.sums);
    }

    /// The names of types as records of windows have them, as of the last [`Session::read`].
    #[must_use]
    pub fn type_names(&self) -> &Arc<TypeNames> {
        self.counters.type_names()
    }

    /// The target as reports name it, with the libraries that were there at the last [`Session::read`].
    #[must_use]
    pub fn info(&self) -> TargetInfo {
        let mut info = TargetInfo {
            pid: self.process.pid().cast_signed(),
            exe: self.process.exe().to_owned(),
            build_id: self.binary.gnu_build_id(),
            go: self.binary.version().text.clone(),
            assumed: self.binary.assumed().map(|go| go.to_string()),
            untested: self.binary.is_untested(),
            layout: self.binary.maps().name.as_str(),
            arch: "amd64",
            covered: Vec::new(),
            not_covered: Vec::new(),
            lives: Vec::new(),
            notes: self.binary.notes(),
            // Whoever started it knows.
            ended: None,
        };
        let wanted = |planned: &&PlannedFunction| self.wanted.op(planned.function.op);
        for function in self.planned.iter().filter(wanted) {
            let name = function.function.symbol.to_owned();
            match &function.coverage {
                Coverage::Covered(_) => info.covered.push(name),
                Coverage::NotCovered(reason) => info.not_covered.push((name, reason.clone())),
                Coverage::Absent => {}
            }
        }
        for library in self.libraries.found() {
            info.not_covered
                .push((library.clone(), OTHER_GO_CODE.to_owned()));
        }
        for child in self.forks.found() {
            info.not_covered
                .push((format!("process {child}"), OF_A_CHILD.to_owned()));
        }
        if self.libraries.is_full() {
            let files = "some of the many mapped files".to_owned();
            info.not_covered
                .push((files, "they were not looked at".to_owned()));
        }
        info
    }
}

impl Sampled {
    fn read(&self, loaded: &Loaded) -> Result<Samples, Failure> {
        let (process, functions) = samples(loaded)?;
        let rows = self.functions.iter().zip(functions);
        Ok(Samples {
            frequency: self.rate.frequency,
            total: process.total.saturating_sub(self.before.total),
            kernel: process.kernel.saturating_sub(self.before.kernel),
            functions: rows
                .map(|(function, samples)| FunctionRow {
                    function: (*function).to_owned(),
                    inside: samples.inside,
                    below: samples.below,
                    walked: samples.walked,
                })
                .collect(),
        })
    }
}

/// Probes that stay attached.
#[derive(Debug)]
pub struct Watched {
    _attached: Attached,
    places: Places,
    pid: u32,
}

impl Watched {
    /// Whether the probes are in what the process runs.
    ///
    /// # Errors
    /// They are not: it ended, runs another program, or its code is not that of the file.
    pub fn check(&self) -> Result<(), Failure> {
        blind::check(&self.places, self.pid)
    }
}

/// Everything needed to attach probes again and again.
#[derive(Debug)]
pub struct Reattach {
    /// The probes, those first that are attached first.
    pub probes: Set,
    /// Where they are in the process.
    pub places: Places,
    /// What comes before them.
    pub prelude: Prelude,
    /// The target.
    pub pid: u32,
    /// The kernel side's memory for windows.
    pub memory: WindowMemory,
    /// What traps cost on this machine.
    pub calibration: Calibration,
}

/// The target as its counters want to know it.
struct Target<'a> {
    binary: &'a Binary,
    bias: u64,
    process: &'a Process,
}

impl Names for Target<'_> {
    fn typ(&mut self, address: u64) -> Option<String> {
        self.binary.type_name(address, self.bias, self.process)
    }

    fn frames(&mut self, return_address: u64) -> Option<Frames> {
        // The call itself lies before what it returns to, and may be another line's, or all there is of a function.
        let call = return_address.wrapping_sub(self.bias).wrapping_sub(1);
        let frames = self.binary.frames(call)?.into_iter();
        let frames = frames.map(|frame| Frame {
            function: frame.function,
            file: frame.file,
            line: frame.line,
        });
        Some(frames.collect())
    }

    fn capacity(&mut self, map: u64, shape: &Shape) -> Option<u64> {
        self.binary.map_capacity(map, shape, self.process)
    }
}

/// Plans all map functions of a program, for the kernel that runs now.
#[must_use]
pub fn plan_binary(binary: &Binary) -> Vec<PlannedFunction> {
    let kernel = nix::sys::utsname::uname()
        .ok()
        .and_then(|name| name.release().to_str().map(Kernel::of_release))
        .unwrap_or(Kernel::ANY);
    let mut planned = plan::plan(
        binary.maps(),
        &|name| binary.function(name),
        &|address| binary.name_at(address),
        kernel,
    );
    plan::name_callers(&mut planned, &|name| binary.function(name), &|address| {
        binary.stack_bytes(address)
    });
    planned
}

fn at_bias_all(sites: impl Iterator<Item = Site>, bias: u64) -> Vec<Site> {
    sites.map(|site| at_bias(site, bias)).collect()
}

/// A site's addresses of code as they are in the process.
fn at_bias(mut site: Site, bias: u64) -> Site {
    for wrapper in &mut site.wrappers {
        if wrapper.return_address != 0 {
            wrapper.return_address = wrapper.return_address.wrapping_add(bias);
        }
    }
    site
}

/// All sites, in the order of their cookies.
fn sites(planned: &[PlannedFunction]) -> impl Iterator<Item = &plan::PlannedSite> {
    planned
        .iter()
        .flat_map(|function| match &function.coverage {
            Coverage::Covered(sites) => sites.as_slice(),
            Coverage::Absent | Coverage::NotCovered(_) => &[],
        })
}

/// Whether every operation that changes a map is trapped, the user's filters apart.
fn sees_changes(program: Program, planned: &[PlannedFunction], libraries: &Libraries) -> bool {
    let missed = |one: &PlannedFunction| {
        one.function.op != Op::Lookup && matches!(one.coverage, Coverage::NotCovered(_))
    };
    program == Program::Walk && libraries.found().is_empty() && !planned.iter().any(missed)
}

/// Refuses a program none of whose map functions can be probed.
fn check_covered(binary: &Binary, planned: &[PlannedFunction], exe: &str) -> Result<(), Failure> {
    if sites(planned).next().is_some() {
        return Ok(());
    }
    let reason = planned
        .iter()
        .find_map(|function| match &function.coverage {
            Coverage::NotCovered(reason) => Some(format!("{}: {reason}", function.function.symbol)),
            Coverage::Covered(_) | Coverage::Absent => None,
        });
    let message = format!(
        "no map function of '{exe}' ({}) can be probed",
        binary.version().text
    );
    Err(Failure::new(Status::NotProbeable, message)
        .caused_by(reason.unwrap_or_else(|| "it has none".to_owned()))
        .hint("`map-probe sites BINARY` says more; build it with the Go toolchain's default flags"))
}
