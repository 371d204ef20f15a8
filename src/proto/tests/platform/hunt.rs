//! The rules of the profile `notifications`, broken on purpose one at a time: the walks alone must notice, of a few rules
//! a story.

use std::panic::catch_unwind;

use super::walk::{DENSE, LONG};
use super::{channels, frames, rollovers, walk};
use crate::proto::mutant::{activate, Mutant};
use crate::proto::tests::{muted, random};

/// Dense walks that look for a mutant before long ones do.
const DENSE_FIRST: u64 = 15;

/// What the walks notice without the help of a story.
const WALK_NOTICES: &[Mutant] = &[
    Mutant::NoWatchdog,
    Mutant::FightsForChannel,
    Mutant::SecondChannelWithoutSpare,
    Mutant::SpareKept,
    Mutant::TwinsDelivered,
    Mutant::PairsOnOneSocket,
    Mutant::UriUnchecked,
    Mutant::GapWithoutId,
    Mutant::StaleRest,
    Mutant::RestForEver,
    Mutant::StaleChannelUsed,
    Mutant::ChannelLetExpire,
    Mutant::RevokedIgnored,
    Mutant::OldKeepsSubscriptions,
    Mutant::RefusedChannelInsists,
    Mutant::LeavesAtOnce,
    Mutant::ChannelUnrecorded,
    Mutant::TopicsUnrecorded,
    Mutant::DisplacementUnrecorded,
];

/// What takes a story.
const STORY_NOTICES: &[Mutant] = &[
    Mutant::ReusedForEver,
    Mutant::DoubtIgnored,
    Mutant::ClosingIgnored,
    Mutant::TopicsForgotten,
    Mutant::DryIsNoGap,
    Mutant::DialsAtOnce,
];

/// Whether this rule is one of the profile's: looked for here and nowhere else.
pub fn is_ours(mutant: Mutant) -> bool {
    WALK_NOTICES.contains(&mutant) || STORY_NOTICES.contains(&mutant)
}

/// All stories, the quick ones first.
pub fn stories() -> impl Iterator<Item = &'static fn()> {
    channels::ALL.iter().chain(frames::ALL).chain(rollovers::ALL)
}

/// The first seed of which a walk notices.
fn by_walk() -> Option<String> {
    let words = |panic: Box<dyn std::any::Any + Send>| random::words(&*panic);
    let dense = |seed| Some(format!("dense walk {seed}: {}", words(catch_unwind(|| walk::dense(seed)).err()?)));
    let long = |seed| Some(format!("walk {seed}: {}", words(catch_unwind(|| walk::walk(seed)).err()?)));
    let first = (0..DENSE_FIRST).find_map(dense).or_else(|| (0..LONG).find_map(long));
    first.or_else(|| (DENSE_FIRST..DENSE).find_map(dense))
}

fn by_story() -> Option<String> {
    stories().find_map(|story| catch_unwind(story).err()).map(|panic| random::words(&*panic))
}

/// Which of these nobody notices.
fn survivors(mutants: &[Mutant], notices: impl Fn() -> Option<String>) -> Vec<Mutant> {
    let survives = |mutant: &Mutant| {
        activate(Some(*mutant));
        let words = notices();
        activate(None);
        println!("{mutant:?}: {}", words.as_deref().unwrap_or("SURVIVED").replace(char::is_control, " "));
        words.is_none()
    };
    muted(|| mutants.iter().copied().filter(survives).collect())
}

#[test]
fn every_mutant_of_the_profile_is_noticed_by_walks() {
    let survivors = survivors(WALK_NOTICES, by_walk);
    assert!(survivors.is_empty(), "no walk noticed {survivors:?}");
}

#[test]
fn every_other_mutant_of_the_profile_is_noticed_by_a_story() {
    let survivors = survivors(STORY_NOTICES, by_story);
    assert!(survivors.is_empty(), "no story noticed {survivors:?}");
}

/// How strong the walks are by themselves, without the stories: which of them notice, of those that are well.
#[test]
#[ignore = "takes minutes"]
fn mutants_of_the_profile_the_walks_alone_notice() {
    muted(|| {
        let fails = |walk: fn(u64) -> u64, seed: u64| catch_unwind(|| walk(seed)).err();
        let well = |walk, most| (0..most).filter(|seed| fails(walk, *seed).is_none()).collect::<Vec<u64>>();
        let (dense, long) = (well(walk::dense, DENSE), well(walk::walk, LONG));
        for mutant in WALK_NOTICES.iter().chain(STORY_NOTICES) {
            activate(Some(*mutant));
            let by = |walk, seeds: &[u64]| {
                let first = seeds.iter().find_map(|seed| Some((*seed, random::words(&*fails(walk, *seed)?))));
                first.map(|(seed, words)| format!("{seed}: {}", words.replace(char::is_control, " ")))
            };
            println!("{mutant:?}: dense {:?}, long {:?}", by(walk::dense, &dense), by(walk::walk, &long));
            activate(None);
        }
    });
}
