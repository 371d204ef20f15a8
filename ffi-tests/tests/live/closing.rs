//! The end: bounded at every stage, truthful about what is left, safe inside callbacks and from everywhere at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ffi_tests::sim::{Action, AuthReply, Log, Pump, Rotation, TcpReply, TokenReply, UpgradeReply};
use genesys_ws_auth::event::{MessageKind, Question, State};
use genesys_ws_auth::{Client, Code, Secret};

use crate::harness::*;

/// A client that a hook finds when it is told to look.
type Own = Arc<Mutex<Option<Arc<Client>>>>;

/// Runs, and checks how long it took.
#[track_caller]
fn within<T>(limit: Duration, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = run();
    assert!(start.elapsed() < limit, "took {:?}", start.elapsed());
    out
}

#[test]
fn bounded_at_every_stage() {
    type Script = fn(&Rig);
    type Reached = fn(&Log) -> bool;
    let stages: [(&str, Script, Reached); 6] = [
        ("TLS", |rig| _ = rig.sim.tcp().always(TcpReply::Stall), |log| log.tcp_connections >= 1),
        ("token", |rig| _ = rig.sim.token().always(TokenReply::Hang), |log| log.token_requests() >= 1),
        (
            "TLS of the socket",
            |rig| _ = rig.sim.tcp().then(TcpReply::Serve).always(TcpReply::Stall),
            |log| log.tcp_connections >= 2,
        ),
        ("upgrade", |rig| _ = rig.sim.ws().always_upgrade(UpgradeReply::Hang), |log| log.requests.len() >= 2),
        ("auth", |rig| _ = rig.sim.ws().always_first_auth(AuthReply::Never), |log| log.auths() >= 1),
        ("live", |_| (), |log| log.connections.first().is_some_and(|c| c.accepted == 1)),
    ];
    let both = stages.into_iter().flat_map(|stage| ["off", "on"].map(|overlap| (stage, overlap)));
    for ((stage, script, reached), overlap) in both {
        let rig = Setup::default().key("close.timeout_ms", 300).key("connect.overlap", overlap).build();
        script(&rig);
        rig.client.start().unwrap();
        rig.wait_sim(stage, reached);
        let report = within(Duration::from_secs(5), || rig.client.shutdown(Some(BOUND)));
        assert!(report.complete && report.stuck_callback.is_none(), "{stage}: {report:?}");
        // Once more changes nothing; a drop does not wait either.
        assert!(within(Duration::from_secs(5), || rig.client.shutdown(None)).complete);
        within(Duration::from_secs(5), || drop(rig.client));
        assert_eq!(states(&rig.seen.all()).last(), Some(&State::Closed), "{stage}");
    }
}

#[test]
fn a_name_that_does_not_exist_does_not_hold_the_end_up() {
    let rig = Setup::default().build();
    let mut config = rig.config.clone();
    // Reserved for names that do not exist (RFC 6761).
    config.set("token.url", "https://nowhere.invalid/oauth/token").unwrap();
    let client = Client::new(&config).unwrap();
    client.start().unwrap();
    assert!(within(Duration::from_secs(5), || client.shutdown(Some(BOUND))).complete);
}

#[test]
fn a_server_that_ignores_the_close_is_left_after_the_time_allowed() {
    let rig = Setup::default().key("close.timeout_ms", 300).sim(|o| o.ws.ignore_close = true).connect();
    let report = within(Duration::from_secs(5), || rig.client.shutdown(Some(BOUND)));
    assert!(report.complete && !report.close_handshake, "{report:?}");
}

#[test]
fn without_a_socket_no_handshake_is_left_unfinished() {
    let clean = |rig: &Rig| {
        let report = rig.client.shutdown(Some(BOUND));
        assert!(report.complete && report.close_handshake, "{report:?}");
    };
    clean(&Setup::default().build());
    // A connect that failed has left nothing either.
    let rig = Setup::default().key("token.attempts", 1).build();
    rig.sim.token().always(TokenReply::Forbidden);
    assert_eq!(refused(&rig).code(), Code::Forbidden);
    clean(&rig);
}

#[test]
fn a_refresh_token_that_is_being_rotated_is_not_lost() {
    let rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    let slow = || TokenReply::Delay { ms: 300, then: Box::new(TokenReply::Issue(Default::default())) };
    let rig = Setup::default().with_refresh_token().sim(|options| options.token.rotation = rotation).build();
    rig.sim.token().then(slow()).then(slow());
    let error = rig.client.connect(Some(Duration::from_millis(100))).unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    rig.client.start().unwrap();
    rig.wait_sim("the second request", |log| log.token_requests() == 2);
    let client = Arc::clone(&rig.client);
    within(Duration::from_secs(5), || assert!(client.shutdown(Some(BOUND)).complete));
    let asked = rig.seen.all().into_iter().filter_map(|saw| match saw {
        Saw::Ask(Question::PersistRefreshToken(secret)) => Some(secret.expose().to_owned()),
        _ => None,
    });
    let issued: Vec<_> = rig.sim.token().issued().into_iter().filter_map(|one| one.refresh_token).collect();
    assert_eq!((asked.collect::<Vec<_>>(), issued.len()), (issued, 2), "{}", show(&rig.seen.all()));
}

#[test]
fn a_flood_does_not_hold_the_end_up() {
    let pump = Pump { size: 1_000, ..Pump::every(Duration::ZERO) };
    let rig = Setup::default().key("close.timeout_ms", 300).sim(|o| o.ws.pump = Some(pump)).connect();
    rig.seen.wait_seq(1_000);
    assert!(within(Duration::from_secs(5), || rig.client.shutdown(Some(BOUND))).complete);
}

#[test]
fn messages_before_the_server_s_close_frame_are_delivered() {
    let rig = Setup::default().connect();
    rig.sim.ws().act(None, (1..=50).map(|seq| Action::Text(format!(r#"{{"seq":{seq}}}"#))));
    rig.wait_sim("all sent", |log| log.connections[0].sent.messages == 50);
    assert_eq!(seqs(&rig.close()), (1..=50).collect::<Vec<_>>());
}

#[test]
fn two_threads_at_once_and_both_are_told_the_truth() {
    let rig = Setup::default().connect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(rig.client.shutdown(Some(BOUND)).complete));
        }
    });
}

#[test]
fn a_shutdown_during_a_connect_is_final() {
    for round in 0..20 {
        let rig = Setup::default().build();
        rig.sim.token().then(TokenReply::Hang);
        let client = Arc::clone(&rig.client);
        let connecting = thread::spawn(move || code(client.connect(None)));
        if round % 2 == 0 {
            rig.wait_sim("the request", |log| log.token_requests() >= 1);
        }
        assert!(rig.client.shutdown(Some(BOUND)).complete);
        assert!(matches!(connecting.join().unwrap(), Some(Code::Cancelled | Code::BadState)));
        assert_eq!(code(rig.client.connect(Some(BOUND))), Some(Code::BadState), "it came back to life");
        assert_eq!(rig.client.state(), State::Closed);
    }
}

#[test]
fn a_shutdown_while_a_failed_connect_is_being_stopped_is_final() {
    let barrier = Barrier::new();
    let inside = Arc::clone(&barrier);
    let rig = Setup::default().build_with(move |hooks, _| hooks.on_state = Some(Arc::new(move |_| inside.pass())));
    rig.sim.token().always(TokenReply::Hang);
    thread::scope(|scope| {
        let connecting = scope.spawn(|| code(rig.client.connect(Some(Duration::from_millis(50)))));
        barrier.wait_reached();
        // Running, until its time is up; then it waits for the callback.
        let until = Instant::now() + BOUND;
        while rig.client.refresh_now().is_ok() && Instant::now() < until {
            thread::yield_now();
        }
        assert_eq!(code(rig.client.start()), Some(Code::BadState));
        rig.client.set_secret("client.secret", Secret::new("kept".into())).unwrap();
        assert!(!rig.client.shutdown(Some(Duration::ZERO)).complete);
        barrier.open();
        assert_eq!(connecting.join().unwrap(), Some(Code::Timeout));
    });
    assert_eq!(code(rig.client.connect(Some(BOUND))), Some(Code::BadState), "it came back to life");
    assert!(rig.client.shutdown(Some(BOUND)).complete);
}

#[test]
fn inside_a_callback_it_is_deferred() {
    let own = Own::default();
    let (sender, reports) = mpsc::channel();
    for mode in ["callbacks", "inline"] {
        let (inside, sender) = (Arc::clone(&own), sender.clone());
        let rig = Setup::default().key("delivery", mode).build_with(move |hooks, _| {
            hooks.on_message = Some(Arc::new(move |_| {
                let client = inside.lock().unwrap().take().unwrap();
                sender.send(client.shutdown(Some(BOUND))).unwrap();
                // The last reference, it may be: dropping it here must not wait either.
                drop(client);
            }));
        });
        rig.client.connect(Some(BOUND)).unwrap();
        *own.lock().unwrap() = Some(Arc::clone(&rig.client));
        rig.sim.ws().push_text("now");
        let report = reports.recv_timeout(BOUND).unwrap();
        assert!(!report.complete, "{report:?}");
        rig.seen.wait_state(State::Closed, 1);
        assert!(rig.client.shutdown(Some(BOUND)).complete);
    }
}

#[test]
fn a_drop_after_a_deferred_shutdown_waits_for_the_end() {
    let own = Own::default();
    let (sender, asked) = mpsc::channel();
    let inside = Arc::clone(&own);
    let calls = Arc::new(AtomicUsize::new(0));
    let running = Arc::clone(&calls);
    let rig = Setup::default().build_with(move |hooks, _| {
        hooks.on_message = Some(Arc::new(move |_| {
            running.fetch_add(1, Ordering::SeqCst);
            let client = inside.lock().unwrap().take().unwrap();
            client.shutdown(None);
            drop(client);
            sender.send(()).unwrap();
        }));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    *own.lock().unwrap() = Some(Arc::clone(&rig.client));
    rig.sim.ws().push_text("now");
    asked.recv_timeout(BOUND).unwrap();
    drop(rig.client);
    assert_eq!(states(&rig.seen.all()).last(), Some(&State::Closed), "all was delivered before the drop returned");
}

#[test]
fn every_call_may_be_made_from_a_callback_while_a_shutdown_waits() {
    let (own, barrier) = (Own::default(), Barrier::new());
    let (inside, gate) = (Arc::clone(&own), Arc::clone(&barrier));
    let (sender, codes) = mpsc::channel();
    let rig = Setup::default().build_with(move |hooks, _| {
        hooks.on_message = Some(Arc::new(move |_| {
            let client = inside.lock().unwrap().take().unwrap();
            gate.pass();
            let calls = [
                code(client.send(MessageKind::Text, b"x")),
                code(client.token(Duration::ZERO, None)),
                code(client.refresh_now()),
                code(client.set_secret("client.secret", Secret::new("new".into()))),
                code(client.start()),
                code(client.connect(None)),
                code(client.next_event(None)),
            ];
            client.interrupt();
            let told = (client.state(), client.metrics(), client.stats_json(), client.shutdown(None).complete);
            sender.send((calls, told.3)).unwrap();
        }));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    *own.lock().unwrap() = Some(Arc::clone(&rig.client));
    rig.sim.ws().push_text("now");
    barrier.wait_reached();
    thread::scope(|scope| {
        let ending = scope.spawn(|| rig.client.shutdown(Some(BOUND)));
        rig.wait_sim("the close", |log| !log.closes.is_empty());
        barrier.open();
        assert!(ending.join().unwrap().complete);
    });
    let (bad, closed) = (Some(Code::BadState), Some(Code::Closed));
    let expected = ([closed, closed, closed, closed, bad, Some(Code::Reentrant), bad], false);
    assert_eq!(codes.recv_timeout(BOUND).unwrap(), expected);
}

#[test]
fn a_callback_that_waits_for_a_token_does_not_hold_the_end_up() {
    let own = Own::default();
    let (sender, got) = mpsc::channel();
    let inside = Arc::clone(&own);
    let rig = Setup::default().build_with(move |hooks, _| {
        hooks.on_message = Some(Arc::new(move |_| {
            let client = inside.lock().unwrap().take().unwrap();
            sender.send(code(client.token(Duration::from_secs(7_200), None))).unwrap();
        }));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    *own.lock().unwrap() = Some(Arc::clone(&rig.client));
    rig.sim.token().always(TokenReply::Hang);
    rig.sim.ws().push_text("now");
    rig.wait_sim("the request", |log| log.token_requests() == 2);
    assert!(within(Duration::from_secs(5), || rig.client.shutdown(Some(BOUND))).complete);
    assert_eq!(got.recv_timeout(BOUND).unwrap(), Some(Code::Cancelled));
}

/// Counts when it is dropped: what a hook owns.
struct Owned(Arc<AtomicUsize>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_stuck_callback_is_named_and_its_hooks_live_until_it_returns() {
    let barrier = Barrier::new();
    let released = Arc::new(AtomicUsize::new(0));
    let (inside, owned) = (Arc::clone(&barrier), Owned(Arc::clone(&released)));
    let (sender, gone) = mpsc::channel();
    let rig = Setup::default().build_with(move |hooks, _| {
        hooks.on_message = Some(Arc::new(move |_| {
            let _ = &owned;
            inside.pass();
            sender.send(()).unwrap();
        }));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.ws().push_text("1").push_text("2");
    barrier.wait_reached();
    let report = within(Duration::from_secs(5), || rig.client.shutdown(Some(Duration::from_millis(200))));
    assert_eq!((report.complete, report.stuck_callback), (false, Some("on_message")), "{report:?}");
    assert!(report.events_undelivered >= 1, "{report:?}");
    within(Duration::from_secs(5), || drop((rig.client, rig.config)));
    assert_eq!(released.load(Ordering::SeqCst), 0, "released while it runs");
    barrier.open();
    gone.recv_timeout(BOUND).unwrap();
    // The hook is gone with its sender: that is how a test can wait for it.
    assert!(gone.recv_timeout(BOUND).is_err(), "no callback begins any more");
    let until = Instant::now() + BOUND;
    while released.load(Ordering::SeqCst) == 0 && Instant::now() < until {
        thread::yield_now();
    }
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

#[test]
fn hooks_are_released_once_whatever_became_of_the_client() {
    let released = Arc::new(AtomicUsize::new(0));
    for run in 0..5 {
        let owned = Owned(Arc::clone(&released));
        let mode = if run == 4 { "poll" } else { "callbacks" };
        let Rig { sim, client, config, .. } = Setup::default().key("delivery", mode).build_with(move |hooks, _| {
            hooks.on_sent = Some(Arc::new(move |_| {
                let _ = &owned;
            }));
        });
        drop(config);
        match run {
            0 => {}
            1 => client.start().unwrap(),
            2 => client.connect(Some(BOUND)).unwrap(),
            3 => {
                sim.token().always(TokenReply::Forbidden);
                client.connect(Some(BOUND)).unwrap_err();
            }
            _ => drop(client.connect(Some(BOUND))),
        }
        if run == 2 {
            assert!(client.shutdown(Some(BOUND)).complete);
            assert_eq!(released.load(Ordering::SeqCst), run + 1, "released by the shutdown");
        }
        drop(client);
        assert_eq!(released.load(Ordering::SeqCst), run + 1, "run {run}");
    }
}

#[test]
fn a_panic_in_a_hook_is_caught_and_counted() {
    let rig = Setup::default().build_with(|hooks, _| {
        let seen = hooks.on_message.take().unwrap();
        hooks.on_message = Some(Arc::new(move |message| {
            seen(message);
            assert!(message.data() != br#"{"seq":1}"#, "a hook of this test panics");
        }));
        hooks.on_siem = Some(Arc::new(|_| panic!("another one")));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.ws().push_text(r#"{"seq":1}"#).push_text(r#"{"seq":2}"#);
    rig.seen.wait_seq(2);
    assert_eq!(rig.client.state(), State::Ready);
    assert!(rig.client.metrics().hook_failures >= 1, "{:?}", rig.client.metrics());
    rig.close();
}

#[test]
fn a_connect_that_hangs_in_a_slow_hook_still_ends() {
    let barrier = Barrier::new();
    let inside = Arc::clone(&barrier);
    let rig = Setup::default().key("free.timeout_ms", 300).build_with(move |hooks, _| {
        hooks.on_audit = Some(Arc::new(move |_| {
            inside.pass();
            Ok(())
        }));
    });
    rig.sim.token().always(TokenReply::Forbidden);
    let error = within(Duration::from_secs(5), || rig.client.connect(Some(BOUND))).unwrap_err();
    assert_eq!(error.code(), Code::Forbidden);
    // Its hooks may still run: it cannot be started again, but it can be shut down once they have returned.
    assert_eq!(code(rig.client.connect(Some(BOUND))), Some(Code::BadState));
    barrier.open();
    assert!(rig.client.shutdown(Some(BOUND)).complete);
}
