//! An issuer of signed tokens for stories and walks, its signatures made of digests: whoever has the public half of such a
//! "key" could sign, but nobody here does.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{json, Value};

use super::hand::{secret, Hand};
use super::world::sha256;
use crate::config::settings::{Settings, Verification, Verify};
use crate::proto::http::Reply;
use crate::proto::jose::{Algorithm, Key};
use crate::proto::refresher::{Input, Memory};

/// 2026-01-01.
pub const WALL_MS: u64 = 1_767_225_600_000;
/// Its clock in the header `Date`.
pub const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
pub const KEYS: &str = "Get https://issuer.example/keys";

/// As the shell's, for the keys of this issuer.
pub fn verify(algorithm: Algorithm, key: &Key, message: &[u8], signature: &[u8]) -> bool {
    let Key::Ed25519 { x } = key else { return false };
    algorithm == Algorithm::EdDsa && signature == sha256(&[x, message].concat())
}

/// The key set with these keys, which go by their names.
pub fn key_set(names: &[&str]) -> String {
    named(&names.iter().map(|name| (*name, *name)).collect::<Vec<_>>())
}

/// The key set in which keys go by these names: name, key.
pub fn named(keys: &[(&str, &str)]) -> String {
    let x = |key: &str| URL_SAFE_NO_PAD.encode(sha256(key.as_bytes()));
    let key = |(name, key): &(&str, &str)| json!({"kty": "OKP", "crv": "Ed25519", "kid": name, "x": x(key)});
    json!({"keys": keys.iter().map(key).collect::<Vec<_>>()}).to_string()
}

/// A token with this header and these claims, signed with the key of this name.
pub fn signed(key: &str, header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = sha256(&[&sha256(key.as_bytes()), message.as_bytes()].concat());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub fn header(key: &str) -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key})
}

/// The claims of a token of ten minutes.
pub fn claims(issued_ms: u64) -> Value {
    let issued = issued_ms / 1_000;
    json!({
        "iss": "https://issuer.example", "aud": ["other", "us"], "sub": "somebody", "client_id": "id", "org": "o",
        "iat": issued, "exp": issued + 600, "jti": "1", "scope": "a:read b:read"
    })
}

/// `base` with these members instead.
pub fn with(mut base: Value, other: Value) -> Value {
    for (name, value) in other.as_object().unwrap() {
        base[name] = value.clone();
        if value.is_null() {
            base.as_object_mut().unwrap().remove(name);
        }
    }
    base
}

/// One that verifies tokens of this issuer.
pub fn settings() -> Settings {
    Settings {
        client_id: "id".into(),
        required_scopes: vec!["a:read".into()],
        refresh_token: Some(secret("hush-r0")),
        verification: Verification {
            by: Verify::Jwt,
            issuer: "https://issuer.example".into(),
            audience: "us".into(),
            jwks_url: "https://issuer.example/keys".into(),
            introspection_url: "https://issuer.example/introspect".into(),
            ..Verification::default()
        },
        ..Settings::default()
    }
}

impl Hand {
    /// A machine that was started, on a machine whose clock is right.
    pub fn verifying(settings: Settings, can_ask: bool, memory: Memory) -> Self {
        let mut hand = Self::after(settings, can_ask, memory);
        hand.refresher = hand.refresher.verifying(verify);
        hand.now.wall_ms = WALL_MS;
        hand.feed(Input::Start);
        hand
    }

    /// Time passes.
    pub fn pass(&mut self, ms: u64) {
        self.now.boot_ms += ms;
        self.now.wall_ms += ms;
    }

    /// Time passes until what the machine has timed; the wall clock goes on too.
    pub fn wait_on(&mut self) -> Vec<String> {
        let left = self.refresher.next_timeout().unwrap().saturating_sub(self.now.boot_ms);
        self.now.wall_ms += left;
        self.wait()
    }

    /// This token is granted, for ten minutes as the answer says.
    pub fn grants(&mut self, token: &str, more: &str) -> Vec<String> {
        let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":600{more}}}"#);
        self.replied(200, &body)
    }

    /// A good token, signed with this key.
    pub fn grants_good(&mut self, key: &str) -> Vec<String> {
        let token = signed(key, &header(key), &claims(self.now.wall_ms));
        self.grants(&token, "")
    }

    /// The keys come, with what is said of how long they are fresh.
    pub fn publishes(&mut self, names: &[&str], cache_control: Option<&str>) -> Vec<String> {
        let cache_control = cache_control.map(str::to_owned);
        let reply = Reply { status: 200, body: key_set(names).into(), cache_control, ..Reply::default() };
        self.feed(Input::Replied { epoch: self.epoch, outcome: Ok(reply) })
    }

    /// A token is in force, verified with the key `k1`, and the next renewal waits for an answer.
    pub fn renewing(mut self, cache_control: Option<&str>) -> Self {
        assert_eq!(self.grants_good("k1"), [KEYS]);
        assert_eq!(self.publishes(&["k1"], cache_control), ["keys 1", "publish"]);
        self.renew();
        self
    }

    /// The next renewal begins.
    pub fn renew(&mut self) {
        assert_eq!(self.wait_on(), ["request hush-r0"]);
    }
}
