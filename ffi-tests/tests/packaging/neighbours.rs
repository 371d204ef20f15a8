//! In one program with others: a second Rust static library, a static OpenSSL.

use std::process::Command;
use std::{env, path::Path};

use crate::consumers::compile;
use crate::install::{consumer_directory, has, output, pkg_config, possible, prefix, run, target_directory, tool};

/// Two copies of Rust's standard library, of the same compiler: each panics, and each catches its own.
#[test]
fn beside_another_rust_static_library() {
    let directory = consumer_directory("beside-rust");
    neighbour(&directory);
    let ours = archive_and_natives(&directory);
    let theirs = vec!["libneighbour.a".to_owned()];
    for (name, libraries) in [("ours-first", [&ours[..], &theirs]), ("theirs-first", [&theirs[..], &ours])] {
        compile(&directory, "neighbour.c", &libraries.concat(), name);
        run(directory.join(name), &[]);
    }
}

/// The same with the archive as Cargo makes it does not even link: the test above tests something.
#[test]
fn without_localising_two_rust_libraries_collide() {
    let directory = consumer_directory("beside-rust-unlocalised");
    neighbour(&directory);
    prefix();
    let cargo_s = target_directory().join("release/libgenesys_ws_auth.a");
    let include = format!("-I{}/include", prefix().display());
    let mut link = Command::new("gcc");
    link.current_dir(&directory).args(["-std=c99", &include, "neighbour.c"]).arg(cargo_s);
    let linked = link.args(["libneighbour.a", "-lm", "-o", "collides"]).output().expect("gcc runs");
    let why = String::from_utf8_lossy(&linked.stderr);
    assert!(!linked.status.success() && why.contains("rust_eh_personality"), "{why}");
}

#[test]
fn beside_a_static_openssl() {
    let archive = |name: &str| {
        let print = format!("-print-file-name={name}");
        output(Command::new("gcc").arg(print)).trim().to_owned()
    };
    let (ssl, crypto) = (archive("libssl.a"), archive("libcrypto.a"));
    let found = [&ssl, &crypto].iter().all(|path| Path::new(path).is_absolute());
    if !possible("a static OpenSSL (libssl-dev)", found) {
        return;
    }
    let directory = consumer_directory("beside-openssl");
    let ours = archive_and_natives(&directory);
    let theirs = [ssl, crypto];
    for (name, libraries) in [("ours-first", [&ours[..], &theirs]), ("theirs-first", [&theirs[..], &ours])] {
        compile(&directory, "openssl.c", &libraries.concat(), name);
        let program = tool(&directory, "nm", &[name]);
        assert!(program.contains(" T SSL_CTX_new\n"), "OpenSSL is not in the program");
        run(directory.join(name), &[]);
    }
}

fn neighbour(directory: &Path) {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    assert!(has(&rustc), "{rustc} built this test");
    tool(directory, &rustc, &["--edition", "2021", "-O", "--crate-type", "staticlib", "neighbour.rs"]);
}

fn archive_and_natives(directory: &Path) -> Vec<String> {
    if possible("pkg-config", has("pkg-config")) {
        return pkg_config(directory, "--cflags --libs genesys-ws-auth-static");
    }
    let prefix = prefix().display();
    vec![format!("-I{prefix}/include"), format!("{prefix}/lib/libgenesys_ws_auth.a"), "-lm".into(), "-ldl".into()]
}
