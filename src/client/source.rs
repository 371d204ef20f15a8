//! One token for many clients.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::{records, Client};
use crate::config::{Config, Role};
use crate::error::Error;
use crate::hooks::Hooks;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::Memory;
use crate::shell::chain::Sealer;
use crate::shell::clock::Clock;
use crate::shell::delivery::{Delivery, Parts as DeliveryParts};
use crate::shell::gate::Deadline;
use crate::shell::random::Entropy;
use crate::shell::source::{Kind, Parts, Source};
use crate::shell::{Carry, Net};
use crate::sys::Descriptors;

/// A source of tokens for any number of clients of this process ([`Client::with_source`]): one request serves all of them.
///
/// It has a thread of its own while at least one of them runs, and nothing before the first one starts. The hooks of its
/// configuration are told of tokens, questions, records and states of the source; they have a thread of their own from then
/// on, to the end of the source, if there are any. Dropping it leaves it to the clients made with it; when there are none
/// left it is stopped within `free.timeout_ms`.
pub struct TokenSource {
    pub(super) source: Arc<Source>,
    free_timeout: Duration,
    is_released: AtomicBool,
}

impl TokenSource {
    /// A source with a copy of `config`: its credentials, its endpoint and the way there, and its hooks; nothing that is
    /// about a socket. Starts no thread, calls no hook.
    ///
    /// # Errors
    /// What is wrong with the configuration, or `TrustStore`.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let mut settings = config.settings_for(Role::Source)?;
        let sealer = Sealer::open(&mut settings)?;
        let settings = Arc::new(settings);
        let clock = Clock::new();
        let parts = DeliveryParts {
            boot_id: Entropy::new().uuid_v4(),
            clock: Arc::new(move || clock.now()),
            tick: Arc::new(Clock::tick_ms),
            event_fd: None,
            sealer,
        };
        let net = Net::new(Arc::clone(&settings))?;
        let parts = Parts {
            loaded: records::loaded(&config.written(), &net),
            net,
            delivery: Delivery::new(&settings, config.hooks.clone(), parts),
            shared: Arc::default(),
            carry: carry(&settings),
            settings,
            clock,
        };
        let source = Source::new(parts, Kind::Shared { speaks: speaks(&config.hooks) });
        Ok(Self { source, free_timeout: config.free_timeout(), is_released: AtomicBool::new(false) })
    }

    /// The descriptors of its threads, for a child of `fork`.
    pub(crate) fn descriptors(&self) -> &Arc<Descriptors> {
        self.source.descriptors()
    }

    /// Lets go of it, as dropping does, but with a limit of the caller's. Clients made with it go on; the last of them to be
    /// closed ends it. Whether there is nothing left to wait for here.
    pub fn release(&self, timeout: Option<Duration>) -> bool {
        self.is_released.store(true, Ordering::Relaxed);
        self.source.release();
        self.source.finish(Deadline::after(timeout))
    }
}

impl Drop for TokenSource {
    fn drop(&mut self) {
        if !self.is_released.load(Ordering::Relaxed) {
            self.release(Some(self.free_timeout));
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("running_clients", &self.source.running_clients()).finish_non_exhaustive()
    }
}

/// A client's share in a source: it keeps the source alive until the client is closed for good.
pub(super) struct Share {
    source: Arc<Source>,
    is_returned: AtomicBool,
}

impl Share {
    pub(super) fn of(source: Arc<Source>) -> Self {
        source.add_client();
        Self { source, is_returned: AtomicBool::new(false) }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The client will never run again. Whether the threads of the source have ended, if it was the last to need it.
    pub(super) fn give_back(&self, until: Deadline) -> bool {
        self.return_once();
        self.source.finish(until)
    }

    fn return_once(&self) {
        if !self.is_returned.swap(true, Ordering::Relaxed) {
            self.source.drop_client();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.return_once();
    }
}

/// The credentials to begin with.
pub(super) fn carry(settings: &crate::config::Settings) -> Carry {
    let credentials = Credentials {
        client_secret: settings.client_secret.clone(),
        refresh_token: settings.refresh_token.clone(),
        saml_assertion: settings.saml_assertion.clone(),
        ..Credentials::default()
    };
    Carry { credentials, unauthorized: 0, memory: Memory::default() }
}

/// Whether somebody is told anything. What is about sockets only is never said by a source.
fn speaks(hooks: &Hooks) -> bool {
    hooks.on_state.is_some()
        || hooks.on_token.is_some()
        || hooks.on_ask.is_some()
        || hooks.on_audit.is_some()
        || hooks.on_siem.is_some()
        || hooks.on_log.is_some()
}

impl Client {
    /// As [`Client::new`], with tokens of a source that other clients may use too. Of `config` everything that is about
    /// getting a token is ignored and may be missing, but `token.verify` unless `off`, which the source has to have too; required
    /// scopes are checked for this client as well.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_source(config: &Config, source: &TokenSource) -> Result<Self, Error> {
        let settings = config.settings_for(Role::Borrower)?;
        config.check_source(source.source.verification())?;
        Self::build(config, settings, Some(&source.source))
    }
}
