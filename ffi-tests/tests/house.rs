//! The walls of the house, held by reading its sources: what a directory may name, and how large things may be.

use std::fs;
use std::path::{Path, PathBuf};

/// `(directory or file under src, what it must not name, why)`.
const WALLS: &[(&str, &[&str], &str)] = &[
    (
        "proto",
        &[
            "std::thread",
            "std::sync::Mutex",
            "std::net",
            "std::fs",
            "std::io",
            "std::env",
            "Instant",
            "SystemTime",
            "crate::shell",
            "crate::ffi",
            "crate::sys",
            "crate::client",
            "ureq",
            "tungstenite",
            "rustls",
            "mio::",
            "libc::",
            "ring::",
            "unsafe ",
        ],
        "proto is pure: no clock, no I/O, no threads, no entropy, no unsafe",
    ),
    ("shell", &["crate::ffi", "crate::client"], "shell knows neither the C ABI nor the blocking API"),
    ("sys", &["crate::proto", "crate::shell", "crate::ffi", "crate::client"], "sys is a leaf"),
    ("client.rs", &["crate::ffi"], "nobody imports ffi"),
    ("config", &["crate::ffi"], "nobody imports ffi"),
    ("audit", &["crate::ffi", "crate::shell"], "audit is a leaf"),
];

/// Crates of the byte level and the only files that may name them.
const BYTE_LEVEL: &[&str] = &["ureq::", "tungstenite::", "rustls::", "webpki::"];
const BYTE_FILES: &[&str] =
    &["shell/http", "shell/dial", "shell/tls", "shell/crypto", "shell/stream", "shell/link", "shell/testing"];

/// What would let a secret into a record, and the only file of `audit` that may name it: an auditor hands it the key of a log.
const SECRETS: &[&str] = &["Secret", "expose("];
const SECRET_FILES: &[&str] = &["audit/verify"];

/// The only files that read a clock.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now"];
// The walks measure themselves.
const CLOCK_FILES: &[&str] = &["shell/clock.rs", "proto/tests"];

const FILE_LINES_MAX: usize = 500;

#[test]
fn walls_hold() {
    let mut broken = Vec::new();
    for (path, code) in sources() {
        let name = relative(&path);
        for (place, forbidden, why) in WALLS {
            if name.starts_with(place) && !name.starts_with("proto/tests") {
                let hits = forbidden.iter().filter(|word| names(&code, word));
                broken.extend(hits.map(|word| format!("{name} names `{word}`: {why}")));
            }
        }
        broken.extend(outside(&name, &code, BYTE_LEVEL, BYTE_FILES));
        broken.extend(outside(&name, &code, CLOCKS, CLOCK_FILES));
        if name.starts_with("audit") {
            broken.extend(outside(&name, &code, SECRETS, SECRET_FILES));
        }
        if !name.starts_with("ffi") && !name.starts_with("sys") && names(&code, "unsafe ") {
            broken.push(format!("{name} has unsafe code"));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_is_too_long_and_no_test_sleeps() {
    let mut broken = Vec::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let more = [tests.join("tests"), tests.join("src")].map(|dir| files(&dir));
    for path in sources().into_iter().map(|(path, _)| path).chain(more.into_iter().flatten()) {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{} has {lines} lines, at most {FILE_LINES_MAX}", path.display()));
        }
        // Programs may wait for their children; tests and what they lean on may not wait for time.
        let exempt = path.ends_with("tests/house.rs") || path.components().any(|part| part.as_os_str() == "bin");
        if !exempt && text.contains("thread::sleep") {
            broken.push(format!("{} sleeps", path.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The test runner keeps what `eprintln!` writes if the test passes, and one that skips does.
#[test]
fn what_is_skipped_is_seen() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut said = 0;
    for path in ["tests", "src", "peers"].iter().flat_map(|dir| files(&tests.join(dir))) {
        let text = fs::read_to_string(&path).unwrap();
        if path.ends_with("tests/house.rs") {
            continue;
        }
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("\"SKIPPED: ")).collect();
        let unseen = lines.iter().find(|line| line.contains("print!(") || line.contains("println!("));
        assert!(unseen.is_none(), "{}: {unseen:?} is not seen", path.display());
        said += lines.len();
    }
    assert!(said > 5, "the skips were not found");
}

/// What is left out for its length has a job that does it. Others write a file, or are children of a test.
#[test]
fn what_is_ignored_has_a_job() {
    let jobs = fs::read_to_string(root().join(".ci/long")).unwrap();
    let dir = root().join("ffi-tests/tests");
    let mut long = Vec::new();
    for path in files(&dir).into_iter().filter(|path| !path.ends_with("tests/house.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(&dir).unwrap().with_extension("").display().to_string();
        let (program, module) = inside.split_once('/').unwrap_or((&inside, "main"));
        for after in text.split("\n#[ignore = \"").skip(1) {
            if !["writes ", "run by ", "one cell, started by "].iter().any(|why| after.starts_with(why)) {
                let name = after.split_once("fn ").unwrap().1.split('(').next().unwrap();
                long.push((program.to_owned(), format!("{module}::{name}")));
            }
        }
    }
    assert!(long.len() > 6, "{long:?}");
    let without = long.iter().filter(|(program, name)| {
        let mut runs = jobs.lines().filter_map(|job| job.split_once(&format!("--test {program} -- --ignored")));
        !runs.any(|(_, words)| {
            let mut filters = words.split_whitespace().filter(|word| !word.starts_with("--")).peekable();
            filters.peek().is_none() || filters.any(|filter| name.contains(filter))
        })
    });
    assert_eq!(without.collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "no job in .ci/long");
}

#[test]
fn the_walls_can_be_broken() {
    assert!(names("use std::net::TcpStream;", "std::net"));
    assert!(!names("String::new()", "ring::") && names("use ring::digest;", "ring::"));
    assert!(!names("// std::net is not for us\n/// nor `std::net` here", "std::net"));
    assert_eq!(outside("proto/x.rs", "let t = Instant::now();", CLOCKS, CLOCK_FILES).len(), 1);
    assert!(outside("shell/clock.rs", "let t = Instant::now();", CLOCKS, CLOCK_FILES).is_empty());
    assert_eq!(outside("audit/x.rs", "put(token.expose());", SECRETS, SECRET_FILES).len(), 1);
    assert_eq!(outside("audit/x.rs", "fn put(secret: &Secret) {", SECRETS, SECRET_FILES).len(), 1);
    assert!(sources().len() > 20, "the sources were not found");
}

fn outside(name: &str, code: &str, words: &[&str], allowed: &[&str]) -> Vec<String> {
    if allowed.iter().any(|place| name.starts_with(place)) {
        return Vec::new();
    }
    words.iter().filter(|word| names(code, word)).map(|word| format!("{name} names `{word}`")).collect()
}

/// Whether code, not a comment, has the word. Unit tests at a file's end may do what they like.
fn names(code: &str, word: &str) -> bool {
    let production = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let starts_a_word = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    production.lines().any(|line| {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices(word).any(|(at, _)| starts_a_word(&code[..at]))
    })
}

fn sources() -> Vec<(PathBuf, String)> {
    let all = files(&root().join("src")).into_iter();
    all.filter(|path| !path.ends_with("tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root().join("src")).unwrap().display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
