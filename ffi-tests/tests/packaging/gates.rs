//! What must agree: header, archive, version script, shared library, versions, metadata; and what glibc is needed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::install::{consumer_directory, crate_version, make, output, prefix, target_directory, tool, ROOT};

/// The names that the header declares, by the compiler's own account of it and not by a reading of the text.
fn declared() -> BTreeSet<String> {
    let header = format!("{ROOT}/include/genesys_ws_auth.h");
    let text = output(Command::new("gcc").args(["-E", "-P", "-x", "c", &header]));
    let statements = text.split([';', '{', '}']).map(|statement| statement.split_whitespace().collect::<Vec<_>>());
    let statements = statements.map(|words| words.join(" ")).filter(|statement| !statement.starts_with("typedef"));
    let called = statements.filter_map(|statement| {
        let name = statement.split_once('(')?.0.rsplit([' ', '*']).next()?.to_owned();
        name.starts_with("gwa_").then_some(name)
    });
    called.collect()
}

fn names(nm: &[&str], file: &str) -> BTreeSet<String> {
    let file = prefix().join(file).display().to_string();
    let text = tool(Path::new("/"), "nm", &[nm, &[&file]].concat());
    text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned())).collect()
}

#[test]
fn declared_is_archive_is_version_script_is_shared_library() {
    let declared = declared();
    assert!(declared.len() > 100, "{}", declared.len());
    assert_eq!(names(&["-g", "--defined-only"], "lib/libgenesys_ws_auth.a"), declared, "the archive");

    let node = "@@GWA_0.1";
    let exported = names(&["-D", "--defined-only"], "lib/libgenesys_ws_auth.so");
    // The version is a symbol too.
    let versioned: BTreeSet<_> = declared.iter().map(|name| format!("{name}{node}")).collect();
    let without: BTreeSet<_> = exported.into_iter().filter(|name| name != "GWA_0.1").collect();
    assert_eq!(without, versioned, "the shared library");

    let script = fs::read_to_string(format!("{ROOT}/examples/build/install/release/symbols.map")).unwrap();
    let global = script.split("global:").nth(1).and_then(|rest| rest.split("local:").next()).expect("two parts");
    let listed: BTreeSet<_> = global.split([';', '\n']).map(|line| line.trim().to_owned()).collect();
    assert_eq!(listed.into_iter().filter(|line| !line.is_empty()).collect::<BTreeSet<_>>(), declared);
}

#[test]
fn every_version_agrees() {
    let version = crate_version();
    let file = |path: &str| fs::read_to_string(prefix().join(path)).unwrap();
    for pc in ["genesys-ws-auth", "genesys-ws-auth-static"] {
        assert!(file(&format!("lib/pkgconfig/{pc}.pc")).contains(&format!("\nVersion: {version}\n")));
    }
    let cmake = file("lib/cmake/GenesysWsAuth/GenesysWsAuthConfigVersion.cmake");
    assert!(cmake.contains(&format!("set(PACKAGE_VERSION \"{version}\")")));
    let directory = consumer_directory("versions");
    let versions = format!("{ROOT}/ffi-tests/c/versions.c");
    let (include, archive) = (prefix().join("include"), prefix().join("lib/libgenesys_ws_auth.a"));
    let (include, archive) = (format!("-I{}", include.display()), archive.display().to_string());
    tool(&directory, "gcc", &[&include, "-I", &format!("{ROOT}/ffi-tests/c"), &versions, &archive, "-o", "versions"]);
    output(Command::new(directory.join("versions")).arg(&version));
}

#[test]
fn the_shared_library_is_marked_as_it_must_be() {
    let library = prefix().join("lib/libgenesys_ws_auth.so").display().to_string();
    let dynamic = tool(Path::new("/"), "readelf", &["-dW", &library]);
    let major = crate_version().split('.').next().unwrap().to_owned();
    assert!(dynamic.contains(&format!("Library soname: [libgenesys_ws_auth.so.{major}]")), "{dynamic}");
    assert!(dynamic.contains("NODELETE") && dynamic.contains("BIND_NOW") && !dynamic.contains("TEXTREL"), "{dynamic}");
    assert!(!dynamic.contains("RPATH") && !dynamic.contains("RUNPATH"), "{dynamic}");
    let needed: Vec<_> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    let known = ["libc.so.6", "libgcc_s.so.1", "ld-linux", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"];
    assert!(needed.iter().all(|line| known.iter().any(|known| line.contains(known))), "{needed:?}");
    let segments = tool(Path::new("/"), "readelf", &["-lW", &library]);
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack");
    assert!(
        segments.contains("GNU_RELRO") && segments.contains("GNU_EH_FRAME") && !stack.contains("RWE"),
        "{segments}"
    );
}

#[test]
fn the_archive_is_clean() {
    let archive = prefix().join("lib/libgenesys_ws_auth.a").display().to_string();
    let sections = tool(Path::new("/"), "readelf", &["-SW", &archive]);
    for gone in [".llvmbc", ".llvmcmd", ".debug_info", ".group"] {
        assert!(!sections.contains(gone), "{gone}");
    }
    assert!(sections.contains(" .eh_frame ") && sections.contains(" .note.GNU-stack "));
    let functions = sections.lines().filter(|line| line.contains("] .text.")).count();
    assert!(functions > 1000, "sections stay apart by function, so that linkers can drop some: {functions}");
    assert_eq!(output(Command::new("ar").args(["t", &archive])), "genesys_ws_auth.o\n");
}

/// The linker of a consumer drops as much of the localised archive as of the one that Cargo makes.
#[test]
fn localising_does_not_make_programs_larger() {
    let directory = consumer_directory("dropped");
    let localised = prefix().join("lib/libgenesys_ws_auth.a");
    let cargo_s = target_directory().join("release/libgenesys_ws_auth.a");
    let sizes = [("localised", &localised), ("unlocalised", &cargo_s)].map(|(name, archive)| {
        let include = format!("-I{}", prefix().join("include").display());
        let minimal = format!("{ROOT}/examples/c/minimal.c");
        let archive = archive.display().to_string();
        let drop = ["-Wl,--gc-sections", "-s", "-O2"];
        tool(&directory, "gcc", &[&drop[..], &[&include, &minimal, &archive, "-lm", "-o", name]].concat());
        fs::metadata(directory.join(name)).unwrap().len()
    });
    // Segments are rounded up to pages, and the order in which things come is another.
    assert!(sizes[0] <= sizes[1] + 3 * 4096, "{sizes:?}");
}

/// The newest symbol of glibc that the shared library and a program with the archive need, against what README publishes.
/// It depends on the glibc of the machine that links: a newer one gives newer versions of the same functions.
#[test]
fn the_glibc_that_is_needed_is_what_readme_says() {
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let published = readme.split("needs glibc ").nth(1).expect("README says which glibc is needed");
    let published = number(published.split([' ', ',', ';', ':']).next().unwrap());
    let directory = consumer_directory("glibc");
    let include = format!("-I{}", prefix().join("include").display());
    let archive = prefix().join("lib/libgenesys_ws_auth.a").display().to_string();
    let minimal = format!("{ROOT}/examples/c/minimal.c");
    tool(&directory, "gcc", &["-O2", "-s", &include, &minimal, &archive, "-lm", "-o", "minimal"]);
    let library = prefix().join("lib/libgenesys_ws_auth.so").display().to_string();
    for file in ["minimal", &library] {
        let text = tool(&directory, "readelf", &["-VW", file]);
        let versions = text.split("GLIBC_").skip(1).filter_map(|rest| rest.split_whitespace().next());
        let newest = versions.filter(|version| version.starts_with("2.")).map(number).max().expect("glibc is used");
        assert!(newest <= published, "{file} needs glibc {newest:?}, README says {published:?}");
    }
}

/// "2.34" as numbers.
fn number(version: &str) -> Vec<u32> {
    version.trim_end_matches(['.', ')']).split('.').map(|part| part.parse().expect("a number")).collect()
}

/// cargo-c, which some distributions package with, makes the same files from what Cargo.toml tells it.
#[test]
fn cargo_c_is_told_the_same_names() {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(ROOT);
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut metadata)).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == "genesys-ws-auth").expect("ours");
    let capi = &package["metadata"]["capi"];
    // The committed headers, beside each other: as it reads these since 0.10.
    assert_eq!((&capi["header"]["generation"], &capi["header"]["subdirectory"]), (&false.into(), &false.into()));
    assert_eq!(capi["install"]["include"]["asset"][0]["from"], "include/*.h*");
    assert_eq!(capi["pkg_config"]["filename"], "genesys-ws-auth");
    assert!(prefix().join("lib/pkgconfig/genesys-ws-auth.pc").exists());
    assert_eq!(capi["library"]["name"], "genesys_ws_auth");
    assert!(capi["library"]["version"].is_null(), "it is that of the package");
    assert_eq!(capi["library"]["version_suffix_components"], 1, "the SONAME has one number");
    assert_eq!(capi["library"]["rustflags"], "-Clink-arg=-Wl,-z,nodelete");
    let toml = fs::read_to_string(format!("{ROOT}/Cargo.toml")).unwrap();
    let sections = toml.lines().filter(|line| line.starts_with("[package.metadata.capi")).count();
    assert_eq!(sections, 5, "each of them is looked at here");
}

/// The tools can be named: an archiver of that name is what is called.
#[test]
fn tools_are_taken_from_the_environment() {
    let directory = consumer_directory("tools");
    let mut settings = vec![format!("PREFIX={}", directory.join("prefix").display())];
    for tool in ["AR", "OBJCOPY", "NM", "LD", "CC"] {
        let name = if tool == "CC" { "gcc".to_owned() } else { tool.to_lowercase() };
        let script = directory.join(format!("our-{name}"));
        let said = directory.join("said").display().to_string();
        fs::write(&script, format!("#!/bin/sh\necho {tool} >>'{said}'\nexec {name} \"$@\"\n")).unwrap();
        output(Command::new("chmod").arg("755").arg(&script));
        settings.push(format!("{tool}={}", script.display()));
    }
    prefix();
    // Made anew by all of them, from the archive that is there: what builds that sees the same variables.
    settings.extend(["-o".to_owned(), "archive".to_owned()]);
    settings.push(format!("PARTS={}", directory.join("parts").display()));
    make("install", &settings.iter().map(String::as_str).collect::<Vec<_>>());
    let said = fs::read_to_string(directory.join("said")).unwrap();
    assert_eq!(said.lines().collect::<BTreeSet<_>>(), BTreeSet::from(["AR", "CC", "LD", "NM", "OBJCOPY"]));
}
