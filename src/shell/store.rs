//! The token store: one refresh token in one [private file](super::private_file).

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ring::digest::{digest, SHA256};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub use super::private_file::Lock;
use super::private_file::PrivateFile;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::proto::refresher::Found;
use crate::secret::Secret;

/// The layout of the file.
const VERSION: u64 = 1;

/// Where the newest refresh token of one OAuth client is kept.
#[derive(Debug)]
pub struct Store {
    file: PrivateFile,
    client_id: String,
    /// Host and port of the token endpoint.
    endpoint: String,
    /// Digest of the configured refresh token, or empty: it says whether what is stored descends from it.
    configured: String,
}

/// What the file says.
struct Content {
    refresh_token: Secret,
    configured: String,
}

impl Store {
    /// The store that these settings name; nothing is opened.
    pub fn new(settings: &Settings, endpoint: &str) -> Self {
        Self {
            file: PrivateFile::new(&settings.token_store, "token store"),
            client_id: settings.client_id.clone(),
            endpoint: endpoint.to_owned(),
            configured: settings.refresh_token.as_ref().map(fingerprint).unwrap_or_default(),
        }
    }

    /// Its path, to be shown.
    pub fn path(&self) -> std::path::Display<'_> {
        self.file.path()
    }

    /// Locks it if nobody else has; what an interrupted writer left is removed.
    pub fn lock(&self) -> Result<Option<Lock>, Error> {
        self.file.lock()
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
        self.file.replace(&text, unique)
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
        let Some(text) = self.file.read()? else { return Ok(None) };
        let Ok(Value::Object(content)) = serde_json::from_slice(&text) else {
            return Err(self.file.refused("is no token store, or not a whole one"));
        };
        self.content(content).map(Some).map_err(|why| self.file.refused(why))
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
}

/// Says whether two secrets are one, and nothing else of them.
fn fingerprint(secret: &Secret) -> String {
    STANDARD.encode(digest(&SHA256, secret.expose().as_bytes()))
}

#[cfg(test)]
mod tests;
