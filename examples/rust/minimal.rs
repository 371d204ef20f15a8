//! A complete client: connects, shows changes of state, audit records and messages, and closes when Enter is pressed.
//!
//! `cargo run --example minimal`, with `GENESYS_REGION`, `GENESYS_CLIENT_ID`, `GENESYS_CLIENT_SECRET` and
//! `GENESYS_REFRESH_TOKEN` in the environment; for an organisation in Genesys Cloud `GWA_PROFILE=notifications` and
//! `GWA_TOPICS`, for the simulator `GWA_TOKEN_URL`, `GWA_WS_URL` and `GWA_CA_FILE`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use genesys_ws_auth::event::Notice;
use genesys_ws_auth::{Client, Config, Error};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{}", error.code().hint());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let client = Client::new(&config()?)?;
    client.connect(Some(Duration::from_secs(30)))?;
    // Messages arrive and tokens are renewed on the library's threads; this one has nothing to do.
    let _ = io::stdin().read_line(&mut String::new());
    let metrics = client.metrics();
    println!("messages={} renewals={} gaps={}", metrics.messages_received, metrics.renewals, metrics.gaps);
    let report = client.shutdown(Some(Duration::from_secs(5)));
    println!("shutdown={}", if report.complete { "clean" } else { "incomplete" });
    Ok(())
}

fn config() -> Result<Config, Error> {
    let mut config = Config::new();
    config.set_from_env()?;
    for (variable, key) in [
        ("GWA_TOKEN_URL", "token.url"),
        ("GWA_WS_URL", "ws.url"),
        ("GWA_CA_FILE", "tls.ca_file"),
        ("GWA_PROFILE", "profile"),
        ("GWA_TOPICS", "notifications.topics"),
        ("GWA_PROXY", "proxy"),
    ] {
        if let Ok(value) = env::var(variable) {
            config.set(key, &value)?;
        }
    }
    config.set("scopes.required", "conversation:read")?;
    // Hooks are called by one thread of the library, one at a time; what they are given is borrowed for the call.
    config.hooks.on_message = Some(Arc::new(|message| {
        println!("message  {}", String::from_utf8_lossy(message.data()));
    }));
    config.hooks.on_state = Some(Arc::new(|notice| match notice {
        Notice::State(change) => println!("state    {} ({})", change.to.name(), change.reason),
        Notice::GapBegin(gap) => println!("gap      {} begins", gap.number),
        Notice::GapEnd(gap) => println!("gap      {} ends after {} ms", gap.number, gap.duration_ms),
        _ => {}
    }));
    config.hooks.on_audit = Some(Arc::new(|record| {
        println!("audit    {}", record.json_with_nul.trim_end_matches('\0'));
        Ok(())
    }));
    Ok(config)
}
