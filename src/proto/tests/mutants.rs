//! Every rule broken on purpose, one at a time: a story or a walk must notice.

use std::panic::catch_unwind;

use super::{alone, dense, losses, muted, random, stories, tokens, wishes};
use crate::proto::mutant::{activate, Mutant};

/// Walks that look for a mutant that no story has noticed.
const WALKS: u64 = 40;
/// Dense walks of each kind that look for a mutant.
const DENSE: u64 = 100;

/// All stories, the quick ones first.
fn stories() -> impl Iterator<Item = &'static fn()> {
    alone::ALL.iter().chain(wishes::ALL).chain(stories::ALL).chain(losses::ALL).chain(tokens::ALL)
}

/// The first seed of which a walk notices, and how many it takes.
fn by_walk() -> Option<u64> {
    let dense = (0..DENSE).find(|seed| catch_unwind(|| dense::walk_of_tokens(*seed)).is_err());
    let dense = dense.or_else(|| (0..DENSE).find(|seed| catch_unwind(|| dense::walk_of_sockets(*seed)).is_err()));
    dense.or_else(|| (0..WALKS).find(|seed| catch_unwind(|| random::walk(*seed)).is_err()))
}

/// What noticed: a story or a walk.
fn noticed(mutant: Mutant) -> Option<String> {
    activate(Some(mutant));
    let by_story = stories().find_map(|story| catch_unwind(story).err());
    let panic = by_story.or_else(|| (0..WALKS).find_map(|seed| catch_unwind(|| random::walk(seed)).err()));
    activate(None);
    panic.map(|panic| random::words(&*panic))
}

fn hunt(mutants: &[Mutant]) {
    let survivors: Vec<Mutant> = muted(|| {
        mutants
            .iter()
            .copied()
            .filter(|mutant| {
                let words = noticed(*mutant);
                let text = words.as_deref().map(|text| text.replace(char::is_control, " "));
                println!("{mutant:?}: {}", text.unwrap_or("SURVIVED".into()));
                words.is_none()
            })
            .collect()
    });
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

/// How strong the walk is by itself, without the stories.
#[test]
#[ignore = "takes minutes"]
fn mutants_the_walk_alone_notices() {
    let (mut noticed, mut survived) = (Vec::new(), Vec::new());
    muted(|| {
        for mutant in Mutant::ALL.iter().copied() {
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
