//! Standard output as it was when the program started.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the program was started with something that can be written to as its standard output.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Run by the C library's startup code before `main`: Rust's own opens `/dev/null` in the place of what is closed, which
/// cannot be told from a user's `> /dev/null` afterwards.
#[used]
// SAFETY: the section holds pointers to functions of this type; the linker and the C library know no others.
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: a plain system call without memory effects, on a number that need not be open.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFL) };
    let is_open = flags >= 0 && flags & libc::O_ACCMODE != libc::O_RDONLY;
    IS_OPEN.store(is_open, Ordering::Relaxed);
}

/// A descriptor for it. Not [`io::stdout`], which has a buffer of its own and takes some errors for success.
pub(super) fn open() -> io::Result<File> {
    if !IS_OPEN.load(Ordering::Relaxed) {
        return Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "it is closed, or open for reading only",
        ));
    }
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}
