//! Stories of the token: one rule each.

use std::sync::Arc;

use super::faults::Fault;
use super::server::Nature;
use super::stories::{live, settings, world, HOUR, MINUTE};
use super::world::World;
use crate::audit::{Phase, Record, ScopeResult};
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::event::{Question, State};
use crate::hooks::Answer;
use crate::proto::http::Reply;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Input, Output, Refresher};
use crate::proto::session::Rounds;
use crate::proto::time::Now;
use crate::secret::Secret;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    the_table_of_refusals,
    a_scope_denial_is_recorded_once_and_no_token_leaves,
    a_rotated_refresh_token_is_persisted_first,
    persisting_takes_five_seconds_at_most,
    who_has_been_unregistered_is_not_asked,
    lifetimes_in_every_spelling,
    a_failed_renewal_keeps_the_token,
    retry_after_is_a_lower_bound,
    a_quota_is_waited_out_and_shown,
    the_second_401_asks_for_a_code,
    a_refused_code_is_not_sent_again,
    a_new_credential_leaves_reauth_required,
    what_the_application_hands_over_is_not_overwritten,
    a_refusal_of_a_replaced_credential_starts_over,
    the_breaker_opens_after_five,
    throttles_wait_longer,
    forced_refreshes_keep_their_distance,
    the_answer_to_another_request_is_ignored,
    renewals_keep_their_lead,
    at_least_three_more_attempts,
    a_407_is_final_for_a_stranger_and_an_outage_for_others,
    the_servers_clock_is_learned_from_its_answers,
];

/// Starts with `Rounds::Once` under a fault; the world after the failure.
fn failed(fault: Fault) -> World {
    let mut w = world(Nature::default());
    w.fault_for(fault, HOUR);
    w.start(Rounds::Once);
    assert!(w.run_until(10 * MINUTE, |w| !w.watch.failed.is_empty()), "{fault:?}: connect goes on");
    w
}

#[test]
fn the_table_of_refusals() {
    for (fault, code, requests) in [
        (Fault::TokenUnauthorized, Code::Unauthorized, 1),
        (Fault::TokenForbidden, Code::Forbidden, 1),
        (Fault::TokenUnavailable, Code::Unavailable, 3),
        (Fault::TokenThrottled, Code::Throttled, 3),
        (Fault::TokenThrottledFor, Code::Throttled, 3),
        (Fault::TokenRateLimited, Code::Throttled, 3),
        (Fault::TokenQuota, Code::ThrottledLong, 1),
        (Fault::TokenHtml, Code::TokenResponse, 3),
        (Fault::TokenUnreachable, Code::Connect, 3),
        (Fault::TokenProxyAuth, Code::ProxyAuth, 1),
        (Fault::TokenHangs, Code::HttpTimeout, 3),
        (Fault::TokenTooShort, Code::TokenLifetime, 3),
        (Fault::TokenScopeMissing, Code::ScopeDenied, 1),
    ] {
        let mut w = failed(fault);
        assert_eq!(w.watch.failed[0].code(), code);
        assert_eq!(w.watch.failed[0].detail().attempt, requests, "{fault:?}");
        assert_eq!(w.watch.refreshes.len() as u32, requests, "{fault:?}");
        assert!(matches!(w.watch.attempts[..], [(Phase::First, false, _)]), "{fault:?}: {:?}", w.watch.attempts);
        w.run_for(MINUTE);
        w.close();
        w.run_for(MINUTE);
        assert_eq!((w.watch.stopped, w.state()), ((1, 1), State::Idle), "{fault:?}");
        // One socket ahead of the token, which has seen none.
        assert_eq!((w.watch.failed.len(), w.watch.dials.len()), (1, 1), "{fault:?}");
        assert!(w.server.frames.is_empty(), "{fault:?}");
    }
}

#[test]
fn a_scope_denial_is_recorded_once_and_no_token_leaves() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenScopeMissing, HOUR);
    w.start(Rounds::Forever);
    w.run_for(HOUR);
    let denials = |record: &&Record| matches!(record, Record::Scopes(audit) if audit.result == ScopeResult::Denied);
    assert_eq!(w.watch.records.iter().filter(denials).count(), 1);
    assert_eq!(w.watch.errors[0].detail().missing_scopes, ["a:read"]);
    assert_eq!((w.watch.dials.len(), w.state()), (1, State::ReauthRequired));
    assert!(w.server.frames.is_empty() && w.sockets.is_empty(), "a socket waits on");
    let unchecked = |record: &Record| matches!(record, Record::Attempt { scopes_validated: false, .. });
    assert!(w.watch.records.iter().any(unchecked));
}

#[test]
fn a_rotated_refresh_token_is_persisted_first() {
    let mut w = world(Nature { persist_ms: 3_000, ..Nature::default() });
    w.start(Rounds::Forever);
    assert!(w.run_until(MINUTE, |w| !w.watch.asks.is_empty()));
    assert!(w.watch.tokens.is_empty());
    w.until_live(MINUTE);
    w.run_for(HOUR);
    assert!(w.server.forms[0].ends_with("refresh_token=hush-r0"));
    assert!(w.server.forms[1].ends_with("refresh_token=hush-r2"));
    assert!(w.watch.records.iter().all(|record| !matches!(record, Record::RefreshTokenNotPersisted { .. })));
}

#[test]
fn persisting_takes_five_seconds_at_most() {
    for (fault, wait, code) in
        [(Fault::AppNeverPersists, 5_000, Code::Timeout), (Fault::AppCannotPersist, 5, Code::CallbackFailed)]
    {
        let mut w = world(Nature::default());
        w.fault_for(fault, HOUR);
        w.start(Rounds::Forever);
        w.until_live(10_000);
        assert_eq!(w.watch.tokens[0].0, 20 + wait);
        let why = w.watch.records.iter().find_map(|record| match record {
            Record::RefreshTokenNotPersisted { error } => Some(error.code()),
            _ => None,
        });
        assert_eq!(why, Some(code));
    }
}

#[test]
fn who_has_been_unregistered_is_not_asked() {
    let secret = |text: &str| Secret::new(text.into());
    let credentials =
        Credentials { client_secret: secret("hush"), refresh_token: Some(secret("hush-r0")), ..Credentials::default() };
    let mut refresher = Refresher::new(Arc::new(settings()), credentials, true, 0);
    let at = |boot_ms| Now { boot_ms, ..Now::default() };
    let asked_and_published = |refresher: &mut Refresher| {
        let outputs: Vec<Output> = std::iter::from_fn(|| refresher.poll()).collect();
        let count = |of: fn(&Output) -> bool| outputs.iter().filter(|output| of(output)).count();
        (count(|output| matches!(output, Output::Ask { .. })), count(|output| matches!(output, Output::Publish(_))))
    };
    let granted = |refresh_token: &str| {
        let body = format!(
            r#"{{"access_token":"t","token_type":"bearer","expires_in":600,"scope":"a:read","refresh_token":"{refresh_token}"}}"#
        );
        Ok(Reply { status: 200, body: body.into(), ..Reply::default() })
    };
    refresher.handle(at(0), 1, Input::Start);
    refresher.handle(at(10), 1, Input::Replied { epoch: 1, outcome: granted("hush-r1") });
    assert_eq!(asked_and_published(&mut refresher), (1, 0));
    refresher.set_can_ask(false);
    refresher.handle(at(20), 1, Input::Answered { id: 1, answer: Ok(Answer::Done) });
    assert_eq!(asked_and_published(&mut refresher), (0, 1), "the answer to an open question counts");
    refresher.handle(at(300_000), 1, Input::RefreshNow);
    refresher.handle(at(300_010), 1, Input::Replied { epoch: 2, outcome: granted("hush-r2") });
    assert_eq!(asked_and_published(&mut refresher), (0, 1), "without a question");
}

#[test]
fn lifetimes_in_every_spelling() {
    let jwt = "eyJhbGciOiJ4In0.eyJzY29wZSI6ImE6cmVhZCIsImlhdCI6MTAwMCwiZXhwIjoxMDYwfQ.s";
    let opaque = "{token}";
    for (token, expires_in, lifetime_ms) in [
        (opaque, r#""expires_in":3600,"#, Some(3_600_000)),
        (opaque, r#""expires_in":"3600","#, Some(3_600_000)),
        (opaque, r#""expires_in":1.5009,"#, Some(1_500)),
        (opaque, r#""expires_in":1e12,"#, Some(38_880_000_000)),
        (opaque, "", Some(300_000)),
        (opaque, r#""expires_in":"soon","#, Some(300_000)),
        (opaque, r#""expires_in":0,"#, None),
        (opaque, r#""expires_in":-1,"#, None),
        (opaque, r#""expires_in":0.999,"#, None),
        // 60 s from iat to exp.
        (jwt, r#""expires_in":3600,"#, Some(60_000)),
        (jwt, r#""expires_in":30,"#, Some(30_000)),
        (jwt, "", Some(60_000)),
    ] {
        let body = format!(r#"{{"access_token":"{token}",{expires_in}"token_type":"Bearer","scope":"a:read"}}"#);
        let mut w = world(Nature { body: Some(body), ..Nature::default() });
        w.feed_refresher(Input::Start);
        w.run_for(100);
        let token = w.watch.tokens.first().map(|(_, token)| token.lifetime_ms);
        assert_eq!(token, lifetime_ms, "{expires_in}");
    }
}

#[test]
fn a_failed_renewal_keeps_the_token() {
    let mut w = live(Nature::default());
    w.fault_for(Fault::TokenUnavailable, 50 * MINUTE);
    let refresh_ms = w.watch.tokens[0].1.schedule.refresh_ms;
    w.run_for(refresh_ms + 90_000);
    assert!(w.watch.refreshes.len() > 3);
    let wish = w.wish(MINUTE);
    assert_eq!(w.watch.answers_given.last(), Some(&(w.now_ms, wish, true)));
    assert_eq!(w.state(), State::Ready);
    w.run_for(30 * MINUTE);
    assert_eq!((w.watch.renewals.len(), w.watch.gaps.len(), w.watch.dials.len()), (1, 0, 1));
    assert!(w.watch.attempts.iter().any(|(phase, success, _)| *phase == Phase::Renewal && !success));
}

/// Requests for a successor before `t_usable` of a token of this lifetime, when every one fails after `fail_ms`.
fn attempts(lifetime_ms: u64, fail_ms: u64, lead_ms: Option<u64>, seed: u64) -> usize {
    let client_secret = Secret::new("hush".into());
    let credentials = Credentials { client_secret, ..Credentials::default() };
    let settings = Arc::new(Settings { lead_ms, ..settings() });
    let mut refresher = Refresher::new(settings, credentials, false, 0);
    let (mut now, mut usable_ms, mut count) = (Now::default(), u64::MAX, 0);
    let mut input = Some(Input::Start);
    while now.boot_ms < usable_ms {
        refresher.handle(now, seed + now.boot_ms, input.take().unwrap_or(Input::Timeout));
        while let Some(output) = refresher.poll() {
            match output {
                Output::Http { epoch, .. } if usable_ms == u64::MAX => {
                    let seconds = lifetime_ms as f64 / 1_000.0;
                    let body = format!(
                        r#"{{"access_token":"t","token_type":"bearer","expires_in":{seconds},"scope":"a:read"}}"#
                    );
                    let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
                    input = Some(Input::Replied { epoch, outcome: Ok(reply) });
                }
                Output::Http { epoch, request } => {
                    count += 1;
                    now.boot_ms += fail_ms.min(request.timeout_ms);
                    let outcome = Err(Error::new(Code::HttpTimeout, Stage::Token, ""));
                    input = Some(Input::Replied { epoch, outcome });
                }
                Output::Publish(token) => usable_ms = token.schedule.usable_ms,
                _ => {}
            }
        }
        if input.is_none() {
            now.boot_ms = now.boot_ms.max(refresher.next_timeout().unwrap());
        }
    }
    count
}

#[test]
fn at_least_three_more_attempts() {
    let mut lifetime_ms = 1_000;
    while lifetime_ms <= 450 * 24 * HOUR {
        for seed in [0, 1_000, 2_000] {
            let failing = attempts(lifetime_ms, lifetime_ms / 20, None, seed);
            assert!(failing >= 4, "{failing} attempts at L = {lifetime_ms}, failing");
            let hanging = attempts(lifetime_ms, u64::MAX, None, seed);
            assert!(lifetime_ms < 40_000 || hanging >= 4, "{hanging} attempts at L = {lifetime_ms}, hanging");
        }
        let longest = attempts(lifetime_ms, lifetime_ms / 20, Some(HOUR), 1);
        assert!(longest >= 4, "{longest} attempts at L = {lifetime_ms}, with a lead of an hour");
        // Never a hot loop.
        let most = attempts(lifetime_ms, 0, None, 1);
        assert!(most < 300, "{most} attempts at L = {lifetime_ms}");
        lifetime_ms *= 3;
    }
}

#[test]
fn retry_after_is_a_lower_bound() {
    // The watch looks at every throttle.
    let mut w = live(Nature { lifetime_ms: 10 * MINUTE, ..Nature::default() });
    w.fault_for(Fault::TokenThrottledFor, 8 * MINUTE);
    w.run_for(HOUR);
    assert!(w.watch.errors.iter().any(|error| error.code() == Code::Throttled));
    assert!(w.is_live());
}

#[test]
fn a_quota_is_waited_out_and_shown() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenQuota, 10 * MINUTE);
    w.start(Rounds::Forever);
    w.until_state(State::Throttled, 1_000);
    let change = w.watch.states.last().unwrap();
    assert_eq!((change.reason, change.error.as_ref().unwrap().code()), ("throttled", Code::ThrottledLong));
    w.run_for(10 * MINUTE);
    assert!(w.watch.refreshes.len() <= 4);
    w.until_live(10 * MINUTE);
}

#[test]
fn the_second_401_asks_for_a_code() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenUnauthorized, MINUTE);
    w.start(Rounds::Forever);
    w.until_state(State::ReauthRequired, 1_000);
    assert!(w.watch.asks.is_empty());
    w.refresh_now();
    w.run_for(1_000);
    assert!(matches!(w.watch.asks[..], [(_, Question::AuthorizationCode(_))]));
    w.run_for(MINUTE);
    if w.state() == State::ReauthRequired {
        // The answer came while the endpoint still refused everything: asked again.
        w.refresh_now();
    }
    w.until_live(2 * MINUTE);
    w.run_for(3 * HOUR);
    let codes: Vec<&String> = w.server.forms.iter().filter(|form| form.contains("authorization_code")).collect();
    let mut once = codes.clone();
    once.dedup();
    assert!(!codes.is_empty() && once.len() == codes.len(), "{codes:?}");
    assert!(w.is_live());
}

#[test]
fn a_refused_code_is_not_sent_again() {
    let mut w = world(Nature::default());
    w.server.kill_refresh_token();
    w.start(Rounds::Forever);
    assert!(w.run_until(1_000, |w| !w.watch.asks.is_empty()));
    // The code comes and is refused by the server.
    w.fault_for(Fault::TokenForbidden, 2 * MINUTE);
    w.run_for(90_000);
    w.refresh_now();
    w.run_for(MINUTE);
    w.refresh_now();
    w.run_for(MINUTE);
    let mut codes: Vec<&String> = w.server.forms.iter().filter(|form| form.contains("authorization_code")).collect();
    let sent = codes.len();
    codes.dedup();
    assert!(sent > 0 && codes.len() == sent, "{codes:?}");
}

#[test]
fn a_new_credential_leaves_reauth_required() {
    let mut w = live(Nature::default());
    w.strike(Fault::RefreshTokenDies, 0);
    w.fault_for(Fault::AppHasNoCode, 24 * HOUR);
    w.until_state(State::Degraded, HOUR);
    assert_eq!(w.watch.states.last().unwrap().reason, "credentials refused");
    w.until_state(State::ReauthRequired, HOUR);
    let (requests, dials) = (w.watch.refreshes.len(), w.watch.dials.len());
    w.run_for(5 * HOUR);
    assert_eq!((w.watch.refreshes.len(), w.watch.dials.len()), (requests, dials), "nothing is tried");
    w.new_credential();
    w.until_live(5_000);
}

#[test]
fn what_the_application_hands_over_is_not_overwritten() {
    let mut w = live(Nature::default());
    w.refresh_now();
    w.run_for(12);
    // The answer is on its way, with a refresh token of the old grant.
    w.new_credential();
    let handed = w.refresher.credentials().refresh_token.clone();
    w.run_for(30 * MINUTE);
    assert_eq!(w.refresher.credentials().refresh_token, handed);
    w.run_for(HOUR);
    let form = format!("refresh_token={}", handed.unwrap().expose());
    assert!(w.server.forms.iter().any(|sent| sent.ends_with(&form)));
}

#[test]
fn a_refusal_of_a_replaced_credential_starts_over() {
    let mut w = live(Nature::default());
    w.server.kill_refresh_token();
    w.refresh_now();
    w.run_for(12);
    w.new_credential();
    w.run_for(MINUTE);
    assert_eq!((w.state(), w.watch.tokens.len()), (State::Ready, 2));
}

/// Times between the requests.
fn pauses(w: &World) -> Vec<u64> {
    w.watch.refreshes.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn the_breaker_opens_after_five() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenUnavailable, HOUR);
    w.start(Rounds::Forever);
    w.run_for(10 * MINUTE);
    let pauses = pauses(&w);
    assert!(pauses[..4].iter().all(|pause| (1_000..10_000).contains(pause)), "{pauses:?}");
    assert!(pauses[4..].iter().all(|pause| (30_000..=61_000).contains(pause)), "{pauses:?}");
    assert!(pauses.len() > 10);
}

#[test]
fn throttles_wait_longer() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenRateLimited, 6 * HOUR);
    w.start(Rounds::Forever);
    w.run_for(6 * HOUR);
    let pauses = pauses(&w);
    assert!(pauses[..4].iter().all(|pause| (1_000..10_000).contains(pause)), "{pauses:?}");
    assert!((30_000..=501_000).contains(&pauses[4]), "{pauses:?}");
    assert!(pauses[5..].iter().all(|pause| (300_000..=501_000).contains(pause)), "{pauses:?}");
    let differ = pauses[5..].windows(2).filter(|two| two[0].abs_diff(two[1]) > 1_000).count();
    assert!(differ * 10 > pauses[6..].len() * 9, "the jitter is cut off: {pauses:?}");
}

#[test]
fn forced_refreshes_keep_their_distance() {
    let mut w = live(Nature::default());
    for _ in 0..200 {
        w.refresh_now();
        w.run_for(700);
    }
    let pauses = pauses(&w);
    assert!(pauses.len() >= 6 && pauses[1..].iter().all(|pause| *pause >= 20_000), "{pauses:?}");
}

#[test]
fn the_answer_to_another_request_is_ignored() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenHangs, MINUTE);
    w.start(Rounds::Forever);
    w.run_for(100);
    let outcome = Err(Error::new(Code::Unauthorized, Stage::Token, ""));
    w.refresher.handle(w.now(), 0, Input::Replied { epoch: 77, outcome });
    assert!(w.refresher.poll().is_none());
    assert_eq!(w.refresher.senseless(), 1);
}

#[test]
fn renewals_keep_their_lead() {
    for lifetime_ms in [1_000, 10_000, 5 * MINUTE, HOUR, 24 * HOUR] {
        let mut w = live(Nature { lifetime_ms, push_ms: HOUR, ..Nature::default() });
        w.run_for(3 * lifetime_ms);
        let least = w.watch.renewals.iter().map(|(lead, _)| *lead).min().unwrap();
        assert!(least + 100 >= (lifetime_ms / 2).min(5 * MINUTE), "{least} of {lifetime_ms}");
    }
}

#[test]
fn a_407_is_final_for_a_stranger_and_an_outage_for_others() {
    // The table above has the stranger.
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    w.fault_for(Fault::TokenProxyAuth, 5 * MINUTE);
    w.refresh_now();
    w.run_for(5 * MINUTE);
    assert!(w.watch.states.iter().all(|change| change.to != State::ReauthRequired));
    assert!(w.watch.refreshes.len() > 5, "{:?}", w.watch.refreshes);
    w.run_for(2 * MINUTE);
    assert_eq!((w.state(), w.watch.renewals.len()), (State::Ready, 1));
}

#[test]
fn the_servers_clock_is_learned_from_its_answers() {
    let mut w = live(Nature { network_ms: (50, 50), ..Nature::default() });
    assert_eq!(w.ahead_ms, None);
    // The world began at 2026-01-01 00:00:00.
    w.server.date = Some("Thu, 01 Jan 2026 01:00:10 GMT".into());
    w.run_for(10 * MINUTE - w.now_ms);
    w.refresh_now();
    w.run_for(1_000);
    // Written 50 ms after the request: 50 min 10 s and half a second, less those.
    assert_eq!(w.ahead_ms, Some(50 * 60_000 + 10_500 - 50));
}
