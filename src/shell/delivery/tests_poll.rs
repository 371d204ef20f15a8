//! Poll mode: one queue, one order, a descriptor that cannot lose a wake-up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::tests::*;
use super::*;
use crate::audit::{Outcome, Record};
use crate::error::Code;
use crate::event::Event;
use crate::event::Notice;
use crate::hooks::{AuditView, Message};
use crate::shell::gate::Deadline;

/// An event descriptor that remembers whether it is readable and refuses to be set or cleared twice.
#[derive(Clone, Default)]
pub(super) struct Fd(Arc<AtomicBool>);

impl Fd {
    pub(super) fn is_readable(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl EventFd for Fd {
    fn set(&self) {
        assert!(!self.0.swap(true, Ordering::SeqCst), "one write for many events");
    }

    fn clear(&self) {
        assert!(self.0.swap(false, Ordering::SeqCst));
    }

    fn raw(&self) -> i32 {
        42
    }
}

pub(super) fn polled(hooks: Hooks) -> (Arc<Delivery>, Fd) {
    let fd = Fd::default();
    let settings = Settings { delivery: Mode::Poll, ..Settings::default() };
    let delivery = Delivery::new(&settings, hooks, Hands::default().parts(Some(Box::new(fd.clone()))));
    (delivery, fd)
}

pub(super) fn next(delivery: &Delivery) -> String {
    match delivery.next_event(Some(Duration::ZERO), &|| false) {
        Ok(None) => "none".into(),
        Ok(Some(Event::Message { data_with_nul, .. })) => String::from_utf8(data_with_nul).unwrap(),
        Ok(Some(Event::Notice(Notice::Sent(sent)))) => format!("sent {}", sent.id),
        Ok(Some(Event::Audit { seq, kind, siem, .. })) => format!("{kind} {seq} {siem}"),
        Ok(Some(Event::Log { text, .. })) => text,
        Ok(Some(Event::Request(request))) => format!("request {}", request.id),
        Ok(Some(other)) => format!("{other:?}"),
        Err(error) => error.code().name().into(),
    }
}

#[test]
fn everything_comes_in_the_order_it_was_queued() {
    let log = |_: i32, _: &str, _: &str| ();
    let (delivery, _) = polled(Hooks { on_log: Some(Arc::new(log)), ..Hooks::default() });
    text(&delivery, b"one");
    record(&delivery, "", scopes());
    delivery.log(3, "test", format_args!("line"));
    delivery.push_notice(sent(9));
    record(&delivery, "", attempt(Outcome::Success { scopes: vec![] }));
    assert_eq!(next(&delivery), "one\0");
    text(&delivery, b"two");
    delivery.push_notice(Notice::Ask {
        id: 4,
        question: crate::event::Question::AuthorizationCode(crate::event::Authorization::default()),
    });
    let rest: Vec<String> = std::iter::repeat_with(|| next(&delivery)).take_while(|event| event != "none").collect();
    let expected = [
        "scope_validation 1 false",
        "line",
        "sent 9",
        "authentication_attempt 2 false",
        "authentication_attempt 2 true",
        "two\0",
        "request 4",
    ];
    assert_eq!(rest, expected);
    assert!(delivery.has_on_ask());
}

#[test]
fn the_descriptor_is_readable_exactly_while_something_waits_and_for_good_after_the_end() {
    let (delivery, fd) = polled(Hooks::default());
    assert_eq!(delivery.event_fd(), 42);
    assert!(!fd.is_readable());
    text(&delivery, b"one");
    text(&delivery, b"two");
    record(&delivery, "", Record::Closed);
    for expected in ["one\0", "two\0", "client_closed 1 false", "client_closed 1 true"] {
        assert!(fd.is_readable());
        assert_eq!(next(&delivery), expected);
    }
    assert!(!fd.is_readable());
    delivery.push_notice(sent(1));
    assert!(fd.is_readable());
    delivery.close();
    assert_eq!(next(&delivery), "sent 1");
    assert!(fd.is_readable());
    assert_eq!(next(&delivery), "GWA_E_CLOSED");
    assert!(delivery.close_by(LONG), "there is no dispatcher to wait for");
    delivery.begin();
    assert!(!fd.is_readable());
}

#[test]
fn a_drain_raises_the_descriptor_once() {
    let (delivery, fd) = polled(Hooks::default());
    let mut scratch = delivery.scratch();
    let mut drain = delivery.drain(&mut scratch);
    drain.push_message(crate::event::MessageKind::Text, b"one", 1);
    assert!(!fd.is_readable());
    drop(drain);
    assert!(fd.is_readable());
}

#[test]
fn a_registered_function_is_called_before_the_event_is_returned() {
    let (call, calls) = channel();
    let audit = call.clone();
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let inside = me.clone();
    let on_message = move |message: Message<'_>| {
        let delivery = inside.lock().unwrap().clone().unwrap();
        assert!(delivery.is_dispatch_thread());
        let refused = delivery.next_event(None, &|| false).unwrap_err();
        assert_eq!(refused.code(), Code::Reentrant);
        call.send(format!("{:?}", message.data_with_nul)).unwrap();
    };
    let on_audit = move |view: AuditView<'_>| {
        audit.send(view.kind.to_owned()).unwrap();
        Err(crate::hooks::HookFailed)
    };
    let hooks =
        Hooks { on_message: Some(Arc::new(on_message)), on_audit: Some(Arc::new(on_audit)), ..Hooks::default() };
    let (delivery, _) = polled(hooks);
    *me.lock().unwrap() = Some(delivery.clone());
    text(&delivery, b"a");
    assert_eq!(next(&delivery), "a\0");
    assert_eq!(calls.try_recv().unwrap(), "[97, 0]");
    record(&delivery, "", Record::Closed);
    assert_eq!(next(&delivery), "client_closed 1 false");
    assert_eq!(calls.try_recv().unwrap(), "client_closed");
    assert_eq!(delivery.metrics().hook_failures, 1);
    assert!(!delivery.is_dispatch_thread());
    me.lock().unwrap().take();
}

#[test]
fn waiting_threads_share_what_comes_and_all_learn_of_the_end() {
    const EACH: usize = 2_000;
    let (delivery, _) = polled(Hooks::default());
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let delivery = delivery.clone();
            std::thread::spawn(move || {
                let mut taken = 0;
                while let Ok(Some(_)) = delivery.next_event(None, &|| false) {
                    taken += 1;
                }
                taken
            })
        })
        .collect();
    let mut scratch = delivery.scratch();
    for _ in 0..EACH {
        delivery.push_message(&mut scratch, crate::event::MessageKind::Binary, b"x", 1);
        delivery.push_notice(sent(1));
    }
    delivery.close();
    let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
    assert_eq!(taken, EACH * 2);
}

#[test]
fn hooks_stay_serial_when_several_threads_poll() {
    let busy = Arc::new(AtomicBool::new(false));
    let on_message = move |_: Message<'_>| {
        assert!(!busy.swap(true, Ordering::SeqCst));
        std::thread::yield_now();
        busy.store(false, Ordering::SeqCst);
    };
    let (delivery, _) = polled(Hooks { on_message: Some(Arc::new(on_message)), ..Hooks::default() });
    (0..500).for_each(|_| text(&delivery, b"x"));
    delivery.close();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| while let Ok(Some(_)) = delivery.next_event(None, &|| false) {});
        }
    });
    assert_eq!(delivery.metrics().hook_failures, 0);
}

#[test]
fn an_interrupt_ends_the_wait_and_leaves_the_event() {
    let (delivery, _) = polled(Hooks::default());
    let flag = Arc::new(AtomicBool::new(false));
    let (asked, is_asked) = channel();
    let waiter = {
        let (delivery, flag) = (delivery.clone(), flag.clone());
        std::thread::spawn(move || {
            let interrupted = || {
                let _ = asked.send(());
                flag.load(Ordering::SeqCst)
            };
            delivery.next_event(None, &interrupted).unwrap_err().code()
        })
    };
    is_asked.recv_timeout(LONG).unwrap();
    flag.store(true, Ordering::SeqCst);
    delivery.wake_all();
    assert_eq!(waiter.join().unwrap(), Code::Interrupted);
    text(&delivery, b"kept");
    assert_eq!(next(&delivery), "kept\0");
}

#[test]
fn a_flood_is_given_back_and_frees_the_producer() {
    let (delivery, _) = polled(Hooks::default());
    let rung = Arc::new(AtomicBool::new(false));
    let ring = rung.clone();
    delivery.set_room_bell(Box::new(move || assert!(!ring.swap(true, Ordering::SeqCst))));
    while delivery.room() == Room::Below {
        text(&delivery, &[b'x'; 10_000]);
    }
    assert!(delivery.lock().back.is_bulky());
    while next(&delivery) != "none" {}
    assert!(rung.load(Ordering::SeqCst));
    let state = delivery.lock();
    assert!(!state.back.is_bulky() && !state.front.is_bulky());
}

#[test]
fn other_modes_have_nothing_to_poll() {
    let delivery = Delivery::new(&Settings::default(), Hooks::default(), Hands::default().parts(None));
    assert_eq!(next(&delivery), "GWA_E_BAD_STATE");
    assert_eq!(delivery.event_fd(), -1);
}

/// Polls, on a thread of its own, until there will be nothing more; what it was given, and why it ended.
fn poller(delivery: &Arc<Delivery>) -> std::thread::JoinHandle<(usize, Code)> {
    let delivery = Arc::clone(delivery);
    std::thread::spawn(move || {
        let mut given = 0;
        loop {
            match delivery.next_event(None, &|| false) {
                Ok(_) => given += 1,
                Err(error) => return (given, error.code()),
            }
        }
    })
}

/// Held by a hook: tells its drop.
struct Told(std::sync::mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn who_ends_it_waits_for_the_call_that_runs_and_nothing_is_called_after_it() {
    let (begin, begun) = channel();
    let (go, may_go) = channel::<()>();
    let (release, released) = channel();
    let (told, may_go) = (Told(release), Mutex::new(may_go));
    let on_message = move |_: Message<'_>| {
        let _ = &told;
        begin.send(()).unwrap();
        may_go.lock().unwrap().recv_timeout(LONG).unwrap();
    };
    let (delivery, fd) = polled(Hooks { on_message: Some(Arc::new(on_message)), ..Hooks::default() });
    (0..3).for_each(|_| text(&delivery, b"x"));
    let pollers = [poller(&delivery), poller(&delivery)];
    begun.recv_timeout(LONG).unwrap();
    delivery.end_polling();
    delivery.release_hooks();
    assert!(!delivery.wait_quiet(Deadline::after(Some(Duration::from_millis(20)))), "a call runs");
    assert!(released.try_recv().is_err(), "what a running hook owns is in use");
    let waiter = {
        let delivery = Arc::clone(&delivery);
        std::thread::spawn(move || delivery.wait_quiet(Deadline::after(Some(LONG))))
    };
    go.send(()).unwrap();
    assert!(waiter.join().unwrap());
    released.try_recv().expect("released before the wait is over");
    let ends: Vec<_> = pollers.into_iter().map(|poller| poller.join().unwrap()).collect();
    assert_eq!(ends.iter().map(|(given, _)| given).sum::<usize>(), 1, "the event of the call that ran");
    assert!(ends.iter().all(|(_, code)| *code == Code::Closed), "{ends:?}");
    assert!(begun.try_recv().is_err(), "no other call has begun");
    assert_eq!(next(&delivery), "GWA_E_CLOSED");
    assert!(fd.is_readable(), "whoever polls the descriptor learns of the end");
}

#[test]
fn inside_a_call_its_end_is_not_waited_for() {
    let (answer, answers) = channel();
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let inside = me.clone();
    let on_message = move |_: Message<'_>| {
        let delivery = inside.lock().unwrap().take().unwrap();
        delivery.end_polling();
        answer.send(delivery.wait_quiet(Deadline::after(None))).unwrap();
    };
    let (delivery, _) = polled(Hooks { on_message: Some(Arc::new(on_message)), ..Hooks::default() });
    *me.lock().unwrap() = Some(delivery.clone());
    text(&delivery, b"a");
    text(&delivery, b"b");
    assert_eq!(next(&delivery), "a\0");
    assert!(!answers.try_recv().unwrap());
    assert_eq!(next(&delivery), "GWA_E_CLOSED");
    assert!(delivery.wait_quiet(Deadline::after(Some(Duration::ZERO))));
}
