//! A file that has its contents before it has its name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;
use tempfile::NamedTempFile;

/// How it is called for a moment, or until the end where files need names.
const PREFIX: &str = ".map-probe-";
/// As any other new file's; the umask takes away from it.
const MODE: u32 = 0o666;

/// A new file on the file system of the one that it will replace. Nothing is left of it unless it is kept.
#[derive(Debug)]
pub(crate) enum Draft {
    /// Without a name, so that nothing is left if we are killed either (`O_TMPFILE`).
    Nameless(File),
    /// Where the file system knows no such files (NFS, FUSE).
    Named(NamedTempFile),
}

impl Draft {
    /// Makes one that can be put at `path`.
    ///
    /// # Errors
    /// No file can be made in that directory.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let directory = directory(path);
        let made = OpenOptions::new()
            .write(true)
            .mode(MODE)
            .custom_flags(libc::O_TMPFILE)
            .open(directory);
        match made {
            Ok(file) => Ok(Self::Nameless(file)),
            // Before Linux 3.11 the flag meant to open the directory.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
                ) =>
            {
                let mut builder = tempfile::Builder::new();
                let builder = builder.prefix(PREFIX);
                let file = builder.permissions(Permissions::from_mode(MODE));
                file.tempfile_in(directory).map(Self::Named)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts it at `path`, at once and whole; a file that was there is gone then, and its owner and permissions are this one's.
    ///
    /// # Errors
    /// It cannot be put there, and what was there still is.
    pub(crate) fn replace(self, path: &Path) -> io::Result<()> {
        let file = self.file();
        if let Ok(before) = fs::metadata(path) {
            // Only root may give files away.
            let _ = fchown(file, Some(before.uid()), Some(before.gid()));
            file.set_permissions(Permissions::from_mode(before.mode() & 0o777))?;
        }
        file.sync_all()?;
        match self {
            Self::Nameless(file) => {
                let named = tempfile::Builder::new()
                    .prefix(PREFIX)
                    .make_in(directory(path), |name| link(&file, name))?;
                named.into_temp_path().persist(path)?;
            }
            Self::Named(file) => {
                file.persist(path)?;
            }
        }
        Ok(())
    }

    /// Puts it at `path` if there is nothing.
    ///
    /// # Errors
    /// Something is there ([`io::ErrorKind::AlreadyExists`]), or it cannot be put there.
    pub(crate) fn keep(self, path: &Path) -> io::Result<()> {
        self.file().sync_all()?;
        match self {
            Self::Nameless(file) => link(&file, path),
            Self::Named(file) => {
                file.persist_noclobber(path)?;
                Ok(())
            }
        }
    }

    fn file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Named(file) => file.as_file(),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a file without a name one that is free (open(2), `O_TMPFILE`).
fn link(file: &File, name: &Path) -> io::Result<()> {
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    let followed = AtFlags::AT_SYMLINK_FOLLOW;
    linkat(AT_FDCWD, nameless.as_str(), AT_FDCWD, name, followed).map_err(io::Error::from)
}

/// The directory that a path's last part is in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
