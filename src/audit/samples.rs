//! One record of each kind, for tests that go through all of them.

use super::{Kind, Outcome, Phase, Record, ScopeAudit, ScopeResult, Trust};
use crate::error::{Code, Error, Stage};

/// Every kind but those of the log itself, at its worst.
pub(crate) fn samples() -> Vec<Record> {
    let error = || Error::new(Code::WsClosed, Stage::Live, "bye").with(|detail| detail.ws_close_code = 1001);
    let names = || vec!["a:read".to_owned(), "b:read".to_owned()];
    let scopes = ScopeAudit {
        result: ScopeResult::Denied,
        required: names(),
        granted: vec![],
        missing: names(),
        client_id: "id".into(),
    };
    vec![
        Record::Attempt {
            phase: Phase::First,
            outcome: Outcome::Failure(error()),
            latency_ms: 1,
            scopes_validated: true,
        },
        Record::Scopes(scopes),
        Record::RefreshTokenNotPersisted { error: error() },
        Record::ConnectionLost { connection: 1, error: error() },
        Record::Closed,
        Record::Panicked { location: "src/x.rs:1".into() },
        Record::TokenRequested { grant: "refresh_token", authentication: "basic" },
        Record::TokenIssued { serial: 1, lifetime_ms: 1, rotated: true, trust: Trust::Verified },
        Record::TokenRefused { error: error() },
        Record::RefreshTokenStored { by: "store" },
        Record::ScopesChanged { added: names(), removed: names(), missing: names() },
        Record::IdentityChanged { claim: "sub" },
        Record::KeysLoaded { keys: 1 },
        Record::KeysStale { age_ms: 1, error: error() },
        Record::SocketOpened { connection: 1 },
        Record::SocketClosed { connection: 1, code: 1000, clean: true },
        Record::ChannelMade,
        Record::Subscribed { permitted: 1, refused: 1, rejected: names() },
        Record::Displaced { error: error() },
        Record::ConfigurationLoaded { fingerprint: "00".into() },
        Record::TrustLoaded { store: "memory".into(), roots: 1, pins: 1 },
        Record::ClockStepped { by_ms: -1 },
        Record::Resumed { slept_ms: 1 },
    ]
}

/// The other end of those that come in two.
pub(crate) fn mild() -> Vec<Record> {
    vec![
        Record::Attempt {
            phase: Phase::Renewal,
            outcome: Outcome::Success { scopes: vec!["a:read".into()] },
            latency_ms: 1,
            scopes_validated: true,
        },
        Record::TokenRefused { error: Error::new(Code::Cancelled, Stage::Token, "") },
        Record::ScopesChanged { added: vec![], removed: vec![], missing: vec![] },
        Record::Subscribed { permitted: 1, refused: 0, rejected: vec![] },
    ]
}

#[test]
fn there_is_one_of_each_kind_and_it_is_as_bad_as_its_kind() {
    let of_the_log = [Kind::Loss, Kind::Checkpoint];
    let seen: Vec<Kind> = samples().iter().map(Record::about).collect();
    let expected: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| !of_the_log.contains(kind)).collect();
    assert_eq!(seen, expected);
    for record in samples() {
        assert_eq!(record.level(), record.about().level(), "{record:?}");
    }
    for record in mild() {
        assert!(record.level() < record.about().level(), "{record:?}");
    }
}

#[test]
fn a_record_has_the_members_of_its_kind() {
    for record in samples().iter().chain(&mild()) {
        let mut put = Vec::new();
        record.fields(&mut |name, _| put.push(name));
        // The scopes of an attempt are known only when it succeeds.
        let may_lack = |name: &&&str| **name == "scopes" && !put.contains(*name);
        let members: Vec<&str> = record.about().members().iter().filter(|name| !may_lack(name)).copied().collect();
        assert_eq!(put, members, "{record:?}");
    }
}
