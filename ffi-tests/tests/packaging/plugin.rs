//! Plugins in a host that is linked to nothing: loaded, used, shut down, unloaded, again and again.

use std::fs;
use std::path::Path;

use ffi_tests::sim::End;

use crate::consumers::compile;
use crate::install::{consumer_directory, prefix, run_against, simulator, tool};

const ROUNDS: u64 = 10;

#[test]
fn a_plugin_with_the_archive_in_it() {
    let directory = consumer_directory("plugin-archive");
    host(&directory);
    with_archive(&directory, "plugin.so");
    let flags = tool(&directory, "readelf", &["-d", "plugin.so"]);
    assert!(flags.contains("NODELETE"), "{flags}");
    rounds(&directory, &["./plugin.so"], &directory.join("plugin.so"));
}

#[test]
fn a_plugin_with_the_shared_library_beside_it() {
    let directory = consumer_directory("plugin-shared");
    host(&directory);
    with_shared(&directory, "plugin.so");
    rounds(&directory, &["./plugin.so"], &fs::canonicalize(prefix().join("lib/libgenesys_ws_auth.so.0")).unwrap());
}

/// Two copies in one process, and the one that lives does not notice that the other comes and goes.
#[test]
fn one_copy_comes_and_goes_while_another_lives() {
    let directory = consumer_directory("plugin-two");
    host(&directory);
    with_archive(&directory, "archive.so");
    with_shared(&directory, "shared.so");
    let shared = fs::canonicalize(prefix().join("lib/libgenesys_ws_auth.so.0")).unwrap();
    rounds(&directory, &["./shared.so", "./archive.so"], &shared);
    rounds(&directory, &["./archive.so", "./shared.so"], &directory.join("archive.so"));
}

/// `plugins`: the one that is loaded again and again, and the one that lives; `resident`: the code that must stay.
fn rounds(directory: &Path, plugins: &[&str], resident: &Path) {
    let sim = simulator();
    let paths: Vec<_> = plugins.iter().map(|plugin| directory.join(plugin).display().to_string()).collect();
    let mut args = vec![paths[0].clone(), ROUNDS.to_string()];
    args.extend(paths.into_iter().skip(1));
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let run = run_against(&sim, directory.join("host"), &args, &[("GWA_TEST_RESIDENT", resident)]);
    assert_eq!((run.number("rounds"), run.number("resident")), (ROUNDS, 1));
    let clients = ROUNDS + (plugins.len() as u64 - 1);
    let log = sim.record().snapshot();
    assert_eq!(log.ws_connects() as u64, clients, "nobody reconnected");
    let clean = log.connections.iter().filter(|one| matches!(one.end, Some((_, End::ClientClosed(1000)))));
    assert_eq!(clean.count() as u64, clients, "every client closed its socket well");
}

/// Linked to libc alone.
fn host(directory: &Path) {
    compile(directory, "host.c", &["-ldl", "-lpthread", "-Wno-pedantic"].map(str::to_owned), "host");
    let needed = tool(directory, "readelf", &["-d", "host"]);
    assert!(!needed.contains("genesys") && !needed.contains("libgcc_s"), "{needed}");
}

fn with_archive(directory: &Path, out: &str) {
    let prefix = prefix().display();
    let archive = [format!("{prefix}/lib/libgenesys_ws_auth.a"), "-Wl,-z,nodelete".to_owned()];
    plugin(directory, &archive, out);
}

fn with_shared(directory: &Path, out: &str) {
    let lib = prefix().join("lib").display().to_string();
    plugin(directory, &[format!("-L{lib}"), "-lgenesys_ws_auth".into(), format!("-Wl,-rpath,{lib}")], out);
}

fn plugin(directory: &Path, libraries: &[String], out: &str) {
    let prefix = prefix().display();
    let own = ["-shared".to_owned(), "-fPIC".to_owned(), format!("-I{prefix}/include")];
    compile(directory, "plugin.c", &[&own, libraries].concat(), out);
}
