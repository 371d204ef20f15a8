//! Programs about single functions: most need no simulator.

use std::fs;

use ffi_tests::cprog::{each, Program, Variant};
use ffi_tests::sim::{Code, Issue, Rotation, TcpReply, TokenReply};

use crate::{honest, renewing};

#[test]
fn bad_input_is_named() {
    each("bad_input", |variant| drop(Program::new("bad_input", variant).run().passed()));
}

#[test]
fn statuses_have_names_and_texts() {
    each("statuses", |variant| drop(Program::new("statuses", variant).run().passed()));
}

#[test]
fn versions_agree() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"').to_owned();
    each("versions", |variant| drop(Program::new("versions", variant).arg(&version).run().passed()));
}

#[test]
fn the_header_serves_c89_twice() {
    each("header_c89", |variant| drop(Program::with_standard("header_c89", variant, "c89").run().passed()));
}

#[test]
fn scopes_are_checked_without_a_client() {
    each("scopes_check", |variant| drop(Program::new("scopes_check", variant).run().passed()));
}

#[test]
fn what_a_renewal_changes_of_the_scopes_is_told() {
    each("scopes_lost", |variant| {
        let sim = honest(variant);
        let lacking = Issue::new().scope("user:read extra:read");
        sim.token().then(TokenReply::Issue(Issue::new())).then(TokenReply::Issue(lacking));
        let program = Program::new("scopes_lost", variant).against(&sim).set("scopes.required", "conversation:read");
        program.set("token.refresh_floor_ms", 0).run().passed();
        assert_eq!((sim.record().ws_connects(), sim.record().token_requests()), (1, 3));
    });
}

#[test]
fn metrics_fit_older_and_newer_callers() {
    each("metrics_sizes", |variant| {
        let sim = honest(variant);
        Program::new("metrics_sizes", variant).against(&sim).run().passed();
    });
}

#[test]
fn a_token_for_own_calls() {
    each("token_call", |variant| {
        let sim = honest(variant);
        Program::new("token_call", variant).against(&sim).run().passed();
        assert_eq!(sim.record().ws_connects(), 1);
    });
}

#[test]
fn a_new_secret_leaves_reauth_required() {
    each("new_secret", |variant| {
        let sim = honest(variant);
        let right = sim.token().issued().len().to_string() + "-right-secret";
        sim.token().policy(|policy| policy.client_secret.clone_from(&right));
        let program = Program::new("new_secret", variant).against(&sim).env("GENESYS_CLIENT_SECRET", "wrong-secret");
        program.env("GWA_TEST_SECRET", &right).run().passed();
        let log = sim.record().snapshot();
        assert!(log.requests.iter().filter(|request| request.status == Some(401)).count() >= 1);
        // A socket that was opened ahead of the first token has seen none.
        assert_eq!((log.auths(), log.auths[0].connection + 1), (1, log.ws_connects()));
    });
}

#[test]
fn a_rotated_refresh_token_is_persisted_first() {
    for (how, waits, failures) in
        [("now", false, 0), ("thread", false, 0), ("late", true, 1), ("never", true, 1), ("fail", false, 1)]
    {
        each("persist", |variant| {
            let sim = honest(variant);
            sim.token().policy(|policy| policy.rotation = Rotation::KeepOld);
            let timeout = 400 * variant.slowness();
            let program = Program::new("persist", variant).against(&sim).arg(how);
            let run = program.set("token.persist_timeout_ms", timeout).run().passed();
            assert!(!waits || run.number("connect_ms") >= u64::from(timeout), "{how}: the answer was waited for");
            assert_eq!(run.number("failures"), failures, "{how}: what was not persisted is audited");
            assert!(sim.record().auths() == 1 && sim.record().token_requests() == 1, "{how}");
        });
    }
}

#[test]
fn an_authorization_code_is_asked_for() {
    for delivery in ["callbacks", "poll"] {
        each("authorize", |variant| {
            let sim = honest(variant);
            let terms = Code { redirect_uri: Some("https://app.example/back".into()), challenge: None };
            sim.token().register_code("code-of-a-person", terms);
            let program = Program::new("authorize", variant).against(&sim).arg(delivery);
            let program = program.env("GENESYS_REFRESH_TOKEN", "dead-refresh-token");
            program.env("GWA_TEST_CODE", "code-of-a-person").run().passed();
            let log = sim.record().snapshot();
            let grants: Vec<_> = log.requests.iter().filter_map(|request| request.form("grant_type")).collect();
            assert_eq!(grants, ["refresh_token", "authorization_code"], "{delivery}");
            assert_eq!((log.auths(), log.auths[0].connection + 1), (1, log.ws_connects()), "{delivery}");
        });
    }
}

#[test]
fn a_storm_of_signals_interrupts() {
    each("interrupt_storm", |variant| {
        let sim = honest(variant);
        let count = if variant.slowness() > 2 { 300 } else { 5_000 };
        let run = Program::new("interrupt_storm", variant).against(&sim).env("GWA_TEST_COUNT", count).run().passed();
        assert!(run.number("handled") > 0 && sim.record().ws_connects() == 1);
    });
}

#[test]
fn a_signal_handler_interrupts() {
    for call in ["connect", "token", "next_event"] {
        each("interrupt", |variant| {
            let sim = honest(variant);
            sim.token().always(TokenReply::Hang);
            Program::new("interrupt", variant).against(&sim).arg(call).run().passed();
        });
    }
    each("interrupt", |variant| {
        let sim = honest(variant);
        sim.tcp().always(TcpReply::Stall);
        Program::new("interrupt", variant).against(&sim).arg("connect").run().passed();
    });
}

#[test]
fn a_slow_callback_delays_no_renewal() {
    each("slow_callback", |variant| {
        let sim = renewing(variant, 4, 50);
        Program::new("slow_callback", variant).against(&sim).env("GWA_TEST_COUNT", 2).run().passed();
        assert!(sim.record().reauths() >= 2 && sim.record().ws_connects() == 1);
    });
}

/// The tools see into the library: what is planted is found, and only that.
#[test]
fn planted_defects_are_found() {
    each("planted", |variant| {
        Program::new("planted", variant).arg("none").run().passed();
        // ThreadSanitizer has planted races: tests/matrices/tsan.rs.
        if matches!(variant, Variant::Asan | Variant::Valgrind) {
            for (defect, word) in [("leak", "lost"), ("after", "free")] {
                let run = Program::new("planted", variant).arg(defect).run();
                assert_eq!(run.status.code(), Some(99), "{defect}: {run:?}");
                assert!(run.stderr.contains(word) || run.stderr.contains("leak"), "{defect}: {}", run.stderr);
            }
        }
    });
}
