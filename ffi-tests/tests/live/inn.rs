//! A source of tokens and the clients that use it.

use std::sync::Arc;
use std::time::Duration;

use ffi_tests::sim::{Options, Sim};
use genesys_ws_auth::event::State;
use genesys_ws_auth::hooks::Answer;
use genesys_ws_auth::{Client, Config, TokenSource};

use crate::harness::*;

/// A client of the source, and what it was told.
pub struct Guest {
    pub client: Client,
    pub seen: Arc<Seen>,
}

impl Guest {
    #[track_caller]
    pub fn close(self) -> Vec<Saw> {
        let report = self.client.shutdown(Some(BOUND));
        assert!(report.complete, "{report:?} {}", show(&self.seen.all()));
        assert_eq!(self.client.state(), State::Closed);
        self.seen.all()
    }
}

/// A simulator, a source at it, and what that was told.
pub struct Inn {
    pub sim: Sim,
    pub source: TokenSource,
    pub seen: Arc<Seen>,
}

/// Tokens that were told.
pub fn tokens(saws: &[Saw]) -> usize {
    count(saws, |saw| matches!(saw, Saw::Token(_)))
}

/// A configuration with nothing about tokens in it.
fn guest_config(sim: &Sim) -> Config {
    let mut config = Config::new();
    config.set("ws.url", &sim.ws_url()).unwrap();
    if sim.ca_pem().is_empty() {
        config.set("net.allow_plain_loopback", "true").unwrap();
    } else {
        config.set("tls.ca_pem", sim.ca_pem()).unwrap();
    }
    config
}

impl Inn {
    pub fn open(options: Options) -> Self {
        Self::of(Sim::start(options), |_| {})
    }

    pub fn of(sim: Sim, set: impl FnOnce(&mut Config)) -> Self {
        let seen = Arc::new(Seen::default());
        let mut config = aim(Config::new(), &sim, false);
        config.hooks = hooks(&seen, Arc::new(|request| request.complete(Answer::Done)));
        set(&mut config);
        let source = TokenSource::new(&config).unwrap();
        Self { sim, source, seen }
    }

    /// Tokens live for so long.
    pub fn with_lifetime(ms: u64) -> Self {
        let mut options = Options::default();
        options.token.lifetime = Duration::from_millis(ms);
        Self::open(options)
    }

    pub fn guest(&self) -> Guest {
        self.guest_with(|_| {})
    }

    pub fn guest_with(&self, set: impl FnOnce(&mut Config)) -> Guest {
        let seen = Arc::new(Seen::default());
        let mut config = guest_config(&self.sim);
        config.hooks = hooks(&seen, Arc::new(|_| panic!("a client of a source is asked nothing")));
        set(&mut config);
        Guest { client: Client::with_source(&config, &self.source).unwrap(), seen }
    }

    #[track_caller]
    pub fn connected(&self) -> Guest {
        let guest = self.guest();
        guest.client.connect(Some(BOUND)).unwrap();
        guest
    }

    #[track_caller]
    pub fn wait_sim(&self, what: &str, wanted: impl Fn(&ffi_tests::sim::Log) -> bool) {
        assert!(self.sim.record().wait_until(BOUND, wanted), "the server never saw {what}");
    }

    /// Ends the source, which nobody uses any more.
    #[track_caller]
    pub fn close(self) -> Vec<Saw> {
        assert!(self.source.release(Some(BOUND)), "a thread of the source is left");
        self.seen.all()
    }
}
