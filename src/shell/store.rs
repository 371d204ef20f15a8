//! The token store: one refresh token in one file, whole at any time.
//!
//! The file is replaced, never written to: a new one beside it, mode 0600 from its first instant, is synced and renamed
//! over it, and the directory is synced. Who reads it before refuses what others could have read or written. The lock is on
//! a file of its own, which stays: the one that holds the token is another after every rotation.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ring::digest::{digest, SHA256};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::refresher::Found;
use crate::secret::Secret;
use crate::sys::{effective_user, FileLock};

/// Largest file that is read.
const MAX_BYTES: u64 = 128 << 10;
/// Length of what makes the names of fresh files differ: a UUID.
const UNIQUE: usize = 36;
/// The layout of the file.
const VERSION: u64 = 1;

/// Where the newest refresh token of one OAuth client is kept.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    client_id: String,
    /// Host and port of the token endpoint.
    endpoint: String,
    /// Digest of the configured refresh token, or empty: it says whether what is stored descends from it.
    configured: String,
}

/// As long as it lives no other process has the store.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not looked at")] FileLock);

/// What the file says.
struct Content {
    refresh_token: Secret,
    configured: String,
}

impl Store {
    /// The store that these settings name; nothing is opened.
    pub fn new(settings: &Settings, endpoint: &str) -> Self {
        Self {
            path: PathBuf::from(&settings.token_store),
            client_id: settings.client_id.clone(),
            endpoint: endpoint.to_owned(),
            configured: settings.refresh_token.as_ref().map(fingerprint).unwrap_or_default(),
        }
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
    pub fn load(&self) -> Result<Option<Found>, Error> {
        let follows = |content: &Content| self.configured.is_empty() || content.configured == self.configured;
        let content = self.read()?;
        Ok(content.map(|content| Found { follows: follows(&content), refresh_token: content.refresh_token }))
    }

    /// Replaces what it holds. `unique`, a UUID, names the file that is written first.
    pub fn save(&self, refresh_token: &Secret, wall_ms: u64, unique: &str) -> Result<(), Error> {
        // Nothing is overwritten that is not ours. Who has configured none keeps the line of who has.
        let kept = self.read()?.map(|content| content.configured).filter(|_| self.configured.is_empty());
        let text = self.text(refresh_token, kept.as_ref().unwrap_or(&self.configured), wall_ms);
        if text.len() as u64 >= MAX_BYTES {
            return Err(self.refused("would be too large"));
        }
        let fresh = self.beside(".", &format!(".{unique}.tmp"));
        let outcome = self.replace(&fresh, &text);
        if outcome.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        outcome.map_err(|error| self.fault(&error))
    }

    fn replace(&self, fresh: &Path, text: &[u8]) -> io::Result<()> {
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

    fn text(&self, refresh_token: &Secret, configured: &str, wall_ms: u64) -> Zeroizing<Vec<u8>> {
        let rest = [&self.client_id, &self.endpoint, configured].map(str::len).iter().sum::<usize>() + 256;
        // Room for every character escaped: growing would leave an unwiped copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(6 * (refresh_token.expose().len() + rest)));
        let texts = [
            ("client_id", self.client_id.as_str()),
            ("endpoint", &self.endpoint),
            ("configured", configured),
            ("refresh_token", refresh_token.expose()),
        ];
        text.extend_from_slice(format!("{{\"version\":{VERSION},\"saved_at_ms\":{wall_ms}").as_bytes());
        for (name, value) in texts {
            text.extend_from_slice(format!(",\"{name}\":").as_bytes());
            // Cannot fail: a vector takes all there is, and a string is JSON.
            let _ = serde_json::to_writer(&mut *text, value);
        }
        text.extend_from_slice(b"}\n");
        text
    }

    fn read(&self) -> Result<Option<Content>, Error> {
        let mut options = OpenOptions::new();
        // A pipe in its place must not hold us.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(self.refused("is a symbolic link")),
            outcome => outcome.map_err(|error| self.fault(&error))?,
        };
        let about = file.metadata().map_err(|error| self.fault(&error))?;
        if let Some(why) = objection(&about) {
            return Err(self.refused(why));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 64));
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(|error| self.fault(&error))?;
        let Ok(Value::Object(content)) = serde_json::from_slice(&text) else {
            return Err(self.refused("is no token store, or not a whole one"));
        };
        self.content(content).map(Some).map_err(|why| self.refused(why))
    }

    fn content(&self, mut content: Map<String, Value>) -> Result<Content, &'static str> {
        let mut take = |name: &str| match content.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let refresh_token = Secret::new(take("refresh_token"));
        let (client_id, endpoint, configured) = (take("client_id"), take("endpoint"), take("configured"));
        if content.get("version").and_then(Value::as_u64) != Some(VERSION) {
            return Err("has a layout of another version");
        }
        if client_id != self.client_id {
            return Err("belongs to another OAuth client");
        }
        if endpoint != self.endpoint {
            return Err("belongs to another token endpoint");
        }
        if refresh_token.is_empty() {
            return Err("holds no refresh token");
        }
        Ok(Content { refresh_token, configured })
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

    fn refused(&self, why: &str) -> Error {
        Error::new(Code::Store, Stage::Configure, format!("{} {why}.", self.path()))
    }

    fn fault(&self, error: &io::Error) -> Error {
        Error::from_io(Code::Store, Stage::Configure, &self.path().to_string(), error)
    }
}

/// Why a file is not trusted.
fn objection(about: &Metadata) -> Option<&'static str> {
    if !about.is_file() {
        Some("is no regular file")
    } else if about.uid() != effective_user() {
        Some("belongs to another user")
    } else if about.mode() & 0o077 != 0 {
        Some("can be read or written by others (chmod 600)")
    } else if about.len() >= MAX_BYTES {
        Some("is too large for a token store")
    } else {
        None
    }
}

/// Says whether two secrets are one, and nothing else of them.
fn fingerprint(secret: &Secret) -> String {
    STANDARD.encode(digest(&SHA256, secret.expose().as_bytes()))
}

#[cfg(test)]
mod tests;
