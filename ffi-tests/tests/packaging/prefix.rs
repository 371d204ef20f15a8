//! What lies in the prefix, that it may be moved, and that it can be removed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::install::{consumer_directory, crate_version, has, make, possible, prefix, tool, work, ROOT, SAID};

#[test]
fn the_prefix_holds_what_was_promised_and_the_manifest_names_it() {
    let version = crate_version();
    let shared = format!("lib/libgenesys_ws_auth.so.{version}");
    let promised = BTreeSet::from([
        "include/genesys_ws_auth.h",
        "include/genesys_ws_auth.hpp",
        "lib/libgenesys_ws_auth.a",
        "lib/libgenesys_ws_auth.so",
        "lib/libgenesys_ws_auth.so.0",
        &shared,
        "lib/pkgconfig/genesys-ws-auth.pc",
        "lib/pkgconfig/genesys-ws-auth-static.pc",
        "lib/cmake/GenesysWsAuth/GenesysWsAuthConfig.cmake",
        "lib/cmake/GenesysWsAuth/GenesysWsAuthConfigVersion.cmake",
        "share/doc/genesys-ws-auth/CHANGELOG.md",
        "share/doc/genesys-ws-auth/LICENSE-APACHE",
        "share/doc/genesys-ws-auth/LICENSE-MIT",
        "share/doc/genesys-ws-auth/README.md",
        "share/genesys-ws-auth/manifest",
    ]);
    let found = files(prefix());
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), promised);
    let manifest = fs::read_to_string(prefix().join("share/genesys-ws-auth/manifest")).unwrap();
    assert_eq!(manifest.lines().collect::<BTreeSet<_>>(), promised);
    for (link, to) in [("so", "libgenesys_ws_auth.so.0"), ("so.0", &*format!("libgenesys_ws_auth.so.{version}"))] {
        let path = prefix().join(format!("lib/libgenesys_ws_auth.{link}"));
        assert_eq!(fs::read_link(path).unwrap(), Path::new(to));
    }
}

/// Neither the prefix nor the place of the build stands anywhere: what is installed may be moved.
#[test]
fn nothing_says_where_it_was_installed_or_built() {
    let build = fs::canonicalize(ROOT).unwrap().display().to_string();
    for file in files(prefix()) {
        let content = fs::read(prefix().join(&file)).unwrap();
        for place in [SAID, &build, &*work().display().to_string()] {
            let found = content.windows(place.len()).any(|part| part == place.as_bytes());
            assert!(!found, "{file} names {place}");
        }
    }
}

/// Without `DESTDIR`, with a directory for libraries as Debian has.
#[test]
fn what_is_installed_can_be_removed() {
    let prefix = work().join("direct");
    let setting = format!("PREFIX={}", prefix.display());
    fs::create_dir_all(prefix.join("lib/x86_64-linux-gnu")).unwrap();
    fs::write(prefix.join("lib/x86_64-linux-gnu/libother.a"), "of somebody else").unwrap();
    for _ in 0..2 {
        make("install", &[&setting, "LIBDIR=lib/x86_64-linux-gnu"]);
    }
    assert!(prefix.join("lib/x86_64-linux-gnu/pkgconfig/genesys-ws-auth.pc").exists());
    if possible("pkg-config", has("pkg-config")) {
        let directory = consumer_directory("multiarch");
        let config = prefix.join("lib/x86_64-linux-gnu/pkgconfig/genesys-ws-auth-static.pc").display().to_string();
        let said = tool(&directory, "pkg-config", &["--cflags", "--libs", &config]);
        let mut args = vec!["consumer.c", "-o", "program"];
        args.extend(said.split_whitespace());
        tool(&directory, "gcc", &args);
    }
    make("uninstall", &[&setting]);
    assert_eq!(files(&prefix), ["lib/x86_64-linux-gnu/libother.a"]);
    assert!(!prefix.join("share").exists() && !prefix.join("include").exists());
}

/// What an older version had and this one has not is removed by an installation over it.
#[test]
fn an_older_version_is_replaced() {
    let prefix = work().join("older");
    let setting = format!("PREFIX={}", prefix.display());
    make("install", &[&setting]);
    fs::write(prefix.join("lib/libgenesys_ws_auth.so.0.0.9"), "old").unwrap();
    fs::write(prefix.join("lib/not-ours"), "other").unwrap();
    let manifest = prefix.join("share/genesys-ws-auth/manifest");
    let named = fs::read_to_string(&manifest).unwrap() + "lib/libgenesys_ws_auth.so.0.0.9\n";
    fs::write(&manifest, named).unwrap();
    make("install", &[&setting]);
    assert!(!prefix.join("lib/libgenesys_ws_auth.so.0.0.9").exists());
    assert!(prefix.join("lib/not-ours").exists() && prefix.join("lib/libgenesys_ws_auth.a").exists());
    assert!(!fs::read_to_string(&manifest).unwrap().contains("0.0.9"));
}

/// Files and links below a directory, sorted.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
