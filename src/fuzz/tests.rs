//! The committed corpus, and what becomes of it by chance: always the same, in every run of the tests.

use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use super::*;
use crate::proto::dice::Dice;

/// Changed copies of each file. `GWA_FUZZ_MUTATIONS` makes them more.
const MUTATIONS: u64 = 30;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ffi-tests/fuzz/corpus")
}

pub(super) fn files(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = corpus().join(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn holds(name: &str, path: &Path, data: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(name, data)));
    assert!(outcome.is_ok(), "{name}, from {}: {:?}", path.display(), String::from_utf8_lossy(data));
}

#[test]
fn the_corpus_breaks_no_law() {
    let mutations = std::env::var("GWA_FUZZ_MUTATIONS").map_or(MUTATIONS, |count| count.parse().unwrap());
    for (name, _) in TARGETS {
        let files = files(name);
        assert!(files.len() >= 4, "{name} has {} files", files.len());
        let mut dice = Dice::new(7);
        for (path, data) in &files {
            holds(name, path, data);
            for _ in 0..mutations {
                let other = &files[below(&mut dice, files.len())].1;
                holds(name, path, &mutated(data, other, &mut dice));
            }
        }
    }
}

/// One file of the corpus.
pub(super) fn seed(name: &str, file: &str) -> Vec<u8> {
    let path = corpus().join(name).join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A law that holds whatever is done is none: it has to be broken here, with these words.
pub(super) fn assert_broken(words: &str, law: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(law)).err().unwrap_or_else(|| panic!("kept, not broken: {words}"));
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default();
    assert!(said.contains(words), "broken, but not because of {words}: {said}");
}

#[test]
fn every_target_has_a_program_and_no_other_has() {
    let manifest = fs::read_to_string(corpus().join("../Cargo.toml")).unwrap();
    let programs = manifest.split("[[bin]]").skip(1).map(|table| table.split('"').nth(1).unwrap());
    assert_eq!(programs.collect::<Vec<_>>(), TARGETS.map(|(name, _)| name));
    for (name, _) in TARGETS {
        assert!(corpus().join(format!("../fuzz_targets/{name}.rs")).is_file(), "{name}");
    }
}

/// One to four changes: a bit turned, a byte of JSON or base64url put in, bytes gone, repeated, or from another file.
fn mutated(data: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=below(dice, 4) {
        let at = below(dice, data.len() + 1);
        let end = (at + 1 + below(dice, 12)).min(data.len());
        match below(dice, 6) {
            0 if at < data.len() => data[at] ^= 1 << below(dice, 8),
            1 => data.insert(at, TELLING[below(dice, TELLING.len())]),
            2 => _ = data.drain(at..end),
            3 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            4 => data.truncate(at.max(1)),
            _ => {
                let from = below(dice, other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
        }
    }
    data
}

/// Bytes that mean something to JSON, base64url and the compact form, and some that mean nothing anywhere.
const TELLING: &[u8] = b"\"\\{}[],:.=-_\n\t\x00\xff0eA9";

/// Evenly spread below the bound.
fn below(dice: &mut Dice, bound: usize) -> usize {
    dice.up_to(bound.saturating_sub(1) as u64) as usize
}
