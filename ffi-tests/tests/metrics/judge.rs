//! Python packages that read what we write.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Pinned: what they accept today is what is tested.
const PACKAGES: [&str; 3] = ["prometheus-client==0.26.0", "PyYAML==6.0.3", "promql-parser==0.12.0"];

/// A family as a parser has read it.
#[derive(Debug)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// One of its samples.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: serde_json::Map<String, Value>,
    pub value: f64,
}

/// What Prometheus's parser reads: `openmetrics` or `prometheus`; `None` without it.
///
/// # Panics
/// If it refuses the text.
pub fn families(kind: &str, text: &str) -> Option<Vec<Family>> {
    let read = judge(kind, text)?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sample = |value: &Value| Sample {
        name: word(&value[0]),
        labels: value[1].as_object().expect("labels").clone(),
        value: value[2].as_f64().expect("a number"),
    };
    let family = |value: &Value| Family {
        name: word(&value["name"]),
        kind: word(&value["type"]),
        unit: word(&value["unit"]),
        help: word(&value["help"]),
        samples: value["samples"].as_array().expect("samples").iter().map(sample).collect(),
    };
    Some(read.as_array().expect("families").iter().map(family).collect())
}

/// What a judge makes of a text; `None` without one.
///
/// # Panics
/// If it refuses the text.
pub fn judge(kind: &str, text: &str) -> Option<Value> {
    let python = python()?;
    let path = tempfile(kind);
    fs::write(&path, text).expect("it can be written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics/judge.py");
    let output = Command::new(python).arg(script).arg(kind).arg(&path).output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{kind}: {said}\n{text}");
    fs::remove_file(path).expect("it can be removed");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn tempfile(kind: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("judged-{kind}-{}-{number}", std::process::id()))
}

/// The interpreter that has the packages: installed once, and again when another version of one is asked for.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(install) {
        Ok(python) => Some(python),
        Err(why) => {
            skip("Prometheus's parsers (PyPI)", why);
            None
        }
    }
}

/// Says loudly that something is not tested here, unless everything is required.
pub fn skip(what: &str, why: &str) {
    let asked = ["GWA_REQUIRE_ALL", "GWA_REQUIRE_PEERS"];
    let required = asked.iter().any(|name| std::env::var_os(name).is_some_and(|value| value == "1"));
    assert!(!required, "{what} is required: {why}");
    writeln!(std::io::stderr(), "SKIPPED: {what}: {why} (1 test)").expect("stderr");
}

fn install() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges");
    let (python, stamp) = (root.join("bin/python3"), root.join("installed"));
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()),
        Err(why) => Err(why.to_string()),
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&root))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&python).args(pip).args(PACKAGES))?;
    fs::write(stamp, wanted).map_err(|why| why.to_string())?;
    Ok(python)
}
