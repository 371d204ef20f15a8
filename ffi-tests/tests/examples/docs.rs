//! The C reference: Doxygen makes it without a warning, every function is in it, and what its chapters show compiles.
//!
//! # Snippets
//!
//! What stands in a chapter between ```` ```c ```` (or `cpp`) and ```` ``` ```` is compiled: as it is, if it has a `main`; with
//! headers in front of it, if it begins at file scope (`static`, `struct`, `#`); else inside a function whose parameters and
//! locals are those of [`FRAME`]. Commands (`sh`) may name nothing but targets, tests, packages and files that are there;
//! `cmake` nothing but what the package gives.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ffi_tests::cprog::output;
use ffi_tests::tags;

use crate::skip;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// In front of everything that is no whole program.
const HEADERS: &str = "#define _GNU_SOURCE
#include <errno.h>\n#include <poll.h>\n#include <pthread.h>\n#include <sched.h>\n#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>
#include <genesys_ws_auth.h>\n";
/// Around statements.
const FRAME: [&str; 2] = [
    "int snippet(gwa_config_t *config, gwa_client_t *client);
int snippet(gwa_config_t *config, gwa_client_t *client)
{
gwa_error_t *error = NULL;
gwa_status_t status = GWA_OK;\n",
    "return config == NULL && client == NULL && error == NULL && status == GWA_OK;\n}\n",
];

#[test]
fn doxygen_has_nothing_to_complain_about_and_leaves_nothing_out() {
    if let Err(why) = Command::new("doxygen").arg("--version").output() {
        return skip("the C reference", &format!("doxygen: {why}"));
    }
    let out = doxygen("whole", "").unwrap_or_else(|why| panic!("{why}"));
    for page in ["index.html", "group__client.html", "md_doc_shutdown.html", "c_2minimal_8c-example.html"] {
        assert!(out.join("html").join(page).is_file(), "{page}");
    }
    let header = header();
    let documented = documented(&out);
    let functions: Vec<_> = tags::parse(&header).into_iter().map(|function| function.name).collect();
    assert!(functions.len() > 100);
    let macros = header.lines().filter_map(|line| line.strip_prefix("#define GWA_")?.split([' ', '(']).next());
    let macros = macros.filter(|name| *name != "GENESYS_WS_AUTH_H").map(|name| format!("GWA_{name}"));
    for name in functions.into_iter().chain(macros) {
        let groups = documented.iter().filter(|(_, known)| *known == name).count();
        assert_eq!(groups, 1, "{name} is in {groups} modules");
    }
}

/// The test above can fail: a function without a comment is complained about.
#[test]
fn a_function_without_a_comment_is_an_error() {
    if let Err(why) = Command::new("doxygen").arg("--version").output() {
        return skip("the C reference", &format!("doxygen: {why}"));
    }
    let planted = Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted/genesys_ws_auth.h");
    fs::create_dir_all(planted.parent().unwrap()).unwrap();
    let header = header().replace("\n#ifdef __cplusplus\n}", "\nvoid gwa_planted(void);\n\n#ifdef __cplusplus\n}");
    fs::write(&planted, header).unwrap();
    let input = format!("INPUT = {} include/doc\n", planted.display());
    let why = doxygen("planted", &input).unwrap_err();
    assert!(why.contains("gwa_planted"), "{why}");
}

/// Runs Doxygen; where its output lies.
fn doxygen(name: &str, more: &str) -> Result<PathBuf, String> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doxygen").join(name);
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).unwrap();
    let settings = fs::read_to_string(format!("{ROOT}/include/doc/Doxyfile")).unwrap();
    let file = out.join("Doxyfile");
    fs::write(&file, format!("{settings}\nOUTPUT_DIRECTORY = {}\n{more}", out.display())).unwrap();
    output(Command::new("doxygen").arg(&file).current_dir(ROOT)).map(|_| out)
}

/// Modules and the names of what they document.
fn documented(out: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(out.join("xml")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !module.starts_with("group__") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for member in text.split("<memberdef ").skip(1) {
            let name = member.split_once("<name>").and_then(|(_, rest)| rest.split_once("</name>")).unwrap().0;
            let brief = member.split_once("<briefdescription>").unwrap().1;
            assert!(brief.trim_start().starts_with("<para>"), "{name} has no first sentence");
            all.push((module.clone(), name.to_owned()));
        }
    }
    all
}

#[test]
fn every_c_snippet_compiles() {
    let mut count = 0;
    for (place, code) in snippets("c") {
        let whole = code.contains("int main(");
        let first = code.lines().find(|line| !line.starts_with("/*")).unwrap();
        let at_file_scope =
            ["static ", "struct ", "#"].iter().any(|start| first.starts_with(start)) && !first.contains('=');
        let source = match (whole, at_file_scope && !first.starts_with("struct pollfd")) {
            (true, _) => code,
            (false, true) if first.starts_with("#define") => code,
            (false, true) => format!("{HEADERS}{code}"),
            (false, false) => format!("{HEADERS}{}{code}{}", FRAME[0], FRAME[1]),
        };
        compile(&place, "cc", "-std=c99", "c", &source);
        count += 1;
    }
    assert!(count >= 15, "{count} snippets");
}

#[test]
fn every_cpp_snippet_compiles() {
    let all = snippets("cpp");
    assert!(!all.is_empty());
    for (place, code) in all {
        compile(&place, "c++", "-std=c++11", "cpp", &code);
    }
}

fn compile(place: &str, compiler: &str, standard: &str, kind: &str, source: &str) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("snippet-{place}.{kind}"));
    fs::write(&file, source).unwrap();
    let mut command = Command::new(compiler);
    command.args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-fsyntax-only"]);
    command.args(["-Wno-unused-function", "-I"]).arg(format!("{ROOT}/include")).arg(&file);
    output(&mut command).unwrap_or_else(|why| panic!("{place}: {why}\n{source}"));
}

#[test]
fn commands_name_what_is_there() {
    let makefile = [read("examples/Makefile"), read("examples/install/install.mk")].concat();
    let mut count = 0;
    for (place, code) in snippets("sh") {
        for line in code.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[0] {
                "make" => {
                    assert_eq!(words[1..3], ["-C", "examples"], "{place}: {line}");
                    let target = format!("\n{}:", words[3]);
                    assert!(makefile.contains(&target), "{place}: no target {}", words[3]);
                }
                "cargo" => cargo(&place, &words),
                "cc" => packages(&place, line),
                "export" => assert!(words[1].starts_with("PKG_CONFIG_PATH=/opt/gwa/lib/pkgconfig"), "{line}"),
                other => panic!("{place}: nobody checks {other}"),
            }
            count += 1;
        }
    }
    assert!(count >= 8, "{count} commands");
}

fn cargo(place: &str, words: &[&str]) {
    let after = |option: &str| words.iter().position(|word| *word == option).map(|at| words[at + 1]);
    if let Some(test) = after("--test") {
        let file = format!("{ROOT}/ffi-tests/tests/{test}");
        assert!(Path::new(&format!("{file}.rs")).exists() || Path::new(&file).is_dir(), "{place}: no test {test}");
    }
    if let Some(bin) = after("--bin") {
        let file = format!("{ROOT}/ffi-tests/src/bin/{bin}");
        assert!(Path::new(&format!("{file}.rs")).exists() || Path::new(&file).is_dir(), "{place}: no program {bin}");
        let help = read(&format!("ffi-tests/src/bin/{bin}/args.rs"));
        let options = words.iter().skip_while(|word| **word != "--").skip(1).filter(|word| word.starts_with("--"));
        for option in options {
            assert!(help.contains(option), "{place}: {bin} has no option {option}");
        }
    }
    let package = after("--package").or(after("-p")).unwrap();
    assert!(["ffi-tests", "genesys-ws-auth"].contains(&package), "{place}: no package {package}");
}

fn packages(place: &str, line: &str) {
    let Some((_, rest)) = line.split_once("$(pkg-config --cflags --libs ") else {
        assert!(line.contains("-I/opt/gwa/include /opt/gwa/lib/libgenesys_ws_auth.a"), "{place}: {line}");
        return;
    };
    for name in rest.split(')').next().unwrap().split(' ') {
        let file = format!("{ROOT}/examples/install/{name}.pc.in");
        assert!(Path::new(&file).exists(), "{place}: no package {name}");
    }
}

#[test]
fn cmake_names_what_the_package_gives() {
    let all = snippets("cmake");
    assert!(!all.is_empty());
    let config = read("examples/install/GenesysWsAuthConfig.cmake.in");
    for (place, code) in all {
        assert!(code.contains("find_package(GenesysWsAuth 0.1 REQUIRED)"), "{place}");
        for target in code.split(|c: char| !c.is_alphanumeric() && c != ':').filter(|word| word.contains("::")) {
            assert!(config.contains(&format!("add_library({target} ")), "{place}: no target {target}");
        }
    }
}

/// What the chapters say in tables is what the tags of the header say.
#[test]
fn chapters_agree_with_the_tags() {
    let functions = tags::parse(&header());
    let rows = |chapter: &str, starts: &str| -> BTreeSet<String> {
        let text = read(&format!("include/doc/{chapter}"));
        let rows = text.lines().filter(|line| line.starts_with("| `gwa_") && line.contains(starts));
        rows.flat_map(|row| {
            row.split('`').filter(|word| word.starts_with("gwa_")).map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|name| name.trim_end_matches("()").to_owned())
        .collect()
    };
    let tagged = |name: &str, wanted: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let all = functions.iter().filter(|function| wanted(function.tag(name)));
        all.map(|function| function.name.clone()).collect()
    };
    assert_eq!(rows("signals.md", "| yes"), tagged("Signal", &|value| value == "safe"));
    assert_eq!(rows("fork.md", "nothing happens"), tagged("Fork", &|value| value == "inert"));
    let own = |value: &str| !["allowed", "inert", "GWA_E_FORKED"].contains(&value);
    let mut listed = rows("fork.md", "GWA_E_BAD_HANDLE");
    listed.extend(rows("fork.md", "| -1"));
    listed.extend(rows("fork.md", "| 0"));
    listed.extend(rows("fork.md", "| NULL"));
    assert_eq!(listed, tagged("Fork", &own));
}

/// Every key and every function a chapter names exists, and every link leads somewhere.
#[test]
fn chapters_name_what_exists() {
    let header = header();
    let wrapper = read("include/genesys_ws_auth.hpp");
    for (name, text) in chapters() {
        for word in
            text.split('`').skip(1).step_by(2).flat_map(|code| code.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        {
            let exact = word.starts_with("gwa_") || (word.starts_with("GWA_") && !word.ends_with('_'));
            let files = ["gwa_", "GWA_", "GWA_0"].contains(&word);
            assert!(!exact || files || header.contains(word) || wrapper.contains(word), "{name}: what is {word}?");
        }
        for key in text.split('`').skip(1).step_by(2).filter(|code| is_key(code)) {
            assert!(
                header.contains(&format!(" *   {key}\n")) || header.contains(&format!(" *   {key} = ")),
                "{name}: what is {key}?"
            );
        }
        let prose: String = text.split("```").step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let there = link.starts_with("https://") || Path::new(&format!("{ROOT}/include/doc/{link}")).exists();
            assert!(there, "{name}: where is {link}?");
        }
    }
    let index = read("include/doc/index.md");
    for (name, _) in chapters().iter().filter(|(name, _)| name != "index.md") {
        assert!(index.contains(&format!("]({name})")), "{name} is not in index.md");
    }
}

/// A configuration key, by its looks.
fn is_key(code: &str) -> bool {
    let parts: Vec<_> = code.split('.').collect();
    let known =
        ["token", "tls", "ws", "audit", "events", "send", "callbacks", "close", "free", "connect", "thread", "proxy"];
    parts.len() == 2 && known.contains(&parts[0]) && parts[1].chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The chapters written by hand, with their names.
fn chapters() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("{ROOT}/include/doc")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            let text = fs::read_to_string(&path).unwrap();
            if !text.contains("Do not edit") && !text.contains("do not edit") {
                all.push((path.file_name().unwrap().to_string_lossy().into_owned(), text));
            }
        }
    }
    all.sort();
    assert!(all.len() >= 11, "{} chapters", all.len());
    all
}

/// The blocks of a language in all chapters, with where they stand.
fn snippets(language: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, text) in chapters() {
        for (at, block) in text.split(&format!("```{language}\n")).skip(1).enumerate() {
            let code = block.split("```").next().unwrap().to_owned();
            all.push((format!("{name}-{}", at + 1), code));
        }
    }
    all
}

fn header() -> String {
    read("include/genesys_ws_auth.h")
}

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|why| panic!("{path}: {why}"))
}
