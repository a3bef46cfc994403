//! What the user may know of a target, or of the kernel, that it does not say itself.

use clap::Args;

use crate::target::AssumedGo;

/// Options of every command that reads a Go program.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    /// Take a program of a development version of Go for one of this version, like 1.27
    ///
    /// For programs that say `devel`, name a release candidate, or are newer than the newest version known here. The
    /// report says that it was assumed. Probe sites are still proved on the program's own code, but nothing else
    /// would show that its maps are laid out in another way: what is counted is right only if they are not. A
    /// version that is known is never taken for another.
    #[arg(long, value_name = "VERSION", value_parser = AssumedGo::parse)]
    pub assume_go: Option<AssumedGo>,

    /// Attach by perf events, as on kernels that have no `uprobe_multi` links (before 6.6)
    #[arg(long, hide = true)]
    pub no_uprobe_links: bool,
}
