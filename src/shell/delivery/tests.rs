//! Delivery as a whole, with a dispatcher: threads meet through channels, never through sleeps.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::audit::{Outcome, Phase, Record, ScopeAudit, ScopeResult};
use crate::event::{Authorization, MessageKind, Notice, Question, Sent, State, StateChange};
use crate::hooks::{Answer, AuditView, Message};

pub(super) const LONG: Duration = Duration::from_secs(20);

/// Time that tests move by hand.
#[derive(Clone, Default)]
pub(super) struct Hands(Arc<AtomicU64>);

impl Hands {
    pub(super) fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn parts(&self, event_fd: Option<Box<dyn EventFd>>) -> Parts {
        let (clock, tick) = (self.0.clone(), self.0.clone());
        let now = move || {
            let ms = clock.load(Ordering::SeqCst);
            Now { boot_ms: ms, awake_ms: ms, wall_ms: 1_715_769_005_123 + ms }
        };
        Parts {
            boot_id: "boot".into(),
            clock: Arc::new(now),
            tick: Arc::new(move || tick.load(Ordering::SeqCst)),
            event_fd,
            sealer: None,
        }
    }
}

pub(super) fn delivery(change: impl FnOnce(&mut Settings), hooks: Hooks) -> Arc<Delivery> {
    let mut settings = Settings::default();
    change(&mut settings);
    Delivery::new(&settings, hooks, Hands::default().parts(None))
}

pub(super) fn dispatch(delivery: &Arc<Delivery>) -> JoinHandle<()> {
    delivery.begin();
    let delivery = delivery.clone();
    std::thread::spawn(move || delivery.run_dispatcher())
}

pub(super) fn finish(delivery: &Delivery, dispatcher: JoinHandle<()>) {
    assert!(delivery.close_by(LONG));
    dispatcher.join().unwrap();
}

pub(super) fn text(delivery: &Arc<Delivery>, data: &[u8]) {
    delivery.push_message(&mut delivery.scratch(), MessageKind::Text, data, 1);
}

pub(super) fn sent(id: u64) -> Notice {
    Notice::Sent(Sent { id, outcome: Ok(()) })
}

pub(super) fn record(delivery: &Delivery, id: &str, record: Record) {
    delivery.push_record((delivery.clock)(), id.into(), record);
}

pub(super) fn attempt(outcome: Outcome) -> Record {
    Record::Attempt { phase: Phase::First, outcome, latency_ms: 142, scopes_validated: true }
}

pub(super) fn scopes() -> Record {
    let result = ScopeResult::Allowed;
    let client_id = "unknown".into();
    Record::Scopes(ScopeAudit { result, required: vec![], granted: vec![], missing: vec![], client_id })
}

/// Hooks that write down all calls in order.
pub(super) fn recorder() -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let calls = Arc::new(Mutex::new(Vec::<String>::new()));
    let add = {
        let calls = calls.clone();
        move |call: String| calls.lock().unwrap().push(call)
    };
    let (message, state, on_sent, audit, siem, log) =
        (add.clone(), add.clone(), add.clone(), add.clone(), add.clone(), add);
    let hooks = Hooks {
        on_message: Some(Arc::new(move |m: Message<'_>| {
            message(format!("m:{}", String::from_utf8_lossy(m.data_with_nul)));
        })),
        on_state: Some(Arc::new(move |notice: &Notice| state(format!("s:{notice:?}")))),
        on_sent: Some(Arc::new(move |done: &Sent| on_sent(format!("sent:{}", done.id)))),
        on_audit: Some(Arc::new(move |view: AuditView<'_>| {
            audit(format!("audit:{}:{}", view.seq, view.kind));
            Ok(())
        })),
        on_siem: Some(Arc::new(move |view: AuditView<'_>| {
            siem(format!("siem:{}:{}", view.seq, view.kind));
            Ok(())
        })),
        on_log: Some(Arc::new(move |level, target: &str, text: &str| log(format!("log:{level}:{target}:{text}")))),
        ..Hooks::default()
    };
    (hooks, calls)
}

/// An `on_message` that says when it is entered and stays until told.
pub(super) fn gate() -> (Hooks, Receiver<Vec<u8>>, Sender<()>) {
    let (entered, has_entered) = channel();
    let (leave, may_leave) = channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let hook = move |message: Message<'_>| {
        entered.send(message.data().to_vec()).unwrap();
        may_leave.lock().unwrap().recv_timeout(LONG).unwrap();
    };
    (Hooks { on_message: Some(Arc::new(hook)), ..Hooks::default() }, has_entered, leave)
}

#[test]
fn messages_and_notices_come_in_one_order_on_one_thread() {
    let (hooks, calls) = recorder();
    let delivery = delivery(|_| (), hooks);
    text(&delivery, b"one");
    delivery.push_notice(sent(7));
    text(&delivery, b"");
    let change = StateChange { from: State::Idle, to: State::Ready, reason: "test", error: None };
    delivery.push_notice(Notice::State(change));
    let dispatcher = dispatch(&delivery);
    finish(&delivery, dispatcher);
    let calls = calls.lock().unwrap();
    assert_eq!(calls[..3], ["m:one\0", "sent:7", "m:\0"]);
    assert!(calls[3].starts_with("s:State("), "{calls:?}");
    assert_eq!(delivery.metrics().messages_received, 2);
    assert_eq!(delivery.metrics().bytes_received, 3);
}

#[test]
fn a_hundred_thousand_messages_arrive_whole_and_in_order() {
    const COUNT: u64 = 100_000;
    let next = Arc::new(AtomicU64::new(0));
    let seen = next.clone();
    let hook = move |message: Message<'_>| {
        let number = seen.fetch_add(1, Ordering::Relaxed);
        let data = message.data();
        assert_eq!(data.len() as u64, 8 + number % 300);
        assert_eq!(data[..8], number.to_le_bytes());
        assert_eq!(message.data_with_nul.last(), Some(&0));
    };
    let delivery = delivery(|_| (), Hooks { on_message: Some(Arc::new(hook)), ..Hooks::default() });
    let dispatcher = dispatch(&delivery);
    let (ring, rung) = channel();
    delivery.set_room_bell(Box::new(move || ring.send(()).unwrap()));
    let mut scratch = delivery.scratch();
    let mut number = 0;
    while number < COUNT {
        let mut drain = delivery.drain(&mut scratch);
        for _ in 0..(number % 97 + 1).min(COUNT - number) {
            let mut data = number.to_le_bytes().to_vec();
            data.resize(8 + (number % 300) as usize, 0xa5);
            drain.push_message(MessageKind::Binary, &data, 1);
            number += 1;
        }
        drop(drain);
        if let Room::Full { .. } = delivery.room() {
            rung.recv_timeout(LONG).unwrap();
        }
    }
    finish(&delivery, dispatcher);
    assert_eq!(next.load(Ordering::Relaxed), COUNT);
    assert_eq!(delivery.metrics().hook_failures, 0, "an assertion in the hook failed");
    assert_eq!(delivery.undelivered(), Undelivered::default());
}

#[test]
fn the_bound_counts_what_the_consumer_holds_and_the_bell_rings_once() {
    let (hooks, entered, leave) = gate();
    let delivery = delivery(|settings| settings.event_queue_events = 3, hooks);
    let rings = Arc::new(AtomicUsize::new(0));
    let counter = rings.clone();
    delivery.set_room_bell(Box::new(move || _ = counter.fetch_add(1, Ordering::SeqCst)));
    let dispatcher = dispatch(&delivery);
    text(&delivery, b"a");
    entered.recv_timeout(LONG).unwrap();
    text(&delivery, b"b");
    assert_eq!(delivery.room(), Room::Below);
    text(&delivery, b"c");
    assert_eq!(delivery.room(), Room::Full { bytes_over: 0 });
    text(&delivery, b"dd");
    assert_eq!(delivery.room(), Room::Full { bytes_over: 2 + batch::ENTRY_BYTES as u64 });
    delivery.push_notice(sent(1));
    assert_eq!(rings.load(Ordering::SeqCst), 0);
    leave.send(()).unwrap();
    entered.recv_timeout(LONG).unwrap();
    assert_eq!(rings.load(Ordering::SeqCst), 0, "four less one is still full");
    leave.send(()).unwrap();
    entered.recv_timeout(LONG).unwrap();
    assert_eq!((rings.load(Ordering::SeqCst), delivery.room()), (1, Room::Below));
    (0..2).for_each(|_| leave.send(()).unwrap());
    finish(&delivery, dispatcher);
    assert_eq!(rings.load(Ordering::SeqCst), 1);
}

#[test]
fn the_bound_in_bytes_holds_for_empty_messages_too() {
    let (hooks, _) = recorder();
    let delivery = delivery(|settings| settings.event_queue_bytes = 10 * batch::ENTRY_BYTES, hooks);
    (0..9).for_each(|_| text(&delivery, b""));
    assert_eq!(delivery.room(), Room::Below);
    text(&delivery, b"");
    assert_eq!(delivery.room(), Room::Full { bytes_over: 0 });
}

#[test]
fn a_callback_may_call_everything() {
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let inside = me.clone();
    let (done, is_done) = channel();
    let hook = move |_: &Sent| {
        let delivery = inside.lock().unwrap().clone().unwrap();
        text(&delivery, b"from inside");
        record(&delivery, "", Record::Closed);
        delivery.log(3, "test", format_args!("inside"));
        delivery.set_reply(Arc::new(|_, _| ()));
        let _ = (delivery.room(), delivery.metrics(), delivery.undelivered(), delivery.event_fd());
        assert!(delivery
            .stats_json(State::Ready, None, None, &NetworkReport::default())
            .contains("\"running_callback\":{\"name\":\"on_sent\""));
        delivery.close();
        done.send(()).unwrap();
    };
    let (mut hooks, calls) = recorder();
    hooks.on_sent = Some(Arc::new(hook));
    let delivery = delivery(|_| (), hooks);
    *me.lock().unwrap() = Some(delivery.clone());
    delivery.push_notice(sent(1));
    let dispatcher = dispatch(&delivery);
    is_done.recv_timeout(LONG).unwrap();
    dispatcher.join().unwrap();
    let expected = ["audit:1:client_closed", "siem:1:client_closed", "log:3:test:inside", "m:from inside\0"];
    assert_eq!(*calls.lock().unwrap(), expected);
    me.lock().unwrap().take();
}

#[test]
fn a_question_is_answered_through_its_reply() {
    let (answer, answers) = channel();
    let answer = Mutex::new(answer);
    let hook = |request: crate::hooks::Request| request.complete(Answer::Done);
    let delivery = delivery(|_| (), Hooks { on_ask: Some(Arc::new(hook)), ..Hooks::default() });
    assert!(delivery.has_on_ask());
    delivery.set_reply(Arc::new(move |id, outcome| answer.lock().unwrap().send((id, outcome)).unwrap()));
    delivery.push_notice(Notice::Ask { id: 5, question: Question::AuthorizationCode(Authorization::default()) });
    let dispatcher = dispatch(&delivery);
    finish(&delivery, dispatcher);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), (5, Ok(Answer::Done)));
}

#[test]
fn a_slow_callback_is_seen_while_it_runs_and_told_of_when_it_returns() {
    let hands = Hands::default();
    let (mut hooks, calls) = recorder();
    let (gated, entered, leave) = gate();
    hooks.on_message = gated.on_message;
    let delivery = Delivery::new(&Settings::default(), hooks, hands.parts(None));
    let dispatcher = dispatch(&delivery);
    text(&delivery, b"x");
    entered.recv_timeout(LONG).unwrap();
    hands.advance(1_500);
    assert_eq!(delivery.running_callback(), Some(("on_message", Duration::from_millis(1_500))));
    assert_eq!(delivery.undelivered(), Undelivered::default(), "it has been seen");
    leave.send(()).unwrap();
    finish(&delivery, dispatcher);
    assert_eq!(delivery.running_callback(), None);
    assert_eq!(delivery.metrics().slow_callbacks, 1);
    assert_eq!(*calls.lock().unwrap(), ["log:2:delivery:on_message took 1500 ms"]);
}

#[test]
fn an_abandoned_delivery_calls_nothing_more_and_counts_what_is_left() {
    let (mut hooks, calls) = recorder();
    let (gated, entered, leave) = gate();
    hooks.on_message = gated.on_message;
    let delivery = delivery(|_| (), hooks);
    let dispatcher = dispatch(&delivery);
    text(&delivery, b"stuck");
    entered.recv_timeout(LONG).unwrap();
    text(&delivery, b"left");
    delivery.push_notice(sent(1));
    record(&delivery, "", Record::Closed);
    assert!(!delivery.close_by(Duration::ZERO));
    assert_eq!(delivery.undelivered(), Undelivered { events: 2, audit: 1 });
    leave.send(()).unwrap();
    dispatcher.join().unwrap();
    assert_eq!(delivery.undelivered(), Undelivered { events: 2, audit: 1 });
    assert!(calls.lock().unwrap().is_empty());
    assert!(delivery.wait_finished(LONG));
}

/// Counts how often it is dropped, and on which kind of thread.
struct Released(Arc<AtomicUsize>);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn hooks_are_released_once_after_the_last_call() {
    let count = Arc::new(AtomicUsize::new(0));
    let (gated, entered, leave) = gate();
    let (inner, owned) = (gated.on_message.unwrap(), Released(count.clone()));
    let hook = move |message: Message<'_>| {
        let _owned = &owned;
        inner(message);
        assert_eq!(owned.0.load(Ordering::SeqCst), 0);
    };
    let delivery = delivery(|_| (), Hooks { on_message: Some(Arc::new(hook)), ..Hooks::default() });
    let dispatcher = dispatch(&delivery);
    text(&delivery, b"x");
    entered.recv_timeout(LONG).unwrap();
    delivery.close();
    delivery.release_hooks();
    delivery.release_hooks();
    assert_eq!(count.load(Ordering::SeqCst), 0, "a call is still running");
    leave.send(()).unwrap();
    dispatcher.join().unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(delivery.metrics().hook_failures, 0);
}

#[test]
fn nobody_waits_for_a_dispatcher_that_could_not_be_spawned() {
    let (hooks, calls) = recorder();
    let delivery = delivery(|_| (), hooks);
    delivery.begin();
    record(&delivery, "", Record::Closed);
    delivery.begin_failed();
    assert!(!delivery.flush_audit(LONG));
    assert!(delivery.close_by(LONG));
    assert_eq!(delivery.undelivered(), Undelivered { events: 0, audit: 1 });
    assert!(calls.lock().unwrap().is_empty());
}

#[test]
fn hooks_of_a_client_that_never_ran_are_released_at_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let owned = Released(count.clone());
    let hook = move |_: Message<'_>| _ = &owned;
    let delivery = delivery(|_| (), Hooks { on_message: Some(Arc::new(hook)), ..Hooks::default() });
    assert!(delivery.close_by(LONG), "no dispatcher to wait for");
    delivery.release_hooks();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn inline_messages_run_on_the_socket_thread() {
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let inside = me.clone();
    let (mut hooks, calls) = recorder();
    let here = std::thread::current().id();
    let inner = hooks.on_message.take().unwrap();
    hooks.on_message = Some(Arc::new(move |message: Message<'_>| {
        assert_eq!(std::thread::current().id(), here);
        assert!(inside.lock().unwrap().as_ref().unwrap().is_dispatch_thread());
        inner(message);
    }));
    let delivery = delivery(|settings| settings.delivery = Mode::Inline, hooks);
    *me.lock().unwrap() = Some(delivery.clone());
    let mut scratch = delivery.scratch();
    let mut drain = delivery.drain(&mut scratch);
    drain.push_message(MessageKind::Text, b"longer", 1);
    drain.push_message(MessageKind::Text, b"short", 1);
    drain.push_message(MessageKind::Text, &[b'x'; 100_000], 1);
    drop(drain);
    assert!(!delivery.is_dispatch_thread());
    assert_eq!(calls.lock().unwrap()[..2], ["m:longer\0", "m:short\0"]);
    assert_eq!(calls.lock().unwrap()[2].len(), 2 + 100_001);
    assert_eq!(scratch.capacity(), 0, "a large message's copy is given back");
    assert_eq!((delivery.room(), delivery.metrics().hook_failures), (Room::Below, 0));
    delivery.release_hooks();
    delivery.push_message(&mut scratch, MessageKind::Text, b"late", 1);
    assert_eq!(calls.lock().unwrap().len(), 3);
    me.lock().unwrap().take();
}

#[test]
fn after_a_flood_an_idle_dispatcher_gives_the_memory_back() {
    let (hooks, _) = recorder();
    let mut delivery = delivery(|_| (), hooks);
    Arc::get_mut(&mut delivery).unwrap().idle = Duration::from_millis(1);
    let mut batch = batch::Batch::default();
    for _ in 0..2 {
        text(&delivery, &[b'x'; 200_000]);
        assert!(delivery.refill(&mut batch));
        while batch.pop().is_some() {}
        batch.rewind();
    }
    assert!(batch.is_bulky() && delivery.lock().back.is_bulky());
    while batch.is_bulky() {
        drop(delivery.park(delivery.lock(), &mut batch));
    }
    assert!(!delivery.lock().back.is_bulky());
}

#[test]
fn statistics_are_one_json_object() {
    let delivery = delivery(|_| (), Hooks::default());
    record(&delivery, "", attempt(Outcome::Success { scopes: vec![] }));
    delivery.count(Counter::Connects, 2);
    delivery.token_took_effect(55_000);
    let token = TokenTimes { age_ms: 1, renewal_in_ms: 2, usable_for_ms: 3 };
    let trust = Some(("memory".into(), 1));
    let network =
        NetworkReport { trust, pins: 2, min_tls: "1.3", token_proxy: Some("p:1".into()), ..Default::default() };
    let json = delivery.stats_json(State::Ready, Some(token), Some(-1_500), &network);
    let stats: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(stats["state"], "Ready");
    assert_eq!((&stats["success_count"], &stats["connects"]), (&1.into(), &2.into()));
    assert_eq!(stats["success_rate"], 100);
    assert_eq!((&stats["avg_latency_ms"], &stats["last_lead_ms"]), (&142.into(), &55_000.into()));
    assert_eq!((&stats["latency_ms"]["p50"], &stats["lead_ms"]["p1"]), (&142.into(), &55_000.into()));
    assert_eq!(stats["audit_queue"]["records"], 1);
    assert_eq!(stats["event_queue"]["messages_bound"], 4096);
    assert_eq!(stats["token"]["renewal_in_ms"], 2);
    assert!(stats["running_callback"].is_null());
    assert_eq!((&stats["trust"]["store"], &stats["trust"]["roots"]), (&"memory".into(), &1.into()));
    let network = &stats["network"];
    assert_eq!((&network["pins"], &network["client_certificate"]), (&2.into(), &false.into()));
    assert_eq!((&network["min_tls"], &network["token_proxy"]), (&"1.3".into(), &"p:1".into()));
    assert!(network["socket_proxy"].is_null());
}
