//! Whom a token is about, as far as is known: a renewal must not change it.
//!
//! What is compared comes from the claims of a JWT, whether its signature was verified or not, from the issuer's answer
//! (RFC 7662), and of the organisation from `GET /api/v2/tokens/me`. A claim that one of two tokens does not have is no
//! difference, and stays known from the one that had it.

use serde_json::{Map, Value};

/// The claim that names the organisation.
pub const ORGANISATION: &str = "org";

/// Subject, client and organisation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// `sub` (RFC 7519 4.1.2).
    pub subject: Option<String>,
    /// `client_id` (RFC 8693 4.3), else `azp` (OpenID Connect Core 2).
    pub client: Option<String>,
    /// The organisation's id.
    pub organisation: Option<String>,
}

impl Identity {
    /// What claims say.
    pub fn of_claims(claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Self { subject: text("sub"), client: text("client_id").or(text("azp")), organisation: text(ORGANISATION) }
    }

    /// The claim in which another one differs.
    pub fn differs(&self, other: &Self) -> Option<&'static str> {
        let pairs = [
            ("sub", &self.subject, &other.subject),
            ("client_id", &self.client, &other.client),
            (ORGANISATION, &self.organisation, &other.organisation),
        ];
        let differs = |(name, old, new): (&'static str, &Option<String>, &Option<String>)| {
            matches!((old, new), (Some(old), Some(new)) if old != new).then_some(name)
        };
        pairs.into_iter().find_map(differs)
    }

    /// Takes over what is new.
    pub fn learn(&mut self, other: Self) {
        let Self { subject, client, organisation } = other;
        for (known, new) in
            [(&mut self.subject, subject), (&mut self.client, client), (&mut self.organisation, organisation)]
        {
            if new.is_some() {
                *known = new;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(claims: Value) -> Identity {
        Identity::of_claims(claims.as_object().unwrap())
    }

    #[test]
    fn claims_differ_only_where_both_are_known() {
        let full = identity(serde_json::json!({"sub": "s", "client_id": "c", "azp": "z", "org": "o"}));
        for (other, claim) in [
            (serde_json::json!({}), None),
            (serde_json::json!({"sub": 1, "client_id": null}), None),
            (serde_json::json!({"sub": "s", "azp": "c"}), None),
            (serde_json::json!({"sub": "S"}), Some("sub")),
            (serde_json::json!({"client_id": "z"}), Some("client_id")),
            (serde_json::json!({"azp": "z"}), Some("client_id")),
            (serde_json::json!({"org": ""}), Some("org")),
        ] {
            assert_eq!(full.differs(&identity(other.clone())), claim, "{other}");
            assert_eq!(identity(other.clone()).differs(&full), claim, "{other}");
        }
    }

    #[test]
    fn what_was_known_stays_known() {
        let mut known = identity(serde_json::json!({"sub": "s"}));
        known.learn(identity(serde_json::json!({"org": "o"})));
        known.learn(Identity::default());
        assert_eq!(known, identity(serde_json::json!({"sub": "s", "org": "o"})));
    }
}
