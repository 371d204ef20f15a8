//! Topics of the profile `notifications`, from C.

use std::time::Duration;

use ffi_tests::cprog::{each, Program, Variant};
use ffi_tests::sim::{Action, EventPump, Farewell, Log, Sim, TokenForm};

use crate::BOUND;

/// A tenant whose topics have events all the time. Its tokens are opaque; the answer says what they grant.
fn tenant(variant: Variant) -> Sim {
    let mut options = variant.options();
    options.token.form = TokenForm::Opaque;
    options.notify.events = Some(EventPump::every(Duration::from_millis(100)));
    let sim = Sim::start(options);
    sim.channels().reject("v2.refused.", "no permission", &["routing:queue:view", "routing:queue:edit"]);
    sim
}

#[test]
fn topics_come_and_go_at_any_time() {
    each("notifications_topics", |variant| {
        let sim = tenant(variant);
        let program = Program::new("notifications_topics", variant).against(&sim).start();
        // With these the program says that it is ready for what comes. The simulator sorts those that are permitted.
        let ready = |topic: &str| {
            let has_it = |log: &Log| log.channels.iter().any(|channel| channel.topics.iter().any(|one| one == topic));
            let seen = sim.record().wait_until(BOUND * variant.slowness(), has_it);
            assert!(seen, "{topic}: {:?}", sim.record().snapshot().channels);
        };
        ready("v2.ready.d");
        sim.channels().act(None, [Action::Drop]);
        ready("v2.ready.e");
        let channel = sim.channels().live().pop().expect("the one in use");
        sim.channels().evict(&channel, Farewell { notice: false, close: None });
        program.finish().passed();
        let log = sim.record().snapshot();
        assert!(log.channels.iter().all(|channel| !channel.topics.iter().any(|topic| topic.contains("scoped"))));
        assert_eq!(log.forced_drops(), 1, "{:?}", log.connections);
        let last = ["v2.ready.d", "v2.ready.e", "v2.users.b.presence", "v2.users.f.presence"];
        assert_eq!(log.channels.last().expect("one").topics, last, "the new channel has them all");
        assert!(log.channels.len() >= 2, "{:?}", log.channels);
        // Before the token was known to lack its scope, nothing was sent at all.
        let names = |body: &[u8]| String::from_utf8_lossy(body).contains("scoped");
        assert!(log.requests.iter().all(|request| !names(&request.body)), "{:?}", log.requests);
    });
}
