//! Locks between processes, and whose a file is.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::{check, Held};

/// A `flock(2)` on a whole file, until it is dropped or its process ends.
///
/// A child of `fork` shares it: it is given up by name, not by closing, so that a child's copy does not keep it.
#[derive(Debug)]
pub struct FileLock {
    /// In front of the descriptor: it goes first.
    _held: Held,
    file: File,
}

impl FileLock {
    /// Takes the lock if nobody has it; does not wait.
    pub fn take(file: File) -> io::Result<Option<Self>> {
        match flock(&file, libc::LOCK_EX | libc::LOCK_NB) {
            Ok(()) => Ok(Some(Self { _held: Held::new(file.as_raw_fd()), file })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file it is on.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Should it fail, closing does as much.
        let _ = flock(&self.file, libc::LOCK_UN);
    }
}

fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes two integers and touches no memory of ours; the descriptor is open as long as `file` lives.
    check(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

/// Whose rights this process has.
pub fn effective_user() -> u32 {
    // SAFETY: the call takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() }
}
