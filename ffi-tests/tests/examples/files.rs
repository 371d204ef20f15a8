//! Every example is short, says what it shows and how it is built, is run by a test, and stands in the README.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ffi_tests::cprog::{output, NATIVE_LIBS};
use ffi_tests::example::shared_library;

use crate::skip;

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

/// The compiler's line at the head of an example, with what it goes on to.
fn recipe(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().take(20).map(|line| line.trim_start_matches([' ', '*']));
    let mut recipe = lines.find(|line| line.starts_with("cc ") || line.starts_with("c++ "))?.to_owned();
    while let Some(start) = recipe.strip_suffix('\\') {
        recipe = format!("{start}{}", lines.next()?);
    }
    Some(recipe)
}

/// Word for word, with packages of the names the installation has, but of this build.
#[test]
fn what_stands_at_their_heads_builds_them() {
    if let Err(why) = output(Command::new("pkg-config").arg("--version")) {
        return skip("the commands at the heads of the examples", &why);
    }
    let has_uv = Path::new("/usr/include/uv.h").exists();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("by-hand");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    let libs = format!("{} {}", shared_library().with_extension("a").display(), NATIVE_LIBS.join(" "));
    for name in ["genesys-ws-auth", "genesys-ws-auth-static"] {
        assert!(Path::new(ROOT).join(format!("examples/install/{name}.pc.in")).exists(), "no package {name}");
        let text = format!("Name: {name}\nDescription: {name}\nVersion: 0\nCflags: -I{ROOT}/include\nLibs: {libs}\n");
        fs::write(place.join(format!("{name}.pc")), text).unwrap();
    }
    let mut count = 0;
    for path in sources() {
        fs::copy(&path, place.join(path.file_name().unwrap())).unwrap();
    }
    for path in sources() {
        let Some(recipe) = recipe(&path).filter(|recipe| has_uv || !recipe.contains("libuv")) else { continue };
        let mut build = Command::new("sh");
        build.args(["-e", "-c", &recipe]).current_dir(&place).env("PKG_CONFIG_PATH", &place);
        output(&mut build).unwrap_or_else(|why| panic!("{}: {why}", name(&path)));
        let made = recipe.rsplit(" -o ").next().unwrap();
        // It is large.
        fs::remove_file(place.join(made)).unwrap_or_else(|why| panic!("{}: {made}: {why}", name(&path)));
        count += 1;
    }
    assert!(count >= 10, "{count} commands");
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
    let tests: String = ["loops", "notifications", "plugin", "sinks", "syslog", "tokens"]
        .iter()
        .map(|file| fs::read_to_string(format!("{ROOT}/ffi-tests/tests/examples/{file}.rs")).unwrap())
        .collect();
    // What verifies logs is run where logs are made.
    let tests = tests + &fs::read_to_string(format!("{ROOT}/ffi-tests/tests/audit_chain/place.rs")).unwrap();
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    for path in sources().iter().filter(|path| path.extension().is_some_and(|end| end != "h")) {
        let name = name(path);
        assert!(tests.contains(&name), "{name} is not run");
        assert!(readme.contains(&format!("](examples/{name})")), "{name} is not in the README");
    }
}
