//! Numbers that agree with each other whenever somebody looks, and counters that never fall.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ffi_tests::sim::{Action, Pump, TokenReply, UpgradeReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::metrics::{Format, Metrics};
use genesys_ws_auth::Client;

use crate::harness::*;
use crate::text::came_back;

/// Samples of counters, and of histograms, which only rise.
fn rising(text: &str) -> BTreeMap<String, f64> {
    let mut kind = "";
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            kind = head.rsplit(' ').next().unwrap_or_default();
        } else if !line.starts_with('#') && ["counter", "histogram"].contains(&kind) {
            let (sample, value) = line.rsplit_once(' ').expect(line);
            let before = found.insert(sample.to_owned(), value.parse().expect(line));
            assert!(before.is_none(), "{sample} is told twice");
        }
    }
    found
}

/// What is true of every snapshot that nothing happens in. `held`: no client is running between two of its counters.
fn agree(metrics: &Metrics) {
    let Metrics { drops, failure_count, audit_records, request_count, success_count, renewals, .. } = *metrics;
    let m = metrics;
    let causes = [
        m.drops_reset,
        m.drops_silence,
        m.drops_close_retry,
        m.drops_close_drain,
        m.drops_close_token,
        m.drops_close_final,
        m.drops_tls,
        m.drops_protocol,
        m.drops_token,
        m.drops_channel,
        m.drops_displaced,
        m.drops_other,
    ];
    assert_eq!(causes.iter().sum::<u64>(), drops, "{m:?}");
    let mended = [
        m.reconnects_reset,
        m.reconnects_silence,
        m.reconnects_close_retry,
        m.reconnects_close_drain,
        m.reconnects_close_token,
        m.reconnects_close_final,
        m.reconnects_tls,
        m.reconnects_protocol,
        m.reconnects_token,
        m.reconnects_channel,
        m.reconnects_displaced,
        m.reconnects_other,
    ];
    assert_eq!(mended.iter().sum::<u64>(), m.reconnects, "{m:?}");
    assert!(mended.iter().zip(causes).all(|(mended, lost)| *mended <= lost), "{m:?}");
    assert!(m.retries_token_request <= m.token_failures.min(m.token_requests), "{m:?}");
    assert!(m.retries_attempt <= failure_count.min(request_count), "{m:?}");
    let failures = [
        m.failures_dns,
        m.failures_tcp,
        m.failures_proxy,
        m.failures_tls,
        m.failures_http,
        m.failures_oauth,
        m.failures_ws,
        m.failures_scope,
        m.failures_other,
    ];
    assert_eq!(failures.iter().sum::<u64>(), failure_count, "{m:?}");
    let levels = [m.audit_info, m.audit_notice, m.audit_warning, m.audit_error, m.audit_critical];
    assert_eq!(levels.iter().sum::<u64>(), audit_records, "{m:?}");
    assert_eq!(success_count + failure_count, request_count);
    assert!(m.lead_goals_met <= renewals && m.handovers <= renewals && m.rest_failures <= m.rest_requests, "{m:?}");
    assert!(m.events_waiting <= m.events_waiting_most && m.audit_waiting <= m.audit_waiting_most, "{m:?}");
    assert!(m.sends_waiting <= m.sends_waiting_most && m.sends_waiting_most <= m.sends_bound, "{m:?}");
    assert!(m.latency_p50_ms <= m.latency_p90_ms && m.latency_p90_ms <= m.latency_p99_ms, "{m:?}");
    assert!(m.lead_p1_ms <= m.lead_p10_ms && m.lead_p10_ms <= m.lead_p50_ms, "{m:?}");
}

/// Looks at a client all the time, until told to stop; how often it has.
fn watch(client: Arc<Client>, stop: Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let (mut before, mut looks) = (BTreeMap::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            let now = rising(&client.metrics_text(Format::OpenMetrics));
            for (sample, value) in &before {
                assert!(now.get(sample).is_some_and(|next| next >= value), "{sample} fell from {value}");
            }
            (before, looks) = (now, looks + 1);
            thread::yield_now();
        }
        looks
    })
}

/// Attempts on record that come after one that failed.
fn retries(saws: &[Saw]) -> u64 {
    let records = saws.iter().filter_map(|saw| if let Saw::Audit(record) = saw { Some(record) } else { None });
    let attempts = records.filter(|record| record["event_type"] == "authentication_attempt");
    let failed: Vec<bool> = attempts.map(|record| record["status"] == "failure").collect();
    failed.iter().zip(failed.iter().skip(1)).filter(|(before, _)| **before).count() as u64
}

/// While nothing is live again, a loss is a loss alone; a token request that fails for ever is tried for ever.
#[test]
fn a_loss_without_a_reconnect_and_requests_without_success() {
    // Two reconnects may take 2.5 s by their delays alone, and no other token comes: this one is usable for 9 s.
    let rig = Setup::default().lifetime(10_000).connect();
    rig.sim.token().always(TokenReply::Status { code: 503, headers: Vec::new(), body: String::new() });
    rig.sim.ws().on_upgrade(UpgradeReply::Status { code: 503, headers: Vec::new(), body: String::new() });
    rig.sim.ws().act(None, [Action::Reset]);
    came_back(&rig, 1);
    rig.seen.wait_state(State::Degraded, 1);
    let metrics = rig.client.metrics();
    assert_eq!((metrics.drops_reset, metrics.reconnects, metrics.reconnects_reset), (1, 1, 1), "{metrics:?}");
    rig.sim.down();
    rig.seen.wait("another loss", |saws| count(saws, |saw| matches!(saw, Saw::GapBegin(_))) == 2);
    let client = Arc::clone(&rig.client);
    let saws = rig.close();
    let metrics = client.metrics();
    agree(&metrics);
    assert_eq!((metrics.drops, metrics.reconnects), (2, 1), "{metrics:?}");
    assert_eq!(metrics.retries_attempt, retries(&saws), "{metrics:?}");
    assert!(metrics.retries_token_request + 1 >= metrics.token_failures, "{metrics:?}");
}

#[test]
fn counters_never_fall_and_sums_agree() {
    let pump = Pump::every(Duration::from_millis(1));
    let rig = Setup::default().lifetime(3_000).sim(|options| options.ws.pump = Some(pump)).build();
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = watch(Arc::clone(&rig.client), Arc::clone(&stop));
    rig.sim.token().then(TokenReply::Throttle400);
    rig.client.connect(Some(BOUND)).unwrap();
    rig.seen.wait_seq(50);
    let mut losses = 0;
    rig.sim.ws().on_upgrade(UpgradeReply::Status { code: 503, headers: Vec::new(), body: String::new() });
    let actions: [Action; 4] = [
        Action::Drop,
        Action::Close { code: 1012, reason: "restart".into() },
        Action::Close { code: 1008, reason: "policy".into() },
        Action::InvalidUtf8,
    ];
    for action in actions {
        rig.sim.ws().act(None, [action]);
        losses += 1;
        came_back(&rig, losses);
    }
    let client = Arc::clone(&rig.client);
    let saws = rig.close();
    stop.store(true, Ordering::Relaxed);
    let looks = watcher.join().expect("the watcher saw nothing fall");
    assert!(looks > 10, "{looks}");
    let metrics = client.metrics();
    agree(&metrics);
    let told = [metrics.drops_reset, metrics.drops_close_drain, metrics.drops_close_token, metrics.drops_protocol];
    assert_eq!((told, metrics.drops), ([1; 4], 4), "{metrics:?}");
    let Metrics { reconnects_reset, reconnects_close_drain, reconnects_close_token, reconnects_protocol, .. } = metrics;
    let told = [reconnects_reset, reconnects_close_drain, reconnects_close_token, reconnects_protocol];
    assert_eq!((told, metrics.reconnects), ([1; 4], 4), "{metrics:?}");
    assert!(metrics.retries_token_request >= 1, "the throttle: {metrics:?}");
    assert_eq!(metrics.retries_attempt, retries(&saws), "{metrics:?}");
    assert!(metrics.retries_attempt >= 1, "the refused upgrade: {metrics:?}");
    assert_eq!(metrics.gaps, gaps(&saws) as u64);
    let lengths = |saw: &Saw| if let Saw::GapEnd(gap) = saw { Some(gap.duration_ms) } else { None };
    assert_eq!(metrics.gap_ms, saws.iter().filter_map(lengths).sum::<u64>());
    let records = count(&saws, |saw| matches!(saw, Saw::Audit(_))) as u64;
    assert_eq!((metrics.audit_records, metrics.audit_lost), (records, 0));
    assert!(metrics.failures_ws + metrics.failures_http >= 1 && metrics.throttles >= 1, "{metrics:?}");
    let stats: serde_json::Value = serde_json::from_str(&client.stats_json()).unwrap();
    let of = |member: &str| stats[member]["count"].as_u64().unwrap();
    assert_eq!(of("latency_ms"), metrics.request_count);
    assert_eq!(of("latency_first_ms") + of("latency_renewal_ms") + of("latency_reconnect_ms"), metrics.request_count);
    assert_eq!((of("connect_ms"), of("gap_lengths_ms")), (metrics.connects, metrics.gaps));
    // One more may be broken off by the end.
    assert!(of("token_request_ms") <= metrics.token_requests && of("token_request_ms") >= 2, "{metrics:?}");
    assert_eq!(of("lead_ms"), metrics.renewals);
}

/// A service level that is missed: the endpoint is down past the goal, and back while the token serves.
#[test]
fn a_missed_goal_is_degraded_and_counted() {
    let rig = Setup::default().lifetime(8_000).connect();
    // The goal is a quarter of the token's life before its end, the last use a tenth.
    rig.sim.token().always(TokenReply::Status { code: 503, headers: Vec::new(), body: String::new() });
    rig.seen.wait_state(State::Degraded, 1);
    let metrics = rig.client.metrics();
    assert_eq!((metrics.lead_goals_met, metrics.lead_goals_missed), (0, 1), "{metrics:?}");
    assert!(metrics.token_failures >= 1, "{metrics:?}");
    let stats: serde_json::Value = serde_json::from_str(&rig.client.stats_json()).unwrap();
    assert_eq!(stats["lead_goal_rate"], 0);
    rig.close();
}

/// A callback that lasts is counted with its name, while the others are not.
#[test]
fn a_callback_that_lasts_is_timed() {
    let lasts = |_: &_| {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(60) {
            thread::yield_now();
        }
    };
    let rig = Setup::default().build_with(|hooks, _| hooks.on_token = Some(Arc::new(lasts)));
    rig.client.connect(Some(BOUND)).unwrap();
    let client = Arc::clone(&rig.client);
    rig.close();
    let stats: serde_json::Value = serde_json::from_str(&client.stats_json()).unwrap();
    let calls = &stats["callbacks"]["on_token"];
    assert_eq!(calls["count"], 1, "{stats}");
    // The clock is coarse: it ticks every 10 ms at most.
    assert!(calls["max_ms"].as_u64() >= Some(40) && calls["total_ms"] == calls["max_ms"], "{calls}");
    let text = client.metrics_text(Format::OpenMetrics);
    assert!(text.contains("gwa_callback_duration_seconds_count{callback=\"on_token\"} 1\n"), "{text}");
}
