//! The handles a test scripts the issuer with.

use serde_json::Value;

use super::key::SignAlg;
use super::keyring::Retired;
use super::script::IssuerReply;
use crate::sim::hub::Hub;

/// Scripts `/.well-known/jwks.json`, and changes the keys.
#[derive(Clone, Copy)]
pub struct KeysScript<'a> {
    pub(in crate::sim) hub: &'a Hub,
}

impl KeysScript<'_> {
    /// For the next request not scripted yet.
    pub fn then(self, reply: IssuerReply) -> Self {
        self.hub.script().issuer.keys.next.push_back(reply);
        self
    }

    /// For all that are not scripted.
    pub fn always(self, reply: IssuerReply) -> Self {
        self.hub.script().issuer.keys.always = reply;
        self
    }

    /// Forgets the script: honest answers from now on.
    pub fn honest(self) -> Self {
        let mut script = self.hub.script();
        script.issuer.keys.next.clear();
        script.issuer.keys.always = IssuerReply::Honest;
        drop(script);
        self
    }

    /// A new key signs from now on, and is published; its kid.
    pub fn rotate(self, algorithm: SignAlg, old: Retired) -> String {
        self.hub.ledger().keys.rotate(algorithm, old)
    }

    /// A JWK that stands before all others in the set, whatever it is.
    pub fn publish(self, jwk: Value) -> Self {
        self.hub.ledger().keys.foreign.insert(0, jwk);
        self
    }

    /// The set as it is published now.
    pub fn published(self) -> Value {
        self.hub.ledger().published()
    }
}

/// Scripts `/introspect`.
#[derive(Clone, Copy)]
pub struct IntrospectionScript<'a> {
    pub(in crate::sim) hub: &'a Hub,
}

impl IntrospectionScript<'_> {
    /// For the next request not scripted yet.
    pub fn then(self, reply: IssuerReply) -> Self {
        self.hub.script().issuer.introspection.next.push_back(reply);
        self
    }

    /// For all that are not scripted.
    pub fn always(self, reply: IssuerReply) -> Self {
        self.hub.script().issuer.introspection.always = reply;
        self
    }

    /// Forgets the script: honest answers from now on.
    pub fn honest(self) -> Self {
        let mut script = self.hub.script();
        script.issuer.introspection.next.clear();
        script.issuer.introspection.always = IssuerReply::Honest;
        drop(script);
        self
    }
}
