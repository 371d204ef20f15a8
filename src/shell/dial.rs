//! The one way onto the network, for HTTP and WebSocket alike: resolve, connect, TLS. Never blocks.

mod race;
mod resolve;
mod target;

use std::mem;
use std::sync::Arc;

use self::race::{Race, Winner};
#[allow(unused_imports)]
pub use self::resolve::resolvers_stuck;
use self::resolve::Lookup;
pub use self::target::Target;
use super::stream::Stream;
use super::tls::{self, TlsClient, TrustReport};
use super::wait::{Ready, Waiter};
use crate::config::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::time::Now;

/// What all connections of a client have in common.
#[derive(Clone, Debug)]
pub struct Net {
    /// The client's settings.
    pub settings: Arc<Settings>,
    /// Absent only when neither endpoint speaks TLS.
    tls: Option<TlsClient>,
}

impl Net {
    /// Checks both URLs and reads the trust store, unless both endpoints are plain loopback ones.
    pub fn new(settings: Arc<Settings>) -> Result<Self, Error> {
        let parse = |url: &str| Target::parse(url, settings.allow_plain_loopback);
        let needs_tls = parse(&settings.token_url)?.tls | parse(&settings.ws_url)?.tls;
        let tls = needs_tls.then(|| TlsClient::new(&settings.trust)).transpose()?;
        Ok(Self { settings, tls })
    }

    /// Which trust store is in use, if one is.
    pub fn trust_report(&self) -> Option<&TrustReport> {
        self.tls.as_ref().map(TlsClient::report)
    }

    /// The target of a URL, under this client's settings.
    pub fn target(&self, url: &str) -> Result<Target, Error> {
        Target::parse(url, self.settings.allow_plain_loopback)
    }
}

/// A connection being made. Dropping it ends it at once.
///
/// Call [`Dial::advance`] after every wake of the wait it registered with, and at its deadline.
pub struct Dial {
    net: Net,
    target: Target,
    phase: Phase,
    deadline: u64,
}

/// An open connection and its token in the wait.
pub struct Opened {
    /// The connection, TLS handshake done.
    pub stream: Stream,
    /// What the wait reports it by.
    pub token: usize,
}

enum Phase {
    Resolving(Lookup),
    Connecting(Race),
    Securing(Box<Stream>, usize),
    Over,
}

impl Dial {
    /// Begins. Nothing is waited for here.
    pub fn start(net: &Net, target: Target, waiter: &Waiter, now: Now) -> Result<Self, Error> {
        let phase = match target.known_addresses() {
            Some(addresses) => Phase::Connecting(Race::new(&addresses)),
            None => Phase::Resolving(
                Lookup::start(&target.host, target.port, waiter.bell())
                    .map_err(|error| Error::from_io(Code::Internal, Stage::Resolve, "No resolver thread", &error))?,
            ),
        };
        let deadline = now.boot_ms.saturating_add(net.settings.connect_timeout_ms);
        Ok(Self { net: net.clone(), target, phase, deadline })
    }

    /// Where it goes.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// When it has to be advanced at the latest, in boot milliseconds.
    pub fn deadline(&self) -> u64 {
        match &self.phase {
            Phase::Connecting(race) => race.deadline().map_or(self.deadline, |next| next.min(self.deadline)),
            _ => self.deadline,
        }
    }

    /// Takes note of news of a socket; whether it is one of its own.
    pub fn on_ready(&mut self, ready: &Ready) -> bool {
        match &mut self.phase {
            Phase::Connecting(race) => race.on_ready(ready),
            Phase::Securing(stream, token) if *token == ready.token => {
                stream.on_ready(ready);
                true
            }
            _ => false,
        }
    }

    /// Goes as far as it can without waiting. `None`: not there yet. An error is final.
    pub fn advance(&mut self, now: Now, waiter: &Waiter) -> Result<Option<Opened>, Error> {
        let outcome = self.run(now, waiter);
        outcome.map_err(|error| error.with(|detail| detail.host = self.target.peer()))
    }

    fn run(&mut self, now: Now, waiter: &Waiter) -> Result<Option<Opened>, Error> {
        loop {
            let progressed = match mem::replace(&mut self.phase, Phase::Over) {
                Phase::Resolving(lookup) => self.resolve(lookup)?,
                Phase::Connecting(race) => match self.connect(race, now, waiter)? {
                    Connect::Plain(opened) => return Ok(Some(opened)),
                    Connect::Moved => true,
                    Connect::Pending => false,
                },
                Phase::Securing(mut stream, token) => {
                    if stream.handshake().map_err(|error| handshake_fault(&error))? {
                        return Ok(Some(Opened { stream: *stream, token }));
                    }
                    self.phase = Phase::Securing(stream, token);
                    false
                }
                Phase::Over => return Err(Error::new(Code::Internal, Stage::Connect, "The connection is over.")),
            };
            if !progressed {
                break;
            }
        }
        if now.boot_ms < self.deadline {
            return Ok(None);
        }
        Err(self.too_late())
    }

    /// Whether the answer has come.
    fn resolve(&mut self, lookup: Lookup) -> Result<bool, Error> {
        let Some(answer) = lookup.poll() else {
            self.phase = Phase::Resolving(lookup);
            return Ok(false);
        };
        let addresses = answer.map_err(|error| Error::from_io(Code::Dns, Stage::Resolve, "No address", &error))?;
        if addresses.is_empty() {
            return Err(Error::new(Code::Dns, Stage::Resolve, "The name has no address."));
        }
        self.phase = Phase::Connecting(Race::new(&addresses));
        Ok(true)
    }

    fn connect(&mut self, mut race: Race, now: Now, waiter: &Waiter) -> Result<Connect, Error> {
        let Some(outcome) = race.advance(now, waiter) else {
            self.phase = Phase::Connecting(race);
            return Ok(Connect::Pending);
        };
        let Winner { socket, token, news } =
            outcome.map_err(|error| Error::from_io(Code::Connect, Stage::Connect, "No connection", &error))?;
        if !self.target.tls {
            let mut stream = Stream::plain(socket);
            stream.on_ready(&news);
            return Ok(Connect::Plain(Opened { stream, token }));
        }
        let no_store = || Error::new(Code::TrustStore, Stage::Configure, "No trust store was loaded.");
        let session = self.net.tls.as_ref().ok_or_else(no_store)?.session(&self.target.host)?;
        let mut stream = Box::new(Stream::tls(socket, session));
        stream.on_ready(&news);
        self.phase = Phase::Securing(stream, token);
        self.deadline = now.boot_ms.saturating_add(self.net.settings.tls_timeout_ms);
        Ok(Connect::Moved)
    }

    fn too_late(&self) -> Error {
        let settings = &self.net.settings;
        match &self.phase {
            Phase::Securing(..) => {
                Error::new(Code::TlsTimeout, Stage::Tls, format!("Not done after {} ms.", settings.tls_timeout_ms))
            }
            phase => {
                let stage = if matches!(phase, Phase::Resolving(_)) { Stage::Resolve } else { Stage::Connect };
                let text = format!("Not done after {} ms.", settings.connect_timeout_ms);
                Error::new(Code::ConnectTimeout, stage, text)
            }
        }
    }
}

/// What a look at the race came to.
enum Connect {
    Plain(Opened),
    Moved,
    Pending,
}

/// A connection that ends during the handshake is a failed handshake.
fn handshake_fault(error: &std::io::Error) -> Error {
    let fault = tls::fault(error, Stage::Tls);
    if fault.code() == Code::Dropped {
        fault.with(|detail| detail.code = Code::Tls)
    } else {
        fault
    }
}

#[cfg(test)]
mod tests;
