//! The one way onto the network, for HTTP and WebSocket alike: resolve, connect, proxy, TLS. Never blocks.

mod race;
mod resolve;
mod target;
mod tunnel;

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use self::race::{Race, Winner};
#[allow(unused_imports)]
pub use self::resolve::resolvers_stuck;
use self::resolve::Lookup;
use self::target::known_addresses;
pub use self::target::Target;
use self::tunnel::{Through, Tunnel};
use super::crypto::SigningKey;
use super::stream::Stream;
use super::tls::{self, TlsClient, TrustReport};
use super::wait::{Ready, Waiter};
use crate::config::settings::{Proxy, Settings, Verification};
use crate::error::{Code, Error, Stage};
use crate::proto::time::Now;
use crate::secret::Secret;

/// What all connections of a client have in common.
#[derive(Clone, Debug)]
pub struct Net {
    /// The client's settings.
    pub settings: Arc<Settings>,
    /// Absent only when no endpoint speaks TLS.
    tls: Option<TlsClient>,
    /// Signs the assertions of `client.authentication = private_key_jwt`.
    pub signing_key: Option<SigningKey>,
    /// What has replaced `proxy.password` since.
    proxy_password: Arc<Mutex<Option<Secret>>>,
}

impl Net {
    /// Checks the URLs and reads signing key and trust store; the latter unless all endpoints are plain loopback ones, or
    /// not there.
    pub fn new(settings: Arc<Settings>) -> Result<Self, Error> {
        let is_tls = |url: &str| match url {
            "" => Ok(false),
            url => Target::parse(url, settings.allow_plain_loopback).map(|target| target.tls),
        };
        let Verification { jwks_url, introspection_url, .. } = &settings.verification;
        let (streaming, api) = (&settings.streaming_url(), &settings.api_url);
        let urls = [&settings.token_url, &settings.ws_url, api, streaming, jwks_url, introspection_url];
        let needs_tls = urls.into_iter().try_fold(false, |any, url| Ok::<_, Error>(any | is_tls(url)?))?;
        let tls = needs_tls.then(|| TlsClient::new(&settings)).transpose()?;
        let signing_key = settings.signing_key.as_ref().map(SigningKey::load).transpose()?;
        Ok(Self { settings, tls, signing_key, proxy_password: Arc::default() })
    }

    /// Which trust store is in use, if one is.
    pub fn trust_report(&self) -> Option<&TrustReport> {
        self.tls.as_ref().map(TlsClient::report)
    }

    /// The proxy to a target, if it is reached through one.
    pub fn proxy(&self, target: &Target) -> Option<&Proxy> {
        let proxies = &self.settings.proxies;
        let proxy = if target.socket { &proxies.socket } else { &proxies.token };
        proxy.as_ref().filter(|proxy| !proxy.spares(&target.host, target.port))
    }

    /// Replaces `proxy.password` from the next connection on.
    pub fn set_proxy_password(&self, password: Secret) {
        *self.proxy_password.lock().unwrap_or_else(PoisonError::into_inner) = Some(password);
    }

    /// Value of `Proxy-Authorization` now.
    fn proxy_authorization(&self, proxy: &Proxy) -> Option<Secret> {
        let password = self.proxy_password.lock().unwrap_or_else(PoisonError::into_inner).clone();
        password.and_then(|password| proxy.authorization_with(&password)).or_else(|| proxy.authorization.clone())
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
    Tunnelling(Box<Tunnel>),
    Securing(Box<Stream>, usize),
    Over,
}

impl Dial {
    /// Begins. Nothing is waited for here.
    pub fn start(net: &Net, target: Target, waiter: &Waiter, now: Now) -> Result<Self, Error> {
        // Through a proxy, the target's name is the proxy's to resolve.
        let (host, port) = net.proxy(&target).map_or((&target.host, target.port), |proxy| (&proxy.host, proxy.port));
        let limit_ms = net.settings.connect_timeout_ms;
        let phase = match known_addresses(host, port) {
            Some(addresses) => Phase::Connecting(Race::new(&addresses, limit_ms)),
            None => Phase::Resolving(
                Lookup::start(host, port, waiter.bell())
                    .map_err(|error| Error::from_io(Code::Internal, Stage::Resolve, "No resolver thread", &error))?,
            ),
        };
        let deadline = now.boot_ms.saturating_add(limit_ms);
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
            Phase::Tunnelling(tunnel) => tunnel.on_ready(ready),
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
        // The phase is over by then, so the error's own stage says whom it was about.
        outcome.map_err(|error| {
            let peer = self.peer_at(error.detail().stage);
            error.with(|detail| detail.host = peer)
        })
    }

    /// What to call it when the time is up now: code and step.
    pub fn under_way(&self) -> (Code, Stage) {
        match &self.phase {
            Phase::Resolving(_) => (Code::Dns, Stage::Resolve),
            Phase::Connecting(_) | Phase::Over => (Code::ConnectTimeout, Stage::Connect),
            Phase::Tunnelling(_) => (Code::ProxyTimeout, Stage::Proxy),
            Phase::Securing(..) => (Code::TlsTimeout, Stage::Tls),
        }
    }

    /// Who is spoken to in a step: the proxy until there is a way through it, then the target.
    pub fn peer_at(&self, stage: Stage) -> String {
        match self.net.proxy(&self.target) {
            Some(proxy) if matches!(stage, Stage::Resolve | Stage::Connect | Stage::Proxy) => proxy.peer(),
            _ => self.target.peer(),
        }
    }

    fn run(&mut self, now: Now, waiter: &Waiter) -> Result<Option<Opened>, Error> {
        loop {
            let step = match mem::replace(&mut self.phase, Phase::Over) {
                Phase::Resolving(lookup) => self.resolve(lookup, now)?,
                Phase::Connecting(race) => self.connect(race, now, waiter)?,
                Phase::Tunnelling(tunnel) => self.tunnel(tunnel, now)?,
                Phase::Securing(stream, token) => self.secure(stream, token)?,
                Phase::Over => return Err(Error::new(Code::Internal, Stage::Connect, "The connection is over.")),
            };
            match step {
                Step::Moved => {}
                Step::Pending => break,
                Step::Done(opened) => return Ok(Some(opened)),
            }
        }
        if now.boot_ms < self.deadline {
            return Ok(None);
        }
        Err(self.too_late())
    }

    /// Whether the answer has come.
    fn resolve(&mut self, lookup: Lookup, now: Now) -> Result<Step, Error> {
        let Some(answer) = lookup.poll() else {
            self.phase = Phase::Resolving(lookup);
            return Ok(Step::Pending);
        };
        let addresses = answer.map_err(|error| Error::from_io(Code::Dns, Stage::Resolve, "No address", &error))?;
        if addresses.is_empty() {
            return Err(Error::new(Code::Dns, Stage::Resolve, "The name has no address."));
        }
        self.phase = Phase::Connecting(Race::new(&addresses, self.deadline.saturating_sub(now.boot_ms)));
        Ok(Step::Moved)
    }

    fn connect(&mut self, mut race: Race, now: Now, waiter: &Waiter) -> Result<Step, Error> {
        let Some(outcome) = race.advance(now, waiter) else {
            self.phase = Phase::Connecting(race);
            return Ok(Step::Pending);
        };
        let winner = outcome.map_err(|error| Error::from_io(Code::Connect, Stage::Connect, "No connection", &error))?;
        let Some(proxy) = self.net.proxy(&self.target) else {
            let Winner { socket, token, news } = winner;
            return self.connected(Through { socket, token, news }, now);
        };
        let settings = &self.net.settings;
        let authorization = self.net.proxy_authorization(proxy);
        let tunnel = Tunnel::new(winner, &self.target, authorization.as_ref(), &settings.user_agent);
        self.phase = Phase::Tunnelling(Box::new(tunnel));
        self.deadline = now.boot_ms.saturating_add(settings.proxy_timeout_ms);
        Ok(Step::Moved)
    }

    fn tunnel(&mut self, mut tunnel: Box<Tunnel>, now: Now) -> Result<Step, Error> {
        if tunnel.advance()? {
            return self.connected(tunnel.into_through(), now);
        }
        self.phase = Phase::Tunnelling(tunnel);
        Ok(Step::Pending)
    }

    /// Bytes can flow between us and the target.
    fn connected(&mut self, through: Through, now: Now) -> Result<Step, Error> {
        let Through { socket, token, news } = through;
        if !self.target.tls {
            let mut stream = Stream::plain(socket);
            stream.on_ready(&news);
            return Ok(Step::Done(Opened { stream, token }));
        }
        let no_store = || Error::new(Code::TrustStore, Stage::Configure, "No trust store was loaded.");
        let session = self.net.tls.as_ref().ok_or_else(no_store)?.session(&self.target.host)?;
        let mut stream = Box::new(Stream::tls(socket, session));
        stream.on_ready(&news);
        self.phase = Phase::Securing(stream, token);
        self.deadline = now.boot_ms.saturating_add(self.net.settings.tls_timeout_ms);
        Ok(Step::Moved)
    }

    fn secure(&mut self, mut stream: Box<Stream>, token: usize) -> Result<Step, Error> {
        if stream.handshake().map_err(|error| handshake_fault(&error))? {
            return Ok(Step::Done(Opened { stream: *stream, token }));
        }
        self.phase = Phase::Securing(stream, token);
        Ok(Step::Pending)
    }

    fn too_late(&self) -> Error {
        let settings = &self.net.settings;
        let (limit_ms, failure) = match &self.phase {
            Phase::Resolving(_) | Phase::Over => (settings.connect_timeout_ms, None),
            Phase::Connecting(race) => (settings.connect_timeout_ms, race.failure()),
            Phase::Tunnelling(_) => (settings.proxy_timeout_ms, None),
            Phase::Securing(..) => (settings.tls_timeout_ms, None),
        };
        let (code, stage) = self.under_way();
        match failure {
            None => Error::new(code, stage, format!("Not done after {limit_ms} ms.")),
            Some(error) => {
                Error::from_io(code, stage, &format!("Not done after {limit_ms} ms; another address failed"), error)
            }
        }
    }
}

/// What a look at a phase came to.
enum Step {
    /// The next phase has begun.
    Moved,
    /// It waits.
    Pending,
    /// The connection is open.
    Done(Opened),
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
