//! Every example is short, says what it shows and how it is built, is run by a test, and stands in the README.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// All sources below `examples/`.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["c", "cpp", "python", "rust"] {
        let Ok(entries) = fs::read_dir(Path::new(ROOT).join("examples").join(folder)) else { continue };
        found.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    found.sort();
    assert!(found.len() >= 10, "{found:?}");
    found
}

fn name(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(ROOT).join("examples")).unwrap();
    below.display().to_string()
}

#[test]
fn examples_are_short() {
    for path in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 100, "{} has {lines} lines", name(&path));
    }
}

#[test]
fn examples_say_how_they_are_built() {
    for path in sources().iter().filter(|path| path.extension().is_some_and(|end| end != "h")) {
        let text = fs::read_to_string(path).unwrap();
        let head: Vec<_> = text.lines().take(20).collect();
        let built = head.iter().any(|line| {
            let words: Vec<_> = line.trim_start_matches([' ', '*', '/', '!', '`']).split(' ').collect();
            let command = words.iter().find(|word| !word.contains('='));
            command.is_some_and(|word| ["cc", "c++", "python3", "cargo"].contains(word))
        });
        assert!(built, "{} does not say how it is built", name(path));
    }
}

#[test]
fn every_example_is_run_and_listed() {
    let tests: String = ["loops", "plugin", "syslog", "tokens"]
        .iter()
        .map(|file| fs::read_to_string(format!("{ROOT}/ffi-tests/tests/examples/{file}.rs")).unwrap())
        .collect();
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    for path in sources().iter().filter(|path| path.extension().is_some_and(|end| end != "h")) {
        let name = name(path);
        assert!(tests.contains(&name), "{name} is not run");
        assert!(readme.contains(&format!("](examples/{name})")), "{name} is not in the README");
    }
}
