//! Walks at random: faults for a while, then none, and every client must be live again, and stay so without a loss.

#![allow(clippy::disallowed_methods)]

use std::time::Instant;

use super::channels::{HOUR, MINUTE};
use super::faults::Fault;
use super::world::{settings, Client, Nature, Platform};
use crate::config::settings::{Displaced, Settings};
use crate::event::State;
use crate::proto::dice::Dice;
use crate::proto::session::Rounds;
use crate::proto::tests::{muted, random, server};

const DAY: u64 = 24 * HOUR;
/// By how much one channel may get an event later than another.
const SKEWS: &[u64] = &[0, 300, 2_000];

/// After the last fault: three hours of `Retry-After`, its spread, the policy of who comes back after it was displaced.
const LIVE_AGAIN_MS: u64 = 8 * HOUR;

/// Dense and long walks that are shown to be well, from seed 0. A hunt for mutants takes no others: one that fails anyway
/// would notice every mutant.
pub const DENSE: u64 = 150;
pub const LONG: u64 = 10;

fn pick<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.up_to(of.len() as u64 - 1) as usize]
}

fn nature(dice: &mut Dice) -> Nature {
    let lifetime_ms = pick(dice, &[5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, DAY, 2 * DAY, 40 * DAY]);
    let base = server::Nature {
        lifetime_ms: lifetime_ms - dice.up_to(1_000),
        rotates: dice.up_to(3) == 0,
        grace_ms: dice.up_to(1) * MINUTE,
        kept_ms: pick(dice, &[None, Some(0), Some(20_000)]),
        push_ms: (lifetime_ms / 50).clamp(2_000, 10 * MINUTE),
        crossing_ms: dice.up_to(50),
        network_ms: (1, 1 + dice.up_to(200)),
        endpoint_ms: dice.up_to(1_000),
        ..server::Nature::default()
    };
    Nature {
        base,
        // Where little else happens, fewer heartbeats make a walk cheap.
        beat_ms: if lifetime_ms >= DAY { pick(dice, &[30_000, 5 * MINUTE, 5 * MINUTE]) } else { 30_000 },
        skew_ms: pick(dice, SKEWS),
        rest_ms: dice.up_to(1_000),
        ahead_ms: dice.up_to(10 * MINUTE) as i64 - 5 * MINUTE as i64,
        clients: if dice.up_to(9) == 0 { 3 } else { 1 },
        ..Nature::default()
    }
}

fn rules(dice: &mut Dice, nature: &Nature) -> Settings {
    let displaced = pick(dice, &[Displaced::Stop, Displaced::Return]);
    let required_scopes = vec!["a:read".into()];
    Settings { displaced, required_scopes, heartbeat_timeout_ms: nature.beat_ms + 5_000, ..settings() }
}

/// One walk; how much time passed in it.
pub fn walk(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let nature = nature(&mut dice);
    let rules = Settings { lost_scopes: random::lost_scopes(seed), ..rules(&mut dice, &nature) };
    let mut w = Platform::new(seed ^ 0xC10D, rules, nature);
    w.start(if dice.up_to(5) == 0 { Rounds::Once } else { Rounds::Forever });
    storm(&mut w, &mut dice);
    if !has_failed(&w) && dice.up_to(7) > 0 {
        recover(&mut w);
        calm(&mut w);
    }
    end(&mut w);
    w.now_ms
}

fn has_failed(w: &Platform) -> bool {
    w.clients.iter().any(|client| !client.laws.failed.is_empty())
}

/// Faults, one to three at a time.
fn storm(w: &mut Platform, dice: &mut Dice) {
    let life = w.nature.base.lifetime_ms;
    let length = (5 * life).clamp(3 * HOUR, 20 * HOUR);
    let strikes = 4 + dice.up_to(12);
    for _ in 0..strikes {
        w.run_for(dice.up_to(2 * length / strikes));
        for _ in 0..=dice.up_to(2) {
            let fault = pick(dice, Fault::ALL);
            let longest = pick(dice, &[10_000, MINUTE, 10 * MINUTE, life.min(HOUR)]);
            w.strike(fault, 1_000 + dice.up_to(longest));
            w.run_for(dice.up_to(3_000));
        }
        tidy(w);
        if has_failed(w) {
            return;
        }
        if dice.up_to(3) == 0 {
            help(w);
        }
    }
}

/// Settles what is long over, and forgets what only stories look at.
fn tidy(w: &mut Platform) {
    let now_ms = w.now_ms;
    for client in &mut w.clients {
        let stalled = is_stalled(client);
        client.laws.account.settle(now_ms, stalled);
        client.laws.forget();
    }
}

fn is_stalled(client: &Client) -> bool {
    client.queue_full || client.sockets.values().any(|socket| socket.stalled)
}

/// What an application does that reads states.
fn help(w: &mut Platform) {
    let states: Vec<State> = w.clients.iter().map(|client| client.session.state()).collect();
    if states.contains(&State::Displaced) || states.contains(&State::ReauthRequired) {
        w.refresh_now();
    }
    if states.contains(&State::ReauthRequired) || states.contains(&State::Degraded) {
        w.new_credential();
    }
}

/// No more faults: live again within the bound, with the help of an application that reads states.
fn recover(w: &mut Platform) {
    w.faults_end();
    let began = w.now_ms;
    let well = |w: &Platform| {
        let is_well = |state| matches!(state, State::Ready | State::Renewing);
        w.clients.iter().all(|client| is_well(client.session.state()))
    };
    while !w.run_until(10 * MINUTE, well) {
        help(w);
        let late = w.now_ms > began + LIVE_AGAIN_MS;
        assert!(!late, "{:?} {} ms after the last fault", w.state(), w.now_ms - began);
    }
    // What the wall clock and the API said meanwhile is over too.
    w.run_for(10 * MINUTE);
    while !w.run_until(10 * MINUTE, well) {
        help(w);
        assert!(w.now_ms < began + 2 * LIVE_AGAIN_MS, "{:?} again", w.state());
    }
    let renewed = |w: &Platform| w.clients.iter().all(|client| client.session.state() == State::Ready);
    assert!(w.run_until(LIVE_AGAIN_MS, renewed), "{:?}", w.state());
    tidy(w);
}

/// A quiet time: nothing is lost, everything is renewed in time, and what is not in use is given up.
fn calm(w: &mut Platform) {
    let before: Vec<usize> = w.clients.iter().map(|client| client.laws.gaps.len()).collect();
    w.faulty = false;
    let length = (5 * w.nature.base.lifetime_ms / 2).clamp(HOUR, 3 * DAY);
    w.run_for(length);
    assert!(w.run_until(10 * MINUTE, Platform::is_live), "{:?}", w.state());
    w.run_for(MINUTE);
    assert!(
        w.run_until(10 * MINUTE, |w| w.clients.iter().all(|c| c.session.state() == State::Ready)),
        "{:?}",
        w.state()
    );
    let returned = |w: &Platform| w.clients.iter().all(|client| client.laws.held_since.is_none());
    assert!(w.run_until(MINUTE, returned), "the spare channel is not returned");
    for (client, before) in w.clients.iter().zip(before) {
        assert_eq!(client.laws.gaps.len(), before, "a gap in quiet times");
        assert!(client.laws.account.are_promised(client.laws.wanted()), "a topic that is wanted is not subscribed");
    }
    let idle = w.cloud.channels.values().filter(|channel| channel.socket.is_none() && !channel.topics.is_empty());
    assert!(idle.filter(|channel| channel.made_ms + MINUTE > w.now_ms - length).count() <= 1, "subscribed for nobody");
    tidy(w);
}

fn end(w: &mut Platform) {
    // What an application that does not read has not read when it closes is lost to it, and it knows.
    let stalled: Vec<bool> = w.clients.iter().map(is_stalled).collect();
    w.close();
    w.run_for(MINUTE);
    assert_eq!(w.source.next_timeout(), None, "a timer after the end");
    for client in &w.clients {
        assert_eq!((client.laws.stopped, client.session.next_timeout()), (1, None), "not stopped");
        let state = client.session.state();
        assert!(matches!(state, State::Closed | State::Idle | State::Failed), "{state:?}");
    }
    assert_eq!(w.spare.holder, None, "the spare channel is kept after the end");
    w.refresh_now();
    w.run_for(10 * MINUTE);
    let now_ms = w.now_ms;
    for (client, stalled) in w.clients.iter_mut().zip(stalled) {
        client.laws.account.settle(now_ms, stalled);
    }
}

/// A short walk with a fault every few seconds: what takes a storm of coincidences in life happens often here.
pub fn dense(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let mut nature = nature(&mut dice);
    nature.beat_ms = 30_000;
    let rules = Settings { lost_scopes: random::lost_scopes(seed), ..rules(&mut dice, &nature) };
    nature.base.lifetime_ms = pick(&mut dice, &[MINUTE, 5 * MINUTE, 30 * MINUTE]);
    nature.base.push_ms = pick(&mut dice, &[1_000, 5_000]);
    // Only what a user granted has scopes, and only a renewal takes them away.
    let loses_scopes = seed % 4 == 2;
    nature.base.rotates |= loses_scopes;
    let mut w = Platform::new(seed ^ 0xDE45E, rules, nature);
    w.start(if dice.up_to(3) == 0 { Rounds::Once } else { Rounds::Forever });
    for step in 0..40 {
        if loses_scopes && step % 6 == 3 {
            w.fault_for(Fault::TokenScopeMissing, MINUTE);
            w.refresh_now();
        }
        if dice.up_to(1) == 0 {
            let longest = pick(&mut dice, &[3_000, 20_000, MINUTE]);
            w.strike(pick(&mut dice, Fault::ALL), dice.up_to(longest));
        }
        if dice.up_to(5) == 0 {
            w.refresh_now();
        }
        if dice.up_to(9) == 0 {
            w.faults_end();
        }
        let longest = pick(&mut dice, &[50, 2_000, 20_000, MINUTE, 2 * MINUTE]);
        w.run_for(dice.up_to(longest));
        tidy(&mut w);
        if has_failed(&w) {
            break;
        }
    }
    w.faults_end();
    w.run_for(MINUTE);
    end(&mut w);
    w.now_ms
}

/// Walks until so much time has passed; how many.
fn walks_of(passed_ms: u64) -> u64 {
    let (mut seed, mut passed) = (0, 0);
    while passed < passed_ms {
        match muted(|| std::panic::catch_unwind(|| walk(seed))) {
            Ok(ms) => passed += ms,
            Err(panic) => panic!("the walk of seed {seed} failed: {}", random::words(&*panic)),
        }
        seed += 1;
    }
    seed
}

#[test]
fn a_year_of_walks_of_fixed_seeds() {
    let began = Instant::now();
    let years = if cfg!(debug_assertions) { 1 } else { 20 };
    let walks = walks_of(years * 365 * DAY);
    assert!(walks >= LONG, "{walks} walks are too few for the hunt");
    println!("{walks} walks, {years} years in {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
fn dense_walks_of_the_platform() {
    for seed in 0..DENSE {
        let outcome = muted(|| std::panic::catch_unwind(|| dense(seed)));
        let words = outcome.err().map(|panic| random::words(&*panic));
        assert!(words.is_none(), "the dense walk of seed {seed}: {}", words.unwrap_or_default());
    }
}

/// `GWA_WALK_SECONDS=20 cargo test fresh_seeds`
#[test]
fn notifications_walks_of_fresh_seeds() {
    let Some(seconds) = std::env::var("GWA_WALK_SECONDS").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let first = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 >> 10;
    let (began, mut passed, mut walks) = (Instant::now(), 0, 0);
    while began.elapsed().as_secs() < seconds {
        match muted(|| std::panic::catch_unwind(|| walk(first + walks))) {
            Ok(ms) => passed += ms,
            Err(panic) => panic!("the walk of seed {} failed: {}", first + walks, random::words(&*panic)),
        }
        walks += 1;
    }
    println!("{walks} walks from seed {first}, {:.0} days", passed as f64 / DAY as f64);
}

/// For whoever hunts a bug: which of many walks fail, and with which words.
#[test]
#[ignore = "a tool"]
fn notifications_survey() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (first, began) = (number("GWA_FIRST", 0), Instant::now());
    let mut passed = 0;
    for seed in first..first + number("GWA_WALKS", 300) {
        for (name, walk) in [("long", walk as fn(u64) -> u64), ("dense", dense)] {
            if std::env::var("GWA_KIND").is_ok_and(|kind| kind != name) {
                continue;
            }
            match muted(|| std::panic::catch_unwind(|| walk(seed))) {
                Ok(ms) => passed += ms,
                Err(panic) => println!("{name} {seed}: {}", random::words(&*panic).replace('\n', " ")),
            }
        }
    }
    println!("{} days in {:.1} s", passed / DAY, began.elapsed().as_secs_f64());
}
