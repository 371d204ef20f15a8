//! Where tokens come from: the application itself, or a source that clients share.

use std::time::Duration;

use ffi_tests::cprog::{each, Program};
use ffi_tests::sim::Issue;

use crate::honest;

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
