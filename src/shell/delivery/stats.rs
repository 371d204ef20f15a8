//! What delivery knows of a client for its metrics, and the statistics as one JSON object.

use super::Delivery;
use crate::audit::writer::Object;
use crate::audit::Level;
use crate::config::settings::Delivery as Mode;
use crate::event::State;
use crate::hooks::Callback;
use crate::metrics::{Histogram, Metrics, Snapshot, Timing, PERCENTILES, ROWS};
use crate::proto::http::RateLimit;

/// The times of the token in use, as the caller's clock sees them now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct TokenTimes {
    /// Since it was granted.
    pub(crate) age_ms: u64,
    /// Until the next renewal starts; 0 when it is under way.
    pub(crate) renewal_in_ms: u64,
    /// Until it is no longer presented; 0 when that has passed.
    pub(crate) usable_for_ms: u64,
}

/// How a client reaches the network. `Default`: without TLS and proxies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct NetworkReport {
    /// The trust store in use and its number of roots; `None` when nothing uses TLS.
    pub(crate) trust: Option<(String, usize)>,
    /// Public-key pins.
    pub(crate) pins: usize,
    /// Whether a client certificate is shown to servers that ask.
    pub(crate) client_certificate: bool,
    /// Oldest version of TLS.
    pub(crate) min_tls: &'static str,
    /// Host and port of the proxy to the token endpoint.
    pub(crate) token_proxy: Option<String>,
    /// Host and port of the proxy to the socket.
    pub(crate) socket_proxy: Option<String>,
    /// The source of tokens, if others may use it too.
    pub(crate) source: Option<SourceReport>,
    /// The API's limit on requests and when it was told, once an answer has.
    pub(crate) rate_limit: Option<(RateLimit, u64)>,
}

/// A source that clients share.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct SourceReport {
    /// Clients that run on it.
    pub(crate) clients: usize,
    /// Requests made for all of them.
    pub(crate) token_requests: u64,
}

impl NetworkReport {
    fn members(&self, network: &mut Object<'_>) {
        network.plain("pins", self.pins).plain("client_certificate", self.client_certificate);
        network.text("min_tls", self.min_tls);
        for (name, proxy) in [("token_proxy", &self.token_proxy), ("socket_proxy", &self.socket_proxy)] {
            match proxy {
                None => _ = network.plain(name, "null"),
                Some(peer) => _ = network.text(name, peer),
            }
        }
    }
}

impl Delivery {
    /// Counters and gauges of this moment, but for those of the send queue and the token.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut state = self.lock();
        let (totals, tally) = (state.audit.totals(), state.audit.tally());
        let events = self.gauges.events();
        state.events_most = state.events_most.max(events);
        let mut metrics = Metrics {
            success_count: totals.success,
            failure_count: totals.failure,
            total_latency_ms: totals.latency_ms,
            request_count: totals.requests(),
            audit_records: state.audit.seq(),
            audit_info: tally.at(Level::Info),
            audit_notice: tally.at(Level::Notice),
            audit_warning: tally.at(Level::Warning),
            audit_error: tally.at(Level::Error),
            audit_critical: tally.at(Level::Critical),
            audit_lost: state.audit.lost(),
            log_lost: state.log.lost(),
            events_waiting: events,
            events_waiting_most: state.events_most,
            events_bound: self.bounds.messages,
            event_bytes_waiting: self.gauges.bytes(),
            event_bytes_bound: self.bounds.bytes,
            audit_waiting: state.audit.len() as u64,
            audit_waiting_most: state.audit.most() as u64,
            audit_bound: state.audit.capacity() as u64,
            ..self.counters.0.snapshot()
        };
        let middle = |histogram: &Histogram| [50, 90, 99].map(|percent| histogram.percentile_ms(percent));
        [metrics.latency_p50_ms, metrics.latency_p90_ms, metrics.latency_p99_ms] = middle(&state.timings.attempts());
        let of = |timing| middle(state.timings.of(timing));
        [metrics.renewal_p50_ms, metrics.renewal_p90_ms, metrics.renewal_p99_ms] = of(Timing::Renewal);
        [metrics.connect_p50_ms, metrics.connect_p90_ms, metrics.connect_p99_ms] = of(Timing::Connect);
        [metrics.token_request_p50_ms, metrics.token_request_p90_ms, metrics.token_request_p99_ms] =
            of(Timing::TokenRequest);
        let low = |percent| state.timings.of(Timing::Lead).percentile_ms(percent);
        [metrics.lead_p1_ms, metrics.lead_p10_ms, metrics.lead_p50_ms] = [1, 10, 50].map(low);
        metrics
    }

    /// What the text of a client is made of.
    pub(crate) fn snapshot(&self, state: State, metrics: Metrics) -> Snapshot {
        let timings = self.lock().timings.shots();
        // A function that was never registered has no time series: they are most of all there are.
        let of = |callback: &Callback| Some((callback.name(), self.calls.get(*callback as usize)?.shot()));
        let callbacks = self.registered.iter().filter_map(of).collect();
        let info = vec![("region", self.context.region.clone()), ("delivery", self.mode_name().to_owned())];
        Snapshot { metrics, state, timings, callbacks, info }
    }

    /// The statistics of this moment. Members are only ever added.
    pub(crate) fn stats_json(
        &self,
        state: State,
        metrics: &Metrics,
        token: Option<TokenTimes>,
        server_ahead_ms: Option<i64>,
        network: &NetworkReport,
    ) -> String {
        let mut out = String::with_capacity(8192);
        let mut stats = Object::begin(&mut out);
        stats.text("state", state.name()).text("boot_id", &self.context.boot_id).text("delivery", self.mode_name());
        metrics_members(&mut stats, metrics);
        self.queue_members(&mut stats, metrics);
        match self.running_callback() {
            None => _ = stats.plain("running_callback", "null"),
            Some((name, time)) => {
                stats.object("running_callback", |call| {
                    call.text("name", name).plain("for_ms", time.as_millis());
                });
            }
        }
        match &network.trust {
            None => _ = stats.plain("trust", "null"),
            Some((store, roots)) => {
                stats.object("trust", |trust| _ = trust.text("store", store).plain("roots", roots));
            }
        }
        match server_ahead_ms {
            None => _ = stats.plain("server_clock_ahead_ms", "null"),
            Some(ms) => _ = stats.plain("server_clock_ahead_ms", ms),
        }
        stats.object("network", |members| network.members(members));
        match network.source {
            None => _ = stats.plain("token_source", "null"),
            Some(SourceReport { clients, token_requests }) => {
                stats.object("token_source", |source| {
                    source.plain("clients", clients).plain("token_requests", token_requests);
                });
            }
        }
        match network.rate_limit {
            None => _ = stats.plain("rate_limit", "null"),
            Some((RateLimit { count, allowed, reset_s }, at)) => {
                stats.object("rate_limit", |limit| {
                    limit.plain("count", count).plain("allowed", allowed).plain("reset_s", reset_s);
                    limit.utc("at", at);
                });
            }
        }
        match token {
            None => _ = stats.plain("token", "null"),
            Some(token) => {
                stats.object("token", |times| {
                    times.plain("age_ms", token.age_ms).plain("renewal_in_ms", token.renewal_in_ms);
                    times.plain("usable_for_ms", token.usable_for_ms);
                });
            }
        }
        stats.end();
        out
    }

    fn queue_members(&self, stats: &mut Object<'_>, metrics: &Metrics) {
        {
            let state = self.lock();
            stats.object("latency_ms", |members| percentile_members(members, &state.timings.attempts()));
            for (name, histogram) in state.timings.members() {
                stats.object(name, |members| percentile_members(members, histogram));
            }
        }
        stats.object("audit_queue", |queue| {
            queue.plain("records", metrics.audit_waiting).plain("records_bound", metrics.audit_bound);
        });
        stats.object("event_queue", |queue| {
            queue.plain("events", metrics.events_waiting).plain("messages", self.gauges.messages());
            queue.plain("bytes", metrics.event_bytes_waiting);
            queue.plain("messages_bound", metrics.events_bound).plain("bytes_bound", metrics.event_bytes_bound);
        });
        stats.object("callbacks", |callbacks| {
            for (callback, calls) in
                Callback::ALL.into_iter().filter_map(|one| Some((one, self.calls.get(one as usize)?)))
            {
                let shot = calls.shot();
                callbacks.object(callback.name(), |call| {
                    call.plain("count", shot.total())
                        .plain("total_ms", shot.sum_ms)
                        .plain("max_ms", calls.largest_ms());
                });
            }
        });
    }

    fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Callbacks => "callbacks",
            Mode::Inline => "inline",
            Mode::Poll => "poll",
        }
    }
}

fn percentile_members(members: &mut Object<'_>, histogram: &Histogram) {
    members.plain("count", histogram.total());
    for (name, percent) in PERCENTILES {
        members.plain(name, histogram.percentile_ms(percent));
    }
}

/// Every row of the table under its field's name, and the rates.
fn metrics_members(stats: &mut Object<'_>, metrics: &Metrics) {
    for row in ROWS {
        stats.plain(row.field, (row.read)(metrics));
    }
    stats.plain("success_rate", metrics.success_rate_percent()).plain("avg_latency_ms", metrics.avg_latency_ms());
    stats.plain("lead_goal_rate", metrics.lead_goal_percent());
}
