//! Every rule broken on purpose, one at a time: the walks alone must notice, of a few rules a story.

use std::panic::catch_unwind;

use super::{
    ahead, alone, asked, dense, fleets, grants, introspected, issuer_keys, losses, muted, notify_alone, notify_live,
    opaque, provider, random, scopes, sharing, store, store_walk, stories, strangers, tokens, verified, wishes,
};
use crate::proto::mutant::{activate, Mutant};

/// Long walks that look for a mutant that no dense walk has noticed.
const WALKS: u64 = 120;
/// Dense walks of each kind that look for a mutant.
const DENSE: u64 = 100;

/// What the walks notice without the help of a story.
const WALK_NOTICES: &[Mutant] = &[
    Mutant::ScopeChangeUntold,
    Mutant::LostScopeTaken,
    Mutant::LostScopeBlocks,
    Mutant::DenialHurries,
    Mutant::DenialRepeated,
    Mutant::LostScopeCloses,
    Mutant::LostScopeKept,
    Mutant::LostScopeHidden,
    Mutant::NoLead,
    Mutant::FailureUncounted,
    Mutant::FailureDropsToken,
    Mutant::SecondRequest,
    Mutant::PublishFirst,
    Mutant::PersistForEver,
    Mutant::RotationIgnored,
    Mutant::RotationLostOnRefusal,
    Mutant::ReplacementOverwritten,
    Mutant::CloseDropsAnswer,
    Mutant::NoForcedFloor,
    Mutant::ForcedWaitForgotten,
    Mutant::RetryAfterIgnored,
    Mutant::RetryAfterForgotten,
    Mutant::NoBreaker,
    Mutant::RetryUnbounded,
    Mutant::ThrottleIsPlain,
    Mutant::StaleReply,
    Mutant::CodeTwice,
    Mutant::NeverAsks,
    Mutant::RefusalIgnored,
    Mutant::StaleRefusalFetches,
    Mutant::GiveUpIsStale,
    Mutant::BlockedForGood,
    Mutant::WishForgotten,
    Mutant::RoundUnreported,
    Mutant::QuotaIsPlain,
    Mutant::ShortLifeTaken,
    Mutant::ActiveAfterStop,
    Mutant::ProviderForEver,
    Mutant::ExpiredPresented,
    Mutant::RefusedRenewalCloses,
    Mutant::NoAuthDeadline,
    Mutant::NeverMarked,
    Mutant::MarkedAtOnce,
    Mutant::MarkIgnored,
    Mutant::NotHeldBack,
    Mutant::HandoverEarly,
    Mutant::HandoversOverlap,
    Mutant::NoGap,
    Mutant::GapStaysOpen,
    Mutant::UnreadIsNoGap,
    Mutant::SendOnDead,
    Mutant::OneStrike,
    Mutant::NoPing,
    Mutant::PongNotMissed,
    Mutant::StallIgnored,
    Mutant::ExpiredKept,
    Mutant::OldEpoch,
    Mutant::DialAfterEnd,
    Mutant::AuditedTwice,
    Mutant::LostRenewalUnaudited,
    Mutant::OnceIsForEver,
    Mutant::SessionIdForgotten,
    Mutant::SecondStandby,
    Mutant::NeverHolds,
    Mutant::SuspendIgnored,
    Mutant::ThrottledForgotten,
    Mutant::GoalIgnored,
    Mutant::WaitsForEver,
    Mutant::AheadAgain,
    Mutant::UpgradeWhenSlow,
    Mutant::DeniedStaysOpen,
    Mutant::StepUntold,
    Mutant::RequestUnrecorded,
    Mutant::IssueUnrecorded,
    Mutant::IssueRecordedTwice,
    Mutant::RefusalUnrecorded,
    Mutant::EndUnrecorded,
    Mutant::KeepingUnrecorded,
    Mutant::OpeningUnrecorded,
    Mutant::EndingUnrecorded,
    Mutant::LossRecordedTwice,
    Mutant::ClocksUnrecorded,
];

/// All stories, the quick ones first.
fn stories() -> impl Iterator<Item = &'static fn()> {
    alone::ALL
        .iter()
        .chain(ahead::ALL)
        .chain(notify_alone::ALL)
        .chain(notify_live::ALL)
        .chain(asked::ALL)
        .chain(store::ALL)
        .chain(opaque::ALL)
        .chain(scopes::ALL)
        .chain(verified::ALL)
        .chain(issuer_keys::ALL)
        .chain(introspected::ALL)
        .chain(strangers::ALL)
        .chain(store_walk::ALL)
        .chain(wishes::ALL)
        .chain(stories::ALL)
        .chain(losses::ALL)
        .chain(tokens::ALL)
        .chain(grants::ALL)
        .chain(provider::ALL)
        .chain(sharing::ALL)
        .chain(fleets::ALL)
}

/// The first seed of which a walk notices, and how many it takes.
fn by_walk() -> Option<u64> {
    let dense = (0..DENSE).find(|seed| catch_unwind(|| dense::walk_of_tokens(*seed)).is_err());
    let dense = dense.or_else(|| (0..DENSE).find(|seed| catch_unwind(|| dense::walk_of_sockets(*seed)).is_err()));
    dense.or_else(|| (0..WALKS).find(|seed| catch_unwind(|| random::walk(*seed)).is_err()))
}

/// What noticed: a walk alone where it must, else a story.
fn noticed(mutant: Mutant) -> Option<String> {
    activate(Some(mutant));
    let words = if WALK_NOTICES.contains(&mutant) {
        by_walk().map(|seed| format!("a walk of seed {seed}"))
    } else {
        stories().find_map(|story| catch_unwind(story).err()).map(|panic| random::words(&*panic))
    };
    activate(None);
    words
}

fn hunt(mutants: &[Mutant]) {
    let survivors: Vec<Mutant> = muted(|| {
        mutants
            .iter()
            .copied()
            .filter(|mutant| !super::platform::hunt::is_ours(*mutant))
            .filter(|mutant| {
                let words = noticed(*mutant);
                let text = words.as_deref().map(|text| text.replace(char::is_control, " "));
                println!("{mutant:?}: {}", text.unwrap_or("SURVIVED".into()));
                words.is_none()
            })
            .collect()
    });
    let walks = mutants.iter().filter(|mutant| WALK_NOTICES.contains(mutant)).count();
    println!("{walks} noticed by walks alone, {} by stories", mutants.len() - walks);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}

#[test]
fn every_mutant_of_one_half_is_noticed() {
    hunt(&Mutant::ALL[..Mutant::ALL.len() / 2]);
}

#[test]
fn every_mutant_of_the_other_half_is_noticed() {
    hunt(&Mutant::ALL[Mutant::ALL.len() / 2..]);
}

/// `GWA_MUTANTS=Key,Stale cargo test some_mutants -- --ignored`: those whose names have one of these in them.
#[test]
#[ignore = "a tool"]
fn some_mutants() {
    let names = std::env::var("GWA_MUTANTS").unwrap_or_default();
    let chosen = |mutant: &Mutant| names.split(',').any(|name| format!("{mutant:?}").contains(name));
    hunt(&Mutant::ALL.iter().copied().filter(chosen).collect::<Vec<_>>());
}

/// How strong the walk is by itself, without the stories.
#[test]
#[ignore = "takes minutes"]
fn mutants_the_walk_alone_notices() {
    let (mut noticed, mut survived) = (Vec::new(), Vec::new());
    muted(|| {
        for mutant in Mutant::ALL.iter().copied().filter(|mutant| !super::platform::hunt::is_ours(*mutant)) {
            activate(Some(mutant));
            let first = by_walk();
            activate(None);
            match first {
                Some(seed) => noticed.push((mutant, seed)),
                None => survived.push(mutant),
            }
        }
    });
    println!("{} of {} noticed: {noticed:?}\nonly stories notice: {survived:?}", noticed.len(), Mutant::ALL.len());
}

#[test]
fn unbroken_rules_are_not_noticed() {
    stories().for_each(|story| story());
}
