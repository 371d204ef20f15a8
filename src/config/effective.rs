//! The effective configuration: every key with the value in force, and nothing confidential.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::writer::Object;
use crate::secret::Secret;

use super::check;
use super::keys::{keys, Key};
use super::region;
use super::settings::{ClientAuthentication, Grant, Profile, UnknownScopes};
use super::value::{Type, Value};

/// Stands for a value that is not shown.
const HIDDEN: &str = "***";
/// The family of headers; their values may carry credentials (Authorization, Cookie).
const HEADERS: &str = "ws.header.";

/// What was set, by key, without secrets. Clones share it until one of them changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<BTreeMap<String, Kept>>);

/// A value as it was set.
#[derive(Clone, Debug)]
enum Kept {
    Text(String),
    List(Vec<String>),
    /// It is set: this much can be told.
    Hidden,
}

impl Written {
    /// Notes the value of a key that is no secret; the empty one is that of a key which is not set.
    pub(super) fn text(&mut self, key: &Key, name: &str, text: &str) {
        if key.kind == Type::Header {
            return self.header(&format!("{HEADERS}{name}"), text);
        }
        self.keep(key.name, (!text.is_empty()).then(|| Kept::Text(text.to_owned())));
    }

    /// As `text`, for a list.
    pub(super) fn list(&mut self, key: &Key, list: &[String]) {
        self.keep(key.name, Some(Kept::List(list.to_owned())));
    }

    /// Notes whether a secret is set.
    pub(crate) fn secret(&mut self, key: &str, secret: &Secret) {
        self.keep(key, (!secret.is_empty()).then_some(Kept::Hidden));
    }

    /// Letter case does not tell two headers apart.
    fn header(&mut self, name: &str, value: &str) {
        let map = Arc::make_mut(&mut self.0);
        map.retain(|known, _| !known.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            map.insert(name.to_owned(), Kept::Hidden);
        }
    }

    fn keep(&mut self, name: &str, value: Option<Kept>) {
        let map = Arc::make_mut(&mut self.0);
        match value {
            Some(value) => _ = map.insert(name.to_owned(), value),
            None => _ = map.remove(name),
        }
    }

    /// All keys, flat, in the order of the table.
    pub(crate) fn json(&self) -> String {
        let mut out = String::with_capacity(4_096);
        let mut object = Object::begin(&mut out);
        for key in keys() {
            match key.kind {
                Type::Header => self.headers(&mut object),
                Type::Secret | Type::SecretPem if self.0.contains_key(key.name) => _ = object.text(key.name, HIDDEN),
                Type::Secret | Type::SecretPem => _ = object.plain(key.name, "null"),
                _ => self.member(&mut object, key),
            }
        }
        object.end();
        out
    }

    fn headers(&self, object: &mut Object<'_>) {
        for name in self.0.keys().filter(|name| name.starts_with(HEADERS)) {
            object.text(name, HIDDEN);
        }
    }

    fn member(&self, object: &mut Object<'_>, key: &Key) {
        let derived = self.derived(key.name);
        let value = match self.0.get(key.name) {
            Some(Kept::List(list)) => key.kind.check_list(list.clone()),
            _ => key.kind.parse("", derived.as_deref().unwrap_or_else(|| self.given(key))),
        };
        // What was set was checked then, and the defaults are right by a test.
        write_value(object, key, &value.unwrap_or_default());
    }

    /// The value of a key that is no list, as it was given or by default.
    fn given<'a>(&'a self, key: &'a Key) -> &'a str {
        match self.0.get(key.name) {
            Some(Kept::Text(text)) => text,
            _ => key.default,
        }
    }

    fn text_of(&self, name: &str) -> &str {
        keys().iter().find(|key| key.name == name).map_or("", |key| self.given(key))
    }

    /// The value that a key without one takes from others.
    fn derived(&self, name: &str) -> Option<String> {
        let own = self.text_of(name);
        match name {
            "token.url" if own.is_empty() => Some(check::token_url(self.profile(), self.region())),
            "token.pkce" if own == "auto" => Some(if self.pkce() { "on" } else { "off" }.to_owned()),
            "token.authorize_url" if own.is_empty() => Some(check::authorize_url(self.region())),
            "ws.url" if own.is_empty() && self.profile() == Profile::AuthMessage => Some(check::ws_url(self.region())),
            "api.url" if own.is_empty() && self.profile() == Profile::Notifications => {
                Some(check::api_url(self.region()))
            }
            "notifications.streaming_host" if own.is_empty() && self.profile() == Profile::Notifications => {
                Some(check::streaming_host(self.region()))
            }
            "scopes.unknown" if own == "auto" => Some(
                match check::unknown_scopes(self.profile()) {
                    UnknownScopes::Deny => "deny",
                    UnknownScopes::Allow => "allow",
                }
                .to_owned(),
            ),
            "audit.checkpoints" if own == "auto" => {
                let has_chain = ["audit.chain_state", "audit.chain_key"].iter().any(|key| self.0.contains_key(*key));
                Some(if has_chain { "on" } else { "off" }.to_owned())
            }
            "proxy.https" | "proxy.wss" if own.is_empty() => Some(self.text_of("proxy").to_owned()),
            "tls.trust" if own == "auto" => Some(self.trust().to_owned()),
            _ => None,
        }
    }

    /// The domain: what was set was checked then.
    fn region(&self) -> &str {
        region::domain(self.text_of("region")).unwrap_or_default()
    }

    fn profile(&self) -> Profile {
        if self.text_of("profile") == "notifications" {
            Profile::Notifications
        } else {
            Profile::AuthMessage
        }
    }

    fn authentication(&self) -> ClientAuthentication {
        match self.text_of("client.authentication") {
            "none" => ClientAuthentication::None,
            "private_key_jwt" => ClientAuthentication::PrivateKeyJwt,
            "tls" => ClientAuthentication::Tls,
            _ => ClientAuthentication::Basic,
        }
    }

    fn pkce(&self) -> bool {
        let grant =
            if self.text_of("token.grant") == "authorization_code" { Grant::AuthorizationCode } else { Grant::Auto };
        check::pkce(grant, self.authentication())
    }

    fn trust(&self) -> &'static str {
        let sources = [("tls.ca_file", "file"), ("tls.ca_directory", "directory"), ("tls.ca_pem", "memory")];
        let mut given = sources.iter().filter(|(key, _)| !self.text_of(key).is_empty());
        match (given.next(), given.next()) {
            (None, _) => "system",
            (Some((_, choice)), None) => choice,
            // No client can be made of this.
            (Some(_), Some(_)) => "auto",
        }
    }
}

fn write_value(object: &mut Object<'_>, key: &Key, value: &Value<'_>) {
    match key.kind {
        Type::Integer { .. } | Type::OrZero { .. } => object.plain(key.name, value.number),
        Type::Flag => object.plain(key.name, value.flag),
        Type::Scopes | Type::Topics | Type::Patterns | Type::Algorithms | Type::Hosts | Type::Pins => {
            object.texts(key.name, &value.list)
        }
        Type::CloseCodes => {
            let text = |(code, class): &(u16, super::settings::CloseClass)| format!("{code}={}", class.name());
            object.texts(key.name, &value.close_codes.iter().map(text).collect::<Vec<_>>())
        }
        Type::Choice(options) => {
            let option = usize::try_from(value.number).ok().and_then(|number| options.get(number));
            object.text(key.name, option.unwrap_or(&""))
        }
        // A query may carry what opens the door.
        Type::Url { .. } if value.text.contains('?') => object.text(key.name, HIDDEN),
        _ => object.text(key.name, value.text),
    };
}
