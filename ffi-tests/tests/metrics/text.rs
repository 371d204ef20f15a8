//! The text against Prometheus's own parsers.

use ffi_tests::sim::{Action, Options, Sim};
use genesys_ws_auth::event::State;
use genesys_ws_auth::metrics::Format;
use genesys_ws_auth::{Client, Code, Config, TokenSource};

use crate::harness::*;
use crate::judge::{families, Family, Sample};

/// Waits until that many gaps have ended.
#[track_caller]
pub fn came_back(rig: &Rig, gaps: usize) {
    let ends = |saws: &[Saw]| count(saws, |saw| matches!(saw, Saw::GapEnd(_)));
    rig.seen.wait("the end of a gap", |saws| ends(saws) == gaps);
}

/// A client that has lived: renewals, a reset, messages both ways.
pub fn eventful() -> Rig {
    let rig = Setup::default().lifetime(3_000).connect();
    rig.wait_sim("a renewal", |log| log.connections[0].accepted >= 2);
    rig.sim.ws().act(None, [Action::Text(r#"{"seq":1}"#.into()), Action::Reset]);
    came_back(&rig, 1);
    rig.client.send(genesys_ws_auth::event::MessageKind::Text, b"hello").unwrap();
    rig.seen.wait_sent(1);
    rig
}

fn family<'a>(families: &'a [Family], name: &str) -> &'a Family {
    families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn value(family: &Family, name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |sample: &&Sample| {
        sample.name == name && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
    };
    let found: Vec<_> = family.samples.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0].value
}

#[test]
fn prometheus_reads_openmetrics() {
    let rig = eventful();
    let text = rig.client.metrics_text(Format::OpenMetrics);
    let metrics = rig.client.metrics();
    rig.close();
    assert!(!text.contains("client="), "one client needs no name");
    let Some(told) = families("openmetrics", &text) else { return };
    assert!(told.iter().all(|family| !family.help.is_empty() && family.name.starts_with("gwa_")), "{told:?}");
    let seconds = told.iter().filter(|family| family.name.ends_with("_seconds"));
    assert!(seconds.clone().count() > 8 && seconds.clone().all(|family| family.unit == "seconds"));
    let attempts = family(&told, "gwa_attempts");
    assert_eq!(attempts.kind, "counter");
    assert_eq!(value(attempts, "gwa_attempts_total", &[("outcome", "success")]), metrics.success_count as f64);
    let losses = family(&told, "gwa_connection_losses");
    assert_eq!(value(losses, "gwa_connection_losses_total", &[("cause", "reset")]), 1.0);
    let bytes = family(&told, "gwa_message_bytes");
    assert_eq!((&*bytes.unit, value(bytes, "gwa_message_bytes_total", &[("direction", "sent")])), ("bytes", 5.0));
    let state = family(&told, "gwa_state");
    assert_eq!((&*state.kind, state.samples.len()), ("stateset", State::ALL.len()));
    assert_eq!(state.samples.iter().map(|sample| sample.value).sum::<f64>(), 1.0, "{state:?}");
    let leads = family(&told, "gwa_renewal_lead_seconds");
    assert_eq!(
        (&*leads.kind, value(leads, "gwa_renewal_lead_seconds_count", &[])),
        ("histogram", metrics.renewals as f64)
    );
    assert_eq!(value(leads, "gwa_renewal_lead_seconds_bucket", &[("le", "+Inf")]), metrics.renewals as f64);
    assert_eq!(value(family(&told, "gwa_token_held"), "gwa_token_held", &[]), 1.0);
    let version = family(&told, "gwa_build");
    assert_eq!((&*version.kind, version.samples[0].labels["version"].as_str()), ("info", Some(library())));
}

/// What a scraper of the older format makes of it is the same, but for types it has not.
#[test]
fn prometheus_reads_the_older_format() {
    let rig = eventful();
    let (old, new) = (rig.client.metrics_text(Format::Prometheus), rig.client.metrics_text(Format::OpenMetrics));
    rig.close();
    assert!(!old.contains("# EOF") && !old.contains("# UNIT"));
    let (Some(old), Some(new)) = (families("prometheus", &old), families("openmetrics", &new)) else { return };
    // Ages pass from one text to the next.
    let key = |sample: &Sample| format!("{} {:?}", sample.name, sample.labels);
    let keys = |families: &[Family]| {
        let mut keys: Vec<_> = families.iter().flat_map(|family| family.samples.iter().map(key)).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&old), keys(&new));
    let kind = |name: &str| family(&old, name).kind.clone();
    assert_eq!(["gwa_state", "gwa_client_info", "gwa_renewals"].map(kind), ["gauge", "gauge", "counter"]);
    assert_eq!(kind("gwa_gap_duration_seconds"), "histogram");
}

#[test]
fn many_clients_are_one_text() {
    let rigs: Vec<Rig> = (0..20).map(|_| Setup::default().build()).collect();
    rigs[0].client.connect(Some(BOUND)).unwrap();
    let odd = ["a \"quoted\" name", "back\\slash", "two\nlines", "ü😀", "{x=\"y\"}"].map(str::to_owned);
    let names: Vec<String> = (0..15).map(|n| n.to_string()).chain(odd).collect();
    let named: Vec<(&str, &Client)> =
        names.iter().map(String::as_str).zip(rigs.iter().map(|rig| &*rig.client)).collect();
    let text = Client::metrics_text_of(&named, Format::OpenMetrics).unwrap();
    if let Some(told) = families("openmetrics", &text) {
        let renewals = family(&told, "gwa_renewals");
        let seen: Vec<&str> = renewals.samples.iter().filter_map(|sample| sample.labels["client"].as_str()).collect();
        assert_eq!(seen, names.iter().map(String::as_str).collect::<Vec<_>>());
        let held = family(&told, "gwa_token_held");
        assert_eq!(held.samples.iter().map(|sample| sample.value).sum::<f64>(), 1.0);
        assert_eq!(family(&told, "gwa_token_age_seconds").samples.len(), 1, "of those that have one");
    }
    let older = Client::metrics_text_of(&named, Format::Prometheus).unwrap();
    let _ = families("prometheus", &older);
    let error = Client::metrics_text_of(&[named[0], named[0]], Format::OpenMetrics).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let error = Client::metrics_text_of(&[("", named[0].1)], Format::OpenMetrics).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let none = Client::metrics_text_of(&[], Format::OpenMetrics).unwrap();
    let _ = families("openmetrics", &none);
    rigs.into_iter().next().unwrap().close();
}

/// The library's version, as its manifest says it.
fn library() -> &'static str {
    let manifest = include_str!("../../../Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    line.and_then(|rest| rest.split('"').next()).expect("a version")
}

/// Clients of one source tell what it does, each of them; a client with a source of its own says nothing of the kind.
#[test]
fn clients_of_one_source_tell_what_it_does() {
    let sim = Sim::start(Options::default());
    let source = TokenSource::new(&aim(Config::new(), &sim, false)).unwrap();
    let config = aim(Config::new(), &sim, false);
    let pair = [(); 2].map(|()| Client::with_source(&config, &source).unwrap());
    for client in &pair {
        client.connect(Some(BOUND)).unwrap();
    }
    let text = Client::metrics_text_of(&[("one", &pair[0]), ("two", &pair[1])], Format::OpenMetrics).unwrap();
    for name in ["one", "two"] {
        for sample in ["gwa_source_clients{client=\"NAME\"} 2", "gwa_source_token_requests_total{client=\"NAME\"} 1"] {
            let sample = sample.replace("NAME", name);
            assert!(text.lines().any(|line| line == sample), "{sample}: {text}");
        }
    }
    let _ = families("openmetrics", &text);
    let alone = Client::new(&config).unwrap().metrics_text(Format::OpenMetrics);
    assert!(!alone.lines().any(|line| line.starts_with("gwa_source_")), "{alone}");
    for client in &pair {
        assert!(client.shutdown(Some(BOUND)).complete);
    }
}
