//! What becomes of a client one of whose threads panics: told, counted, and still able to be shut down.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::event::{MessageKind, Sent};
use crate::hooks::{AuditView, Hooks, Moment};
use crate::proto::oauth::Credentials;
use crate::proto::refresher::Memory;
use crate::secret::Secret;
use crate::shell::delivery::Parts as DeliveryParts;
use crate::shell::gate::Gate;
use crate::shell::interrupt::Interrupt;
use crate::shell::source::{Kind, Parts as SourceParts};
use crate::shell::Carry;

const LONG: Duration = Duration::from_secs(20);

/// What the hooks were told: names of states, kinds of records, ids of messages.
#[derive(Debug, Eq, PartialEq)]
enum Told {
    State(State),
    Record(&'static str),
    Sent(u64, Option<Code>),
}

/// Parts whose dispatcher panics once its clock is poisoned.
fn parts(poison: &Arc<AtomicBool>) -> (Parts, Receiver<Told>) {
    parts_with(poison, Hooks::default())
}

fn parts_with(poison: &Arc<AtomicBool>, hooks: Hooks) -> (Parts, Receiver<Told>) {
    let url = |scheme: &str| format!("{scheme}://127.0.0.1:1/x");
    let settings = Settings {
        token_url: url("http"),
        ws_url: url("ws"),
        allow_plain_loopback: true,
        client_id: "id".into(),
        ..Settings::default()
    };
    let settings = Arc::new(settings);
    let clock = Clock::new();
    let poison = Arc::clone(poison);
    let tick = move || {
        assert!(!poison.load(Ordering::SeqCst), "poisoned");
        0
    };
    let clocks = DeliveryParts {
        boot_id: "boot".into(),
        clock: Arc::new(move || clock.now()),
        tick: Arc::new(tick),
        event_fd: None,
        sealer: None,
    };
    let (sender, told) = mpsc::channel();
    let (states, records, sents) = (sender.clone(), sender.clone(), sender);
    let on_state = move |notice: &Notice| {
        if let Notice::State(change) = notice {
            let _ = states.send(Told::State(change.to));
        }
    };
    let on_audit = move |view: AuditView<'_>| {
        let _ = records.send(Told::Record(view.kind));
        Ok(())
    };
    let on_sent = move |sent: &Sent| {
        let _ = sents.send(Told::Sent(sent.id, sent.outcome.as_ref().err().map(Error::code)));
    };
    let hooks = Hooks {
        on_state: Some(Arc::new(on_state)),
        on_audit: Some(Arc::new(on_audit)),
        on_sent: Some(Arc::new(on_sent)),
        ..hooks
    };
    let credentials = Credentials { client_secret: Secret::new("secret".into()), ..Credentials::default() };
    let (net, shared) = (Net::new(Arc::clone(&settings)).unwrap(), Arc::<Shared>::default());
    let delivery = Delivery::new(&settings, hooks, clocks);
    let source = Source::new(
        SourceParts {
            settings: Arc::clone(&settings),
            clock,
            net: net.clone(),
            delivery: Arc::clone(&delivery),
            shared: Arc::clone(&shared),
            carry: Carry { credentials, unauthorized: 0, memory: Memory::default() },
            loaded: Vec::new(),
        },
        Kind::Private,
    );
    let outbox = Arc::new(Mutex::new(Outbox::new(10, 1_000)));
    let parts = Parts { net, delivery, outbox, shared, source, session_id: None, settings, clock, subscriptions: None };
    (parts, told)
}

#[test]
fn a_panic_is_a_state_a_record_and_the_end_of_the_others() {
    let (parts, told) = parts(&Arc::default());
    let (shared, delivery) = (Arc::clone(&parts.shared), Arc::clone(&parts.delivery));
    let (gate, promise) = Gate::new().unwrap();
    let engine = Engine::start(parts, Rounds::Forever, Some(promise)).unwrap();
    let failure = Failure {
        lease: Some(engine.tokens.clone()),
        socket: Some(engine.socket.clone()),
        delivery,
        shared: Arc::clone(&shared),
        clock: Clock::new(),
    };
    let body = || -> () { panic!("on purpose") };
    let caught = thread::spawn(move || guarded(&failure, ThreadKind::Refresh, body));
    assert!(caught.join().unwrap().is_none());
    // The others were told to stop; whoever waits is not left waiting.
    assert!(engine.wait_ended(Deadline::after(Some(LONG))).is_some());
    assert!(gate.wait(Deadline::after(Some(LONG)), &Interrupt::new().unwrap()).is_err());
    assert_eq!((shared.state(), shared.failure().map(Error::code)), (State::Failed, Some(Code::Panic)));
    let told: Vec<Told> = told.try_iter().collect();
    assert!(told.contains(&Told::Record("panic")), "{told:?}");
    let states: Vec<_> = told.iter().filter(|told| matches!(told, Told::State(_))).collect();
    assert_eq!(states.last(), Some(&&Told::State(State::Failed)), "it is final: {told:?}");
}

#[test]
fn a_dispatcher_that_panics_fails_the_client_and_keeps_nobody_waiting() {
    let poison = Arc::new(AtomicBool::new(true));
    let (parts, _told) = parts(&poison);
    let shared = Arc::clone(&parts.shared);
    let engine = Engine::start(parts, Rounds::Forever, None).unwrap();
    assert!(engine.wait_ended(Deadline::after(Some(LONG))).is_some(), "a thread that panicked counts as running");
    assert_eq!(shared.state(), State::Failed);
}

#[test]
fn messages_of_a_socket_thread_that_panics_end_once() {
    let (parts, told) = parts(&Arc::default());
    let waiter = waiter(&parts.clock).unwrap();
    let (socket, inbox) = Inbox::new(waiter.bell());
    let (gate, promise) = Gate::<()>::new().unwrap();
    let (delivery, shared) = (Arc::clone(&parts.delivery), Arc::clone(&parts.shared));
    let outlet = Outlet { socket, delivery, shared, needs: None, has_channel: false, subscriptions: None };
    let tokens = parts.source.join(outlet, None).unwrap();
    let socket = driver(&parts, waiter, inbox, tokens.clone(), Some(promise)).unwrap();
    let outbox = Arc::clone(&parts.outbox);
    outbox.lock().unwrap().push(MessageKind::Text, b"x").unwrap();
    parts.delivery.begin();
    let ended = thread::spawn(move || {
        let _socket = socket;
        panic!("on purpose");
    });
    assert!(ended.join().is_err());
    let error = gate.wait(Deadline::after(Some(LONG)), &Interrupt::new().unwrap()).unwrap_err();
    assert_eq!(error.code(), Code::Panic, "connect is told");
    assert!(outbox.lock().unwrap().push(MessageKind::Text, b"y").is_err(), "nobody would send it");
    tokens.leave();
    assert!(parts.source.finish(Deadline::after(Some(LONG))));
    parts.delivery.close();
    parts.delivery.run_dispatcher();
    // The source's thread may have asked for a token meanwhile: then what came of that is on record as well.
    let (records, others): (Vec<_>, Vec<_>) = told.try_iter().partition(|told| matches!(told, Told::Record(_)));
    assert_eq!(others, [Told::Sent(1, Some(Code::Panic))]);
    let of_tokens = [Told::Record("token_requested"), Told::Record("token_refused")];
    assert!(records.is_empty() || records == of_tokens, "{records:?}");
}

#[test]
fn what_a_start_that_failed_leaves_behind_can_be_waited_for() {
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let on_thread = move |moment: Moment, _: ThreadKind| {
        if moment == Moment::Started {
            may_go.lock().unwrap().recv_timeout(LONG).unwrap();
        }
    };
    let (mut parts, _told) =
        parts_with(&Arc::default(), Hooks { on_thread: Some(Arc::new(on_thread)), ..Hooks::default() });
    // The source has settings of its own: its thread starts, the next one asks for more than there is.
    parts.settings = Arc::new(Settings { stack_bytes: 1 << 60, ..(*parts.settings).clone() });
    let failed = Engine::start(parts, Rounds::Forever, None).err().unwrap();
    assert_eq!(failed.error.code(), Code::Internal);
    let rest = failed.rest.expect("gwa-refresh is in on_thread");
    assert!(rest.wait_ended(Deadline::after(Some(Duration::ZERO))).is_none());
    go.send(()).unwrap();
    assert!(rest.wait_ended(Deadline::after(Some(LONG))).is_some());
}
