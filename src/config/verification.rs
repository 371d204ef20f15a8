//! What makes an access token believable beyond that it came from the token endpoint over TLS (`token.verify` and its kin).

use super::check::{address, contradiction, missing};
use super::settings::{ClientAuthentication, Settings};
use super::value::ALGORITHMS;
use crate::error::Error;

/// How a token is checked before it is used.
///
/// There is no "whichever fits": what a token looks like is not to decide how strictly it is checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    /// Not at all.
    #[default]
    Off,
    /// Its signature and claims, by the issuer's keys (RFC 7515, RFC 7519, RFC 9068).
    Jwt,
    /// The issuer is asked (RFC 7662).
    Introspection,
}

/// `token.verify` and its kin. Times are in milliseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verification {
    /// How a token is checked.
    pub by: Verify,
    /// Who has to have issued it (`iss`). Empty: not checked, which `by = Jwt` does not allow.
    pub issuer: String,
    /// Whom it has to be for (`aud`). Empty: as of the issuer.
    pub audience: String,
    /// Where the issuer's keys are, or empty.
    pub jwks_url: String,
    /// What it may be signed with (`alg`, RFC 7518 3.1).
    pub algorithms: Vec<String>,
    /// What it may call itself (`typ`, RFC 9068 2.1), in lower case.
    pub types: Vec<String>,
    /// How far clocks may be apart.
    pub leeway_ms: u64,
    /// Where the issuer is asked, or empty.
    pub introspection_url: String,
    /// Whether a renewed token has to be about the same subject, client and organisation.
    pub pins_identity: bool,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            by: Verify::Off,
            issuer: String::new(),
            audience: String::new(),
            jwks_url: String::new(),
            algorithms: ALGORITHMS.map(str::to_owned).into(),
            types: vec!["at+jwt".into()],
            leeway_ms: 60_000,
            introspection_url: String::new(),
            pins_identity: true,
        }
    }
}

/// Whether issuers are asked over TLS, if they are asked; or the first thing that is missing, or contradicts another.
pub(super) fn check(settings: &Settings) -> Result<Option<bool>, Error> {
    let Verification { by, issuer, audience, jwks_url, introspection_url, .. } = &settings.verification;
    let urls = [("token.jwks_url", jwks_url), ("token.introspection_url", introspection_url)];
    let mut is_https = None;
    for (key, url) in urls.iter().filter(|(_, url)| !url.is_empty()) {
        is_https = Some(address(key, url, ("https", "http"), settings.allow_plain_loopback)?);
    }
    let needed = |key: &str, value: &str, how: &str| match value {
        "" => Err(missing(&format!("{key} (for token.verify = {how})"))),
        _ => Ok(()),
    };
    match by {
        // Whoever gives keys expects signatures to be verified.
        Verify::Off => {
            if let Some((key, _)) = urls.iter().find(|(_, url)| !url.is_empty()) {
                return Err(contradiction(key, "it would be ignored with token.verify = off"));
            }
        }
        Verify::Jwt => {
            needed("token.issuer", issuer, "jwt")?;
            needed("token.audience", audience, "jwt")?;
            needed("token.jwks_url", jwks_url, "jwt")?;
        }
        Verify::Introspection => {
            needed("token.introspection_url", introspection_url, "introspection")?;
            // RFC 7662 2.1 and 4: whoever may ask without saying who it is can try tokens out.
            if settings.authentication == ClientAuthentication::None {
                let why = "introspection answers only clients that authenticate (RFC 7662 2.1), and \
                           client.authentication = none does not";
                return Err(contradiction("token.verify", why));
            }
        }
    }
    Ok(is_https)
}

/// What a client wants of the tokens of its source is what the source does: nothing that was set is ignored.
pub(super) fn check_source(wanted: &Verification, source: &Verification) -> Result<(), Error> {
    if wanted.by == Verify::Off {
        return Ok(());
    }
    if wanted.by != source.by {
        let why = "the source of its tokens verifies them in another way or not at all: it is set for the source";
        return Err(contradiction("token.verify", why));
    }
    let pairs =
        [("token.issuer", &wanted.issuer, &source.issuer), ("token.audience", &wanted.audience, &source.audience)];
    match pairs.iter().find(|(_, wanted, source)| !wanted.is_empty() && wanted != source) {
        Some((key, ..)) => Err(contradiction(key, "the source of its tokens asks for another one")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::with;
    use super::*;
    use crate::config::{Config, Role};
    use crate::error::Code;

    const JWT: [(&str, &str); 4] = [
        ("token.verify", "jwt"),
        ("token.issuer", "https://issuer.example"),
        ("token.audience", "us"),
        ("token.jwks_url", "https://issuer.example/keys"),
    ];
    const INTROSPECTION: [(&str, &str); 2] =
        [("token.verify", "introspection"), ("token.introspection_url", "https://issuer.example/introspect")];

    /// The code, and what it is about.
    fn refused(pairs: &[(&str, &str)]) -> (Code, String) {
        let error = with(pairs).settings().unwrap_err();
        (error.code(), error.detail().message.clone())
    }

    fn more<'a>(base: &[(&'a str, &'a str)], other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [base, other].concat()
    }

    #[test]
    fn what_is_needed_is_asked_for_when_a_client_is_made() {
        assert_eq!(with(&[]).settings().unwrap().verification, Verification::default());
        let settings = with(&JWT).settings().unwrap();
        assert_eq!(settings.verification.by, Verify::Jwt);
        for (at, (key, _)) in JWT.iter().enumerate().skip(1) {
            let mut less = JWT.to_vec();
            less.remove(at);
            let (code, text) = refused(&less);
            assert_eq!(code, Code::MissingKey);
            assert_eq!(text, format!("{key} (for token.verify = jwt)."));
        }
        assert!(with(&INTROSPECTION).settings().is_ok());
        let (code, text) = refused(&INTROSPECTION[..1]);
        let wanted = "token.introspection_url (for token.verify = introspection).";
        assert_eq!((code, text.as_str()), (Code::MissingKey, wanted));
        // Both may be there: which is used is said.
        assert!(with(&more(&JWT, &INTROSPECTION)).settings().is_ok());
    }

    #[test]
    fn nothing_that_was_set_is_ignored_and_nobody_is_asked_in_the_clear() {
        for pair in [JWT[3], INTROSPECTION[1]] {
            let (code, text) = refused(&[pair]);
            assert_eq!(code, Code::BadValue);
            assert!(text.contains(pair.0) && text.contains("token.verify = off"), "{text}");
        }
        let plain = ("token.jwks_url", "http://127.0.0.1:1/keys");
        assert_eq!(refused(&more(&JWT, &[plain])).0, Code::BadValue);
        let allowed = ("net.allow_plain_loopback", "true");
        assert!(with(&more(&JWT, &[plain, allowed])).settings().is_ok());
        assert_eq!(refused(&more(&JWT, &[("token.jwks_url", "http://h/keys"), allowed])).0, Code::BadValue);
        let plain = ("token.introspection_url", "http://127.0.0.1:1/i");
        assert_eq!(refused(&more(&INTROSPECTION, &[plain])).0, Code::BadValue);
    }

    #[test]
    fn whoever_asks_says_who_it_is() {
        let public = [
            ("client.authentication", "none"),
            ("token.grant", "refresh_token"),
            ("token.store", "/store"),
            ("token.pkce", "on"),
        ];
        let (code, text) = refused(&more(&INTROSPECTION, &public));
        assert_eq!(code, Code::BadValue);
        assert!(text.contains("RFC 7662 2.1"), "{text}");
        assert!(with(&more(&JWT, &public)).settings().is_ok());
        // Also where the application provides the tokens.
        let provided = |pairs: &[(&str, &str)]| {
            let mut config = Config::new();
            let poll = [("token.grant", "application"), ("delivery", "poll")];
            pairs.iter().chain(&poll).for_each(|(key, value)| config.set(key, value).unwrap());
            config.settings().map_err(|error| error.detail().message.clone())
        };
        assert!(provided(&[]).is_ok() && provided(&JWT).is_ok());
        assert_eq!(provided(&INTROSPECTION).unwrap_err(), "client.id.");
        let named = more(&INTROSPECTION, &[("client.id", "id")]);
        assert_eq!(provided(&named).unwrap_err(), "client.secret (for client.authentication = basic).");
    }

    #[test]
    fn an_issuer_is_reached_by_the_proxy_even_if_nothing_else_is() {
        let mut config = Config::new();
        let provided = [("token.grant", "application"), ("delivery", "poll"), ("proxy", "http://p:3128")];
        JWT.iter().chain(&provided).for_each(|(key, value)| config.set(key, value).unwrap());
        assert!(config.settings().unwrap().proxies.token.is_some());
        JWT.iter().for_each(|(key, _)| config.set(key, "").unwrap());
        assert!(config.settings().unwrap().proxies.token.is_none());
    }

    #[test]
    fn a_borrower_leaves_it_to_its_source() {
        let config = with(&JWT);
        let settings = config.settings_for(Role::Borrower).unwrap();
        assert_eq!(settings.verification.by, Verify::Off);
        let source = config.settings_for(Role::Source).unwrap().verification;
        assert_eq!(source.by, Verify::Jwt);
        // But does not let it do less.
        let refused = |config: &Config, source: &Verification| {
            config.check_source(source).map_err(|e| e.detail().message.clone())
        };
        for quiet in [config.clone(), with(&[]), with(&JWT[..1])] {
            assert_eq!(refused(&quiet, &source), Ok(()));
        }
        for other in [Verification::default(), Verification { by: Verify::Introspection, ..source.clone() }] {
            assert!(refused(&config, &other).unwrap_err().starts_with("\"token.verify\": the source"));
        }
        let other = Verification { issuer: "https://other.example".into(), ..source.clone() };
        assert!(refused(&config, &other).unwrap_err().starts_with("\"token.issuer\": "));
        let other = Verification { audience: String::new(), ..source };
        assert!(refused(&config, &other).unwrap_err().starts_with("\"token.audience\": "));
    }

    #[test]
    fn algorithms_and_types_are_lists_of_known_names() {
        let mut config = Config::new();
        for bad in ["none", "HS256", "rs256", "ES512", "RS256,,ES256", ","] {
            assert!(config.set("token.algorithms", bad).is_err(), "{bad}");
        }
        assert!(config.set_json(r#"{"token.algorithms":[]}"#).is_err());
        config.set("token.algorithms", "ES256, EdDSA").unwrap();
        config.set("token.typ", "at+JWT,JWT").unwrap();
        let shown: serde_json::Value = serde_json::from_str(&config.to_json()).unwrap();
        assert_eq!(shown["token.algorithms"], serde_json::json!(["ES256", "EdDSA"]));
        assert_eq!(shown["token.typ"], serde_json::json!(["at+jwt", "jwt"]));
        assert_eq!(shown["token.identity"], "pin");
        assert!(config.set("token.leeway_ms", "300001").is_err());
    }
}
