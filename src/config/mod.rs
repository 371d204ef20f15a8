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
