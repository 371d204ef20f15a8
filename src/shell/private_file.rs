//! A small file that holds a secret, whole at any time.
//!
//! It is replaced, never written to: a new one beside it, mode 0600 from its first instant, is synced and renamed over it,
//! and the directory is synced. Who reads it before refuses what others could have read or written. The lock is on a file
//! of its own, which stays: the one that holds the secret is another after every change.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{Code, Error, Stage};
use crate::sys::{effective_user, FileLock};

/// Largest file that is read.
pub const MAX_BYTES: u64 = 128 << 10;
/// Length of what makes the names of fresh files differ: a UUID.
const UNIQUE: usize = 36;

/// A path, and what is kept there.
#[derive(Debug)]
pub struct PrivateFile {
    path: PathBuf,
    /// In errors: "token store".
    what: &'static str,
}

/// As long as it lives no other process has the file.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not looked at")] FileLock);

impl PrivateFile {
    /// Nothing is opened.
    pub fn new(path: &str, what: &'static str) -> Self {
        Self { path: PathBuf::from(path), what }
    }

    /// Its path, to be shown.
    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Locks it if nobody else has; what an interrupted writer left is removed.
    pub fn lock(&self) -> Result<Option<Lock>, Error> {
        let path = self.beside("", ".lock");
        let fault =
            |error: io::Error| Error::from_io(Code::Store, Stage::Configure, &path.display().to_string(), &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&path).map_err(fault)?;
        let Some(lock) = FileLock::take(file).map_err(fault)? else { return Ok(None) };
        // Somebody may have removed it meanwhile: then the next one would lock another.
        let ours = lock.file().metadata().map_err(fault)?;
        let is_there =
            fs::symlink_metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if !is_there {
            return Ok(None);
        }
        self.sweep();
        Ok(Some(Lock(lock)))
    }

    /// What it holds; nothing if it is not there yet.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let mut options = OpenOptions::new();
        // A pipe in its place must not hold us.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(self.refused("is a symbolic link")),
            outcome => outcome.map_err(|error| self.fault(&error))?,
        };
        let about = file.metadata().map_err(|error| self.fault(&error))?;
        if let Some(why) = self.objection(&about) {
            return Err(self.refused(&why));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 64));
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(|error| self.fault(&error))?;
        Ok(Some(text))
    }

    /// As [`Self::replace`], and then what it held is overwritten where it lay, as far as the file system does that in place.
    /// For a file that nobody else reads: who had it open would see zeros.
    pub fn replace_and_wipe(&self, text: &[u8], unique: &str) -> Result<(), Error> {
        // Before the name is another file's. One that is not ours is no reason to fail, and is not written to.
        let old = self.open_to_wipe();
        self.replace(text, unique)?;
        // What is kept is kept. A disk that fails here has failed to forget, which nobody can mend.
        let _ = old.map(|(file, len)| wipe(&file, len));
        Ok(())
    }

    fn open_to_wipe(&self) -> Option<(File, u64)> {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&self.path).ok()?;
        let about = file.metadata().ok()?;
        self.objection(&about).is_none().then_some((file, about.len()))
    }

    /// Replaces what it holds. `unique`, a UUID, names the file that is written first.
    pub fn replace(&self, text: &[u8], unique: &str) -> Result<(), Error> {
        if text.len() as u64 >= MAX_BYTES {
            return Err(self.refused("would be too large"));
        }
        let fresh = self.beside(".", &format!(".{unique}.tmp"));
        let outcome = self.write(&fresh, text);
        if outcome.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        outcome.map_err(|error| self.fault(&error))
    }

    /// The error of a file that cannot be used.
    pub fn refused(&self, why: &str) -> Error {
        Error::new(Code::Store, Stage::Configure, format!("{} {why}.", self.path()))
    }

    fn write(&self, fresh: &Path, text: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(fresh)?;
        // Whatever the umask has taken away.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text)?;
        file.sync_all()?;
        drop(file);
        fs::rename(fresh, &self.path)?;
        match File::open(self.directory())?.sync_all() {
            // Some file systems have nothing to sync of a directory.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            outcome => outcome,
        }
    }

    /// Files of writers that were killed. One that writes now, without the lock, fails and is heard of.
    fn sweep(&self) {
        let pattern = self.beside(".", ".");
        let Some(start) = pattern.file_name().and_then(|name| name.to_str()) else { return };
        for entry in fs::read_dir(self.directory()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let middle = name.to_str().and_then(|name| name.strip_prefix(start)?.strip_suffix(".tmp"));
            if middle.is_some_and(|unique| unique.len() == UNIQUE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Its path with something added to its name.
    fn beside(&self, before: &str, after: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{before}{name}{after}"))
    }

    fn fault(&self, error: &io::Error) -> Error {
        Error::from_io(Code::Store, Stage::Configure, &self.path().to_string(), error)
    }

    /// Why a file is not trusted.
    fn objection(&self, about: &Metadata) -> Option<String> {
        let why = if !about.is_file() {
            "is no regular file"
        } else if about.uid() != effective_user() {
            "belongs to another user"
        } else if about.mode() & 0o077 != 0 {
            "can be read or written by others (chmod 600)"
        } else if about.len() >= MAX_BYTES {
            return Some(format!("is too large for a {}", self.what));
        } else {
            return None;
        };
        Some(why.to_owned())
    }
}

/// From its beginning: it was opened, not read.
fn wipe(mut file: &File, len: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(len), &mut file)?;
    file.sync_all()
}
