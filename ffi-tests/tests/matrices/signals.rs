//! Signals: none reaches the library's threads, none breaks a call, and SIGPIPE never comes.

use ffi_tests::cprog::{each, Program};
use ffi_tests::proxy::Proxy;
use ffi_tests::sim::{Action, AuthReply, Plan, Sim, TcpReply, TokenReply, Trigger, UpgradeReply};

use crate::{renewing, say};

#[test]
fn a_storm_of_signals_breaks_no_call() {
    for delivery in ["callbacks", "inline", "poll"] {
        each("signal_storm", |variant| {
            let sim = renewing(variant);
            let program = Program::new("signal_storm", variant).against(&sim).set("delivery", delivery);
            let run = program.arg(delivery).run().passed();
            assert_eq!((run.number("gaps"), sim.record().ws_connects()), (0, 1), "nothing was lost");
            say(&format!("signals: {} handled, delivery = {delivery}, {}", run.number("signals"), variant.name()));
        });
    }
}

/// Where the peer resets: each time the client has to come back from it, SIGPIPE having its default action.
type Path = (&'static str, fn(&Sim));

const PATHS: [Path; 6] = [
    ("TCP and TLS", |sim| _ = sim.tcp().then(TcpReply::Reset).then(TcpReply::Reset)),
    ("token request", |sim| _ = sim.token().times(2, &TokenReply::Reset)),
    ("upgrade", |sim| _ = sim.ws().on_upgrade(UpgradeReply::Reset).on_upgrade(UpgradeReply::Reset)),
    ("authentication", |sim| {
        _ = sim
            .ws()
            .on_first_auth(AuthReply::Act(vec![Action::Reset]))
            .on_first_auth(AuthReply::Act(vec![Action::Reset]));
    }),
    ("renewal", |sim| _ = sim.ws().on_reauth(AuthReply::Act(vec![Action::Reset]))),
    ("live", |sim| {
        let reset = || Plan::new().on(Trigger::Auths(1), [Action::Reset]);
        _ = sim.ws().plan(0, reset()).plan(1, reset());
    }),
];

#[test]
fn no_sigpipe_wherever_the_peer_resets() {
    let mut count = 0;
    for (name, script) in PATHS {
        for through_proxy in [false, true] {
            each("sigpipe_paths", |variant| {
                let sim = renewing(variant);
                script(&sim);
                let mut program = Program::new("sigpipe_paths", variant).against(&sim);
                let proxy = through_proxy.then(Proxy::start);
                if let Some(proxy) = &proxy {
                    program = program.set("proxy", proxy.url());
                }
                let run = program.run().passed();
                assert!(run.number("sent") > 0, "{name}, proxy: {through_proxy}");
                assert!(proxy.is_none_or(|proxy| proxy.asked().len() >= 2), "{name}");
            });
            count += 1;
        }
    }
    say(&format!("SIGPIPE: {count} I/O paths whose peer resets, directly and by a proxy"));
}
