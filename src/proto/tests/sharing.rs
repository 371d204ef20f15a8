//! Stories of a session whose tokens come from a source that others share.

use std::sync::Arc;

use super::stories::settings;
use crate::audit::{Outcome, Record, ScopeResult};
use crate::error::Code;
use crate::event::State;
use crate::proto::dice::Dice;
use crate::proto::session::{Input, Output, Rounds, Session};
use crate::proto::time::Now;
use crate::proto::token::{Schedule, Token};
use crate::secret::Secret;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_token_that_lacks_what_this_client_needs_is_not_presented,
    what_a_source_of_its_own_has_checked_is_not_checked_again,
];

fn token(serial: u64, scopes: Option<&str>) -> Arc<Token> {
    Arc::new(Token {
        access_token: Secret::new(format!("hush-{serial}")),
        token_type: "bearer".into(),
        lifetime_ms: 600_000,
        refresh_token: None,
        scope: String::new(),
        granted_at_wall_ms: 0,
        serial,
        schedule: Schedule::new(0, 600_000, None, &mut Dice::new(1)),
        scopes: scopes.map(|scopes| scopes.split(' ').map(str::to_owned).collect()),
        trust: crate::audit::Trust::Unverified,
    })
}

/// Feeds a session; results of scope checks, codes of failed attempts, and sockets dialled.
fn feed(session: &mut Session, input: Input) -> (Vec<ScopeResult>, Vec<Code>, usize) {
    let (mut checks, mut failures, mut dials) = (Vec::new(), Vec::new(), 0);
    session.handle(Now { boot_ms: 1_000, awake_ms: 1_000, wall_ms: 1_000 }, 7, input);
    while let Some(output) = session.poll() {
        match output {
            Output::Audit(Record::Scopes(audit)) => checks.push(audit.result),
            Output::Audit(Record::Attempt { outcome: Outcome::Failure(error), .. }) => failures.push(error.code()),
            Output::Dial { .. } => dials += 1,
            _ => {}
        }
    }
    (checks, failures, dials)
}

#[test]
fn a_token_that_lacks_what_this_client_needs_is_not_presented() {
    for (scopes, code) in [(Some("b:read"), Code::ScopeDenied), (None, Code::ScopeUnknown)] {
        let mut session = Session::new(Arc::new(settings()), None).sharing();
        feed(&mut session, Input::Start(Rounds::Forever));
        let denied = feed(&mut session, Input::Publish(token(1, scopes)));
        assert_eq!(denied, (vec![ScopeResult::Denied], vec![code], 0));
        assert_eq!(session.state(), State::ReauthRequired);
        // The same one again, because of another client's refusal: nothing new is said of it.
        assert_eq!(feed(&mut session, Input::Publish(token(1, scopes))).0, []);
        // The next one has it.
        let granted = feed(&mut session, Input::Publish(token(2, Some("b:read a:read"))));
        assert_eq!(granted, (vec![ScopeResult::Allowed], Vec::new(), 1));
        assert_eq!(session.state(), State::Connecting);
    }
}

#[test]
fn what_a_source_of_its_own_has_checked_is_not_checked_again() {
    let mut session = Session::new(Arc::new(settings()), None);
    feed(&mut session, Input::Start(Rounds::Forever));
    assert_eq!(feed(&mut session, Input::Publish(token(1, Some("a:read")))), (Vec::new(), Vec::new(), 1));
}
