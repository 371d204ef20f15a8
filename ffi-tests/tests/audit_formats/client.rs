//! What the sinks of a real client are given, in the format each has asked for.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ffi_tests::sim::{Action, Options, Plan, Sim, Trigger};
use genesys_ws_auth::audit::verify::{Report, Verdict, Verifier};
use genesys_ws_auth::audit::Format;
use genesys_ws_auth::hooks::AuditView;
use genesys_ws_auth::{Client, Config, Secret};
use syslog_rfc5424::SyslogFacility;

use crate::harness::{available, Peer};
use crate::judge::{problems, Judge};
use crate::syslog::parsed;

const BOUND: Duration = Duration::from_secs(30);

/// What both sinks were given: whether `on_siem`, kind, line.
#[derive(Default)]
struct Given {
    lines: Mutex<Vec<(bool, &'static str, String)>>,
    more: Condvar,
}

impl Given {
    fn take(&self, is_siem: bool, view: AuditView<'_>) {
        let line = view.json_with_nul.strip_suffix('\0').expect("one NUL at the end").to_owned();
        self.lines.lock().unwrap().push((is_siem, view.kind, line));
        self.more.notify_all();
    }

    /// Waits until `on_siem` was given so many of a kind.
    fn wait_for(&self, kind: &str, n: usize) {
        let count =
            |lines: &mut Vec<(bool, &str, String)>| lines.iter().filter(|line| line.0 && line.1 == kind).count();
        let waited = self.more.wait_timeout_while(self.lines.lock().unwrap(), BOUND, |lines| count(lines) < n).unwrap();
        assert!(!waited.1.timed_out(), "not {n} of {kind}: {:#?}", waited.0);
    }
}

/// K0 of the chain.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A first authentication, a loss for this reason, a reconnect, the end.
fn lives(audit: Format, siem: Format, reason: &str) -> Vec<(bool, &'static str, String)> {
    let sim = Sim::start(Options::default());
    sim.ws().plan(0, Plan::new().on(Trigger::Auths(1), [Action::close(1011, reason)]));
    let mut config = Config::new();
    let mut set = |key: &str, value: &str| config.set(key, value).unwrap();
    set("token.url", &sim.token_url());
    set("ws.url", &sim.ws_url());
    set("tls.ca_pem", sim.ca_pem());
    set("audit.format", audit.name());
    set("audit.siem_format", siem.name());
    set("audit.syslog_hostname", "recorder-7.example");
    set("audit.syslog_facility", "local4");
    set("token.grant", "client_credentials");
    sim.token().policy(|policy| {
        set("client.id", &policy.client_id);
    });
    let mut secret = String::new();
    sim.token().policy(|policy| secret.clone_from(&policy.client_secret));
    config.set_secret("client.secret", Secret::new(secret)).unwrap();
    config.set_secret("audit.chain_key", Secret::new(KEY.into())).unwrap();
    let given = Arc::new(Given::default());
    let (on_audit, on_siem) = (Arc::clone(&given), Arc::clone(&given));
    config.hooks.on_audit = Some(Arc::new(move |view| {
        on_audit.take(false, view);
        Ok(())
    }));
    config.hooks.on_siem = Some(Arc::new(move |view| {
        on_siem.take(true, view);
        Ok(())
    }));
    let client = Client::new(&config).unwrap();
    client.connect(Some(BOUND)).unwrap();
    given.wait_for("authentication_attempt", 2);
    client.shutdown(Some(BOUND));
    given.wait_for("client_closed", 1);
    let lines = std::mem::take(&mut *given.lines.lock().unwrap());
    lines
}

#[test]
fn each_sink_has_its_format() {
    if !available("each_sink_has_its_format", &[Peer::Judge]) {
        return;
    }
    let (mut lines, mut ecs) = (Judge::start("lines"), Judge::start("ecs"));
    for (audit, siem) in
        [(Format::Ocsf, Format::Ecs), (Format::Rfc5424, Format::Cef), (Format::Native, Format::Rfc5424)]
    {
        let given = lives(audit, siem, "a=b|c\\d\"e]f");
        for kind in ["authentication_attempt", "connection_lost", "client_closed"] {
            assert!(given.iter().any(|line| line.1 == kind), "no {kind}: {given:#?}");
        }
        for (is_siem, kind, line) in &given {
            let format = if *is_siem { siem } else { audit };
            if format == Format::Native {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(record["event_type"] == **kind || record["action"] == **kind, "{line}");
                continue;
            }
            if format == Format::Rfc5424 {
                let message = parsed(line);
                assert_eq!(message.hostname.as_deref(), Some("recorder-7.example"));
                assert_eq!((message.facility, message.msgid.as_deref()), (SyslogFacility::LOG_LOCAL4, Some(*kind)));
                continue;
            }
            let judge = if format == Format::Ecs { &mut ecs } else { &mut lines };
            let verdict = judge.judge(format, line);
            assert!(problems(&verdict).is_empty(), "{line}\n{verdict:#}");
        }
        holes_are_told(&given, siem);
    }
    lines.end();
    ecs.end();
}

/// The SIEM's events name the one before: in whatever format, the row of their numbers has no hole that is not said.
fn holes_are_told(given: &[(bool, &'static str, String)], siem: Format) {
    let number = |line: &str, start: &str| -> u64 {
        let after = line.split_once(start).unwrap_or_else(|| panic!("no {start} in {line}")).1;
        after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let (seq, before) = match siem {
        Format::Ecs => ("\"sequence\":", "\"prev_seq\":"),
        Format::Cef => (" cn1=", " cn2="),
        _ => (" seq=\"", " prev_seq=\""),
    };
    let mut last = 0;
    for (_, _, line) in given.iter().filter(|line| line.0) {
        assert_eq!(number(line, before), last, "{line}");
        last = number(line, seq);
    }
    assert!(last > 2, "{given:#?}");
}

/// The chain's verifier knows no format: it finds the seal of each, and not what a server sends that looks like one.
#[test]
fn the_chain_is_whole_in_every_format() {
    let mac = "0".repeat(64);
    let like_seals = [
        format!("\"mac_epoch\":1,\"mac\":\"{mac}\"}}"),
        format!(" gwaEpoch=1 gwaMac={mac}"),
        format!("\"][gwaSeal@1 epoch=\"1\" mac=\"{mac}\"]"),
    ];
    let formats = [(Format::Ocsf, Format::Ecs), (Format::Rfc5424, Format::Cef), (Format::Native, Format::Rfc5424)];
    for ((audit, siem), reason) in formats.into_iter().zip(like_seals.iter().cycle().skip(1)) {
        let given = lives(audit, siem, reason);
        for is_siem in [false, true] {
            let lines: Vec<&str> = given.iter().filter(|line| line.0 == is_siem).map(|line| line.2.as_str()).collect();
            let report = verified(&lines);
            let last = lines.last().unwrap();
            assert_eq!(report.verdict, Verdict::Intact, "{report:?}: {lines:#?}");
            assert!(report.last_seq.is_some_and(|seq| seq > 4), "{report:?}: {last}");
            // And it is not said of every log.
            let without = [&lines[..2], &lines[3..]].concat();
            assert_eq!((verified(&without).verdict, verified(&without).bad_line), (Verdict::Tampered, Some(3)));
        }
    }
}

fn verified(lines: &[&str]) -> Report {
    let mut verifier = Verifier::new(&Secret::new(KEY.into())).unwrap();
    for line in lines {
        verifier.feed(format!("{line}\n").as_bytes());
    }
    verifier.finish()
}
