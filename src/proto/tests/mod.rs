//! The two machines in a simulated world: no clock, no thread, no sleep.
//!
//! * [`world`] drives both machines in simulated time, with delays between them; [`wires`] is the socket thread
//!   and its sockets, [`app`] the application;
//! * [`server`] is the token endpoint and the socket server; [`faults`] the reviewed list of what goes wrong;
//! * [`watch`] holds what must be true after every single step;
//! * [`stories`], [`losses`], [`tokens`], [`scopes`], [`grants`], [`provider`], [`sharing`] and [`wishes`] tell one rule each in the
//!   world, [`alone`] feeds the session by hand, [`notify_alone`] and [`notify_live`] that of the profile `notifications`,
//!   [`notify_chaos`] feeds it anything;
//! * [`record_laws`] compares what is on record with what was done;
//! * [`token_laws`], [`socket_laws`] and [`scope_laws`] tell the rules a second time, and are asked after every step too;
//! * [`store`] and [`opaque`] feed the refresher by [`hand`]: what lies between request and publication, as do [`verified`],
//!   [`issuer_keys`], [`introspected`] and [`strangers`];
//! * [`store_walk`] is several processes that share a token store;
//! * [`random`] walks through days at random, [`dense`] through minutes full of faults;
//! * [`fleets`] runs a thousand clients behind one credential, see [`fleet`];
//! * [`platform`] is Genesys Cloud itself, for the profile `notifications`;
//! * [`mutants`] breaks every rule on purpose and asks whether anybody notices.

use std::cell::Cell;
use std::sync::Once;

mod ahead;
mod alone;
mod app;
mod asked;
mod dense;
mod faults;
mod fleet;
mod fleets;
mod grants;
mod hand;
mod introspected;
mod issuer;
mod issuer_keys;
mod issuer_walk;
mod long_answer;
mod losses;
mod mutants;
mod notify_alone;
mod notify_chaos;
mod notify_live;
mod notify_rig;
mod opaque;
mod platform;
mod provider;
mod random;
mod record_laws;
mod restarts;
mod scope_laws;
mod scopes;
mod server;
mod sharing;
mod socket_laws;
mod store;
mod store_walk;
mod stories;
mod strangers;
mod token_laws;
mod tokens;
mod verified;
mod watch;
mod wires;
mod wishes;
mod world;

// What `fleet` calls the crate: a benchmark includes it too.
use crate as library;

std::thread_local! {
    static MUTED: Cell<bool> = const { Cell::new(false) };
}

/// Whether failures are expected on this thread.
fn is_muted() -> bool {
    MUTED.with(Cell::get)
}

/// Runs something that is expected to panic, without the words.
fn muted<T>(what: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_muted() {
                usual(info);
            }
        }));
    });
    MUTED.with(|muted| muted.set(true));
    let result = what();
    MUTED.with(|muted| muted.set(false));
    result
}

/// No output shows a secret in `Debug`. Formatting is slow, so a walk looks at some of them.
fn keeps_secrets(output: &impl std::fmt::Debug, dice: &mut crate::proto::dice::Dice) {
    if dice.up_to(15) == 0 {
        hides_secrets(output);
    }
}

/// No record shows one. Those that a walk did not use to meet do not move its dice: a seed stays the walk it was.
fn hides_secrets_of(record: &crate::audit::Record, dice: &mut crate::proto::dice::Dice) {
    if record.about().id() <= crate::audit::Kind::Panicked.id() {
        dice.up_to(15);
    }
    hides_secrets(record);
}

fn hides_secrets(output: &impl std::fmt::Debug) {
    let text = format!("{output:?}");
    assert!(!text.contains("hush"), "a secret shows: {text}");
}

/// A record of a step that is no attempt, and what it says: `socket_opened connection=1`.
fn step_on_record(output: &crate::proto::session::Output) -> Option<String> {
    use crate::audit::Kind;
    let crate::proto::session::Output::Audit(record) = output else { return None };
    let about = record.about();
    if matches!(about, Kind::Attempt | Kind::Scopes | Kind::ScopesChanged | Kind::ConnectionLost | Kind::Closed) {
        return None;
    }
    let mut words = about.name().to_owned();
    record.fields(&mut |name, value| words.push_str(&format!(" {name}={}", value.words())));
    Some(words)
}
