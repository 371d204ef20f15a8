//! A refresher fed by hand, for stories of what lies between request and publication.

use std::sync::Arc;

use crate::audit::{Record, ScopeAudit, ScopeResult};
use crate::config::settings::{Profile, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::proto::http::{Method, Reply, Request};
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Found, Input, Memory, News, Output, Refresher};
use crate::proto::time::Now;
use crate::proto::token::Token;
use crate::secret::Secret;

pub fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

/// One with a store and a configured refresh token.
pub fn stored() -> Settings {
    Settings {
        client_id: "id".into(),
        token_store: "/store".into(),
        refresh_token: Some(secret("hush-r0")),
        ..Settings::default()
    }
}

/// One of the profile `notifications` that needs a scope.
pub fn opaque() -> Settings {
    Settings {
        profile: Profile::Notifications,
        client_id: "id".into(),
        api_url: "https://api.example".into(),
        required_scopes: vec!["a:read".into()],
        refresh_token: Some(secret("hush-r0")),
        ..Settings::default()
    }
}

/// The machine, and what it has said in short words.
pub struct Hand {
    pub refresher: Refresher,
    pub now: Now,
    pub epoch: u64,
    pub requests: Vec<Request>,
    pub tokens: Vec<Arc<Token>>,
    pub errors: Vec<Error>,
    /// How long the lock of the store may be waited for.
    pub lock_waits: Vec<u64>,
    /// How old the keys were that were used on, and why.
    pub stale: Vec<(u64, Error)>,
    /// What was recorded of scopes.
    pub judged: Vec<ScopeAudit>,
    /// Epoch of what is to be signed.
    pub signs: u64,
    /// What the application was asked last.
    pub asked: Option<Question>,
}

impl Hand {
    pub fn new(settings: Settings, can_ask: bool) -> Self {
        Self::after(settings, can_ask, Memory::default())
    }

    pub fn sharing(self) -> Self {
        Self { refresher: self.refresher.sharing(), ..self }
    }

    pub fn after(settings: Settings, can_ask: bool, memory: Memory) -> Self {
        let refresh_token = settings.refresh_token.clone();
        let credentials = Credentials { client_secret: secret("hush"), refresh_token, ..Credentials::default() };
        let refresher = Refresher::new(Arc::new(settings), credentials, can_ask, 0).after(memory);
        Self {
            refresher,
            now: Now::default(),
            epoch: 0,
            requests: Vec::new(),
            tokens: Vec::new(),
            errors: Vec::new(),
            lock_waits: Vec::new(),
            stale: Vec::new(),
            judged: Vec::new(),
            signs: 0,
            asked: None,
        }
    }

    /// What one input brings, a word for each output.
    pub fn feed(&mut self, input: Input) -> Vec<String> {
        self.now.boot_ms += 10;
        self.refresher.handle(self.now, 7, input);
        let mut words = Vec::new();
        while let Some(output) = self.refresher.poll() {
            words.extend(self.word(output));
        }
        words
    }

    fn word(&mut self, output: Output) -> Option<String> {
        Some(match output {
            Output::Http { epoch, request } => {
                self.epoch = epoch;
                let form = request.body.text().rsplit('=').next().unwrap_or_default().to_owned();
                let word = match request.method {
                    Method::Post => format!("request {form}"),
                    method => format!("{method:?} {}", request.url),
                };
                self.requests.push(request);
                word
            }
            Output::Publish(token) => {
                self.tokens.push(token);
                "publish".into()
            }
            Output::LoadStore { wait_ms } => {
                self.lock_waits.push(wait_ms);
                "load".into()
            }
            Output::Sign { epoch, .. } => {
                self.signs = epoch;
                "sign".into()
            }
            Output::Store(token) => format!("store {}", token.expose()),
            Output::FreeStore => "free".into(),
            Output::Ask { question: Question::PersistRefreshToken(token), .. } => format!("persist {}", token.expose()),
            Output::Ask { question, .. } => {
                self.asked = Some(question);
                "ask".into()
            }
            Output::Audit(Record::RefreshTokenNotPersisted { .. }) => "audit".into(),
            Output::Audit(Record::KeysLoaded { keys }) => format!("keys {keys}"),
            Output::Audit(Record::KeysStale { age_ms, error }) => {
                self.stale.push((age_ms, error));
                "stale".into()
            }
            Output::Audit(Record::IdentityChanged { claim }) => format!("another {claim}"),
            Output::Audit(Record::Scopes(audit)) => {
                let denied = audit.result != ScopeResult::Allowed;
                self.judged.push(audit);
                return denied.then(|| "denied".into());
            }
            Output::News(News::Blocked { error, .. }) => {
                self.errors.push(error);
                "blocked".into()
            }
            Output::News(News::ScopesLost { error, .. }) => {
                self.errors.push(error);
                "lost".into()
            }
            Output::News(News::RoundFailed { error, .. }) => {
                self.errors.push(error);
                "failed".into()
            }
            Output::News(News::Waiting) => "waiting".into(),
            Output::Stopped => "stopped".into(),
            Output::News(_) | Output::Audit(_) | Output::ServerClock { .. } | Output::Answer { .. } => return None,
        })
    }

    pub fn finds(&mut self, token: &str, follows: bool) -> Vec<String> {
        self.feed(Input::Loaded(Ok(Some(Found { refresh_token: secret(token), follows }))))
    }

    pub fn finds_nothing(&mut self) -> Vec<String> {
        self.feed(Input::Loaded(Ok(None)))
    }

    pub fn store_fails(&mut self, is_write: bool) -> Vec<String> {
        let error = Error::new(Code::Store, Stage::Configure, "");
        self.feed(if is_write { Input::Stored(Err(error)) } else { Input::Loaded(Err(error)) })
    }

    /// A token, of ten minutes, with this more.
    pub fn granted(&mut self, more: &str) -> Vec<String> {
        let body = format!(r#"{{"access_token":"hush-t","token_type":"bearer","expires_in":600{more}}}"#);
        self.replied(200, &body)
    }

    pub fn rotated(&mut self, token: &str) -> Vec<String> {
        self.granted(&format!(r#","refresh_token":"{token}""#))
    }

    pub fn replied(&mut self, status: u16, body: &str) -> Vec<String> {
        let reply = Reply { status, body: body.into(), ..Reply::default() };
        self.feed(Input::Replied { epoch: self.epoch, outcome: Ok(reply) })
    }

    pub fn refused(&mut self) -> Vec<String> {
        self.replied(400, r#"{"error":"invalid_grant","description":"the grant is gone"}"#)
    }

    pub fn no_answer(&mut self) -> Vec<String> {
        let outcome = Err(Error::new(Code::HttpTimeout, Stage::Token, ""));
        self.feed(Input::Replied { epoch: self.epoch, outcome })
    }

    /// Time passes until what the machine has timed.
    pub fn wait(&mut self) -> Vec<String> {
        self.now.boot_ms = self.refresher.next_timeout().unwrap();
        self.feed(Input::Timeout)
    }

    pub fn held(&self) -> Option<String> {
        self.refresher.credentials().refresh_token.as_ref().map(|token| token.expose().to_owned())
    }
}
