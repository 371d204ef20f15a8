//! Configuration: keys and values in, checked [`Settings`] out.
//!
//! One table ([`keys()`]) says what can be set; everything else here reads it. A value is checked when it is
//! set, what two keys say together when a client is made ([`Config::settings`]). Values are never quoted in errors.

mod chain;
mod check;
mod close;
mod credentials;
mod effective;
mod json;
mod keys;
mod pin;
mod proxy;
mod region;
mod schema;
pub mod settings;
pub(crate) mod url;
mod value;
mod verification;

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use crate::error::{Code, Error, Stage};
use crate::hooks::Hooks;
use crate::secret::Secret;

pub use check::Role;
pub(crate) use effective::Written;
pub use keys::{keys, Key};
pub use schema::schema;
pub use settings::Settings;
pub use value::Type;

/// Keys, values and hooks; turned into checked [`Settings`] when a client is made.
#[derive(Clone, Default)]
pub struct Config {
    draft: Draft,
    written: Written,
    /// The application's functions.
    pub hooks: Hooks,
}

/// Settings in the making: what is decided only when all keys are known is kept beside them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    settings: Settings,
    /// `token.url`, or empty.
    token_url: String,
    /// `ws.url`, or empty.
    ws_url: String,
    /// `token.authorize_url`, or empty.
    authorize_url: String,
    /// `client.private_key_file`, or empty.
    private_key_file: String,
    /// `client.private_key_pem`.
    private_key_pem: Option<Secret>,
    /// `token.pkce`, unless it follows from grant and authentication.
    pkce: Option<bool>,
    /// `audit.checkpoints`, unless it follows from the chain.
    checkpoints: Option<bool>,
    /// `api.url`, or empty.
    api_url: String,
    /// `notifications.streaming_host`, or empty.
    streaming_host: String,
    /// `scopes.unknown`, unless it follows from the profile.
    unknown_scopes: Option<settings::UnknownScopes>,
    trust: TrustChoice,
    /// `tls.ca_file`, or empty.
    ca_file: String,
    /// `tls.ca_pem`, or empty.
    ca_pem: String,
    /// `tls.ca_directory`, or empty.
    ca_directory: String,
    /// `tls.client_cert_file`, or empty.
    client_cert_file: String,
    /// `tls.client_key_file`, or empty.
    client_key_file: String,
    /// `tls.client_cert_pem`, or empty.
    client_cert_pem: String,
    /// `tls.client_key_pem`.
    client_key_pem: Option<Secret>,
    /// `proxy` and its kin.
    proxy: proxy::Given,
}

/// `tls.trust` as given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum TrustChoice {
    #[default]
    Auto,
    System,
    File,
    Directory,
    Memory,
}

impl fmt::Debug for Config {
    /// Only what can hold nothing confidential: headers, for one, can.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("region", &self.draft.settings.region).finish_non_exhaustive()
    }
}

impl Config {
    /// A configuration with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key that is no secret. An empty value brings back the default.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let (key, name) = keys::find(key)?;
        if key.is_secret() {
            return Err(key.bad_value("it is a secret: set it with set_secret"));
        }
        key.set(&mut self.draft, name, value)?;
        self.written.text(key, name, value);
        Ok(())
    }

    /// Sets a secret key, or any other. An empty value removes it.
    pub fn set_secret(&mut self, key: &str, value: Secret) -> Result<(), Error> {
        let (found, _) = keys::find(key)?;
        if !found.is_secret() {
            return self.set(key, value.expose());
        }
        found.set_secret(&mut self.draft, value.clone())?;
        self.written.secret(key, &value);
        Ok(())
    }

    /// Sets keys from a JSON object, flat or nested: all of them, or none. Every value has the JSON type that
    /// [`schema()`] gives its key.
    pub fn set_json(&mut self, json: &str) -> Result<(), Error> {
        let mut changed = self.clone();
        for (key, value) in json::flatten(json)? {
            changed.set_given(&key, &value)?;
        }
        *self = changed;
        Ok(())
    }

    /// Sets region, client id, client secret and refresh token from `GENESYS_REGION`, `GENESYS_CLIENT_ID`,
    /// `GENESYS_CLIENT_SECRET` and `GENESYS_REFRESH_TOKEN`: all of those that are there and not empty, or none.
    pub fn set_from_env(&mut self) -> Result<(), Error> {
        self.set_from(|name| std::env::var_os(name))
    }

    /// The checked settings, or the first thing that is wrong with them.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.settings_for(Role::Client)
    }

    /// The same, for what is to be made of them.
    pub(crate) fn settings_for(&self, role: Role) -> Result<Settings, Error> {
        check::settings(&self.draft, &self.hooks, role)
    }

    /// Whether a source of tokens verifies them as this asks for, if it does.
    pub(crate) fn check_source(&self, source: &settings::Verification) -> Result<(), Error> {
        verification::check_source(&self.draft.settings.verification, source)
    }

    /// Every key with the value in force, as one flat JSON object: defaults and what follows from other keys included,
    /// secrets as `"***"` when they are set and `null` when not. Values of headers and URLs with a query, which may carry
    /// credentials, are `"***"` as well. What is not `"***"` or `null` can be given to [`Config::set_json`] again.
    pub fn to_json(&self) -> String {
        self.written.json()
    }

    /// What was set, for a client that is asked for its configuration later.
    pub(crate) fn written(&self) -> Written {
        self.written.clone()
    }

    /// How long `gwa_client_free` waits.
    pub(crate) fn free_timeout(&self) -> Duration {
        Duration::from_millis(self.draft.settings.free_timeout_ms)
    }

    fn set_given(&mut self, key: &str, value: &json::Given) -> Result<(), Error> {
        let (found, _) = keys::find(key)?;
        if let Some(why) = value.mismatch(found.kind).filter(|_| !found.is_secret()) {
            return Err(found.bad_value(why));
        }
        match value {
            json::Given::Text(text) | json::Given::Number(text) => self.set(key, text),
            json::Given::Flag(flag) => self.set(key, if *flag { "true" } else { "false" }),
            // Only a secret key comes here with a list of the wrong kind.
            json::Given::List(_) if found.is_secret() => self.set(key, ""),
            json::Given::List(list) => {
                found.set_list(&mut self.draft, list.clone())?;
                self.written.list(found, list);
                Ok(())
            }
        }
    }

    fn set_from(&mut self, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), Error> {
        const VARIABLES: [(&str, &str); 4] = [
            ("GENESYS_REGION", "region"),
            ("GENESYS_CLIENT_ID", "client.id"),
            ("GENESYS_CLIENT_SECRET", "client.secret"),
            ("GENESYS_REFRESH_TOKEN", "token.refresh_token"),
        ];
        let mut changed = self.clone();
        for (name, key) in VARIABLES {
            let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
            let value = value.into_string().map_err(|_| {
                Error::new(Code::InvalidUtf8, Stage::Configure, format!("the environment variable {name} is not UTF-8"))
            })?;
            changed.set_secret(key, Secret::new(value))?;
        }
        *self = changed;
        Ok(())
    }
}

/// Checks a secret that replaces one of a client: `client.secret`, `token.refresh_token` or `token.saml_assertion`.
pub(crate) fn check_secret(key: &str, value: &Secret) -> Result<(), Error> {
    let (key, _) = keys::find(key)?;
    if !key.is_secret() {
        return Err(key.bad_value("it is no secret that can be replaced on a client"));
    }
    if value.is_empty() {
        return Err(key.bad_value("it is empty"));
    }
    key.set_secret(&mut Draft::default(), value.clone())
}

/// Checks the names of required scopes.
pub(crate) fn check_scopes(scopes: &[&str]) -> Result<(), Error> {
    if scopes.iter().all(|scope| value::is_scope(scope)) {
        return Ok(());
    }
    let why = "a required scope is empty or holds a blank or control character";
    Err(Error::new(Code::InvalidArgument, Stage::Configure, why))
}

/// Checks topics of the Notifications API.
pub(crate) fn check_topics(topics: &[&str]) -> Result<(), Error> {
    if topics.iter().all(|topic| value::is_topic(topic)) {
        return Ok(());
    }
    let why =
        "a topic is empty, longer than 200 characters, or holds a blank, a control character or one that is not ASCII";
    Err(Error::new(Code::InvalidArgument, Stage::Subscribe, why))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_effective;
#[cfg(test)]
mod tests_names;
