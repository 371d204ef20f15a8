//! Other ways to the channels and back: deliveries, proxies; and what must not be said on any of them.

use std::sync::Arc;

use ffi_tests::proxy::Proxy;
use ffi_tests::sim::{ApiReply, Farewell, Options, Route, UpgradeReply};
use genesys_ws_auth::event::{Event, State};
use genesys_ws_auth::hooks::Hooks;
use genesys_ws_auth::{Client, Code};
use serde_json::{json, Value};

use crate::bed::*;

#[test]
fn inline_delivery_gives_every_event_once() {
    let bed = Bed::new(pumping(2));
    let guest = bed.guest(|config| config.set("delivery", "inline").unwrap());
    guest.connect();
    (0..30).for_each(|_| guest.roll_over());
    every_event_once(&bed, &guest);
    guest.close();
}

#[test]
fn polling_gives_every_event_once() {
    let bed = Bed::new(pumping(2));
    let mut guest = bed.guest(|config| {
        config.set("delivery", "poll").unwrap();
        config.hooks = Hooks::default();
    });
    // The tests wait on what is seen: a thread that polls tells it.
    let client: Arc<Client> = Arc::new(std::mem::replace(&mut guest.client, bed.guest(|_| {}).client));
    let (poller, seen) = (Arc::clone(&client), Arc::clone(&guest.seen));
    let thread = std::thread::spawn(move || loop {
        match poller.next_event(Some(BOUND)) {
            Ok(Some(Event::Message { data_with_nul, .. })) => {
                seen.tell(|told| told.receive(data_with_nul.strip_suffix(b"\0").unwrap()));
            }
            Ok(Some(Event::Notice(notice))) => seen.tell(|told| told.note(&notice)),
            Ok(_) => {}
            Err(error) => return error.code(),
        }
    });
    client.connect(Some(BOUND)).unwrap();
    for n in 1..=30 {
        client.refresh_now().unwrap();
        guest.seen.wait("a hand-over", |told| told.handovers.len() == n);
    }
    every_event_once(&bed, &guest);
    assert!(client.shutdown(Some(BOUND)).complete);
    assert_eq!(thread.join().unwrap(), Code::Closed);
}

#[test]
fn calls_and_sockets_have_proxies_of_their_own() {
    let bed = Bed::new(Options::notifications());
    let (https, wss) = (Proxy::start(), Proxy::start());
    let source = bed.source();
    let proxied = |config: &mut genesys_ws_auth::Config| {
        config.set("proxy.https", &https.url()).unwrap();
        config.set("proxy.wss", &wss.url()).unwrap();
    };
    let own = bed.guest(proxied);
    own.connect();
    assert_eq!((https.asked().len(), wss.asked().len()), (3, 1), "token, channel and subscription; the socket");
    let shared = bed.guest_of(&source, proxied);
    shared.connect();
    assert_eq!((https.asked().len(), wss.asked().len()), (5, 2), "the source has no proxy, its client has");
    let stats: Value = serde_json::from_str(&shared.client.stats_json()).unwrap();
    let peers = (https.addr().to_string(), wss.addr().to_string());
    assert_eq!(
        (&stats["network"]["token_proxy"], &stats["network"]["socket_proxy"]),
        (&json!(peers.0), &json!(peers.1))
    );
    let everything = bed.sim.addr().to_string();
    assert!(https.asked().iter().chain(&wss.asked()).all(|asked| asked.authority == everything));
    own.close();
    shared.close();
    assert!(source.release(Some(BOUND)));
}

#[test]
fn neither_the_id_nor_the_uri_of_a_channel_is_ever_said() {
    let bed = Bed::new(plain());
    let gone = |body: &str| UpgradeReply::Status { code: 404, headers: Vec::new(), body: body.to_owned() };
    bed.sim.api().then(Route::Create, ApiReply::with("connectUri", json!("wss://example.com/channels/streaming-0-x")));
    bed.sim.ws().on_upgrade(gone("no such channel: streaming-0-y"));
    let guest = bed.guest(|_| {});
    guest.client.start().unwrap();
    guest.seen.wait_state(State::Ready, 1);
    bed.sim.api().then(Route::Replace, ApiReply::Drop).then(Route::Clear, ApiReply::error(404, "not.found"));
    guest.roll_over();
    let quietly = Farewell { notice: false, close: Some(1000) };
    bed.sim.channels().live().iter().for_each(|id| _ = bed.sim.channels().expire(id, quietly.clone()));
    guest.seen.wait_state(State::Ready, 3);
    bed.sim.channels().live().iter().for_each(|id| _ = bed.sim.channels().evict(id, Farewell::default()));
    guest.seen.wait_state(State::Displaced, 1);
    let stats = guest.client.stats_json();
    let told = guest.close();
    let said = format!("{} {stats} {:?}", told.words.join("\n"), told.states);
    assert!(said.contains("DISPLACED") && said.contains("CHANNEL_URI"), "{said}");
    assert!(!said.contains("streaming-0-") && !said.contains("/channels/"), "{said}");
    let channels = bed.sim.record().read(|log| log.channels.clone());
    assert!(channels.len() >= 4);
    for channel in channels {
        assert!(!said.contains(&channel.id) && !said.contains(&channel.token));
    }
}
