//! Where programs and what they include lie, and how C becomes a program.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use super::variant::{tsan_library, Variant};
use super::{NATIVE_LIBS, ROOT, WARNINGS};

/// The target directory; tests and programs lie in `<target>/<profile>[/deps]`.
pub(crate) fn target() -> PathBuf {
    let own = env::current_exe().expect("the test knows where it lies");
    let profile = own.ancestors().nth(1).filter(|directory| !directory.ends_with("deps"));
    let target = profile.map_or_else(|| own.ancestors().nth(3), Path::parent);
    target.expect("it lies in a target directory").to_owned()
}

pub(crate) fn scratch() -> PathBuf {
    let directory = target().join("cprogs");
    fs::create_dir_all(&directory).expect("a directory in target can be made");
    directory
}

/// What a command printed; or, if it failed, what it said about that.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// One at a time, and only what is older than what it is made of.
pub(super) fn compiled(name: &str, variant: Variant, standard: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let library = variant.library().as_ref().unwrap_or_else(|why| panic!("{why}"));
    let source = PathBuf::from(format!("{ROOT}/ffi-tests/c/{name}.c"));
    let kind = variant.kind();
    let file = name.rsplit('/').next().unwrap_or(name);
    let out = scratch().join(format!("{file}-{kind}"));
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let newest = headers().iter().chain([&source, library]).filter_map(|path| changed(path)).max();
    if changed(&out) > newest {
        return out;
    }
    let fresh = scratch().join(format!("{file}-{kind}.{}", std::process::id()));
    let mut compile = variant.compiler();
    compile.arg(format!("-std={standard}")).args(WARNINGS).args(["-g", "-O1", "-pthread"]);
    compile.arg(format!("-I{ROOT}/include")).arg("-I").arg(generated()).arg("-o").arg(&fresh).arg(&source);
    output(compile.args(variant.flags()).arg(library).args(NATIVE_LIBS)).unwrap_or_else(|why| panic!("{why}"));
    fs::rename(&fresh, &out).expect("the program is put in its place");
    out
}

/// Everything a program may include.
fn headers() -> Vec<PathBuf> {
    let directories = [format!("{ROOT}/include").into(), format!("{ROOT}/ffi-tests/c").into(), generated()];
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).expect("headers"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "h" || end == "inc")).collect()
}

fn generated() -> PathBuf {
    let directory = scratch().join("generated");
    fs::create_dir_all(&directory).expect("a directory in target can be made");
    directory
}

/// Makes a file that programs can include by its name; only when it is not there in this form, so that what includes
/// it is not compiled again.
///
/// # Panics
///
/// If it cannot be written.
pub fn generate(name: &str, text: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = generated().join(name);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return;
    }
    // Tests of one process may make it at once.
    let fresh = path.with_extension(format!("new-{}-{:?}", std::process::id(), thread::current().id()));
    fs::write(&fresh, text).expect("a file in target can be written");
    fs::rename(&fresh, &path).expect("it is put in its place");
}

pub(crate) fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The program that shows what ThreadSanitizer finds: `c/planted_race.c`, with the Rust of `tsan/planted.rs`.
///
/// # Panics
///
/// If it cannot be built.
pub fn planted_race() -> PathBuf {
    let library = tsan_library("libplanted.a").unwrap_or_else(|why| panic!("{why}"));
    let out = scratch().join("planted_race");
    let mut compile = Variant::Tsan.compiler();
    compile.args(["-std=c99", "-g", "-O1", "-pthread"]).args(Variant::Tsan.flags()).arg("-o").arg(&out);
    compile.arg(format!("{ROOT}/ffi-tests/c/planted_race.c")).arg(library).args(NATIVE_LIBS);
    output(&mut compile).unwrap_or_else(|why| panic!("{why}"));
    out
}
