//! The simulator by hand: prints its URLs, CA file and credentials, so that anybody's client can use it.

mod args;
mod summary;

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use args::Args;
use ffi_tests::sim::{Log, Sim, TokenForm};
use serde_json::json;

/// How often a program that runs under the simulator is asked whether it has ended.
const CHILD_TICK: Duration = Duration::from_millis(20);
/// How long connections have to end after the program did.
const SETTLE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let args = match Args::parse(env::args().skip(1)) {
        Ok(args) if args.help => return say(args::HELP, ExitCode::SUCCESS),
        Ok(args) => args,
        Err(error) => return complain(&error),
    };
    match run(&args) {
        Ok(code) => code,
        Err(error) => complain(&error.to_string()),
    }
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    code
}

fn complain(error: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "sim: {error} (sim --help)");
    ExitCode::from(2)
}

fn run(args: &Args) -> io::Result<ExitCode> {
    let sim = args.start()?;
    let ca_file = write_ca(args, &sim)?;
    let exports = exports(args, &sim, ca_file.as_deref());
    let lines = export_lines(&exports);
    if let Some(path) = &args.ready_file {
        write_whole(path, &lines)?;
    }
    let code = match &args.program {
        Some(program) => run_program(program, &exports, args.run_time)?,
        None => {
            let mut out = io::stdout().lock();
            write!(out, "{}{lines}", banner(args, &sim, ca_file.as_deref()))?;
            out.flush()?;
            drop(out);
            wait(args.run_time);
            ExitCode::SUCCESS
        }
    };
    sim.record().wait_until(SETTLE, all_ended);
    report(args, &sim.record().snapshot())?;
    drop(sim);
    if let (None, Some(path)) = (&args.ca_file, ca_file) {
        let _ = fs::remove_file(path);
    }
    Ok(code)
}

fn write_ca(args: &Args, sim: &Sim) -> io::Result<Option<PathBuf>> {
    if sim.ca_pem().is_empty() {
        return Ok(None);
    }
    let own = || env::temp_dir().join(format!("genesys-sim-{}-ca.pem", std::process::id()));
    let path = args.ca_file.clone().unwrap_or_else(own);
    fs::write(&path, sim.ca_pem())?;
    Ok(Some(fs::canonicalize(path)?))
}

fn exports(args: &Args, sim: &Sim, ca_file: Option<&Path>) -> Vec<(&'static str, String)> {
    let token = &args.options.token;
    let mut all = vec![
        ("GENESYS_REGION", "localhost".to_owned()),
        ("GENESYS_CLIENT_ID", token.client_id.clone()),
        ("GENESYS_CLIENT_SECRET", token.client_secret.clone()),
        ("GENESYS_REFRESH_TOKEN", token.refresh_token.clone()),
        ("GWA_TOKEN_URL", sim.token_url()),
    ];
    if let TokenForm::Signed(_) = token.form {
        all.push(("GWA_ISSUER", sim.issuer()));
        all.push(("GWA_AUDIENCE", token.audience.clone()));
        all.push(("GWA_KEYS_URL", sim.keys_url()));
        all.push(("GWA_INTROSPECTION_URL", sim.introspection_url()));
    }
    if args.notifications {
        all.push(("GWA_PROFILE", "notifications".to_owned()));
        all.push(("GWA_AUTHORIZE_URL", sim.authorize_url()));
        all.push(("GWA_API_URL", sim.api_url()));
        all.push(("GWA_STREAMING_HOST", sim.streaming_host()));
        all.push(("GWA_CONFIG", configuration(args, sim, ca_file)));
    } else {
        all.push(("GWA_WS_URL", sim.ws_url()));
    }
    if let Some(path) = ca_file {
        all.push(("GWA_CA_FILE", path.display().to_string()));
    }
    all
}

/// What `gwa_config_set_json` takes: all but the secrets.
fn configuration(args: &Args, sim: &Sim, ca_file: Option<&Path>) -> String {
    let mut keys = json!({
        "profile": "notifications",
        "region": "localhost",
        "client.id": args.options.token.client_id,
        "token.url": sim.token_url(),
        "token.authorize_url": sim.authorize_url(),
        "api.url": sim.api_url(),
        "notifications.streaming_host": sim.streaming_host(),
    });
    match ca_file {
        Some(path) => keys["tls.ca_file"] = json!(path),
        None => keys["net.allow_plain_loopback"] = json!(true),
    }
    keys.to_string()
}

/// For a shell's `eval`.
fn export_lines(exports: &[(&'static str, String)]) -> String {
    let quoted = |value: &str| value.replace('\'', "'\\''");
    let line = |(name, value): &(&str, String)| format!("export {name}='{}'\n", quoted(value));
    exports.iter().map(line).collect()
}

/// As comments, so that the whole output can be given to `eval`.
fn banner(args: &Args, sim: &Sim, ca_file: Option<&Path>) -> String {
    let ca = ca_file.map_or("none: no TLS".to_owned(), |path| path.display().to_string());
    let socket = if args.notifications {
        let (api, host, config) = (sim.api_url(), sim.streaming_host(), configuration(args, sim, ca_file));
        format!("#   REST API        {api}\n#   channels at     {host}\n#   configuration   {config}\n")
    } else {
        format!("#   WebSocket       {}\n", sim.ws_url())
    };
    format!("# Genesys Cloud simulator\n#   token endpoint  {}\n{socket}#   CA file         {ca}\n", sim.token_url())
}

/// Whoever sees the file sees all of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, path)
}

fn wait(time: Option<Duration>) {
    match time {
        Some(time) => thread::sleep(time),
        None => loop {
            thread::park();
        },
    }
}

fn run_program(
    program: &[String],
    exports: &[(&'static str, String)],
    limit: Option<Duration>,
) -> io::Result<ExitCode> {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).envs(exports.iter().map(|(name, value)| (name, value)));
    let mut child = command.spawn()?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(code_of(status));
        }
        if limit.is_some_and(|limit| began.elapsed() >= limit) {
            child.kill()?;
            return Ok(code_of(child.wait()?));
        }
        thread::sleep(CHILD_TICK);
    }
}

/// As a shell has it: 128 and the signal's number for a program that was killed.
fn code_of(status: ExitStatus) -> ExitCode {
    let killed = || status.signal().map_or(1, |signal| 128 + signal);
    let code = status.code().unwrap_or_else(killed);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn all_ended(log: &Log) -> bool {
    log.connections.iter().all(|connection| connection.end.is_some())
}

fn report(args: &Args, log: &Log) -> io::Result<()> {
    let summary = format!("{:#}\n", summary::json(log));
    if let Some(path) = &args.json_summary {
        write_whole(path, &summary)?;
    }
    io::stdout().write_all(summary::words(log).as_bytes())
}
