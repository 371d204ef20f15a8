//! The committed C header: equal to what the sources give, clean under every standard, complete in its documentation.
//!
//! After a change of the ABI: `cargo test -p ffi-tests --test header -- --ignored regenerate`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io::Write as _};

use ffi_tests::cxx::each_compiler;
use ffi_tests::tags;

/// Sources in the order of the header.
const SOURCES: [&str; 22] = [
    "version",
    "status",
    "error",
    "text",
    "token",
    "audit",
    "verify",
    "event",
    "event_fields",
    "request",
    "callbacks",
    "config",
    "hooks",
    "client",
    "topics",
    "unregister",
    "source",
    "report",
    "metrics",
    "stats",
    "scopes",
    "live",
];

/// Their status is what was asked for, not how the call ended.
const ACCESSORS: [&str; 2] = ["gwa_error_code", "gwa_event_outcome"];

#[test]
fn the_committed_header_is_what_the_sources_give() {
    let committed = fs::read_to_string(header_path()).expect("include/genesys_ws_auth.h can be read");
    assert!(committed == generated(), "the header is out of date: regenerate it (see the head of this file)");
}

#[test]
#[ignore = "writes include/genesys_ws_auth.h"]
fn regenerate() {
    fs::create_dir_all(include()).expect("include can be made");
    fs::write(header_path(), generated()).expect("the header can be written");
}

#[test]
fn every_source_of_the_abi_is_in_the_header() {
    for entry in fs::read_dir(root().join("src/ffi")).expect("src/ffi can be read") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let text = fs::read_to_string(&path).expect("a source");
        assert!(!text.contains("#[no_mangle]") || SOURCES.contains(&&*name), "{name}.rs is not listed here");
    }
}

/// `tags::parse` panics where a tag is missing or unknown; here it finds every function, too.
#[test]
fn every_function_says_all_that_a_caller_has_to_know() {
    let header = generated();
    let functions = tags::parse(&header);
    let found: Vec<_> = functions.iter().map(|function| &*function.name).collect();
    assert_eq!(found, declared(&header));
    assert!(found.len() > 90, "{}", found.len());
    let current = library_version();
    for function in functions {
        assert!(number(function.tag("Since")) <= number(&current), "{} comes from the future", function.name);
        assert!(!function.text.is_empty(), "{} says nothing", function.name);
        let is_fallible = function.returns == "gwa_status_t" && !ACCESSORS.contains(&&*function.name);
        assert!(!is_fallible || function.text.contains("Returns "), "{} does not say what it returns", function.name);
    }
}

#[test]
fn only_our_names() {
    let header = generated();
    for line in header.lines() {
        let Some(rest) = line.strip_prefix("#define ") else { continue };
        assert!(rest.starts_with("GWA_"), "{line}");
    }
    for name in declared(&header) {
        assert!(name.starts_with("gwa_"), "{name}");
    }
}

#[test]
fn clean_in_every_c_standard() {
    each_compiler("the header as C", false, |_, compiler| {
        for standard in ["c89", "c99", "c11", "c17"] {
            compile(compiler, "c", standard, &["-Wc++-compat", "-Wstrict-prototypes", "-Wmissing-prototypes"]);
        }
    });
}

#[test]
fn clean_in_every_cpp_standard() {
    each_compiler("the header as C++", true, |_, compiler| {
        for standard in ["c++98", "c++11", "c++14", "c++17", "c++20", "c++2b"] {
            compile(compiler, "c++", standard, &["-Wold-style-cast"]);
        }
    });
}

/// A C program evaluates what the preprocessor makes of the macros.
#[test]
fn macros_have_the_values_of_the_crate() {
    let program =
        "#include \"genesys_ws_auth.h\"\n#include <stdio.h>\n#if GWA_VERSION_NUMBER < 1\n#error version\n#endif\n\
        int main(void) { printf(\"%d.%d.%d %lu %d\", GWA_VERSION_MAJOR, GWA_VERSION_MINOR, GWA_VERSION_PATCH,\n\
        (unsigned long)GWA_NO_LIMIT, GWA_VERSION_NUMBER); return GWA_OK; }\n";
    let binary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("header_macros");
    feed(Command::new("gcc").args(["-std=c89", "-x", "c", "-", "-o"]).arg(&binary).arg("-I").arg(include()), program);
    let output = Command::new(&binary).output().expect("the program runs");
    let version = library_version();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{version} 4294967295 {}", number(&version)));
}

fn number(version: &str) -> u32 {
    version.split('.').fold(0, |number, part| number * 1_000 + part.parse::<u32>().expect("a number"))
}

/// `version` of the root's Cargo.toml.
fn library_version() -> String {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = ")).expect("a version");
    line.trim_matches('"').to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn include() -> PathBuf {
    root().join("include")
}

fn header_path() -> PathBuf {
    include().join("genesys_ws_auth.h")
}

/// The header as the sources give it.
fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml can be read");
    config.header = config.header.map(|header| header.replace("@KEYS@\n", &keys()));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(root().join(format!("src/ffi/{name}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("cbindgen reads the sources").write(&mut bytes);
    tagged(&String::from_utf8(bytes).expect("UTF-8"))
}

/// cbindgen gives no tag to public structs and `gwa_client_t` to opaque ones: here `struct gwa_client` it is, for all, so
/// that programs can declare them ahead without including the header.
fn tagged(header: &str) -> String {
    let mut text = String::with_capacity(header.len() + 64);
    let mut ends = header.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix("_t;"));
    for line in header.lines() {
        let opaque = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix("_t;")?.split_once("_t "));
        let _ = match opaque {
            Some((tag, name)) if tag == name => writeln!(text, "typedef struct {tag} {name}_t;"),
            _ if line == "typedef struct {" => writeln!(text, "typedef struct {} {{", ends.next().expect("an end")),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

/// The table of keys as the head of the header shows it: key and default, then type, range and meaning.
fn keys() -> String {
    let mut text = String::new();
    for key in genesys_ws_auth::config::keys() {
        let default = if key.default.is_empty() { String::new() } else { format!(" = {}", key.default) };
        let _ = writeln!(text, " *   {}{default}", key.name);
        wrap(&mut text, &format!("{}: {}", key.kind, key.doc));
    }
    text
}

/// Adds a paragraph in lines of the header's width.
fn wrap(text: &mut String, paragraph: &str) {
    let mut line = " *      ".to_owned();
    for word in paragraph.split(' ') {
        if line.len() + 1 + word.len() > 110 {
            let _ = writeln!(text, "{line}");
            line = " *      ".to_owned();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}

/// Names of the functions that a header declares.
fn declared(header: &str) -> Vec<&str> {
    let code = header.lines().filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"));
    code.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next()).collect()
}

/// A unit that includes the header twice, declares a struct ahead and uses every macro.
const UNIT: &str = "struct gwa_client;\nstruct gwa_metrics;\n\
    #include \"genesys_ws_auth.h\"\n#include \"genesys_ws_auth.h\"\n\
    #if GWA_VERSION_NUMBER < 1 || GWA_NO_LIMIT < 1\n#error \"macros for #if\"\n#endif\n\
    int gwa_unit(struct gwa_client *client, struct gwa_metrics *metrics);\n\
    int gwa_unit(struct gwa_client *client, struct gwa_metrics *metrics)\n{\n\
    gwa_shutdown_report_t report;\nuint32_t timeout_ms = GWA_NO_LIMIT;\n\
    GWA_METRICS_INIT(metrics);\nGWA_SHUTDOWN_REPORT_INIT(&report);\n\
    return GWA_CHECK_ABI() == GWA_OK && gwa_client_shutdown(client, timeout_ms, &report, NULL) == GWA_OK;\n}\n";

/// What the header is clean under, each standard and compiler alike.
const WARNINGS: [&str; 8] =
    ["-Wall", "-Wextra", "-pedantic-errors", "-Wundef", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"];

fn compile(compiler: &str, language: &str, standard: &str, more: &[&str]) {
    let mut command = Command::new(compiler);
    command.args(["-x", language, "-", "-fsyntax-only"]).args(WARNINGS).arg(format!("-std={standard}")).args(more);
    feed(command.arg("-I").arg(include()), UNIT);
}

fn feed(command: &mut Command, source: &str) {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a compiler is installed");
    child.stdin.take().expect("a pipe").write_all(source.as_bytes()).expect("the compiler reads");
    let output = child.wait_with_output().expect("the compiler ends");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
