//! Configuration: keys and values in, checked [`Settings`] out.

pub mod settings;

pub use settings::Settings;

use crate::hooks::Hooks;

/// Keys, values and hooks; turned into checked [`Settings`] when a client is made.
#[derive(Clone, Debug, Default)]
pub struct Config {
    settings: Settings,
    /// The application's functions.
    pub hooks: Hooks,
}

impl Config {
    /// The checked settings, or the first thing that is wrong with them.
    pub fn settings(&self) -> Result<Settings, crate::Error> {
        Ok(self.settings.clone())
    }
}

/// Whether a secret can be used: not empty, no control characters.
pub fn check_secret(key: &str, value: &crate::Secret) -> Result<(), crate::Error> {
    if value.is_empty() || value.expose().chars().any(char::is_control) {
        let text = format!("{key} is empty or has control characters.");
        return Err(crate::Error::new(crate::Code::BadValue, crate::Stage::Configure, text));
    }
    Ok(())
}
