//! Walks through days at random: faults for a while, then none, and the client must be live again and stay so.

#![allow(clippy::disallowed_methods)]

use std::time::Instant;

use super::faults::Fault;
use super::server::{InBand, Nature};
use super::stories::settings;
use super::world::World;
use crate::config::settings::{Grant, LostScopes, Settings};
use crate::event::State;
use crate::proto::dice::Dice;
use crate::proto::session::Rounds;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// After the last fault: the longest `Retry-After` (381 s) with its spread (300 s) or throttle (500 s), a request (15 s),
/// a dial and an authentication that hang (40 s), two reconnects (60 s), the application that looks every 10 s, twice.
const LIVE_AGAIN_MS: u64 = 1_000_000;

/// Says which walk failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() && !super::is_muted() {
            eprintln!("the walk of seed {} failed", self.0);
        }
    }
}

fn nature(dice: &mut Dice) -> Nature {
    // From 1 s to 24 h: half of them evenly over the magnitudes, half as long as they are in life.
    let magnitude = if dice.up_to(1) == 0 { dice.up_to(16) } else { 10 + dice.up_to(6) };
    let lifetime_ms = (1_000u64 << magnitude) + dice.up_to(999);
    let lifetime_ms = lifetime_ms.min(DAY);
    let small = lifetime_ms / 40;
    let in_band = match dice.up_to(5) {
        0 => InBand::Refuses,
        1 if lifetime_ms > MINUTE => InBand::Silent,
        _ => InBand::Yes,
    };
    Nature {
        lifetime_ms,
        rotates: dice.up_to(3) > 0,
        grace_ms: dice.up_to(1) * MINUTE,
        in_band,
        kept_ms: [None, Some(0), Some(20_000)][dice.up_to(2) as usize],
        push_ms: (lifetime_ms / 7).clamp(200, 5 * MINUTE),
        crossing_ms: dice.up_to(small.min(50)),
        network_ms: (1, 1 + dice.up_to(small.min(200))),
        endpoint_ms: small.min(1_000),
        persist_ms: small.min(1_000),
        requests_per_minute: 300,
        answers: dice.up_to(4) > 0,
        body: None,
    }
}

fn rules(dice: &mut Dice) -> Settings {
    let ping_after_ms = if dice.up_to(7) == 0 { 25_000 } else { 10 * MINUTE };
    let lead_ms = (dice.up_to(5) == 0).then(|| dice.up_to(HOUR));
    Settings { ping_after_ms, lead_ms, overlap: dice.up_to(3) > 0, ..settings() }
}

/// What becomes of the live socket of this walk when a required scope is lost.
pub fn lost_scopes(seed: u64) -> LostScopes {
    if seed % 3 == 1 {
        LostScopes::Close
    } else {
        LostScopes::Keep
    }
}

/// The application provides the tokens.
pub fn provided(nature: &mut Nature, rules: &mut Settings) {
    (nature.rotates, nature.answers, rules.grant) = (false, true, Grant::Application);
}

/// One walk; how much time passed in it.
pub fn walk(seed: u64) -> u64 {
    let _said_on_failure = Seed(seed);
    let mut dice = Dice::new(seed);
    let (mut nature, mut rules) = (nature(&mut dice), rules(&mut dice));
    rules.lost_scopes = lost_scopes(seed);
    if seed % 8 == 5 {
        provided(&mut nature, &mut rules);
    }
    let ping_ms = rules.ping_after_ms + rules.dead_after_ms;
    let mut w = World::new(seed ^ 0xABCD, rules, nature);
    let once = dice.up_to(3) == 0;
    w.start(if once { Rounds::Once } else { Rounds::Forever });
    storm(&mut w, &mut dice);
    if w.watch.failed.is_empty() && dice.up_to(7) > 0 {
        recover(&mut w, ping_ms);
        calm(&mut w);
    }
    end(&mut w);
    w.now_ms
}

/// Faults, one to three at a time.
fn storm(w: &mut World, dice: &mut Dice) {
    let life = w.nature.lifetime_ms;
    let length = (150 * life).clamp(3 * MINUTE, 16 * HOUR);
    let strikes = 4 + dice.up_to(12);
    for _ in 0..strikes {
        w.run_for(dice.up_to(2 * length / strikes));
        for _ in 0..=dice.up_to(2) {
            let fault = Fault::ALL[dice.up_to(Fault::ALL.len() as u64 - 1) as usize];
            let longest = [life, 3 * life, 100 * life][dice.up_to(2) as usize].min(10 * MINUTE);
            w.watch.loose_clock |= fault == Fault::Suspended;
            w.watch.stepped |= fault == Fault::WallStepped;
            if w.trace {
                println!("{} ! {fault:?}", w.now_ms);
            }
            w.strike(fault, 1_000 + dice.up_to(longest));
            w.run_for(dice.up_to(3_000));
        }
        w.watch.forget();
        if !w.watch.failed.is_empty() {
            return;
        }
    }
}

/// No more faults: live again within the bound, with the help of an application that reads states.
fn recover(w: &mut World, ping_ms: u64) {
    w.faults_end();
    w.unstall();
    if !w.server.honours(w.refresher.credentials().refresh_token.as_ref()) {
        w.new_credential();
    }
    w.watch.forget();
    let (began, newest) = (w.now_ms, w.messages());
    let is_well = |w: &World| {
        let message = w.watch.received.last().is_some_and(|(_, number)| *number > newest);
        message && matches!(w.state(), State::Ready | State::Renewing)
    };
    while !w.run_until(10_000, is_well) {
        help(w);
        let late = w.now_ms > began + LIVE_AGAIN_MS + ping_ms + 2 * w.nature.push_ms;
        assert!(!late, "{:?} {} ms after the last fault", w.state(), w.now_ms - began);
    }
    // A request may still be kept waiting by what the server said.
    // A credential that was replaced while a request was in flight may be void by the next one.
    let limit = w.now_ms + 2 * LIVE_AGAIN_MS + 3 * w.nature.lifetime_ms;
    let fresh = |w: &World| {
        let new = w.watch.tokens.iter().filter(|(at, _)| *at > began).count();
        new >= 2 && w.state() == State::Ready
    };
    while !w.run_until(10_000, fresh) {
        help(w);
        assert!(w.now_ms < limit, "no new token, {:?}", w.state());
    }
}

/// What an application does that reads states.
fn help(w: &mut World) {
    let refused = w.watch.states.last().is_some_and(|change| change.reason == "credentials refused");
    // A lost scope is looked for again after a quarter of the token's life; who has given it back does not wait for that.
    let denied = w.watch.states.last().is_some_and(|change| change.reason == "scopes denied");
    if w.state() == State::ReauthRequired || w.state() == State::Degraded && refused {
        w.new_credential();
    } else if w.state() == State::Degraded && denied {
        w.refresh_now();
    }
}

/// A quiet time: nothing is lost, every token is renewed in time.
fn calm(w: &mut World) {
    let (gaps, renewals, dials) = (w.watch.gaps.len(), w.watch.renewals.len(), w.watch.dials.len());
    w.watch.forget();
    w.run_for((5 * w.nature.lifetime_ms / 2).max(MINUTE));
    assert!(w.run_until(30_000, |w| matches!(w.state(), State::Ready | State::Renewing)), "{:?}", w.state());
    assert_eq!(w.watch.gaps.len(), gaps, "a gap in quiet times");
    assert!(w.watch.renewals.len() > renewals, "no renewal in quiet times");
    if w.watch.marked == 0 && w.nature.in_band == InBand::Yes {
        assert_eq!(w.watch.dials.len(), dials, "a dial in quiet times");
    }
    let newest = w.messages();
    w.run_for(MINUTE + 5_000);
    let seen = w.watch.received.iter().any(|(_, number)| *number >= newest);
    assert!(seen, "message {newest} did not arrive");
    w.watch.no_silent_loss(w.now());
}

fn end(w: &mut World) {
    w.close();
    w.run_for(MINUTE);
    assert_eq!(w.watch.stopped, (1, 1), "not stopped");
    assert_eq!((w.session.next_timeout(), w.refresher.next_timeout()), (None, None), "a timer after the end");
    assert_eq!(w.watch.wishes_open(), 0, "a wish without an answer");
    let state = w.state();
    assert!(matches!(state, State::Closed | State::Idle | State::Failed), "{state:?}");
    w.refresh_now();
    w.wish(0);
    w.run_for(MINUTE);
}

#[test]
fn walks_of_fixed_seeds() {
    let began = Instant::now();
    let walks = if cfg!(debug_assertions) { 400 } else { 4_000 };
    let passed: u64 = (0..walks).map(walk).sum();
    let days = passed as f64 / DAY as f64;
    println!("{walks} walks, {days:.0} days in {:.1} s", began.elapsed().as_secs_f64());
    assert!(days > walks as f64 / 2.0, "the walks are too short: {days:.0} days");
}

/// `GWA_WALK_SECONDS=20 cargo test fresh_seeds`
#[test]
fn walks_of_fresh_seeds() {
    let Some(seconds) = std::env::var("GWA_WALK_SECONDS").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let first = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 >> 10;
    let (began, mut passed, mut walks) = (Instant::now(), 0, 0);
    while began.elapsed().as_secs() < seconds {
        passed += walk(first + walks);
        walks += 1;
    }
    println!("{walks} walks from seed {first}, {:.0} days", passed as f64 / DAY as f64);
}

/// The message of a panic.
pub fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// For whoever hunts a bug: which of many walks fail, and with which words.
#[test]
#[ignore = "a tool"]
fn survey() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let first = number("GWA_FIRST", 0);
    for seed in first..first + number("GWA_WALKS", 3_000) {
        if let Err(panic) = super::muted(|| std::panic::catch_unwind(|| walk(seed))) {
            println!("{seed}: {}", words(&*panic).replace('\n', " "));
        }
    }
}
