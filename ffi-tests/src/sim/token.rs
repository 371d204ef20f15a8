//! The books of the authorization server: who may have a token, which tokens there are, which are still good.

mod assertion;
mod authorize;
mod grants;
mod refresh;
mod signed;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{json, Map, Value};

use super::http::{Answer, Incoming};
use super::issuer::Keyring;
use super::policy::{Issue, TokenForm, TokenPolicy};
use refresh::RefreshTokens;

pub use assertion::ClientKey;
pub(crate) use authorize::consent;

/// Nothing is good for longer, whatever a script says.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// One token that was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Time since the simulator's start.
    pub at: Duration,
    /// The grant it was issued for; `mint` when there was no request.
    pub grant: String,
    /// The access token.
    pub access_token: String,
    /// The refresh token of the answer.
    pub refresh_token: Option<String>,
    /// How long the access token is good.
    pub lifetime: Duration,
    /// The scopes granted.
    pub scope: String,
    /// Whose it is.
    pub client_id: String,
}

/// An authorization code that can be exchanged once.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The `redirect_uri` the exchange must name; `None`: any.
    pub redirect_uri: Option<String>,
    /// The S256 PKCE challenge the exchange's `code_verifier` must fit; `None`: no verifier needed.
    pub challenge: Option<String>,
}

/// What an access token is worth.
pub(crate) enum Standing {
    Good { client_id: String, grant: String, scope: String },
    Expired,
    Unknown,
}

/// An access token in the books.
struct Access {
    ends: Instant,
    used: Instant,
    /// Index in the list of those issued.
    issued: usize,
}

/// A request that gets no token.
struct Refusal(u16, &'static str, &'static str);

/// The books.
pub(crate) struct Ledger {
    pub(crate) policy: TokenPolicy,
    pub(crate) issued: Vec<Issued>,
    pub(crate) codes: HashMap<String, Code>,
    /// SAML assertions that are good, with their organisation.
    pub(crate) assertions: HashSet<(String, String)>,
    pub(crate) refresh: RefreshTokens,
    /// Where this server is, `https://host:port`.
    pub(crate) base: String,
    started: Instant,
    /// What access tokens are signed with that can be verified.
    pub(crate) keys: Keyring,
    key: hmac::Key,
    random: SystemRandom,
    access: HashMap<String, Access>,
    /// `jti` of client assertions seen.
    seen: HashSet<String>,
    sessions: HashSet<String>,
}

impl Ledger {
    pub(crate) fn new(policy: TokenPolicy, started: Instant) -> Self {
        let random = SystemRandom::new();
        let mut secret = [0; 32];
        fill(&random, &mut secret);
        let refresh = RefreshTokens::new(&policy.refresh_token);
        Self {
            policy,
            issued: Vec::new(),
            codes: HashMap::new(),
            assertions: HashSet::new(),
            refresh,
            base: String::new(),
            started,
            keys: Keyring::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            random,
            access: HashMap::new(),
            seen: HashSet::new(),
            sessions: HashSet::new(),
        }
    }

    /// The honest answer to a token request; `certificate`: the client has shown one of ours.
    pub(crate) fn answer(&mut self, request: &Incoming, certificate: bool, issue: &Issue) -> Answer {
        match self.grant(request, certificate) {
            Ok((grant, used)) => Answer::json(200, &self.issue(&grant, used.as_deref(), issue)),
            Err(Refusal(401, error, why)) => refusal(401, error, why).with("WWW-Authenticate", "Basic"),
            Err(Refusal(status, error, why)) => refusal(status, error, why),
        }
    }

    /// A good token without a request.
    pub(crate) fn mint(&mut self, issue: &Issue) -> Issued {
        self.issue("mint", None, issue);
        self.issued.last().cloned().expect("a token was just issued")
    }

    /// When a token ends, if it is one of ours and not past that (unless `strict` is off).
    pub(crate) fn judge(&self, token: &str, strict: bool) -> Option<Instant> {
        let ends = self.access.get(token)?.ends;
        (!strict || Instant::now() < ends).then_some(ends)
    }

    /// What the REST API thinks of a token.
    pub(crate) fn standing(&self, token: &str) -> Standing {
        let now = Instant::now();
        let Some(access) = self.access.get(token) else { return Standing::Unknown };
        let idle = self.policy.idle_timeout.is_some_and(|idle| now.duration_since(access.used) >= idle);
        match self.issued.get(access.issued) {
            Some(issued) if now < access.ends && !idle => Standing::Good {
                client_id: issued.client_id.clone(),
                grant: issued.grant.clone(),
                scope: issued.scope.clone(),
            },
            _ => Standing::Expired,
        }
    }

    /// The token was used: its idle time begins anew.
    pub(crate) fn touch(&mut self, token: &str) {
        if let Some(access) = self.access.get_mut(token) {
            access.used = Instant::now();
        }
    }

    pub(crate) fn revoke(&mut self, token: &str) {
        self.access.remove(token);
    }

    /// The session offered, when it is one of ours; else a new one.
    pub(crate) fn session(&mut self, offered: Option<&str>) -> String {
        if let Some(known) = offered.filter(|id| self.sessions.contains(*id)) {
            return known.to_owned();
        }
        let fresh = self.uuid();
        self.sessions.insert(fresh.clone());
        fresh
    }

    pub(crate) fn forget_access(&mut self) {
        self.access.clear();
    }

    /// Enters a new token into the books and writes the answer that carries it.
    fn issue(&mut self, grant: &str, used: Option<&str>, issue: &Issue) -> Value {
        let lifetime = issue.lifetime.unwrap_or(self.policy.lifetime).min(FOREVER);
        let scope = issue.scope.clone().unwrap_or_else(|| self.policy.scope.clone());
        let access_token = self.access_token(lifetime, &scope, issue);
        let now = Instant::now();
        let access = Access { ends: now + lifetime, used: now, issued: self.issued.len() };
        self.access.insert(access_token.clone(), access);
        let fresh = self.noise(43);
        let refresh_token = self.next_refresh(grant, used, fresh);
        let expires_in = self.policy.expires_in.clone().unwrap_or_else(|| seconds(lifetime));
        let mut answer = json!({
            "access_token": access_token,
            "token_type": self.policy.token_type,
            "expires_in": expires_in,
        });
        if self.policy.answer_scope || issue.scope.is_some() {
            answer["scope"] = json!(scope);
        }
        if let (Some(token), Some(fields)) = (&refresh_token, answer.as_object_mut()) {
            fields.insert("refresh_token".to_owned(), json!(token));
        }
        override_with(&mut answer, &issue.fields);
        let (at, grant) = (self.started.elapsed(), grant.to_owned());
        let client_id = self.policy.client_id.clone();
        self.issued.push(Issued { at, grant, access_token, refresh_token, lifetime, scope, client_id });
        answer
    }

    fn access_token(&mut self, lifetime: Duration, scope: &str, issue: &Issue) -> String {
        match issue.form.clone().unwrap_or_else(|| self.policy.form.clone()) {
            TokenForm::Jwt => self.jwt(lifetime, scope, issue),
            TokenForm::Signed(algorithm) => self.signed_jwt(algorithm, lifetime, scope, issue),
            TokenForm::Opaque => self.noise(48),
            TokenForm::Malformed => {
                format!("{}.{}.{}", self.noise(20), self.noise(40), self.noise(20))
            }
            TokenForm::Literal(text) => text,
        }
    }

    fn jwt(&self, lifetime: Duration, scope: &str, issue: &Issue) -> String {
        let mut claims = self.claims(lifetime, scope);
        override_with(&mut claims, &issue.claims);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of any JWT, of whatever form.
    fn claims(&self, lifetime: Duration, scope: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let whole = lifetime.subsec_nanos() == 0;
        let exp = if whole { json!(now + lifetime.as_secs()) } else { json!(now as f64 + lifetime.as_secs_f64()) };
        json!({
            "iss": "https://localhost/simulator",
            "sub": self.policy.client_id,
            "client_id": self.policy.client_id,
            "scope": scope,
            "iat": now,
            "exp": exp,
            "jti": self.uuid(),
        })
    }

    /// Random letters and digits, and `-` and `_`.
    fn noise(&self, len: usize) -> String {
        let mut bytes = vec![0; len];
        fill(&self.random, &mut bytes);
        let mut text = URL_SAFE_NO_PAD.encode(bytes);
        text.truncate(len);
        text
    }

    pub(crate) fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        fill(&self.random, &mut bytes);
        let number = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{number:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

/// An OAuth error as the token endpoint writes it.
pub(crate) fn refusal(status: u16, error: &str, description: &str) -> Answer {
    Answer::json(status, &json!({"error": error, "description": description, "error_description": description}))
}

pub(crate) fn override_with(object: &mut Value, overrides: &[(String, Option<Value>)]) {
    let Some(map): Option<&mut Map<String, Value>> = object.as_object_mut() else {
        return;
    };
    for (name, value) in overrides {
        match value {
            Some(value) => map.insert(name.clone(), value.clone()),
            None => map.remove(name),
        };
    }
}

fn seconds(lifetime: Duration) -> Value {
    if lifetime.subsec_nanos() == 0 {
        json!(lifetime.as_secs())
    } else {
        json!(lifetime.as_secs_f64())
    }
}

fn fill(random: &SystemRandom, bytes: &mut [u8]) {
    random.fill(bytes).expect("the system has randomness");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_4() {
        let ledger = Ledger::new(TokenPolicy::default(), Instant::now());
        let uuid = ledger.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    }
}
