//! One source of tokens, many clients.

use std::sync::Arc;
use std::time::Duration;

use ffi_tests::sim::{AuthReply, Options, Plan, Rotation, Sim, TokenReply, Trigger, UpgradeReply};
use genesys_ws_auth::error::Stage;
use genesys_ws_auth::event::{Event, Notice, Question, State};
use genesys_ws_auth::hooks::{Answer, Hooks};
use genesys_ws_auth::{Code, Config, Secret, TokenSource};

use crate::harness::*;
use crate::inn::{tokens, Guest, Inn};

#[test]
fn twenty_clients_and_one_request_a_renewal() {
    let inn = Inn::with_lifetime(3_000);
    let guests: Vec<Guest> = (0..20).map(|_| inn.guest()).collect();
    each(&guests, |guest| guest.client.connect(Some(BOUND)).unwrap());
    inn.seen.wait("five tokens", |saws| tokens(saws) >= 5);
    for guest in &guests {
        guest.seen.wait("five tokens", |saws| tokens(saws) >= 4);
    }
    let stats = guests[7].client.stats_json();
    assert!(stats.contains(r#""token_source":{"clients":20,"#) && stats.contains(r#""usable_for_ms":"#), "{stats}");
    assert_eq!(guests[3].client.metrics().token_requests, 0, "the source makes them");
    let first = guests[0].client.token(Duration::ZERO, Some(BOUND)).unwrap();
    assert!(inn.sim.token().issued().iter().any(|issued| issued.access_token == first.access_token.expose()));
    for guest in guests {
        let saws = guest.close();
        assert_eq!((gaps(&saws), handovers(&saws)), (0, 0), "{}", show(&saws));
    }
    let (requests, connects) = (inn.sim.record().token_requests(), inn.sim.record().ws_connects());
    assert_eq!(connects, 20);
    let saws = inn.close();
    // One may have been broken off by the end.
    let tokens = tokens(&saws);
    assert!((tokens..=tokens + 1).contains(&requests), "{requests} requests, {tokens} tokens");
    assert!(states(&saws).starts_with(&[State::AcquiringToken, State::Ready]), "{}", show(&saws));
    assert_eq!(states(&saws).last(), Some(&State::Idle));
    check_records(&saws);
}

/// The source's own records: numbered without a hole, about scopes only.
fn check_records(saws: &[Saw]) {
    let seqs = saws.iter().filter_map(|saw| if let Saw::Audit(record) = saw { record["seq"].as_u64() } else { None });
    let seqs: Vec<u64> = seqs.collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
    assert_eq!(count(saws, |saw| matches!(saw, Saw::Message { .. } | Saw::Sent(_) | Saw::GapBegin(_))), 0);
}

#[test]
fn who_joins_late_gets_the_token_at_once() {
    let inn = Inn::open(Options::default());
    let first = inn.connected();
    // From here on the endpoint is of no use.
    inn.sim.token().always(TokenReply::Hang);
    let second = inn.connected();
    assert_eq!(inn.sim.record().token_requests(), 1);
    second.seen.wait("the token", |saws| tokens(saws) == 1);
    assert_eq!(first.close().iter().filter(|saw| matches!(saw, Saw::Token(_))).count(), 1);
    second.close();
    inn.close();
}

#[test]
fn the_source_runs_while_somebody_does_and_again() {
    let inn = Inn::open(Options::default());
    assert!(inn.seen.all().is_empty(), "nothing runs before the first client");
    let idle = inn.guest();
    for round in 1..=3 {
        let guests = [inn.connected(), inn.connected()];
        assert_eq!(inn.sim.record().token_requests(), round, "one request for both");
        guests.into_iter().for_each(|guest| drop(guest.close()));
        inn.seen.wait_state(State::Idle, round);
    }
    let saws = idle.close();
    assert!(saws.is_empty(), "{}", show(&saws));
    let saws = inn.close();
    assert_eq!(tokens(&saws), 3);
    check_records(&saws);
}

#[test]
fn a_client_that_starts_while_the_last_one_stops_is_served() {
    let inn = Inn::of(Sim::start(Options::default()), |config| {
        config.set_secret("token.refresh_token", Secret::new("a-refresh-token".into())).unwrap();
        // Closing waits for an answer that may carry a refresh token.
        config.set("close.timeout_ms", "60000").unwrap();
    });
    inn.sim.token().add_refresh("a-refresh-token").policy(|policy| policy.rotation = Rotation::KeepOld);
    inn.sim.token().then(TokenReply::TrickleBytes { chunk: 32, delay_ms: 60 });
    let first = inn.guest();
    first.client.start().unwrap();
    inn.wait_sim("a request", |log| log.token_requests() == 1);
    assert!(first.client.shutdown(Some(BOUND)).complete, "its own threads wait for nothing");
    // The refresher is still waiting for the answer that nobody needs; the next client joins it, and one that goes again.
    let passing = inn.guest();
    passing.client.start().unwrap();
    passing.close();
    let second = inn.guest();
    second
        .client
        .set_secret("client.secret", Secret::new(ffi_tests::sim::TokenPolicy::default().client_secret))
        .unwrap();
    second.client.connect(Some(BOUND)).unwrap();
    assert_eq!(inn.sim.record().token_requests(), 2);
    let asked = count(&inn.seen.all(), |saw| matches!(saw, Saw::Ask(Question::PersistRefreshToken(_))));
    assert_eq!(asked, 2, "the answer that nobody waited for brought a refresh token too");
    second.close();
    inn.close();
}

#[test]
fn a_client_that_polls_shares_too() {
    let inn = Inn::with_lifetime(3_000);
    let guest = inn.guest_with(|config| {
        config.set("delivery", "poll").unwrap();
        config.hooks = Hooks::default();
    });
    guest.client.connect(Some(BOUND)).unwrap();
    let mut renewed = 0;
    while renewed < 2 {
        let event = guest.client.next_event(Some(BOUND)).unwrap().expect("an event");
        renewed += usize::from(matches!(event, Event::Notice(Notice::Token(_))));
    }
    assert!(guest.client.shutdown(Some(BOUND)).complete);
    while guest.client.next_event(Some(BOUND)).is_ok() {}
    assert_eq!(code(guest.client.next_event(Some(BOUND))), Some(Code::Closed));
    inn.close();
}

#[test]
fn any_order_of_the_end() {
    for order in 0..4 {
        let inn = Inn::with_lifetime(2_000);
        let (first, second) = (inn.connected(), inn.connected());
        let Inn { sim, source, seen } = inn;
        let mut source = Some(source);
        let mut free = |at: usize| {
            if at == order {
                let source = source.take().unwrap();
                assert!(source.release(Some(BOUND)), "it is left to its clients");
            }
        };
        free(0);
        let known = tokens(&seen.all());
        second.seen.wait("a renewal", |saws| tokens(saws) > known + 1);
        first.close();
        free(1);
        let known = tokens(&second.seen.all());
        second.seen.wait("a renewal", |saws| tokens(saws) > known);
        seen.wait("it too", |saws| tokens(saws) > known);
        drop(second.client);
        free(2);
        drop(source);
        // The hooks are gone, and with them what they hold.
        assert_eq!(Arc::strong_count(&seen), 1, "order {order}");
        assert_eq!(sim.record().ws_connects(), 2);
    }
}

#[test]
fn clients_hear_of_failed_rounds_and_of_the_end_of_an_outage() {
    let inn = Inn::open(Options::default());
    inn.sim.token().always(TokenReply::Reset);
    let first = inn.guest();
    let error = first.client.connect(Some(BOUND)).unwrap_err();
    assert_eq!((error.code(), error.detail().stage), (Code::Dropped, Stage::Token), "{error}");
    assert_eq!(first.client.state(), State::Idle);
    // One waits on, one comes later and gives up after the next round.
    let patient = inn.guest();
    patient.client.start().unwrap();
    patient.seen.wait_state(State::AcquiringToken, 1);
    let error = first.client.connect(Some(BOUND)).unwrap_err();
    assert_eq!((error.code(), error.detail().stage), (Code::Dropped, Stage::Token), "{error}");
    inn.sim.token().honest();
    patient.client.refresh_now().unwrap();
    patient.seen.wait_state(State::Ready, 1);
    first.client.connect(Some(BOUND)).unwrap();
    first.close();
    patient.close();
    inn.close();
}

#[test]
fn credentials_that_are_refused_stop_all_and_a_new_secret_starts_all() {
    let inn = Inn::of(Sim::start(Options::default()), |config| {
        config.set_secret("client.secret", Secret::new("wrong".into())).unwrap();
    });
    let guests = [inn.guest(), inn.guest()];
    for guest in &guests {
        guest.client.start().unwrap();
        guest.seen.wait_state(State::ReauthRequired, 1);
    }
    inn.seen.wait_state(State::ReauthRequired, 1);
    let late = inn.guest();
    assert_eq!(code(late.client.connect(Some(BOUND))), Some(Code::Unauthorized), "told at once");
    let right = Secret::new(ffi_tests::sim::TokenPolicy::default().client_secret);
    guests[1].client.set_secret("client.secret", right).unwrap();
    guests.iter().for_each(|guest| guest.seen.wait_state(State::Ready, 1));
    guests.into_iter().for_each(|guest| drop(guest.close()));
    inn.close();
}

#[test]
fn one_client_whose_server_refuses_does_not_stop_the_others() {
    let inn = Inn::with_lifetime(4_000);
    let other = Sim::start(Options::default());
    let well = inn.connected();
    // A server that knows none of these tokens.
    let ill = inn.guest_with(|config| {
        config.set("ws.url", &other.ws_url()).unwrap();
        config.set("tls.ca_pem", other.ca_pem()).unwrap();
    });
    ill.client.start().unwrap();
    ill.seen.wait_state(State::ReauthRequired, 1);
    let shown = other.record().auths();
    assert_eq!(shown, 2, "two different tokens");
    let known = tokens(&well.seen.all());
    well.seen.wait("two more renewals", |saws| tokens(saws) >= known + 2);
    assert_eq!(
        (other.record().auths(), ill.client.state()),
        (shown, State::ReauthRequired),
        "it hears nothing of them"
    );
    let answer = ill.client.token(Duration::ZERO, Some(BOUND)).unwrap_err();
    assert_eq!(answer.code(), Code::ReauthRequired, "nor is it given what its server refuses: {answer}");
    assert!(well.client.token(Duration::ZERO, Some(BOUND)).is_ok());
    // The application acts: it tries again, with two more.
    ill.client.refresh_now().unwrap();
    ill.seen.wait_state(State::ReauthRequired, 2);
    assert_eq!(other.record().auths(), 2 * shown);
    assert_eq!(gaps(&well.seen.all()), 0, "{}", show(&well.seen.all()));
    ill.close();
    well.close();
    inn.close();
}

#[test]
fn a_403_to_one_client_is_its_own_and_the_next_one_gets_its_chance() {
    let inn = Inn::with_lifetime(4_000);
    inn.sim.ws().on_upgrade(UpgradeReply::Status { code: 403, headers: Vec::new(), body: String::new() });
    // Ahead of its token it would be a failed attempt like any other.
    let ill = inn.guest_with(|config| config.set("connect.overlap", "off").unwrap());
    ill.client.start().unwrap();
    ill.seen.wait_state(State::ReauthRequired, 1);
    // It was the only one: the source has stopped trying, until somebody joins who has not given up.
    let well = inn.connected();
    let known = tokens(&well.seen.all());
    well.seen.wait("a renewal", |saws| tokens(saws) > known);
    assert_eq!(ill.client.state(), State::ReauthRequired);
    ill.client.refresh_now().unwrap();
    ill.seen.wait_state(State::Ready, 1);
    ill.close();
    well.close();
    inn.close();
}

#[test]
fn a_token_that_one_client_s_socket_refuses_is_renewed_for_all() {
    let inn = Inn::open(Options::default());
    let well = inn.connected();
    inn.sim.ws().on_first_auth(AuthReply::Refuse(Some("Invalid token".into())));
    let other = inn.connected();
    assert_eq!(inn.sim.record().token_requests(), 2);
    well.seen.wait("the new token", |saws| tokens(saws) == 2);
    assert_eq!(gaps(&well.close()), 0);
    other.close();
    inn.close();
}

#[test]
fn what_a_client_requires_beyond_the_source_is_checked_for_it() {
    let inn = Inn::open(Options::default());
    let modest = inn.connected();
    let greedy = inn.guest_with(|config| config.set("scopes.required", "user:read admin:everything").unwrap());
    let error = greedy.client.connect(Some(BOUND)).unwrap_err();
    assert_eq!(
        (error.code(), &*error.detail().missing_scopes),
        (Code::ScopeDenied, &["admin:everything".to_owned()][..])
    );
    let denied =
        |saw: &Saw| matches!(saw, Saw::Audit(r) if r["action"] == "scope_validation" && r["result"] == "denied");
    greedy.client.start().unwrap();
    greedy.seen.wait_state(State::ReauthRequired, 1);
    let answer = greedy.client.token(Duration::ZERO, Some(BOUND)).unwrap_err();
    assert_eq!(answer.code(), Code::ScopeDenied, "it gets what it may use, or nothing: {answer}");
    let saws = greedy.close();
    assert_eq!((count(&saws, denied), tokens(&saws)), (2, 0), "recorded once a start, and for this client");
    assert!(modest.client.state().is_live());
    let content = inn.guest_with(|config| config.set("scopes.required", "user:read").unwrap());
    content.client.connect(Some(BOUND)).unwrap();
    let allowed =
        |saw: &Saw| matches!(saw, Saw::Audit(r) if r["result"] == "allowed" && r["required"][0] == "user:read");
    assert_eq!(count(&content.close(), allowed), 1);
    modest.close();
    assert_eq!(count(&inn.close(), denied), 0);
}

#[test]
fn a_client_ends_at_once_while_the_endpoint_hangs_for_all() {
    let inn = Inn::open(Options::default());
    inn.sim.token().always(TokenReply::Hang);
    let (leaving, staying) = (inn.guest(), inn.guest());
    for guest in [&leaving, &staying] {
        guest.client.start().unwrap();
    }
    inn.wait_sim("a request", |log| log.token_requests() == 1);
    let client = Arc::new(leaving.client);
    let waits = std::thread::spawn({
        let client = Arc::clone(&client);
        move || client.token(Duration::ZERO, Some(BOUND * 2))
    });
    // The request takes 15 s, and what waits for it ends without it.
    let report = client.shutdown(Some(Duration::from_secs(10)));
    assert!(report.complete, "{report:?}");
    // The call may have come after the end.
    let outcome = code(waits.join().unwrap());
    assert!(matches!(outcome, Some(Code::Cancelled | Code::Closed)), "{outcome:?}");
    assert_eq!(inn.sim.record().token_requests(), 1, "the request of the others goes on");
    assert!(staying.client.shutdown(Some(Duration::from_secs(10))).complete);
    assert!(inn.source.release(Some(Duration::from_secs(10))), "nobody waits for it: it is broken off");
}

#[test]
fn questions_are_asked_once_and_by_the_source() {
    let mut options = Options::default();
    options.token.rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    let sim = Sim::start(options);
    let refresh_token = ffi_tests::sim::TokenPolicy::default().refresh_token;
    let inn = Inn::of(sim, |config| {
        config.set_secret("token.refresh_token", Secret::new(refresh_token)).unwrap();
    });
    let guests = [inn.connected(), inn.connected(), inn.connected()];
    guests[0].client.refresh_now().unwrap();
    guests.iter().for_each(|guest| guest.seen.wait("the second token", |saws| tokens(saws) == 2));
    guests.into_iter().for_each(|guest| drop(guest.close()));
    let saws = inn.close();
    assert_eq!(count(&saws, |saw| matches!(saw, Saw::Ask(Question::PersistRefreshToken(_)))), 2, "{}", show(&saws));
}

#[test]
fn a_source_may_ask_the_application_for_its_tokens() {
    let sim = Sim::start(Options::default());
    let minted = sim.token().mint(&ffi_tests::sim::Issue::new()).access_token;
    let inn = Inn::of(sim, |config| {
        config.set("token.grant", "application").unwrap();
        let answer = move |request: &genesys_ws_auth::hooks::Request| {
            assert_eq!(request.question, Question::AccessToken);
            request.complete(Answer::AccessToken { token: Secret::new(minted.clone()), expires_in_ms: None });
        };
        let seen = Arc::new(Seen::default());
        config.hooks = hooks(&seen, Arc::new(answer));
    });
    let guests = [inn.connected(), inn.connected()];
    assert_eq!((inn.sim.record().token_requests(), inn.sim.record().auths()), (0, 2));
    guests.into_iter().for_each(|guest| drop(guest.close()));
    inn.close();
}

#[test]
fn a_source_without_hooks_has_no_dispatcher_and_its_end_may_come_from_a_hook() {
    let sim = Sim::start(Options::default());
    let silent = Inn::of(sim, |config| config.hooks = Hooks::default());
    let guest = silent.guest_with(|config| config.hooks = Hooks::default());
    guest.client.connect(Some(BOUND)).unwrap();
    guest.client.shutdown(Some(BOUND));
    let Inn { sim, source, .. } = silent;
    assert!(source.release(Some(BOUND)));
    // Inside a hook of the source: it does not wait for itself.
    let place = Arc::new(std::sync::Mutex::new(None::<TokenSource>));
    let (found, outcomes) = (Arc::clone(&place), Arc::new(std::sync::Mutex::new(Vec::new())));
    let told = Arc::clone(&outcomes);
    let inn = Inn::of(sim, |config| {
        config.hooks = Hooks::default();
        config.hooks.on_token = Some(Arc::new(move |_| {
            let source = found.lock().unwrap().take();
            let released = source.map(|source| source.release(Some(BOUND)));
            told.lock().unwrap().extend(released);
        }));
    });
    let guest = inn.guest();
    let Inn { source, sim, .. } = inn;
    *place.lock().unwrap() = Some(source);
    guest.client.connect(Some(BOUND)).unwrap();
    assert!(guest.client.shutdown(Some(BOUND)).complete, "the last one waits for the threads of the source");
    assert_eq!(*outcomes.lock().unwrap(), [true], "its client kept it alive");
    drop(sim);
}

#[test]
fn hooks_are_let_go_when_the_source_ends_inside_one_of_them() {
    let sim = Sim::start(Options::default());
    let (sender, sources) = std::sync::mpsc::channel::<TokenSource>();
    let (told, outcomes) = std::sync::mpsc::channel();
    let (sources, told) = (std::sync::Mutex::new(sources), std::sync::Mutex::new(told));
    // Dropped with the hook, it hangs up.
    let (held, end) = std::sync::mpsc::channel::<()>();
    let inn = Inn::of(sim, |config| {
        config.hooks = Hooks::default();
        config.hooks.on_token = Some(Arc::new(move |_| {
            let _held = &held;
            let source = sources.lock().unwrap().recv().unwrap();
            told.lock().unwrap().send(source.release(Some(BOUND))).unwrap();
        }));
    });
    let guest = inn.connected();
    // It is shut down, and its handle stays: nobody else will come to let the hooks go.
    assert!(guest.client.shutdown(Some(BOUND)).complete);
    let Inn { source, sim, .. } = inn;
    sender.send(source).unwrap();
    assert!(!outcomes.recv_timeout(BOUND).unwrap(), "it does not wait for itself");
    assert_eq!(end.recv_timeout(BOUND), Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "the hook is kept");
    drop((guest, sim));
}

#[test]
fn nothing_is_renewed_for_those_who_have_given_up() {
    let inn = Inn::with_lifetime(2_000);
    let other = Sim::start(Options::default());
    let well = inn.connected();
    let ill = inn.guest_with(|config| {
        config.set("ws.url", &other.ws_url()).unwrap();
        config.set("tls.ca_pem", other.ca_pem()).unwrap();
    });
    ill.client.start().unwrap();
    ill.seen.wait_state(State::ReauthRequired, 1);
    well.close();
    let requests = inn.sim.record().token_requests();
    // As long as others take for three renewals; one request may have been on its way.
    let others = Inn::with_lifetime(2_000);
    let guest = others.connected();
    others.wait_sim("three renewals", |log| log.token_requests() >= 4);
    guest.close();
    others.close();
    let more = inn.sim.record().token_requests() - requests;
    assert!(more <= 1, "{more} requests for nobody");
    // Who acts is served.
    ill.client.refresh_now().unwrap();
    inn.wait_sim("a request", |log| log.token_requests() > requests + more);
    ill.close();
    inn.close();
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let inn = Inn::with_lifetime(1_500);
    inn.sim.ws().plan(3, Plan::new().on(Trigger::AfterMs(50), [ffi_tests::sim::Action::Drop]));
    let stays = inn.connected();
    each(0..4, |_| {
        for _ in 0..5 {
            let guest = inn.guest();
            guest.client.connect(Some(BOUND)).unwrap();
            guest.close();
        }
    });
    let known = tokens(&stays.seen.all());
    stays.seen.wait("a renewal", |saws| tokens(saws) > known);
    assert!(stays.client.stats_json().contains(r#""token_source":{"clients":1,"#));
    stays.close();
    let requests = inn.sim.record().token_requests();
    let tokens = tokens(&inn.close());
    assert!((tokens..=tokens + 1).contains(&requests), "{requests} requests, {tokens} tokens");
}

#[test]
fn a_configuration_that_cannot_be_a_source_is_refused() {
    let sim = Sim::start(Options::default());
    let refused = |key: &str, value: &str| {
        let mut config = aim(Config::new(), &sim, false);
        config.set(key, value).unwrap();
        TokenSource::new(&config).unwrap_err()
    };
    for delivery in ["poll", "inline"] {
        let error = refused("delivery", delivery);
        assert!(error.code() == Code::BadValue && error.to_string().contains("delivery"), "{error}");
    }
    assert_eq!(refused("token.grant", "application").code(), Code::MissingKey);
    assert_eq!(code(TokenSource::new(&Config::new())), Some(Code::MissingKey));
}
