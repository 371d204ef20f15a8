//! Hooks that go while the client lives: from every thread, in every mode, with locks held and calls under way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::tests::*;
use super::tests_poll::{next, polled};
use super::*;
use crate::error::{Code, Error};
use crate::event::{Authorization, MessageKind, Notice, Question};
use crate::hooks::{Answer, AuditView, Callback, Message, Moment, ThreadKind};

/// Owned by a hook: tells the thread that drops it.
struct Owned(Sender<ThreadId>);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

/// Where drops of an [`Owned`] are told; there is to be one.
struct Drops(Receiver<ThreadId>);

impl Drops {
    fn none_yet(&self) -> bool {
        self.0.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty)
    }

    /// Waits for it.
    fn by(&self) -> ThreadId {
        self.0.recv_timeout(LONG).unwrap()
    }

    fn now_by(&self) -> ThreadId {
        self.0.try_recv().unwrap()
    }
}

fn owned() -> (Owned, Drops) {
    let (sender, drops) = channel();
    (Owned(sender), Drops(drops))
}

fn here() -> ThreadId {
    thread::current().id()
}

/// An `on_message` that owns something and does this.
fn on_message(owned: Owned, run: impl Fn(Message<'_>) + Send + Sync + 'static) -> Hooks {
    let hook = move |message: Message<'_>| {
        let _owned = &owned;
        run(message);
    };
    Hooks { on_message: Some(Arc::new(hook)), ..Hooks::default() }
}

/// A place for the delivery that a hook is to use.
#[derive(Clone, Default)]
struct Me(Arc<Mutex<Option<Arc<Delivery>>>>);

impl Me {
    fn is(&self, delivery: &Arc<Delivery>) {
        *self.0.lock().unwrap() = Some(delivery.clone());
    }

    fn get(&self) -> Arc<Delivery> {
        self.0.lock().unwrap().clone().unwrap()
    }

    fn forget(&self) {
        self.0.lock().unwrap().take();
    }
}

#[test]
fn a_running_call_is_waited_for_as_long_as_asked() {
    let (owned, drops) = owned();
    let (gated, entered, leave) = gate();
    let gated = gated.on_message.unwrap();
    let delivery = delivery(|_| (), on_message(owned, move |message| gated(message)));
    let dispatcher = dispatch(&delivery);
    let calls_here = dispatcher.thread().id();
    text(&delivery, b"one");
    text(&delivery, b"two");
    entered.recv_timeout(LONG).unwrap();
    assert!(!delivery.unregister(Callback::Message, Some(Duration::ZERO)));
    assert!(!delivery.unregister(Callback::Message, Some(Duration::from_millis(1))), "unless the time is up");
    assert!(drops.none_yet());
    let waiting = delivery.clone();
    let waits = thread::spawn(move || waiting.unregister(Callback::Message, None));
    leave.send(()).unwrap();
    assert!(waits.join().unwrap());
    assert_eq!(drops.now_by(), calls_here, "released by whoever had the last copy");
    text(&delivery, b"three");
    finish(&delivery, dispatcher);
    assert!(entered.try_recv().is_err(), "what waits and what comes is dropped");
    assert_eq!((delivery.metrics().messages_received, delivery.undelivered().events), (3, 0));
}

#[test]
fn later_holds_no_lock_up_and_releases_on_the_dispatcher() {
    struct Locks(Arc<Mutex<u32>>, Owned);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 100;
        }
    }
    let (owned, drops) = owned();
    let mine = Arc::new(Mutex::new(0));
    let locks = Locks(mine.clone(), owned);
    let (entered, has_entered) = channel();
    let hook = move |_: Message<'_>| {
        entered.send(()).unwrap();
        *locks.0.lock().unwrap() += 1;
        let _ = &locks.1;
    };
    let delivery = delivery(|_| (), Hooks { on_message: Some(Arc::new(hook)), ..Hooks::default() });
    let dispatcher = dispatch(&delivery);
    let calls_here = dispatcher.thread().id();
    let held = mine.lock().unwrap();
    text(&delivery, b"x");
    has_entered.recv_timeout(LONG).unwrap();
    // The hook waits for the lock that is held here.
    delivery.unregister_later(Callback::Message);
    delivery.unregister_later(Callback::Message);
    assert!(drops.none_yet());
    drop(held);
    assert_eq!(drops.by(), calls_here);
    assert_eq!(*mine.lock().unwrap(), 101, "released once, after the last call");
    assert!(delivery.unregister(Callback::Message, Some(LONG)));
    finish(&delivery, dispatcher);
}

#[test]
fn an_idle_dispatcher_wakes_up_for_it() {
    let (owned, drops) = owned();
    let delivery = delivery(|_| (), on_message(owned, |_| ()));
    let dispatcher = dispatch(&delivery);
    let calls_here = dispatcher.thread().id();
    while delivery.lock().waiters == 0 {
        thread::yield_now();
    }
    delivery.unregister_later(Callback::Message);
    assert_eq!(drops.by(), calls_here);
    finish(&delivery, dispatcher);
}

#[test]
fn inside_a_callback_others_go_at_once_and_itself_after_it() {
    let me = Me::default();
    let (own, own_drops) = owned();
    let (other, other_drops) = owned();
    let (tell, told) = channel();
    let inside = me.clone();
    let run = move |_: Message<'_>| {
        let delivery = inside.get();
        // Neither waits, or it would be for ever.
        let itself = delivery.unregister(Callback::Message, None);
        let another = delivery.unregister(Callback::Audit, None);
        tell.send((itself, another, here())).unwrap();
    };
    let mut hooks = on_message(own, run);
    hooks.on_audit = Some(Arc::new(move |_: AuditView<'_>| {
        let _ = &other;
        Ok(())
    }));
    let delivery = delivery(|_| (), hooks);
    me.is(&delivery);
    let dispatcher = dispatch(&delivery);
    text(&delivery, b"x");
    let (itself, another, calls_here) = told.recv_timeout(LONG).unwrap();
    assert!(!itself && another);
    assert_eq!((other_drops.now_by(), own_drops.by()), (calls_here, calls_here));
    assert!(delivery.unregister(Callback::Message, Some(LONG)));
    finish(&delivery, dispatcher);
    assert_eq!(delivery.metrics().hook_failures, 0);
    me.forget();
}

#[test]
fn a_release_may_let_go_of_another_one() {
    struct Chain(Me, Owned);
    impl Drop for Chain {
        fn drop(&mut self) {
            assert!(self.0.get().unregister(Callback::Log, None));
            assert!(!self.0.get().unregister(Callback::Message, None), "is about to");
            let _ = &self.1;
            panic!("a release that panics harms nobody");
        }
    }
    let me = Me::default();
    let (own, own_drops) = owned();
    let (other, other_drops) = owned();
    let chain = Chain(me.clone(), own);
    let hooks = Hooks {
        on_message: Some(Arc::new(move |_: Message<'_>| _ = &chain)),
        on_log: Some(Arc::new(move |_, _: &str, _: &str| _ = &other)),
        ..Hooks::default()
    };
    let delivery = delivery(|_| (), hooks);
    me.is(&delivery);
    let dispatcher = dispatch(&delivery);
    assert!(delivery.unregister(Callback::Message, Some(LONG)));
    assert_eq!(other_drops.now_by(), own_drops.now_by());
    finish(&delivery, dispatcher);
    me.forget();
}

#[test]
fn before_the_start_it_goes_at_once_or_with_the_first_chance() {
    for how in ["now", "dispatcher", "now, after later", "shutdown", "end"] {
        let (owned, drops) = owned();
        let delivery = delivery(|_| (), on_message(owned, |_| panic!("is not called")));
        if how != "now" {
            delivery.unregister_later(Callback::Message);
            assert!(drops.none_yet(), "never inside the call");
        }
        match how {
            "dispatcher" => {
                let dispatcher = dispatch(&delivery);
                let calls_here = dispatcher.thread().id();
                text(&delivery, b"x");
                assert_eq!(drops.by(), calls_here);
                finish(&delivery, dispatcher);
            }
            "shutdown" => delivery.let_go_retired(),
            "end" => delivery.release_hooks(),
            _ => assert!(delivery.unregister(Callback::Message, Some(Duration::ZERO))),
        }
        assert!(how == "dispatcher" || drops.now_by() == here(), "{how}");
        assert!(delivery.unregister(Callback::Message, Some(Duration::ZERO)), "a second time is nothing: {how}");
    }
}

#[test]
fn a_waiter_is_not_left_behind_by_a_dispatcher_that_ends() {
    for _ in 0..200 {
        let (owned, drops) = owned();
        let delivery = delivery(|_| (), on_message(owned, |_| ()));
        let dispatcher = dispatch(&delivery);
        let closer = delivery.clone();
        let closes = thread::spawn(move || closer.close_by(LONG));
        assert!(delivery.unregister(Callback::Message, Some(LONG)));
        drops.now_by();
        assert!(closes.join().unwrap());
        dispatcher.join().unwrap();
    }
}

#[test]
fn no_call_comes_after_it_is_gone_whatever_arrives() {
    for round in 0..300_u64 {
        let (owned, drops) = owned();
        let is_gone = Arc::new(AtomicBool::new(false));
        let (gone, calls) = (is_gone.clone(), Arc::new(AtomicUsize::new(0)));
        let count = calls.clone();
        let run = move |_: Message<'_>| {
            assert!(!gone.load(Ordering::SeqCst), "a call after its release");
            count.fetch_add(1, Ordering::SeqCst);
        };
        let delivery = delivery(|_| (), on_message(owned, run));
        let dispatcher = dispatch(&delivery);
        let producer = delivery.clone();
        let produces = thread::spawn(move || (0..200).for_each(|_| text(&producer, b"x")));
        while calls.load(Ordering::SeqCst) < (round % 5) as usize {
            thread::yield_now();
        }
        let others = [0, 1].map(|_| {
            let delivery = delivery.clone();
            thread::spawn(move || delivery.unregister(Callback::Message, Some(LONG)))
        });
        assert!(delivery.unregister(Callback::Message, Some(LONG)));
        is_gone.store(true, Ordering::SeqCst);
        drops.now_by();
        assert!(others.into_iter().all(|other| other.join().unwrap()));
        produces.join().unwrap();
        finish(&delivery, dispatcher);
        assert_eq!((delivery.metrics().messages_received, delivery.metrics().hook_failures), (200, 0));
        assert_eq!(delivery.undelivered().events, 0);
    }
}

#[test]
fn polled_it_goes_at_once_or_with_the_next_event() {
    let (own, drops) = owned();
    let (delivery, fd) = polled(on_message(own, |_| ()));
    text(&delivery, b"one");
    assert_eq!(next(&delivery), "one\0");
    assert!(delivery.unregister(Callback::Message, Some(Duration::ZERO)));
    assert_eq!(drops.now_by(), here());
    assert!(!fd.is_readable());
    text(&delivery, b"two");
    assert_eq!(next(&delivery), "two\0", "events go on");

    let (own, drops) = owned();
    let (delivery, fd) = polled(on_message(own, |_| ()));
    delivery.unregister_later(Callback::Message);
    assert!(drops.none_yet() && fd.is_readable(), "the next poll is worth making");
    assert_eq!(next(&delivery), "none");
    assert_eq!(drops.now_by(), here());
    assert!(!fd.is_readable());
}

#[test]
fn polled_a_running_call_is_waited_for() {
    let me = Me::default();
    let (own, drops) = owned();
    let (gated, entered, leave) = gate();
    let (gated, inside) = (gated.on_message.unwrap(), me.clone());
    let run = move |message: Message<'_>| {
        assert!(!inside.get().unregister(Callback::Message, None), "is running");
        gated(message);
    };
    let (delivery, fd) = polled(on_message(own, run));
    me.is(&delivery);
    text(&delivery, b"one");
    let poller = delivery.clone();
    let polls = thread::spawn(move || next(&poller));
    let calls_here = polls.thread().id();
    entered.recv_timeout(LONG).unwrap();
    assert!(!delivery.unregister(Callback::Message, Some(Duration::ZERO)));
    let waiting = delivery.clone();
    let waits = thread::spawn(move || waiting.unregister(Callback::Message, Some(LONG)));
    leave.send(()).unwrap();
    assert!(waits.join().unwrap());
    assert_eq!(drops.now_by(), calls_here);
    assert_eq!(polls.join().unwrap(), "one\0");
    assert!(!fd.is_readable());
    assert_eq!(delivery.metrics().hook_failures, 0);
    me.forget();
}

/// The socket thread and its bell, played by the test.
#[test]
fn inline_the_socket_thread_lets_go() {
    let me = Me::default();
    let (own, drops) = owned();
    let inside = me.clone();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let run = move |message: Message<'_>| {
        count.fetch_add(1, Ordering::SeqCst);
        if message.data() == b"last" {
            assert!(!inside.get().unregister(Callback::Message, None), "is running");
        }
    };
    let delivery = delivery(|settings| settings.delivery = Mode::Inline, on_message(own, run));
    me.is(&delivery);
    let (ring, rung) = channel();
    delivery.set_room_bell(Box::new(move || ring.send(()).unwrap()));
    let mut scratch = delivery.scratch();
    let mut drain = delivery.drain(&mut scratch);
    drain.push_message(MessageKind::Text, b"last", 1);
    assert!(drops.none_yet() && rung.try_recv().is_ok());
    drain.push_message(MessageKind::Text, b"too late", 1);
    assert_eq!(drops.now_by(), here(), "between two messages");
    drop(drain);
    assert_eq!((seen.load(Ordering::SeqCst), delivery.metrics().messages_received), (1, 2));
    assert!(delivery.unregister(Callback::Message, Some(Duration::ZERO)));
    assert_eq!(delivery.metrics().hook_failures, 0);
    me.forget();
}

#[test]
fn inline_a_socket_thread_that_waits_is_woken_and_one_that_ends_lets_go() {
    for ends in [false, true] {
        let (own, drops) = owned();
        let delivery = delivery(|settings| settings.delivery = Mode::Inline, on_message(own, |_| ()));
        let (ring, rung) = channel();
        delivery.set_room_bell(Box::new(move || ring.send(()).unwrap()));
        let scratch = delivery.scratch();
        let socket = delivery.clone();
        let (go, may_go) = channel();
        let runs = thread::spawn(move || {
            rung.recv_timeout(LONG).unwrap();
            may_go.recv_timeout(LONG).unwrap();
            if !ends {
                socket.freshen(&scratch);
            }
        });
        let calls_here = runs.thread().id();
        let dispatcher = dispatch(&delivery);
        assert!(!delivery.unregister(Callback::Message, Some(Duration::ZERO)));
        go.send(()).unwrap();
        assert!(delivery.unregister(Callback::Message, Some(LONG)));
        assert_eq!(drops.by(), calls_here, "not the dispatcher, which has no copy");
        runs.join().unwrap();
        finish(&delivery, dispatcher);
    }
}

#[test]
fn questions_that_nobody_hears_any_more_are_answered_at_once() {
    let (answer, answers) = channel();
    let delivery = delivery(|_| (), Hooks { on_ask: Some(Arc::new(|_| panic!("is not called"))), ..Hooks::default() });
    delivery.set_reply(Arc::new(move |id, outcome: Result<Answer, Error>| {
        answer.send((id, outcome.map_err(|error| error.code()))).unwrap();
    }));
    assert!(delivery.has_on_ask());
    delivery.push_notice(Notice::Ask { id: 1, question: Question::AuthorizationCode(Authorization::default()) });
    assert!(delivery.unregister(Callback::Ask, Some(Duration::ZERO)));
    assert!(!delivery.has_on_ask());
    delivery.push_notice(Notice::Ask { id: 2, question: Question::AuthorizationCode(Authorization::default()) });
    assert_eq!(answers.try_recv(), Ok((2, Err(Code::Cancelled))));
    let dispatcher = dispatch(&delivery);
    assert_eq!(answers.recv_timeout(LONG), Ok((1, Err(Code::Cancelled))), "it was in the queue");
    finish(&delivery, dispatcher);
}

/// Hooks with an `on_thread` that tells what it hears and, at a beginning, stays until told.
fn thread_gate(owned: Owned) -> (Hooks, Receiver<(Moment, ThreadKind)>, Sender<()>) {
    let (tell, told) = channel();
    let (leave, may_leave) = channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let hook = move |moment, kind| {
        let _owned = &owned;
        tell.send((moment, kind)).unwrap();
        if moment == Moment::Started {
            may_leave.lock().unwrap().recv_timeout(LONG).unwrap();
        }
    };
    (Hooks { on_thread: Some(Arc::new(hook)), ..Hooks::default() }, told, leave)
}

#[test]
fn threads_tell_their_beginning_and_their_end() {
    let (own, drops) = owned();
    let (hooks, told, leave) = thread_gate(own);
    let delivery = delivery(|_| (), hooks);
    leave.send(()).unwrap();
    let at_work = OnThread::started(&delivery, ThreadKind::Socket);
    assert_eq!(told.try_recv(), Ok((Moment::Started, ThreadKind::Socket)));
    drop(at_work);
    assert_eq!(told.try_recv(), Ok((Moment::Ending, ThreadKind::Socket)));
    assert!(delivery.unregister(Callback::Thread, Some(Duration::ZERO)));
    assert_eq!(drops.now_by(), here());
    drop(OnThread::started(&delivery, ThreadKind::Socket));
    assert!(told.try_recv().is_err());
}

#[test]
fn a_running_on_thread_is_named_waited_for_and_released_by_its_thread() {
    let (own, drops) = owned();
    let (hooks, told, leave) = thread_gate(own);
    let delivery = delivery(|_| (), hooks);
    let worker = delivery.clone();
    let works = thread::spawn(move || drop(OnThread::started(&worker, ThreadKind::Refresh)));
    let runs_here = works.thread().id();
    told.recv_timeout(LONG).unwrap();
    assert_eq!(delivery.running_callback().map(|(name, _)| name), Some("on_thread"));
    delivery.unregister_later(Callback::Thread);
    assert!(!delivery.unregister(Callback::Thread, Some(Duration::ZERO)));
    assert!(drops.none_yet());
    leave.send(()).unwrap();
    assert!(delivery.unregister(Callback::Thread, Some(LONG)));
    assert_eq!(drops.now_by(), runs_here);
    works.join().unwrap();
    assert!(told.try_recv().is_err(), "its end is told to nobody");
}

#[test]
fn hooks_of_a_client_that_is_gone_go_with_the_thread_that_calls_them() {
    let (own, drops) = owned();
    let (thread_own, thread_drops) = owned();
    let (gated, entered, leave) = gate();
    let gated = gated.on_message.unwrap();
    let mut hooks = on_message(own, move |message| gated(message));
    hooks.on_thread = Some(Arc::new(move |_, _| _ = &thread_own));
    let delivery = delivery(|_| (), hooks);
    let dispatcher = dispatch(&delivery);
    let calls_here = dispatcher.thread().id();
    text(&delivery, b"x");
    entered.recv_timeout(LONG).unwrap();
    delivery.close();
    delivery.disown();
    assert!(drops.none_yet());
    leave.send(()).unwrap();
    assert_eq!(drops.by(), calls_here);
    dispatcher.join().unwrap();
    assert!(thread_drops.none_yet(), "threads may still have to tell their end");
    drop(delivery);
    assert_eq!(thread_drops.now_by(), here());
}
