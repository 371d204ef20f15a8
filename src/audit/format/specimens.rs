//! Records of every kind, with a text of the caller's wherever a record has room for one. Shared with the tests that hand
//! them to other people's parsers, hence the imports of whoever includes this file.

use super::api::{Code, Error, Kind, Outcome, Phase, Record, ScopeAudit, ScopeResult, Specimen, Stage, Trust};

/// Every kind has at least one.
pub fn all(text: &str) -> Vec<Specimen> {
    Kind::ALL.iter().flat_map(|&kind| of(kind, text)).collect()
}

fn of(kind: Kind, text: &str) -> Vec<Specimen> {
    let list = || vec!["conversation:read".to_owned(), text.to_owned()];
    let error = || error(Code::WsClosed, text);
    let record = match kind {
        Kind::Attempt => return attempts(text).into_iter().map(Specimen::Record).collect(),
        Kind::Scopes => return scopes(text).into_iter().map(Specimen::Record).collect(),
        Kind::Loss => return vec![Specimen::Loss],
        Kind::Checkpoint => return vec![Specimen::Checkpoint(error())],
        Kind::RefreshTokenNotPersisted => Record::RefreshTokenNotPersisted { error: error() },
        Kind::ConnectionLost => Record::ConnectionLost { connection: 2, error: error() },
        Kind::Closed => Record::Closed,
        Kind::Panicked => Record::Panicked { location: text.to_owned() },
        Kind::TokenRequested => Record::TokenRequested { grant: "client_credentials", authentication: "basic" },
        Kind::TokenIssued => {
            Record::TokenIssued { serial: 4, lifetime_ms: 3_600_000, rotated: true, trust: Trust::Verified }
        }
        Kind::TokenRefused => Record::TokenRefused { error: error() },
        Kind::RefreshTokenStored => Record::RefreshTokenStored { by: "store" },
        Kind::ScopesChanged => Record::ScopesChanged { added: list(), removed: list(), missing: vec![] },
        Kind::IdentityChanged => Record::IdentityChanged { claim: "sub" },
        Kind::KeysLoaded => Record::KeysLoaded { keys: 3 },
        Kind::KeysStale => Record::KeysStale { age_ms: 86_400_000, error: error() },
        Kind::SocketOpened => Record::SocketOpened { connection: 2 },
        Kind::SocketClosed => Record::SocketClosed { connection: 2, code: 1000, clean: true },
        Kind::ChannelMade => Record::ChannelMade,
        Kind::Subscribed => Record::Subscribed { permitted: 17, refused: 2, rejected: list() },
        Kind::Displaced => Record::Displaced { error: error() },
        Kind::ConfigurationLoaded => Record::ConfigurationLoaded { fingerprint: "ab".repeat(32) },
        Kind::TrustLoaded => Record::TrustLoaded { store: text.to_owned(), roots: 142, pins: 2 },
        Kind::ClockStepped => Record::ClockStepped { by_ms: -7_200_000 },
        Kind::Resumed => Record::Resumed { slept_ms: 28_800_000 },
        #[allow(unreachable_patterns, reason = "to other crates the list is open")]
        other => unreachable!("no specimen of {other:?}"),
    };
    vec![Specimen::Record(record)]
}

fn attempts(text: &str) -> Vec<Record> {
    let success = || Outcome::Success { scopes: vec!["conversation:read".to_owned(), text.to_owned()] };
    let missing = |detail: &mut super::api::Detail| detail.missing_scopes = vec!["a".to_owned(), text.to_owned()];
    let denied = error(Code::ScopeDenied, text).with(missing);
    let attempt = |phase, outcome| Record::Attempt { phase, outcome, latency_ms: 142, scopes_validated: true };
    vec![
        attempt(Phase::First, success()),
        attempt(Phase::Renewal, success()),
        attempt(Phase::Reconnect, Outcome::Success { scopes: vec![] }),
        attempt(Phase::First, Outcome::Failure(error(Code::AuthRefused, text))),
        attempt(Phase::Renewal, Outcome::Failure(denied)),
    ]
}

fn scopes(text: &str) -> Vec<Record> {
    [ScopeResult::Allowed, ScopeResult::Denied, ScopeResult::InvalidTokenStructure]
        .map(|result| {
            Record::Scopes(ScopeAudit {
                result,
                required: vec!["conversation:read".to_owned()],
                granted: vec!["user:read".to_owned(), text.to_owned()],
                missing: vec!["conversation:read".to_owned()],
                client_id: text.to_owned(),
            })
        })
        .into()
}

fn error(code: Code, text: &str) -> Error {
    Error::new(code, Stage::Live, text).with(|detail| {
        detail.ws_close_code = 1001;
        detail.http_status = 503;
        detail.host = "api.mypurecloud.com:443".to_owned();
    })
}
