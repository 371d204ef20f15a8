//! One token for twenty, renewed a hundred times: one request a renewal, whoever asked for it.

use std::time::Duration;

use ffi_tests::sim::{Options, Sim};

use crate::harness::*;
use crate::inn::{tokens, Guest, Inn};

#[test]
fn twenty_clients_share_a_hundred_renewals() {
    let inn = Inn::of(Sim::start(Options::default()), |config| config.set("token.refresh_floor_ms", "0").unwrap());
    let guests: Vec<Guest> = (0..20).map(|_| inn.guest()).collect();
    each(&guests, |guest| guest.client.connect(Some(BOUND)).unwrap());
    for round in 1..=100_usize {
        guests[round % guests.len()].client.refresh_now().unwrap();
        for guest in &guests {
            guest.seen.wait("a further token", |saws| tokens(saws) > round);
        }
        // Every one of them presents it on its live socket.
        inn.wait_sim("twenty renewals", |log| log.reauths() == round * guests.len());
    }
    let token = guests[0].client.token(Duration::ZERO, Some(BOUND)).unwrap();
    assert_eq!(token.serial, 101);
    assert_eq!((inn.sim.record().token_requests(), inn.sim.record().ws_connects()), (101, 20));
    for guest in guests {
        let metrics = guest.client.metrics();
        let saws = guest.close();
        assert_eq!((gaps(&saws), handovers(&saws), metrics.handovers), (0, 0, 0), "{}", show(&saws));
    }
    assert_eq!(tokens(&inn.close()), 101);
}
