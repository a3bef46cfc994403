//! Finds an operation's values at its probe site, in registers and on the stack.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::programs::ProbeContext;
use map_probe_common::options::{MAPS_BY_CALLER, SITES as BY_SITE};
use map_probe_common::quality::Cause;
use map_probe_common::site::{Place, STACK_WORDS, Site};
use map_probe_common::walk::{Operation, World as _};

use crate::tables::SITES;
use crate::world::{Kernel, options, read_into};
use crate::{caller, cookie, opaque};

/// Values that a site can name: the registers, then the stack window.
pub(crate) const PLACES: usize = Place::FIRST_STACK_WORD as usize + STACK_WORDS;

/// What makes it necessary to know the call site.
const CALLERS: u32 = BY_SITE | MAPS_BY_CALLER;

/// What a trap tells.
pub(crate) struct Values {
    /// Address of the map's type.
    pub(crate) typ: u64,
    /// Address of the goroutine (`g`): what stays the same while an operation runs.
    pub(crate) goroutine: u64,
    /// Where the map function, or its wrapper, returns to: the call site. 0 if not asked for, or not known.
    pub(crate) caller: u64,
    /// The map function's frame pointer; 0 if it is not set up.
    pub(crate) frame: u64,
    /// The number of its sight of the map, if it is about to change the map.
    pub(crate) sight: u64,
    /// The operation.
    pub(crate) operation: Operation,
}

impl Values {
    /// Reads the values at the site that `ctx` stopped at.
    // A function of its own: its stack is free again when the walk needs it.
    #[inline(never)]
    pub(crate) fn read(
        ctx: &ProbeContext,
        places: &mut [u64; PLACES],
        into: &mut MaybeUninit<Self>,
    ) -> Result<(), Cause> {
        let site = SITES
            .get(cookie::of(ctx) as u32)
            .ok_or(Cause::UnknownSite)?;
        // SAFETY: a uprobe's context is the registers of the trapped thread.
        let stack_pointer = unsafe { (*ctx.as_ptr().cast::<pt_regs>()).rsp };
        Self::at(ctx.as_ptr(), site, stack_pointer, places, into)
    }

    /// Reads the values that are where `site` says; `ctx` is, or begins with, the registers of the interrupted thread.
    #[inline(always)]
    pub(crate) fn at(
        ctx: *mut c_void,
        site: &Site,
        stack_pointer: u64,
        places: &mut [u64; PLACES],
        into: &mut MaybeUninit<Self>,
    ) -> Result<(), Cause> {
        // SAFETY: the caller's promise.
        let regs = unsafe { &*ctx.cast::<pt_regs>() };
        let registers = [
            &regs.rax, &regs.rcx, &regs.rdx, &regs.rbx, &regs.rsp, &regs.rbp, &regs.rsi, &regs.rdi,
            &regs.r8, &regs.r9, &regs.r10, &regs.r11, &regs.r12, &regs.r13, &regs.r14, &regs.r15,
        ];
        for (place, register) in places.iter_mut().zip(registers) {
            *place = at_once(register);
        }
        let with_caller = options().count & CALLERS != 0;
        let mut words = site.stack_words;
        // Further than is needed, if that can be read: it saves another read for operations by a wrapper.
        if with_caller && read_window(places, stack_pointer, site, site.wide_words).is_some() {
            words = site.wide_words;
        } else {
            read_window(places, stack_pointer, site, words).ok_or(Cause::Fault)?;
        }
        let caller = if with_caller {
            caller::of(site, places, words, stack_pointer)
        } else {
            0
        };
        let get = |place: u8| places.get(usize::from(place)).copied().unwrap_or(0);
        into.write(Self {
            typ: get(site.typ),
            // Go 1.18..1.27 cmd/compile/abi-internal.md: says "| R14 | Current goroutine |"
            goroutine: regs.r14,
            caller,
            frame: if site.has_frame_pointer == 0 {
                0
            } else {
                regs.rbp
            },
            operation: Operation {
                op: site.op().ok_or(Cause::UnknownSite)?,
                role: site.role().ok_or(Cause::UnknownSite)?,
                key_form: site.key_form().ok_or(Cause::UnknownSite)?,
                search: site.search,
                map: get(site.map),
                key: get(site.key),
                key_len: get(site.key_len),
                hash: get(site.hash),
                table: get(site.table),
            },
            sight: 0,
        });
        Ok(())
    }
}

/// The word there, not later than what follows: of many that are to be copied the compiler would make a second copy on the
/// stack.
#[inline(always)]
fn at_once(word: &u64) -> u64 {
    // SAFETY: a reference.
    unsafe { (&raw const *word).read_volatile() }
}

/// Reads `words` words of the site's stack window.
#[inline(always)]
fn read_window(places: &mut [u64; PLACES], stack: u64, site: &Site, words: u8) -> Option<()> {
    if words == 0 {
        return Some(());
    }
    let window = stack.wrapping_add(u64::from(site.stack_offset));
    if words == 1 {
        // The return address alone, most often.
        places[usize::from(Place::FIRST_STACK_WORD)] = Kernel.read(window)?;
        return Some(());
    }
    // To the stack first: where the kernel is built to check what it copies to (`CONFIG_HARDENED_USERCOPY`), it
    // knows its own stack at once, and looks for anything else.
    let mut read = [0; STACK_WORDS];
    // Bounded for the verifier; the planner never asks for more. (As one 64-bit value: up to Linux 6.2 it does not know
    // that a copy of 32 bits has the same bound.)
    let mut bytes = opaque::number(usize::from(words) * 8);
    if bytes > STACK_WORDS * 8 {
        bytes = STACK_WORDS * 8;
    }
    // SAFETY: `read` has at least that many bytes.
    unsafe { read_into(read.as_mut_ptr().cast(), bytes as u32, window) }?;
    let window = places.iter_mut().skip(Place::FIRST_STACK_WORD.into());
    for (place, word) in window.zip(&read) {
        *place = at_once(word);
    }
    Some(())
}
