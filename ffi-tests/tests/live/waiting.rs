//! Blocking calls: interrupted, timed out, cancelled.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ffi_tests::sim::TokenReply;
use genesys_ws_auth::event::State;
use genesys_ws_auth::Code;

use crate::harness::*;

#[test]
fn interrupt_ends_a_connect_once() {
    let rig = Setup::default().build();
    rig.sim.token().then(TokenReply::Hang);
    thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            let error = rig.client.connect(None).unwrap_err();
            assert_eq!(error.code(), Code::Interrupted);
            assert!(error.detail().message.contains("AcquiringToken"), "{error}");
            rig.client.connect(Some(BOUND)).unwrap();
        });
        rig.wait_sim("the request", |log| log.token_requests() == 1);
        // Which the socket's thread hears of a moment later than the server.
        rig.seen.wait_state(State::AcquiringToken, 1);
        rig.client.interrupt();
        connecting.join().unwrap();
    });
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn interrupt_ends_the_waits_of_every_thread_once() {
    let rig = Setup::default().key("delivery", "poll").build();
    rig.sim.token().always(TokenReply::Hang);
    rig.client.start().unwrap();
    rig.wait_sim("the request", |log| log.token_requests() == 1);
    thread::scope(|scope| {
        let polls: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| loop {
                    match rig.client.next_event(None) {
                        Ok(_) => {}
                        Err(error) => {
                            assert_eq!(error.code(), Code::Interrupted);
                            // Once: the next call waits again.
                            while rig.client.next_event(Some(Duration::from_millis(20))).unwrap().is_some() {}
                            return;
                        }
                    }
                })
            })
            .collect();
        let token = scope.spawn(|| code(rig.client.token(Duration::ZERO, None)));
        rig.client.interrupt();
        polls.into_iter().for_each(|poll| poll.join().unwrap());
        assert_eq!(token.join().unwrap(), Some(Code::Interrupted));
    });
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn an_interrupt_before_the_call_counts() {
    let rig = Setup::default().build();
    rig.client.interrupt();
    assert_eq!(code(rig.client.connect(None)), Some(Code::Interrupted));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn pollers_do_not_spin_while_another_runs_a_hook() {
    let barrier = Barrier::new();
    let inside = Arc::clone(&barrier);
    let rig = Setup::default().key("delivery", "poll").build_with(move |hooks, _| {
        hooks.on_audit = Some(Arc::new(move |_| {
            inside.pass();
            Ok(())
        }));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| while rig.client.next_event(Some(Duration::from_millis(1))).unwrap().is_some() {});
        barrier.wait_reached();
        let (start, before) = (Instant::now(), cpu_ms());
        assert!(rig.client.next_event(Some(Duration::from_millis(500))).unwrap().is_none());
        let (took, used) = (start.elapsed(), cpu_ms() - before);
        assert!(took >= Duration::from_millis(490) && used < 100, "{used} ms of CPU in {took:?}");
        barrier.open();
    });
    rig.client.shutdown(Some(BOUND));
}

/// Time this thread has run.
fn cpu_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000_000
}

#[test]
fn next_event_keeps_its_time() {
    let rig = Setup::default().key("delivery", "poll").build();
    let start = Instant::now();
    assert!(rig.client.next_event(Some(Duration::from_millis(50))).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(rig.client.next_event(Some(Duration::ZERO)).unwrap().is_none());
    let callbacks = Setup::default().build();
    assert_eq!(code(callbacks.client.next_event(None)), Some(Code::BadState));
    assert_eq!(callbacks.client.event_fd(), -1);
}
