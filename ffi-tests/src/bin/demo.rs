//! `make -C examples demo`: runs a client (`examples/c/minimal.c`) against the simulator with tokens of eight seconds,
//! forces one drop, and checks what the client shows against what the simulator saw. Ends with 0 only if all of it held.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, fs};

use ffi_tests::sim::{Action, End, Log, Options, Plan, Pump, Sim, Trigger};

/// How long access tokens are good.
const LIFETIME: Duration = Duration::from_secs(8);
/// Renewals before the socket is dropped.
const RENEWALS: u64 = 3;
/// Time between two messages.
const MESSAGE_EVERY: Duration = Duration::from_millis(100);
/// Messages in all: the last one is sent well before the client goes, so that none is under way then.
const MESSAGES: u64 = 180;
/// How long the client runs.
const SECONDS: &str = "24";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let outcome = match words.next() {
        Some(program) => run(&program),
        None => Err(io::Error::other("demo PROGRAM: which client?")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "demo: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(program: &str) -> io::Result<bool> {
    let mut options = Options::default();
    options.token.lifetime = LIFETIME;
    options.ws.pump = Some(Pump { limit: MESSAGES, ..Pump::every(MESSAGE_EVERY) });
    let sim = Sim::try_start(options)?;
    let drop = [Action::Pause { ms: 500 }, Action::Drop];
    sim.ws().plan(0, Plan::new().on(Trigger::Auths(RENEWALS + 1), drop));
    let ca_file = env::temp_dir().join(format!("genesys-demo-{}-ca.pem", std::process::id()));
    fs::write(&ca_file, sim.ca_pem())?;
    say(&format!("demo     a simulated Genesys Cloud at {}, tokens live for 8 s\n", sim.ws_url()))?;
    let shown = show(start(program, &sim, &ca_file)?);
    fs::remove_file(&ca_file)?;
    let (shown, status) = shown?;
    sim.record().wait_until(Duration::from_secs(2), |log| log.connections.iter().all(|c| c.end.is_some()));
    let log = sim.record().snapshot();
    let all = judge(&sim, &log, &shown, status);
    let mut text = String::from("\n---- summary: what the client shows, what the simulator saw ----\n");
    for (held, what) in &all {
        text += &format!("{} {what}\n", if *held { "ok  " } else { "FAIL" });
    }
    let held = all.iter().all(|(held, _)| *held);
    text += if held { "demo: everything held\n" } else { "demo: something did not hold\n" };
    say(&text)?;
    Ok(held)
}

fn start(program: &str, sim: &Sim, ca_file: &PathBuf) -> io::Result<Child> {
    let mut command = Command::new(program);
    sim.token().policy(|policy| {
        command.env("GENESYS_CLIENT_ID", &policy.client_id).env("GENESYS_CLIENT_SECRET", &policy.client_secret);
        command.env("GENESYS_REFRESH_TOKEN", &policy.refresh_token);
    });
    command.env("GENESYS_REGION", "localhost").env("GWA_TOKEN_URL", sim.token_url()).env("GWA_WS_URL", sim.ws_url());
    command.env("GWA_CA_FILE", ca_file).arg(SECONDS).stdout(Stdio::piped()).spawn()
}

/// Shows the client's lines as they come, and keeps them.
fn show(mut child: Child) -> io::Result<(Vec<String>, ExitStatus)> {
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().into_iter().next().ok_or(io::ErrorKind::BrokenPipe)?).lines() {
        let line = line?;
        say(&format!("{line}\n"))?;
        lines.push(line);
    }
    Ok((lines, child.wait()?))
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Every claim, and whether it held.
fn judge(sim: &Sim, log: &Log, shown: &[String], status: ExitStatus) -> Vec<(bool, String)> {
    let last = shown.last().map_or("", String::as_str);
    let number = |name: &str| {
        let word = last.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word.and_then(|word| word.parse::<u64>().ok()).unwrap_or(u64::MAX)
    };
    let count = |what: &str| shown.iter().filter(|line| line.contains(what)).count() as u64;
    let (sent, delivered) = (log.messages_sent(), number("messages"));
    let first = log.connections.first();
    let first_renewals = first.map_or(0, |first| first.accepted.saturating_sub(1));
    let scope_checks = count("\"action\":\"scope_validation\",\"result\":\"allowed\"");
    let tokens = log.token_requests() as u64;
    let (drops, gaps) = (log.forced_drops() as u64, number("gaps"));
    let records = count("audit    {");
    let unbroken = sequence(shown) == (1..=records).collect::<Vec<_>>();
    let closed = log.connections.last().and_then(|last| last.end.as_ref()).map(|(_, end)| end.clone());
    let secret = ffi_tests::secrets::leaked(sim, &shown.join("\n"));
    vec![
        (status.success(), format!("the client ended well: {status}")),
        (scope_checks == tokens, format!("{tokens} tokens issued, {scope_checks} times scopes checked and allowed")),
        (
            first_renewals >= RENEWALS,
            format!("{first_renewals} renewals accepted on the first socket, without losing it"),
        ),
        (drops == 1 && gaps == drops, format!("{drops} drop forced, {gaps} gap reported")),
        (count(" begins: ") == gaps && count(" ends after ") == gaps, "every gap was announced and ended".to_owned()),
        (number("connects") == 2 && log.ws_connects() == 2, format!("{} sockets in all", log.ws_connects())),
        (sent == MESSAGES && delivered == sent, format!("{sent} messages sent, {delivered} delivered")),
        (records > 0 && unbroken, format!("{records} audit records, numbered from 1 without a hole")),
        (
            last.contains("shutdown=clean") && closed == Some(End::ClientClosed(1000)),
            "closed with 1000, shut down clean".into(),
        ),
        (secret.is_none(), format!("no secret shown{}", secret.map_or(String::new(), |what| format!(": but {what}")))),
    ]
}

/// `seq` of the audit records shown.
fn sequence(shown: &[String]) -> Vec<u64> {
    let seq = |line: &String| {
        let record: serde_json::Value = serde_json::from_str(line.strip_prefix("audit    ")?).ok()?;
        record["seq"].as_u64()
    };
    shown.iter().filter_map(seq).collect()
}
