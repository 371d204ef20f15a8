//! Where tokens come from: the application itself, or a source that clients share.

use std::time::Duration;

use ffi_tests::cprog::{each, Program};
use ffi_tests::sim::Issue;

use crate::{honest, renewing};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn an_application_provides_its_own_tokens() {
    for delivery in ["callbacks", "poll"] {
        each("own_provider", |variant| {
            let sim = honest(variant);
            let tokens = [(); 2].map(|()| sim.token().mint(&Issue::new().lifetime(HOUR)).access_token);
            let program = Program::new("own_provider", variant).against(&sim).arg(delivery);
            program.env("GWA_TEST_TOKENS", tokens.join(",")).run().passed();
            let log = sim.record().snapshot();
            assert_eq!((log.token_requests(), log.auths(), log.reauths()), (0, 1, 1), "{delivery}");
            let shown: Vec<_> = log.auths.iter().map(|auth| auth.token.clone()).collect();
            assert_eq!(shown, tokens, "{delivery}");
        });
    }
}

#[test]
fn two_clients_share_one_token() {
    for order in ["first", "between", "last"] {
        each("two_clients_source", |variant| {
            let sim = renewing(variant, 4, 50);
            let run = Program::new("two_clients_source", variant).against(&sim).arg(order).run().passed();
            let log = sim.record().snapshot();
            assert_eq!(log.ws_connects(), 2, "{order}");
            let requests = u64::try_from(log.token_requests()).unwrap();
            // One may have been broken off by the end.
            let tokens = run.number("tokens");
            assert!(tokens <= requests && requests <= tokens + 1, "{order}: {requests} requests, {tokens} tokens");
        });
    }
}
