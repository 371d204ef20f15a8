//! The reference pages that are made from the library's tables, the numbers that never change, and whether every
//! code is provoked by a test.
//!
//! After a change of a table: `cargo test -p ffi-tests --test reference -- --ignored regenerate`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use genesys_ws_auth::audit::{Kind, Level};
use genesys_ws_auth::config::{keys, Key, Type};
use genesys_ws_auth::Code;

/// Codes that no test provokes, and why not.
const NOT_PROVOKED: [(&str, &str); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(name: &str) -> PathBuf {
    root().join("include/doc").join(name)
}

fn numbers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/status-codes.txt")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

// ---- configuration ------------------------------------------------------------------------------------------

fn configuration() -> String {
    let mut text = String::from(
        "# Configuration keys\n\nMade from the library's table of keys; do not edit.\n\n\
         * `gwa_config_set()` takes every value as text, `gwa_config_set_json()` numbers, booleans and arrays as such, one flat \
         or nested object of at most 1 MiB. An empty text brings back the default.\n\
         * Secrets are set by `gwa_config_set_secret()` alone. They are wiped, and shown nowhere.\n\
         * An unknown key is an error that names the nearest one, a bad value one that names type and range.\n\
         * `gwa_config_schema()` gives this table as a JSON Schema (2020-12), `gwa_config_json()` and `gwa_client_config()` the \
         values in force.\n\n",
    );
    let mut family = "";
    for key in keys() {
        let own = key.name.split('.').next().unwrap_or_default();
        if own != family {
            _ = writeln!(text, "{}## {own}\n", if family.is_empty() { "" } else { "\n" });
            text.push_str("| Key | Type and range | Unit | Default | Meaning |\n| --- | --- | --- | --- | --- |\n");
            family = own;
        }
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let (kind, doc) = (cell(&key.kind.to_string()), cell(key.doc));
        _ = writeln!(text, "| `{}` | {kind} | {} | {default} | {doc} |", key.name, unit(key));
    }
    text
}

fn unit(key: &Key) -> &'static str {
    match key.kind {
        Type::Integer { unit, .. } | Type::OrZero { unit, .. } => unit,
        _ => "",
    }
}

// ---- errors -------------------------------------------------------------------------------------------------

fn errors() -> String {
    let mut text = String::from(
        "# Statuses\n\nMade from the library's table of codes; do not edit. `gwa_status_at()` gives the same table to programs.\n\n\
         `GWA_OK` is 0. `GWA_DEFERRED` is 1 and no error: done, except for a callback that is still running. Numbers are never \
         changed or used again; newer versions add some. *Retriable*: the same request may succeed later without anybody \
         acting; an error of its own may still be fatal (`gwa_error_fatal()`).\n\n\
         | Code | Name | Category | Retriable | Meaning | Hint |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let retriable = if code.is_retriable() { "yes" } else { "no" };
        let (meaning, hint) = (cell(code.text()), cell(code.hint()));
        let category = code.category().name();
        _ = writeln!(text, "| {} | `{}` | {category} | {retriable} | {meaning} | {hint} |", code.number(), code.name());
    }
    text
}

// ---- audit --------------------------------------------------------------------------------------------------

/// What stands before the table.
const ON_RECORD: &str = include_str!("../abi/on-record.md");

fn audit() -> String {
    let mut text =
        format!("# What is on record\n\nThe tables are made from the library's own; do not edit.\n\n{ON_RECORD}\n");
    text.push_str(
        "## Kinds\n\n*Level* is that of a record at its worst; one that says that all is well is `info`. An error adds `error` and \
         `error_code`, and `ws_close_code` and `http_status` where there are any.\n\n\
         | Number | `event_type` | Level | What happened | Members |\n| --- | --- | --- | --- | --- |\n",
    );
    for kind in Kind::ALL {
        let members: Vec<String> = kind.members().iter().map(|member| format!("`{member}`")).collect();
        let (level, what) = (kind.level().name(), cell(kind.text()));
        _ = writeln!(text, "| {} | `{}` | {level} | {what} | {} |", kind.id(), kind.name(), members.join(", "));
    }
    text.push_str(
        "\nThe log's own two have members outside `metadata`: `audit_loss` has `first_lost`, `last_lost` and `count`, \
         [`audit_checkpoint`](audit-chain.md) what it counts.\n",
    );
    _ = write!(text, "\n## Levels\n\nHow each format says how bad a record is:\n\n{}", levels());
    text
}

/// The table of levels in README.md, which a test of the library holds against what the formats write.
fn levels() -> String {
    let readme = read(&root().join("README.md"));
    let rows = readme.lines().skip_while(|line| !line.starts_with("| level | `native`"));
    let rows: Vec<String> = rows.take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    assert_eq!(rows.len(), 2 + Level::ALL.len(), "README.md has no table of levels");
    rows.concat()
}

fn kinds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/audit-kinds.txt")
}

fn current_kinds() -> String {
    let kinds = Kind::ALL.iter().map(|kind| format!("{} {}\n", kind.id(), kind.name()));
    "# Numbers and names of audit records that rules were written for: lines are added and never changed.\n".to_owned()
        + &kinds.collect::<String>()
}

#[test]
fn numbers_and_names_of_records_never_change() {
    let committed = read(&kinds());
    assert_kept(&committed, &current_kinds());
    assert_eq!(committed, current_kinds(), "a new kind is not listed yet: see the head of this file");
}

#[test]
#[should_panic(expected = "a published number has changed")]
fn a_renamed_record_is_found() {
    assert_kept("9 token_granted", &current_kinds());
}

/// As they were published: `number name` by line.
fn published(text: &str) -> BTreeMap<i32, &str> {
    let pair = |line: &'_ str| line.split_once(' ').map(|(number, _)| number.parse::<i32>().expect("a number"));
    text.lines().filter(|line| !line.starts_with('#')).map(|line| (pair(line).expect("two words"), line)).collect()
}

fn current() -> String {
    let codes = Code::ALL.iter().map(|code| format!("{} {}\n", code.number(), code.name()));
    "# Numbers of statuses that programs were compiled with: lines are added and never changed.\n0 GWA_OK\n1 GWA_DEFERRED\n"
        .to_owned()
        + &codes.collect::<String>()
}

/// Fails when a published number has changed its name or is gone.
fn assert_kept(committed: &str, current: &str) {
    let now = published(current);
    for (number, line) in published(committed) {
        assert_eq!(
            now.get(&number),
            Some(&line),
            "a published number has changed: give the new code a number of its own"
        );
    }
}

fn pages() -> [(&'static str, String); 3] {
    [("configuration.md", configuration()), ("errors.md", errors()), ("audit.md", audit())]
}

#[test]
fn the_pages_are_what_the_tables_give() {
    for (name, text) in pages() {
        assert!(read(&page(name)) == text, "include/doc/{name} is out of date: see the head of this file");
    }
}

#[test]
fn numbers_of_statuses_never_change() {
    let committed = read(&numbers());
    assert_kept(&committed, &current());
    assert_eq!(committed, current(), "a new code is not listed yet: see the head of this file");
}

#[test]
#[should_panic(expected = "a published number has changed")]
fn a_changed_number_is_found() {
    assert_kept("4100 GWA_E_BAD_HANDLE", &current().replace("4100 ", "4099 "));
}

#[test]
#[ignore = "writes the pages in include/doc, ffi-tests/abi/status-codes.txt and ffi-tests/abi/audit-kinds.txt"]
fn regenerate() {
    if numbers().exists() {
        assert_kept(&read(&numbers()), &current());
    }
    fs::create_dir_all(numbers().parent().expect("a directory")).expect("the directory can be made");
    fs::write(numbers(), current()).expect("the numbers can be written");
    if kinds().exists() {
        assert_kept(&read(&kinds()), &current_kinds());
    }
    fs::write(kinds(), current_kinds()).expect("the numbers can be written");
    fs::create_dir_all(page("")).expect("the directory can be made");
    for (name, text) in pages() {
        fs::write(page(name), text).expect("the page can be written");
    }
}

#[test]
fn every_code_says_what_it_is_and_what_to_do() {
    for code in Code::ALL {
        assert!(code.text().len() > 10 && code.hint().len() > 10 && !code.category().name().is_empty(), "{code:?}");
        assert_ne!(code.text(), code.hint(), "{code:?}");
    }
}

#[test]
fn every_key_is_on_the_page_once() {
    let page = configuration();
    for key in keys() {
        assert_eq!(page.matches(&format!("| `{}` |", key.name)).count(), 1, "{}", key.name);
    }
}

// ---- is every code provoked? --------------------------------------------------------------------------------

/// What tests are written in: programs and tests here, and what stands behind `mod tests` in the library.
fn tests() -> Vec<(PathBuf, String)> {
    let here = root().join("ffi-tests");
    let mut all = sources(&here.join("c"));
    all.extend(sources(&here.join("tests")));
    for (path, text) in sources(&root().join("src")) {
        let is_test = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
        let from = if is_test { Some(0) } else { text.find("\nmod tests {") };
        all.extend(from.map(|from| (path, text[from..].to_owned())));
    }
    // A list of all codes provokes none of them.
    all.retain(|(path, _)| !["reference.rs", "statuses.c"].iter().any(|name| path.ends_with(name)));
    all
}

fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "c" || kind == "h") {
            let text = read(&path);
            all.push((path, text));
        }
    }
    all
}

/// Whether a text has this word as a whole.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn every_code_is_provoked_by_a_test() {
    let tests = tests();
    let mut missing = Vec::new();
    for code in Code::ALL {
        let (in_c, in_rust) = (code.name(), format!("Code::{code:?}"));
        let provoked = tests.iter().any(|(_, text)| has_word(text, in_c) || has_word(text, &in_rust));
        let excused = NOT_PROVOKED.iter().any(|(name, _)| *name == in_c);
        assert!(!(provoked && excused), "{in_c} is provoked: take it off the list");
        if !provoked && !excused {
            missing.push(in_c);
        }
    }
    assert_eq!(missing, [""; 0], "no test provokes these; write one, or give a reason in NOT_PROVOKED");
}
