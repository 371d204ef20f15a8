//! Short walks with a fault or a fact every few seconds: what takes a storm of coincidences in life happens often here.

use super::faults::Fault;
use super::random::provided;
use super::server::{InBand, Nature};
use super::stories::settings;
use super::world::{Event, World};
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::dice::Dice;
use crate::proto::http::Reply;
use crate::proto::refresher;
use crate::proto::session::{self, Rounds};

const MINUTE: u64 = 60_000;

fn nature(dice: &mut Dice) -> Nature {
    let lifetime_ms = [4_000, 20_000, 120_000, 900_000][dice.up_to(3) as usize];
    Nature {
        lifetime_ms,
        rotates: dice.up_to(3) > 0,
        in_band: [InBand::Yes, InBand::Refuses, InBand::Silent][dice.up_to(2) as usize],
        kept_ms: None,
        push_ms: (lifetime_ms / 7).clamp(200, 10_000),
        crossing_ms: dice.up_to(50),
        network_ms: (1, 1 + dice.up_to(200)),
        endpoint_ms: dice.up_to(500),
        answers: dice.up_to(4) > 0,
        ..Nature::default()
    }
}

fn pick<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.up_to(of.len() as u64 - 1) as usize]
}

/// How the token endpoint fails, for long enough that failures add up.
const OF_TOKENS: &[Fault] = &[
    Fault::TokenUnavailable,
    Fault::TokenThrottled,
    Fault::TokenThrottledFor,
    Fault::TokenQuota,
    Fault::TokenHangs,
    Fault::TokenSlow,
    Fault::TokenTooShort,
    Fault::TokenUnauthorized,
    Fault::TokenForbidden,
    Fault::TokenScopeMissing,
    Fault::TokenScopesDiffer,
    Fault::RefreshTokenDies,
    Fault::AppPersistsLate,
    Fault::AppCannotPersist,
];

/// How the application fails that provides the tokens.
const OF_PROVIDERS: &[Fault] = &[
    Fault::TokenTooShort,
    Fault::AppProvidesNone,
    Fault::AppProvidesLate,
    Fault::AppCannotProvide,
    Fault::AppProvidesAgain,
    Fault::AppProvidesDead,
];

/// The refresh thread by itself: everything that may be said to it, at any time.
pub fn walk_of_tokens(seed: u64) {
    let mut dice = Dice::new(seed);
    let (mut nature, mut rules) = (nature(&mut dice), settings());
    let is_provided = seed % 8 == 7;
    if is_provided {
        provided(&mut nature, &mut rules);
    }
    let faults = if is_provided { OF_PROVIDERS } else { OF_TOKENS };
    let mut w = World::new(seed ^ 0x7E57, rules, nature);
    w.feed_refresher(refresher::Input::Start);
    for _ in 0..60 {
        if dice.up_to(2) == 0 {
            let longest = pick(&mut dice, &[2_000, 40_000, 10 * MINUTE]);
            w.strike(pick(&mut dice, faults), dice.up_to(longest));
        }
        if dice.up_to(9) == 0 {
            w.faults_end();
        }
        let pause = pick(&mut dice, &[0, 30, 1_000, 6_000, w.nature.lifetime_ms]);
        w.run_for(dice.up_to(pause));
        tell(&mut w, &mut dice);
    }
    if dice.up_to(1) == 0 {
        w.faults_end();
        w.run_for(MINUTE);
        w.refresh_now();
    }
    w.feed_refresher(refresher::Input::Close);
    w.run_for(MINUTE);
}

/// Something is said to the refresh thread.
fn tell(w: &mut World, dice: &mut Dice) {
    let serial = w.watch.tokens.last().map_or(0, |(_, token)| token.serial).saturating_sub(dice.up_to(2) / 2);
    w.watch.app_acted(w.now_ms);
    match dice.up_to(7) {
        0 => w.refresh_now(),
        1 | 2 => {
            let least = dice.up_to(w.nature.lifetime_ms * 11 / 10);
            w.wish(pick(dice, &[0, least]));
        }
        3 => w.feed_refresher(refresher::Input::Refused { serial }),
        4 => {
            let error = Error::new(Code::ReauthRequired, Stage::Authenticate, "");
            w.feed_refresher(refresher::Input::GiveUp { error, serial });
        }
        5 => w.new_credential(),
        6 => {
            // The answer to a request that is long over.
            let outcome = Ok(Reply { status: 503, ..Reply::default() });
            w.later(0, Event::ToRefresher(refresher::Input::Replied { epoch: 0, outcome }));
        }
        _ => {}
    }
}

const OF_SOCKETS: &[Fault] = &[
    Fault::DialRefused,
    Fault::DialUnauthorized,
    Fault::DialUnavailable,
    Fault::AuthRefused,
    Fault::AuthThrottled,
    Fault::AuthSilent,
    Fault::AuthGarbled,
    Fault::AuthClosed,
    Fault::RenewalRefused,
    Fault::RenewalThrottled,
    Fault::NoPong,
    Fault::NoCloseReply,
    Fault::NetworkSlow,
    Fault::TokenSlow,
    Fault::TokenUnavailable,
    Fault::TokenScopeMissing,
    Fault::Dropped,
    Fault::DroppedNewest,
    Fault::ClosedToDrain,
    Fault::ClosedForToken,
    Fault::Swallowed,
    Fault::TokensRevoked,
    Fault::AppStalls,
    Fault::Suspended,
];

/// Both threads, with sockets that are lost all the time.
pub fn walk_of_sockets(seed: u64) {
    let mut dice = Dice::new(seed);
    let nature = nature(&mut dice);
    let lost_scopes = super::random::lost_scopes(seed);
    let rules = Settings { lost_scopes, ping_after_ms: pick(&mut dice, &[3_000, 25_000]), ..settings() };
    let mut w = World::new(seed ^ 0x50C7, rules, nature);
    w.start(if dice.up_to(2) == 0 { Rounds::Once } else { Rounds::Forever });
    for _ in 0..40 {
        let fault = pick(&mut dice, OF_SOCKETS);
        w.watch.loose_clock |= fault == Fault::Suspended;
        if dice.up_to(1) == 0 {
            let longest = pick(&mut dice, &[3_000, 20_000, MINUTE]);
            w.strike(fault, dice.up_to(longest));
        }
        if dice.up_to(3) == 0 {
            w.refresh_now();
        }
        if dice.up_to(5) == 0 {
            // A fact about a socket that is long gone.
            let error = Error::new(Code::Dropped, Stage::Live, "");
            w.feed_session(session::Input::Dropped { epoch: 0, error });
        }
        let longest = pick(&mut dice, &[50, 2_000, 20_000, MINUTE]);
        w.run_for(dice.up_to(longest));
        if !w.watch.failed.is_empty() {
            w.faults_end();
            w.run_for(MINUTE);
            break;
        }
    }
    w.close();
    w.run_for(MINUTE);
    assert_eq!(w.watch.stopped, (1, 1), "not stopped");
}

#[test]
fn dense_walks() {
    let first = std::env::var("GWA_FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0u64);
    let walks = std::env::var("GWA_WALKS").ok().and_then(|text| text.parse().ok()).unwrap_or(200u64);
    for seed in first..first + walks {
        for (name, walk) in [("tokens", walk_of_tokens as fn(u64)), ("sockets", walk_of_sockets)] {
            let outcome = super::muted(|| std::panic::catch_unwind(|| walk(seed)));
            let words = outcome.err().map(|panic| super::random::words(&*panic));
            assert!(words.is_none(), "the dense walk of {name}, seed {seed}: {}", words.unwrap_or_default());
        }
    }
}
