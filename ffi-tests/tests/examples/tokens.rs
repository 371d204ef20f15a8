//! Programs that take part in what becomes of tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ffi_tests::cprog::{each, output, Variant};
use ffi_tests::example::{command, Live, Recipe};
use ffi_tests::sim::{Rotation, Sim};

use crate::{closed_with_1000, BOUND};

/// Each refresh token is good once.
fn rotating(variant: Variant) -> Sim {
    let mut options = variant.options();
    options.token.lifetime = Duration::from_secs(3 * u64::from(variant.slowness().min(5)));
    options.token.rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    Sim::start(options)
}

const PERSIST: Recipe<'static> = Recipe {
    source: "c/persist_refresh_token.c",
    compiler: "gcc",
    flags: &["-std=c99"],
    libraries: &[],
    with_library: true,
};

/// Runs it until it has stored `count` tokens.
fn persist(variant: Variant, sim: &Sim, directory: &Path, count: usize) {
    let mut command = command(&PERSIST.build(variant), variant);
    command.arg(directory);
    let live = Live::start(command, sim, variant);
    let already = sim.record().read(|log| log.auths.iter().filter(|auth| auth.accepted == Some(true)).count());
    live.wait_for("stored tokens", |lines| {
        lines.iter().filter(|line| *line == "refresh token stored").count() >= count
    });
    // The access token that came with the last one is used after that.
    assert!(sim.record().wait_until(BOUND, |log| {
        log.auths.iter().filter(|auth| auth.accepted == Some(true)).count() >= already + count
    }));
    live.signal("TERM");
    let ended = live.finish().well();
    assert!(ended.lines.iter().all(|line| line == "refresh token stored"), "{ended:?}");
}

#[test]
fn persist_refresh_token() {
    each("examples/c/persist_refresh_token.c", |variant| {
        let sim = rotating(variant);
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let directory = Path::new(directory.trim_end());
        fs::write(directory.join("refresh_token.new"), "left over from a crash").unwrap();
        for (run, count) in [(1, 3), (2, 1)] {
            persist(variant, &sim, directory, count);
            let stored = fs::read_to_string(directory.join("refresh_token")).unwrap();
            assert_eq!(Some(stored), sim.token().issued().pop().and_then(|last| last.refresh_token), "run {run}");
            let mode = fs::metadata(directory.join("refresh_token")).unwrap().permissions().mode();
            assert_eq!((mode & 0o7777, fs::read_dir(directory).unwrap().count()), (0o600, 1));
        }
        // The second run would have got nothing for the token of its environment: that was used up.
        assert!(sim.record().read(|log| log.requests.iter().all(|request| request.status != Some(400))));
        closed_with_1000(&sim);
        fs::remove_dir_all(directory).unwrap();
    });
}

#[test]
fn a_refresh_token_that_cannot_be_stored_is_told() {
    each("examples/c/persist_refresh_token.c", |variant| {
        let sim = rotating(variant);
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let directory = Path::new(directory.trim_end());
        // A directory in the place of the file: rename(2) refuses.
        fs::create_dir(directory.join("refresh_token")).unwrap();
        let mut command = command(&PERSIST.build(variant), variant);
        command.arg(directory);
        let ended = Live::start(command, &sim, variant).finish();
        assert_eq!(ended.status.code(), Some(1), "it refuses to start: {ended:?}");
        assert!(!ended.stderr.is_empty());
        assert_eq!(sim.record().token_requests(), 0);
        fs::remove_dir_all(directory).unwrap();
    });
}
