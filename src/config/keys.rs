//! The table of keys: names, types, ranges, defaults, documentation, and where a value goes.

use std::time::Duration;

use crate::audit::Format;
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

use super::settings::{
    AuditPolicy, BasicEncoding, ClientAuthentication, Delivery, Displaced, Grant, LostScopes, Pin, Profile, TlsVersion,
    UnknownScopes, Verify,
};
use super::value::{Type, Value};
use super::{Draft, TrustChoice};

/// One configuration key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Key {
    /// Its name, e.g. `token.timeout_ms`.
    pub name: &'static str,
    /// Type and range of its value.
    pub kind: Type,
    /// The value it has unless set, as text.
    pub default: &'static str,
    /// What it is for, in a few words.
    pub doc: &'static str,
    store: fn(&mut Draft, Value<'_>),
}

/// Every key, in the order of the documentation.
pub fn keys() -> &'static [Key] {
    KEYS
}

/// The key of this name, and for a family of keys (`ws.header.<Name>`) the last part of the name.
pub(super) fn find(name: &str) -> Result<(&'static Key, &str), Error> {
    let family = |key: &Key| key.name.strip_suffix("<Name>").and_then(|prefix| name.strip_prefix(prefix));
    KEYS.iter()
        .find_map(|key| match key.kind {
            Type::Header => family(key).map(|rest| (key, rest)),
            _ => (key.name == name).then_some((key, "")),
        })
        .ok_or_else(|| unknown(name))
}

impl Key {
    /// Whether the value is a secret: never shown, set by its own function.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Type::Secret | Type::SecretPem)
    }

    /// Checks a value and stores it; an empty one stands for the default.
    pub(super) fn set(&self, draft: &mut Draft, name: &str, text: &str) -> Result<(), Error> {
        let text = if text.is_empty() { self.default } else { text };
        let value = self.kind.parse(name, text).map_err(|why| self.bad_value(&self.kind.explained(text, why)))?;
        (self.store)(draft, value);
        Ok(())
    }

    /// As `set`, for a value that is a list already.
    pub(super) fn set_list(&self, draft: &mut Draft, list: Vec<String>) -> Result<(), Error> {
        let value = self.kind.check_list(list).map_err(|why| self.bad_value(why))?;
        (self.store)(draft, value);
        Ok(())
    }

    /// As `set`, without a copy of the secret.
    pub(super) fn set_secret(&self, draft: &mut Draft, secret: Secret) -> Result<(), Error> {
        let value = self.kind.check_secret(secret).map_err(|why| self.bad_value(why))?;
        (self.store)(draft, value);
        Ok(())
    }

    /// The error of a value that cannot be used. It names key, type and range, and never quotes the value.
    pub(super) fn bad_value(&self, why: &str) -> Error {
        let message = format!("\"{}\": {why}; wanted: {}.", self.name, self.kind);
        Error::new(Code::BadValue, Stage::Configure, message)
    }
}

/// Whether keys have names that go on behind this one and a dot.
pub(super) fn is_group(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// What may be shown of a name that somebody has made up.
pub(super) fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The error of a name that no key has; it tells the nearest.
pub(super) fn unknown(name: &str) -> Error {
    let shown = printable(name);
    let nearest = nearest(&shown);
    let message = format!("\"{shown}\"; the nearest is \"{nearest}\".");
    Error::new(Code::UnknownKey, Stage::Configure, message)
}

/// The key whose name is the nearest to this one. Letter case does not count, nor does which of `-`, `_` and `.` is used.
fn nearest(name: &str) -> &'static str {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.'], "_");
    let wanted = plain(name);
    // Whoever knows the family is more likely to have erred in the rest.
    let family = |name: &str| name.split('_').next().map(str::to_owned);
    let far = |key: &&Key| {
        let known = plain(key.name.trim_end_matches("<Name>"));
        // Of a family of keys only the beginning is known.
        let same_part: String = wanted.chars().take(known.chars().count()).collect();
        let wanted = if key.kind == Type::Header { &same_part } else { &wanted };
        distance(&known, wanted) + if family(&known) == family(wanted) { 0 } else { 3 }
    };
    KEYS.iter().min_by_key(far).map_or("", |key| key.name)
}

/// How many letters have to be changed, added, left out or swapped with their neighbour to make one name of the other
/// (optimal string alignment).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = last.clone();
    for i in 0..a.len() {
        row[0] = i + 1;
        for j in 0..b.len() {
            let mut least = (last[j] + usize::from(a[i] != b[j])).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == b[j] && a[i] == b[j - 1] {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

/// Type of the keys that choose a format, and what its words stand for.
const FORMAT: Type = Type::Choice(&["native", "ocsf", "ecs", "cef", "rfc5424"]);
const FORMATS: [Format; 5] = [Format::Native, Format::Ocsf, Format::Ecs, Format::Cef, Format::Rfc5424];

/// Facilities in the order of their numbers (RFC 5424 6.2.1, names of syslog.h).
#[rustfmt::skip]
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// The option with this number.
fn pick<T: Copy + Default>(options: &[T], value: &Value<'_>) -> T {
    usize::try_from(value.number).ok().and_then(|number| options.get(number)).copied().unwrap_or_default()
}

/// A size; the ranges of the table fit every supported platform.
fn size(value: &Value<'_>) -> usize {
    usize::try_from(value.number).unwrap_or(usize::MAX)
}

const fn ms(min: u64, max: u64) -> Type {
    Type::Integer { unit: "ms", min, max }
}

const fn bytes(min: u64, max: u64) -> Type {
    Type::Integer { unit: "bytes", min, max }
}

const fn count(min: u64, max: u64) -> Type {
    Type::Integer { unit: "", min, max }
}

/// Least stack of a thread. Token request and socket, TLS handshakes included, take 72 to 80 KiB of it in a build without
/// optimisation; the rest is for longer chains of certificates and for small callbacks.
const MIN_STACK: u64 = 128 << 10;

/// One row: name, type, default, documentation, where it goes.
macro_rules! key {
    ($name:literal, $kind:expr, $default:expr, $doc:literal, $store:expr) => {
        Key { name: $name, kind: $kind, default: $default, doc: $doc, store: $store }
    };
}

#[rustfmt::skip]
static KEYS: &[Key] = &[
    key!("profile", Type::Choice(&["auth-message", "notifications"]), "auth-message", "which wire is spoken: an auth message on one socket, or Genesys Cloud's Notifications API", |d, v| d.settings.profile = pick(&[Profile::AuthMessage, Profile::Notifications], &v)),
    key!("region", Type::Region, "mypurecloud.com", "Genesys Cloud region: the name AWS has for it, as eu-central-1, or its domain", |d, v| d.settings.region = v.text.into()),
    key!("client.id", Type::Text { max: 1_024 }, "", "OAuth client id; needed unless token.grant = application", |d, v| d.settings.client_id = v.text.into()),
    key!("client.secret", Type::Secret, "", "OAuth client secret; needed with client.authentication = basic", |d, v| d.settings.client_secret = v.secret.unwrap_or_else(|| Secret::new(String::new()))),
    key!("client.authentication", Type::Choice(&["basic", "none", "private_key_jwt", "tls"]), "basic", "how the client proves who it is: id and secret; not at all (a public client with PKCE); a JWT signed with client.private_key_pem (RFC 7523); its tls.client_cert (RFC 8705)", |d, v| d.settings.authentication = pick(&[ClientAuthentication::Basic, ClientAuthentication::None, ClientAuthentication::PrivateKeyJwt, ClientAuthentication::Tls], &v)),
    key!("client.private_key_file", Type::Text { max: 4_096 }, "", "PEM file of the key for client.authentication = private_key_jwt, RSA (RS256) or P-256 (ES256), not encrypted", |d, v| d.private_key_file = v.text.into()),
    key!("client.private_key_pem", Type::SecretPem, "", "PEM text of that key, instead of the file", |d, v| d.private_key_pem = v.secret.filter(|secret| !secret.is_empty())),
    key!("client.key_id", Type::Text { max: 1_024 }, "", "kid of that key, where the server wants one", |d, v| d.settings.key_id = v.text.into()),
    key!("client.assertion_audience", Type::Url { secure: "https", plain: "http" }, "", "whom that JWT is for (aud), the server's issuer; needed with client.authentication = private_key_jwt", |d, v| d.settings.assertion_audience = v.text.into()),

    key!("token.url", Type::Url { secure: "https", plain: "http" }, "", "token endpoint; https://api.{region}/oauth/token unless set, with profile = notifications https://login.{region}/oauth/token", |d, v| d.token_url = v.text.into()),
    key!("token.refresh_token", Type::Secret, "", "refresh token to begin with", |d, v| d.settings.refresh_token = v.secret.filter(|secret| !secret.is_empty())),
    key!("token.grant", Type::Choice(&["auto", "refresh_token", "client_credentials", "authorization_code", "application", "saml2-bearer"]), "auto", "OAuth grant; auto is refresh_token if there is one, else client_credentials; application: on_ask provides tokens, and no credentials are needed; saml2-bearer: token.saml_assertion is exchanged", |d, v| d.settings.grant = pick(&[Grant::Auto, Grant::RefreshToken, Grant::ClientCredentials, Grant::AuthorizationCode, Grant::Application, Grant::Saml2Bearer], &v)),
    key!("token.basic", Type::Choice(&["rfc6749", "raw"]), "rfc6749", "how id and secret enter the Basic header: form-url-encoded first, or as they are", |d, v| d.settings.basic = pick(&[BasicEncoding::Rfc6749, BasicEncoding::Raw], &v)),
    key!("token.authorize_url", Type::Url { secure: "https", plain: "http" }, "", "where a user signs in for an authorization code; https://login.{region}/oauth/authorize unless set", |d, v| d.authorize_url = v.text.into()),
    key!("token.idle_timeout_ms", ms(0, 38_880_000_000), "0", "idle timeout of the organisation: a token is renewed before it; 0: there is none", |d, v| d.settings.idle_timeout_ms = Some(v.number).filter(|&idle| idle > 0)),
    key!("token.redirect_uri", Type::Text { max: 2_048 }, "", "redirect_uri of the authorization_code grant", |d, v| d.settings.redirect_uri = v.text.into()),
    key!("token.redirect_listener", Type::Flag, "false", "while an authorization code is asked for, listen for the redirect at token.redirect_uri: http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH; PORT 0 is any that is free", |d, v| d.settings.redirect_listener = v.flag),
    key!("token.pkce", Type::Choice(&["auto", "on", "off"]), "auto", "guard authorization codes by PKCE (RFC 7636, S256); auto is on with token.grant = authorization_code or client.authentication = none, else off", |d, v| d.pkce = pick(&[None, Some(true), Some(false)], &v)),
    key!("token.saml_org", Type::Text { max: 1_024 }, "", "short name of the organisation (orgName), for token.grant = saml2-bearer", |d, v| d.settings.saml_org = v.text.into()),
    key!("token.saml_assertion", Type::Secret, "", "SAML 2.0 assertion in base64 to begin with; gwa_client_set_secret() brings the next one", |d, v| d.settings.saml_assertion = v.secret.filter(|secret| !secret.is_empty())),
    key!("token.timeout_ms", ms(1, 300_000), "15000", "a token request, from resolving to the last byte", |d, v| d.settings.token_timeout_ms = v.number),
    key!("token.attempts", count(1, 100), "3", "attempts in a round", |d, v| d.settings.attempts_per_round = u32::try_from(v.number).unwrap_or(u32::MAX)),
    key!("token.lead_ms", ms(0, 86_400_000), "0", "renew this long before the token ends, within a tenth and a half of its life; 0: by the built-in rule", |d, v| d.settings.lead_ms = Some(v.number).filter(|&lead| lead > 0)),
    key!("token.lead_goal_ms", ms(0, 86_400_000), "0", "service level: another token takes effect while this much life is left, else the state is Degraded; at most half of the lead; 0: a quarter of the life, 60 s at most", |d, v| d.settings.lead_goal_ms = Some(v.number).filter(|&goal| goal > 0)),
    key!("token.store", Type::Text { max: 4_096 }, "", "file in which the newest refresh token is kept, mode 0600, made if need be; empty: none", |d, v| d.settings.token_store = v.text.into()),
    key!("token.revoke_on_close", Type::Flag, "false", "revoke the token when the client, or the last one of a source, shuts down; profile = notifications alone", |d, v| d.settings.revoke_on_close = v.flag),
    key!("token.refresh_floor_ms", ms(0, 86_400_000), "20000", "shortest time between two refreshes that a refused token or gwa_client_refresh_now() asks for, and never more than a quarter of the token's life; 0: none, for tests", |d, v| d.settings.refresh_floor_ms = v.number),
    key!("token.persist_timeout_ms", ms(0, 600_000), "5000", "wait for the application to store a rotated refresh token", |d, v| d.settings.persist_timeout_ms = v.number),
    key!("token.authorize_timeout_ms", ms(1, 86_400_000), "600000", "wait for an authorization code", |d, v| d.settings.authorize_timeout_ms = v.number),
    key!("token.provider_timeout_ms", ms(1, 300_000), "15000", "wait for a token that the application provides", |d, v| d.settings.provider_timeout_ms = v.number),
    key!("token.max_bytes", bytes(64, 1 << 20), "16384", "largest access token", |d, v| d.settings.max_token_bytes = size(&v)),
    key!("token.max_response_bytes", bytes(1_024, 16 << 20), "65536", "largest answer of the token endpoint", |d, v| d.settings.max_response_bytes = size(&v)),
    key!("token.verify", Type::Choice(&["off", "jwt", "introspection"]), "off", "before a token is used: nothing more; verify its signature and claims with the issuer's keys (RFC 9068); ask the issuer (RFC 7662), which opaque tokens need", |d, v| d.settings.verification.by = pick(&[Verify::Off, Verify::Jwt, Verify::Introspection], &v)),
    key!("token.issuer", Type::Text { max: 2_048 }, "", "who has to have issued a token (iss), letter by letter; needed with token.verify = jwt", |d, v| d.settings.verification.issuer = v.text.into()),
    key!("token.audience", Type::Text { max: 2_048 }, "", "whom a token has to be for (aud has it); needed with token.verify = jwt", |d, v| d.settings.verification.audience = v.text.into()),
    key!("token.jwks_url", Type::Url { secure: "https", plain: "http" }, "", "the issuer's keys (jwks_uri of its metadata); needed with token.verify = jwt", |d, v| d.settings.verification.jwks_url = v.text.into()),
    key!("token.algorithms", Type::Algorithms, "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,EdDSA", "signatures that are accepted (alg); never none, and none that is made with a shared secret", |d, v| d.settings.verification.algorithms = v.list),
    key!("token.typ", Type::Patterns, "at+jwt", "what a token may call itself (typ); letter case does not matter; at+jwt,jwt for issuers that do not follow RFC 9068", |d, v| d.settings.verification.types = v.list),
    key!("token.leeway_ms", ms(0, 300_000), "60000", "how far clocks may be apart when nbf and iat are judged; a token whose exp is past has no life left, whatever the leeway; the clock is the token endpoint's, as far as it is known", |d, v| d.settings.verification.leeway_ms = v.number),
    key!("token.introspection_url", Type::Url { secure: "https", plain: "http" }, "", "where the issuer is asked about a token, with client.authentication; needed with token.verify = introspection", |d, v| d.settings.verification.introspection_url = v.text.into()),
    key!("token.identity", Type::Choice(&["pin", "off"]), "pin", "a renewed token has to be about the same subject, client and organisation as the one before it, as far as is known; a new credential may bring another", |d, v| d.settings.verification.pins_identity = v.number == 0),

    key!("scopes.required", Type::Scopes, "", "scopes the application needs", |d, v| d.settings.required_scopes = v.list),
    key!("scopes.requested", Type::Scopes, "", "scopes to ask for, by the authorize URL, client_credentials and saml2-bearer; none: all that the OAuth client has", |d, v| d.settings.requested_scopes = v.list),
    key!("scopes.unknown", Type::Choice(&["auto", "deny", "allow"]), "auto", "a token whose scopes cannot be known; auto is deny, with profile = notifications allow", |d, v| d.unknown_scopes = pick(&[None, Some(UnknownScopes::Deny), Some(UnknownScopes::Allow)], &v)),
    key!("scopes.lost", Type::Choice(&["keep", "close"]), "keep", "a renewed token that lacks a required scope is never used; the live socket: keep it until the old token ends and ask for tokens meanwhile, or close it at once", |d, v| d.settings.lost_scopes = pick(&[LostScopes::Keep, LostScopes::Close], &v)),

    key!("api.url", Type::Url { secure: "https", plain: "http" }, "", "REST API of profile = notifications, without a path; https://api.{region} unless set", |d, v| d.api_url = v.text.into()),
    key!("api.timeout_ms", ms(1, 300_000), "15000", "a REST request, from resolving to the last byte", |d, v| d.settings.api_timeout_ms = v.number),
    key!("notifications.topics", Type::Topics, "", "topics to begin with, at most 1000", |d, v| d.settings.topics = v.list),
    key!("notifications.streaming_host", Type::Text { max: 261 }, "", "host, or host:port, to which a channel's connectUri may lead; streaming.{region} unless set", |d, v| d.streaming_host = v.text.into()),
    key!("notifications.heartbeat_timeout_ms", ms(1, 600_000), "35000", "silence, heartbeats included, after which a socket counts as dead", |d, v| d.settings.heartbeat_timeout_ms = v.number),
    key!("notifications.channel_reuses", count(0, 1_000), "10", "how often a channel is connected again before a new one is made", |d, v| d.settings.channel_reuses = u32::try_from(v.number).unwrap_or(u32::MAX)),
    key!("notifications.linger_ms", ms(0, 60_000), "3000", "how long a channel that is replaced keeps its topics once the next one is live: events may be on a longer way by it", |d, v| d.settings.linger_ms = v.number),
    key!("notifications.displaced", Type::Choice(&["stop", "return"]), "stop", "when another client has taken the channel: wait for gwa_client_refresh_now(), or come back after 5 to 10 minutes", |d, v| d.settings.displaced = pick(&[Displaced::Stop, Displaced::Return], &v)),

    key!("ws.url", Type::Url { secure: "wss", plain: "ws" }, "", "socket; wss://api.{region}/ws unless set", |d, v| d.ws_url = v.text.into()),
    key!("ws.upgrade_timeout_ms", ms(1, 300_000), "10000", "WebSocket upgrade", |d, v| d.settings.upgrade_timeout_ms = v.number),
    key!("ws.auth_timeout_ms", ms(1, 300_000), "10000", "reply to the auth message", |d, v| d.settings.auth_timeout_ms = v.number),
    key!("ws.ping_after_ms", ms(1, 3_600_000), "25000", "silence before a ping", |d, v| d.settings.ping_after_ms = v.number),
    key!("ws.dead_after_ms", ms(1, 600_000), "10000", "silence after a ping before the peer counts as dead", |d, v| d.settings.dead_after_ms = v.number),
    key!("ws.expired_grace_ms", ms(0, 25_000), "25000", "how long a socket with an expired token is kept", |d, v| d.settings.expired_grace_ms = v.number),
    key!("ws.max_message_bytes", bytes(1, 1 << 30), "4194304", "largest message, both ways", |d, v| d.settings.max_message_bytes = size(&v)),
    key!("ws.max_auth_reply_bytes", bytes(64, 1 << 20), "65536", "largest reply to the auth message", |d, v| d.settings.max_auth_reply_bytes = size(&v)),
    key!("ws.throttle_patterns", Type::Patterns, "rate limit,too many", "texts in a refused authentication that mean a rate limit; letter case does not matter", |d, v| d.settings.throttle_patterns = v.list),
    key!("ws.close_codes", Type::CloseCodes, "", "what close codes ask for, where it differs: 1001, 1012, 1013 are drain, 1008, 4401, 4403 token, all others retry; final ends the client", |d, v| d.settings.close_codes = v.close_codes),
    key!("ws.origin", Type::HeaderValue, "", "Origin of the upgrade", |d, v| d.settings.origin = v.text.into()),
    key!("ws.subprotocol", Type::HeaderValue, "", "Sec-WebSocket-Protocol of the upgrade", |d, v| d.settings.subprotocol = v.text.into()),
    key!("ws.header.<Name>", Type::Header, "", "a further header of the upgrade, one key each; empty removes it", |d, v| set_header(&mut d.settings.headers, v.name, v.text)),
    key!("http.user_agent", Type::HeaderValue, concat!("genesys-ws-auth/", env!("CARGO_PKG_VERSION")), "User-Agent of all requests", |d, v| d.settings.user_agent = v.text.into()),

    key!("connect.overlap", Type::Choice(&["on", "off"]), "on", "open the socket while its token is still being fetched; off: in strict order", |d, v| d.settings.overlap = v.number == 0),
    key!("connect.timeout_ms", ms(1, 300_000), "10000", "DNS and TCP together", |d, v| d.settings.connect_timeout_ms = v.number),
    key!("tls.timeout_ms", ms(1, 300_000), "10000", "TLS handshake", |d, v| d.settings.tls_timeout_ms = v.number),
    key!("tls.min_version", Type::Choice(&["1.2", "1.3"]), "1.2", "oldest version of TLS that is spoken", |d, v| d.settings.min_tls = pick(&[TlsVersion::V12, TlsVersion::V13], &v)),
    key!("tls.trust", Type::Choice(&["auto", "system", "file", "directory", "memory"]), "auto", "where trusted authorities come from; auto is file, directory or memory if tls.ca_file, tls.ca_directory or tls.ca_pem is set, else system", |d, v| d.trust = pick(&[TrustChoice::Auto, TrustChoice::System, TrustChoice::File, TrustChoice::Directory, TrustChoice::Memory], &v)),
    key!("tls.ca_file", Type::Text { max: 4_096 }, "", "PEM file of trusted authorities", |d, v| d.ca_file = v.text.into()),
    key!("tls.ca_directory", Type::Text { max: 4_096 }, "", "directory of PEM files of trusted authorities; what is none is left out", |d, v| d.ca_directory = v.text.into()),
    key!("tls.ca_pem", Type::Pem, "", "PEM text of trusted authorities", |d, v| d.ca_pem = v.text.into()),
    key!("tls.extra_ca_file", Type::Text { max: 4_096 }, "", "PEM file of further authorities, beside those of tls.trust", |d, v| d.settings.extra_ca_file = v.text.into()),
    key!("tls.extra_ca_pem", Type::Pem, "", "PEM text of further authorities, beside those of tls.trust", |d, v| d.settings.extra_ca_pem = v.text.into()),
    key!("tls.pins", Type::Pins, "", "public keys of which one has to be in the server's verified chain, authority included", |d, v| d.settings.pins = v.list.iter().filter_map(|pin| Pin::parse(pin)).collect()),
    key!("tls.client_cert_file", Type::Text { max: 4_096 }, "", "PEM file of the client certificate and those between it and its authority", |d, v| d.client_cert_file = v.text.into()),
    key!("tls.client_key_file", Type::Text { max: 4_096 }, "", "PEM file of its private key, not encrypted", |d, v| d.client_key_file = v.text.into()),
    key!("tls.client_cert_pem", Type::Pem, "", "PEM text of the client certificate, instead of the file", |d, v| d.client_cert_pem = v.text.into()),
    key!("tls.client_key_pem", Type::SecretPem, "", "PEM text of its private key, instead of the file", |d, v| d.client_key_pem = v.secret.filter(|secret| !secret.is_empty())),

    key!("proxy", Type::Proxy, "none", "proxy to everything, asked by CONNECT; environment reads https_proxy, wss_proxy, http_proxy, all_proxy and no_proxy when a client is made", |d, v| d.proxy.both = v.text.into()),
    key!("proxy.https", Type::Proxy, "", "proxy to the token endpoint; as proxy unless set", |d, v| d.proxy.https = v.text.into()),
    key!("proxy.wss", Type::Proxy, "", "proxy to the socket; as proxy unless set", |d, v| d.proxy.wss = v.text.into()),
    key!("proxy.user", Type::Text { max: 1_024 }, "", "user name at the proxy (Basic), without a colon", |d, v| d.proxy.user = v.text.into()),
    key!("proxy.password", Type::Secret, "", "password at the proxy", |d, v| d.proxy.password = v.secret.filter(|secret| !secret.is_empty())),
    key!("proxy.except", Type::Hosts, "", "reached without the proxy: hosts, domains and all below them, addresses, networks as 10.0.0.0/8, each with :port or without, or *", |d, v| d.proxy.except = v.list),
    key!("proxy.timeout_ms", ms(1, 300_000), "10000", "a proxy's answer to CONNECT", |d, v| d.settings.proxy_timeout_ms = v.number),

    key!("net.allow_plain_loopback", Type::Flag, "false", "allow http and ws to localhost, 127.0.0.0/8 and ::1, for tests", |d, v| d.settings.allow_plain_loopback = v.flag),

    key!("delivery", Type::Choice(&["callbacks", "inline", "poll"]), "callbacks", "who runs callbacks: gwa-dispatch; on_message on gwa-socket; gwa_client_next_event()", |d, v| d.settings.delivery = pick(&[Delivery::Callbacks, Delivery::Inline, Delivery::Poll], &v)),
    key!("send.queue_messages", count(1, 1 << 20), "1024", "bound of the send queue", |d, v| d.settings.send_queue_messages = size(&v)),
    key!("send.queue_bytes", bytes(1, 1 << 30), "4194304", "bound of the send queue", |d, v| d.settings.send_queue_bytes = size(&v)),
    key!("events.queue_events", count(1, 1 << 20), "4096", "bound of the event queue; when it is full the socket is not read", |d, v| d.settings.event_queue_events = size(&v)),
    key!("events.queue_bytes", bytes(1, 1 << 30), "8388608", "bound of the event queue", |d, v| d.settings.event_queue_bytes = size(&v)),
    key!("audit.queue_records", count(1, 1 << 20), "4096", "bound of the audit queue", |d, v| d.settings.audit_queue_records = size(&v)),
    key!("audit.policy", Type::Choice(&["drop_oldest", "drop_newest", "block"]), "drop_oldest", "when the audit queue is full; block holds the producer up to 1 s a record; not with delivery = poll", |d, v| d.settings.audit_policy = pick(&[AuditPolicy::DropOldest, AuditPolicy::DropNewest, AuditPolicy::Block], &v)),
    key!("audit.siem_source", Type::Text { max: 256 }, "genesys_websocket_authenticator", "\"source\" of SIEM events", |d, v| d.settings.siem_source = v.text.into()),
    key!("audit.chain_state", Type::Text { max: 4_096 }, "", "file in which the evolved key of the chain of MACs over all records is kept, mode 0600; one a client; empty: none. What a sink was given must be durable when it returns from an audit_checkpoint record", |d, v| d.settings.chain.state = v.text.into()),
    key!("audit.chain_key", Type::Secret, "", "K0 of that chain, 64 hexadecimal digits: given once with audit.chain_state, while there is no such file; without one given always, and then the chain is tamper-evident, not forward-secure", |d, v| d.settings.chain.key = v.secret.filter(|secret| !secret.is_empty())),
    key!("audit.checkpoints", Type::Choice(&["auto", "on", "off"]), "auto", "records of the counters of the log itself; auto is on with a chain", |d, v| d.checkpoints = pick(&[None, Some(true), Some(false)], &v)),
    key!("audit.checkpoint_records", count(1, 1 << 20), "256", "a checkpoint after so many records, and a new key", |d, v| d.settings.chain.checkpoint_records = v.number),
    key!("audit.checkpoint_ms", ms(1, 86_400_000), "300000", "a checkpoint after this time, and a new key", |d, v| d.settings.chain.checkpoint_ms = v.number),
    key!("audit.format", FORMAT, "native", "form of what on_audit is given; rfc5424 is a syslog message, cef a line of text, all others are JSON", |d, v| d.settings.formats.audit = pick(&FORMATS, &v)),
    key!("audit.siem_format", FORMAT, "native", "form of what on_siem is given", |d, v| d.settings.formats.siem = pick(&FORMATS, &v)),
    key!("audit.syslog_facility", Type::Choice(&FACILITIES), "authpriv", "facility of syslog messages (RFC 5424 6.2.1)", |d, v| d.settings.formats.syslog.facility = u8::try_from(v.number).unwrap_or_default()),
    key!("audit.syslog_hostname", Type::Text { max: 255 }, "", "HOSTNAME of syslog messages, without blanks; empty: not known, and the relay may fill it in", |d, v| d.settings.formats.syslog.hostname = v.text.into()),
    key!("audit.syslog_enterprise", count(1, 4_294_967_295), "32473", "private enterprise number that names structured data of syslog messages; 32473 is the one for examples (RFC 5612)", |d, v| d.settings.formats.syslog.enterprise = u32::try_from(v.number).unwrap_or(u32::MAX)),
    key!("callbacks.slow_ms", ms(1, 3_600_000), "1000", "callbacks slower than this are reported", |d, v| d.settings.slow_callback = Duration::from_millis(v.number)),
    key!("thread.stack_bytes", Type::OrZero { unit: "bytes", min: MIN_STACK, max: 1 << 30 }, "0", "stack of each thread of the client; 0: 1 MiB where callbacks run, else 512 KiB", |d, v| d.settings.stack_bytes = size(&v)),
    key!("close.timeout_ms", ms(0, 60_000), "2000", "WebSocket close handshake", |d, v| d.settings.close_timeout_ms = v.number),
    key!("free.timeout_ms", ms(0, 600_000), "5000", "longest wait of gwa_client_free(); 0 does not wait", |d, v| d.settings.free_timeout_ms = v.number),
];

fn set_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    if !value.is_empty() {
        headers.push((name.into(), value.into()));
    }
}
