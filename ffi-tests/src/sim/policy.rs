//! How the simulator behaves when no script says otherwise: credentials, lifetimes, rotation, socket rules.

use std::time::Duration;

use serde_json::Value;

use super::issuer::{Forgery, SignAlg};
use super::token::ClientKey;

/// How the token endpoint behaves.
#[derive(Clone, Debug)]
pub struct TokenPolicy {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The refresh token that is good from the start.
    pub refresh_token: String,
    /// How long access tokens are good; what the server enforces, and `exp - iat` of a JWT.
    pub lifetime: Duration,
    /// What the answer says in `expires_in` instead of the lifetime in seconds.
    pub expires_in: Option<Value>,
    /// Granted scopes, separated by blanks.
    pub scope: String,
    /// Answers say which scopes were granted.
    pub answer_scope: bool,
    /// An access token that nobody used for so long is good no longer; `None`: it is good until it expires.
    pub idle_timeout: Option<Duration>,
    /// What the answer says in `token_type`.
    pub token_type: String,
    /// What access tokens look like.
    pub form: TokenForm,
    /// Whether refresh tokens change with each use.
    pub rotation: Rotation,
    /// How the client proves who it is.
    pub client_auth: ClientAuth,
    /// `iss` of signed access tokens, and what `aud` of a client assertion has to be; `None`: `https://host:port` of the
    /// simulator, which also takes assertions for its token URL.
    pub issuer: Option<String>,
    /// `aud` of signed access tokens.
    pub audience: String,
    /// `Cache-Control` of the published keys.
    pub keys_cache_control: Option<String>,
}

impl Default for TokenPolicy {
    fn default() -> Self {
        Self {
            client_id: "abc123-def456".to_owned(),
            client_secret: "sim-client-secret".to_owned(),
            refresh_token: "dGhpcyBpcyBhIHJlZnJlc2ggdG9rZW4".to_owned(),
            lifetime: Duration::from_secs(3600),
            expires_in: None,
            scope: "conversation:read user:read analytics:read".to_owned(),
            answer_scope: true,
            idle_timeout: None,
            token_type: "bearer".to_owned(),
            form: TokenForm::Jwt,
            rotation: Rotation::Off,
            client_auth: ClientAuth::Secret,
            issuer: None,
            audience: "genesys-cloud".to_owned(),
            keys_cache_control: None,
        }
    }
}

/// How a client proves at the token endpoint who it is. Only the way that is set is taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ClientAuth {
    /// Id and secret in a Basic header.
    #[default]
    Secret,
    /// Not at all: `client_id` in the body, PKCE with every authorization code, no refresh tokens.
    Public,
    /// A JWT signed with this key (RFC 7523): `iss`, `sub`, `aud`, `exp`, and a `jti` that was never used.
    PrivateKeyJwt(ClientKey),
    /// `client_id` in the body, and [`super::Sim::client_identity`] in the TLS handshake (RFC 8705, 2.1).
    Certificate,
}

/// What an access token looks like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum TokenForm {
    /// A JWT signed with HS256, which nobody else can verify.
    #[default]
    Jwt,
    /// A JWT signed with a key that is published, as RFC 9068 has it.
    Signed(SignAlg),
    /// Letters and digits.
    Opaque,
    /// Three parts like a JWT's that decode to nothing.
    Malformed,
    /// This text.
    Literal(String),
}

/// Whether refresh tokens change with each use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    /// They stay the same.
    #[default]
    Off,
    /// Each answer brings a new one; old ones stay good.
    KeepOld,
    /// Each answer brings a new one; the one used is `invalid_grant` after `grace`.
    RevokeOld {
        /// How long the one used stays good.
        grace: Duration,
    },
    /// Each answer brings a new one; the one used stays good for `grace`, or until the new one is used. Whoever uses it
    /// after that ends the whole family: no refresh token of that login is good any longer (RFC 9700, 4.14.2).
    Family {
        /// How long the one used stays good.
        grace: Duration,
    },
}

/// What is different about one token: overrides over [`TokenPolicy`].
///
/// ```
/// use ffi_tests::sim::Issue;
/// use serde_json::json;
/// let odd = Issue::new().field("expires_in", json!("3600")).without("scope").claim("scp", json!(["user:read"]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Issue {
    pub(crate) lifetime: Option<Duration>,
    pub(crate) scope: Option<String>,
    pub(crate) form: Option<TokenForm>,
    pub(crate) fields: Vec<(String, Option<Value>)>,
    pub(crate) claims: Vec<(String, Option<Value>)>,
    pub(crate) header: Vec<(String, Option<Value>)>,
    pub(crate) forgery: Forgery,
}

impl Issue {
    /// No override.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the server takes the token; also `expires_in` and `exp`, unless those are overridden.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The scopes, in the answer and in the JWT.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    /// What the token looks like.
    pub fn form(mut self, form: TokenForm) -> Self {
        self.form = Some(form);
        self
    }

    /// A field of the answer, set to any JSON value.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.push((name.to_owned(), Some(value)));
        self
    }

    /// A field the answer shall not have.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.push((name.to_owned(), None));
        self
    }

    /// A claim of the JWT, set to any JSON value.
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.push((name.to_owned(), Some(value)));
        self
    }

    /// A claim the JWT shall not have.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.push((name.to_owned(), None));
        self
    }

    /// A member of a signed token's header (RFC 7515 4.1), set to any JSON value.
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.push((name.to_owned(), Some(value)));
        self
    }

    /// A member that a signed token's header shall not have.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.push((name.to_owned(), None));
        self
    }

    /// What is wrong with a signed token.
    pub fn forged(mut self, forgery: Forgery) -> Self {
        self.forgery = forgery;
        self
    }
}

/// How `/ws` behaves.
#[derive(Clone, Debug)]
pub struct WsPolicy {
    /// A socket on which no `auth` frame comes for so long is closed with 1008; so is one that begins with
    /// something else.
    pub auth_timeout: Duration,
    /// A token past its lifetime is refused.
    pub strict_expiry: bool,
    /// A socket whose token expired so long ago is closed with 1008; `None`: it stays open.
    pub close_after_expiry: Option<Duration>,
    /// Application messages of the client are sent back.
    pub echo: bool,
    /// The client's close frame is not answered.
    pub ignore_close: bool,
    /// What an authenticated socket receives by itself.
    pub pump: Option<Pump>,
}

impl Default for WsPolicy {
    fn default() -> Self {
        Self {
            auth_timeout: Duration::from_secs(10),
            strict_expiry: true,
            close_after_expiry: Some(Duration::ZERO),
            echo: false,
            ignore_close: false,
            pump: None,
        }
    }
}

/// Numbered messages, on every authenticated connection, with one sequence over all of them.
///
/// Text: `{"type":"event","seq":1,"sentAt":<unix ms>,"sentAtUs":<unix us>,"pad":"…"}`. Binary: the sequence number
/// and the unix time in microseconds, eight bytes each, big-endian, then zeros.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pump {
    /// Time between two messages of one connection; zero: as fast as the socket takes them.
    pub every: Duration,
    /// Every n-th message, by sequence number, is binary; 0: none is.
    pub binary_every: u64,
    /// Messages are padded to this size; 0: they are not.
    pub size: usize,
    /// No message with a sequence number above this; 0: no limit.
    pub limit: u64,
}

impl Pump {
    /// Unpadded text messages without limit.
    pub fn every(every: Duration) -> Self {
        Self { every, binary_every: 0, size: 0, limit: 0 }
    }
}
