//! Many clients of one token: its twenty channels are enough for nineteen of them, and no rollover evicts a sibling.

use std::time::{Duration, Instant};

use genesys_ws_auth::event::State;
use genesys_ws_auth::Code;

use crate::bed::*;

const SEATS: usize = 19;

#[test]
fn nineteen_clients_roll_over_a_hundred_times_and_evict_nobody() {
    let bed = Bed::new(pumping(20));
    let source = bed.source();
    let guests: Vec<Guest> = (0..SEATS).map(|_| bed.guest_of(&source, |_| {})).collect();
    std::thread::scope(|scope| guests.iter().for_each(|guest| drop(scope.spawn(|| guest.connect()))));
    assert_eq!(bed.sim.record().token_requests(), 1);
    let start = Instant::now();
    let rounds = 100;
    for round in 1..=rounds {
        guests[round % SEATS].client.refresh_now().unwrap();
        for guest in &guests {
            guest.seen.wait("a hand-over", |told| told.handovers.len() >= round);
        }
    }
    eprintln!("{} rollovers of {SEATS} clients in {:.1?}", rounds * SEATS, start.elapsed());
    let log = bed.sim.record().snapshot();
    assert_eq!(log.token_requests(), rounds + 1, "one request for all of them");
    assert_eq!(log.channels_made(), SEATS * (rounds + 1));
    // Channels that nobody is connected to make room for new ones; whoever is connected would have been told.
    let told_off: Vec<_> = log.system_sent.iter().map(|sent| &sent.topic).collect();
    assert!(told_off.is_empty(), "{told_off:?}");
    assert!(log.most_sockets() <= SEATS + 1, "{} sockets at a time", log.most_sockets());
    for guest in guests {
        let told = guest.close();
        assert_eq!((told.gaps.len(), told.handovers.len(), told.times(State::Displaced)), (0, rounds, 0));
        assert!(told.events.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", told.events);
    }
    assert!(source.release(Some(BOUND)));
}

#[test]
fn the_twentieth_client_is_refused_until_one_goes() {
    let bed = Bed::new(plain());
    let source = bed.source();
    let mut guests: Vec<Guest> = (0..SEATS).map(|_| bed.guest_of(&source, |_| {})).collect();
    guests.iter().for_each(|guest| guest.client.start().unwrap());
    let late = bed.guest_of(&source, |_| {});
    for outcome in [late.client.start(), late.client.connect(Some(BOUND))] {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Code::ChannelLimit);
        assert!(error.to_string().contains("19"), "{error}");
    }
    assert_eq!(late.client.state(), State::Idle);
    // A client of the other profile has no channel.
    let other = bed.guest_of(&source, |config| {
        config.set("profile", "auth-message").unwrap();
        config.set("ws.url", &bed.sim.ws_url()).unwrap();
    });
    other.client.start().unwrap();
    guests.pop().unwrap().close();
    late.connect();
    late.close();
    other.close();
    guests.into_iter().for_each(|guest| drop(guest.close()));
    assert!(source.release(Some(Duration::from_secs(60))));
}
