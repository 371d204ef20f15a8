//! Programs built in every way that README names, each run against a simulator.

use std::path::Path;

use crate::install::{consume, consumer_directory, has, pkg_config, possible, prefix, run, tool, WARNINGS};
use crate::MESSAGES;

#[test]
fn plain_gcc_with_the_archive() {
    let directory = consumer_directory("plain-gcc");
    let (include, archive) = include_and_archive();
    for standard in ["c99", "c17"] {
        let std = format!("-std={standard}");
        let args = [&WARNINGS[..], &[&std, &include, "consumer.c", &archive, "-lm", "-o", standard]].concat();
        tool(&directory, "gcc", &args);
        consume(directory.join(standard));
    }
}

#[test]
fn plain_gpp_with_the_archive() {
    let directory = consumer_directory("plain-gpp");
    let (include, archive) = include_and_archive();
    for standard in ["c++98", "c++17"] {
        let std = format!("-std={standard}");
        let args = [&WARNINGS[..], &[&std, &include, "consumer.cpp", &archive, "-lm", "-o", standard]].concat();
        tool(&directory, "g++", &args);
        consume(directory.join(standard));
    }
}

#[test]
fn gpp_with_the_wrapper_and_the_archive() {
    let directory = consumer_directory("wrapper");
    let (include, archive) = include_and_archive();
    let args = ["-std=c++11", &include, "wrapper.cpp", &archive, "-lm", "-o", "wrapper"];
    tool(&directory, "g++", &[&WARNINGS[..], &args].concat());
    run(directory.join("wrapper"), &[]);
}

#[test]
fn a_makefile_with_the_archive() {
    let directory = consumer_directory("makefile");
    tool(&directory, "make", &[&format!("GWA={}", prefix().display())]);
    consume(directory.join("consumer"));
}

#[test]
fn pkg_config_with_the_shared_library() {
    if !possible("pkg-config", has("pkg-config")) {
        return;
    }
    let directory = consumer_directory("pkg-config-shared");
    let mut args = pkg_config(&directory, "--cflags --libs genesys-ws-auth");
    assert!(!args.iter().any(|arg| arg == "-ldl" || arg == "-lpthread"), "only static linking needs more: {args:?}");
    args.push(format!("-Wl,-rpath,{}", pkg_config(&directory, "--variable=libdir genesys-ws-auth")[0]));
    compile(&directory, "consumer.c", &args, "program");
    let needed = tool(&directory, "readelf", &["-d", "program"]);
    assert!(needed.contains("[libgenesys_ws_auth.so.0]"), "{needed}");
    consume(directory.join("program"));
    compile(&directory, "panic.c", &args, "panic");
    run(directory.join("panic"), &[MESSAGES]);
}

#[test]
fn pkg_config_with_the_archive() {
    if !possible("pkg-config", has("pkg-config")) {
        return;
    }
    let directory = consumer_directory("pkg-config-archive");
    let args = pkg_config(&directory, "--cflags --libs genesys-ws-auth-static");
    assert!(args.iter().any(|arg| arg == "-Wl,-z,nodelete"), "a plugin with the archive in it stays loaded: {args:?}");
    compile(&directory, "consumer.c", &args, "program");
    let needed = tool(&directory, "readelf", &["-d", "program"]);
    assert!(!needed.contains("libgenesys_ws_auth"), "{needed}");
    consume(directory.join("program"));
    compile(&directory, "panic.c", &args, "panic");
    run(directory.join("panic"), &[MESSAGES]);
}

/// All of the program is static, libc too. That wants Libs.private, and nothing in it that is only to be had shared.
#[test]
fn pkg_config_with_everything_static() {
    if !possible("pkg-config", has("pkg-config")) {
        return;
    }
    let directory = consumer_directory("pkg-config-static");
    for flag in ["-static", "-static-pie"] {
        let mut args = pkg_config(&directory, "--static --cflags --libs genesys-ws-auth");
        args.push(flag.to_owned());
        compile(&directory, "consumer.c", &args, &flag[1..]);
        let dynamic = tool(&directory, "readelf", &["-d", &flag[1..]]);
        assert!(!dynamic.contains("NEEDED"), "{dynamic}");
        consume(directory.join(&flag[1..]));
    }
}

#[test]
fn cmake_with_both_targets_in_c_and_cpp() {
    if !possible("cmake", has("cmake")) {
        return;
    }
    let directory = consumer_directory("cmake");
    let prefix_path = format!("-DCMAKE_PREFIX_PATH={}", prefix().display());
    let configured = tool(&directory, "cmake", &["-S", ".", "-B", "build", &prefix_path, "-DWANTED=0.1"]);
    assert!(configured.contains(&format!("found version {}\n", crate::install::crate_version())), "{configured}");
    tool(&directory, "cmake", &["--build", "build"]);
    for program in ["c_static", "c_shared", "cpp_static", "cpp_shared"] {
        let needed = tool(&directory, "readelf", &["-d", &format!("build/{program}")]);
        assert_eq!(needed.contains("libgenesys_ws_auth"), program.ends_with("shared"), "{program}: {needed}");
        consume(directory.join("build").join(program));
    }
    let plugin = tool(&directory, "readelf", &["-d", "build/libplugin.so"]);
    assert!(plugin.contains("NODELETE"), "a plugin with the archive in it stays loaded: {plugin}");
}

/// The package's version file answers as `gwa_check_abi()` does.
#[test]
fn cmake_refuses_other_versions() {
    if !possible("cmake", has("cmake")) {
        return;
    }
    let directory = consumer_directory("cmake-versions");
    let asks =
        [("0.1", 1), ("0.1.0", 1), ("0", 1), ("", 1), ("0.1.1", 0), ("0.0.9", 0), ("0.2", 0), ("1", 0), ("1.0", 0)];
    let mut script = String::new();
    for (version, _) in asks {
        script += "set(GenesysWsAuth_FOUND 0)\nunset(GenesysWsAuth_DIR CACHE)\n";
        script += &format!("find_package(GenesysWsAuth {version} QUIET CONFIG)\n");
        script += &format!("message(STATUS \"[{version}]=${{GenesysWsAuth_FOUND}}\")\n");
    }
    let listing = format!("cmake_minimum_required(VERSION 3.13)\nproject(versions C)\n{script}");
    std::fs::write(directory.join("CMakeLists.txt"), listing).expect("it is written");
    let prefix_path = format!("-DCMAKE_PREFIX_PATH={}", prefix().display());
    let said = tool(&directory, "cmake", &["-S", ".", "-B", "build", &prefix_path]);
    for (version, found) in asks {
        assert!(said.contains(&format!("[{version}]={found}\n")), "{version}: {said}");
    }
}

fn include_and_archive() -> (String, String) {
    let prefix = prefix().display();
    (format!("-I{prefix}/include"), format!("{prefix}/lib/libgenesys_ws_auth.a"))
}

/// Compiles a program of the directory, with what pkg-config said after it.
pub fn compile(directory: &Path, source: &str, args: &[String], out: &str) {
    let fixed = ["-std=c99", source, "-o", out];
    let args: Vec<_> = WARNINGS.into_iter().chain(fixed).chain(args.iter().map(String::as_str)).collect();
    tool(directory, "gcc", &args);
}
