//! Counters, rates, depths and the running callback as one JSON object.

use super::histogram::Histogram;
use super::Delivery;
use crate::audit::writer::Object;
use crate::config::settings::Delivery as Mode;
use crate::event::State;
use crate::metrics::Metrics;
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
    /// The statistics of this moment. Members are only ever added.
    pub(crate) fn stats_json(
        &self,
        state: State,
        token: Option<TokenTimes>,
        server_ahead_ms: Option<i64>,
        network: &NetworkReport,
    ) -> String {
        let mut out = String::with_capacity(1024);
        let mut stats = Object::begin(&mut out);
        stats.text("state", state.name()).text("boot_id", &self.context.boot_id).text("delivery", self.mode_name());
        metrics_members(&mut stats, &self.metrics());
        self.queue_members(&mut stats);
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

    fn queue_members(&self, stats: &mut Object<'_>) {
        {
            let state = self.lock();
            stats.object("latency_ms", |members| percentile_members(members, &state.latencies));
            stats.object("lead_ms", |members| percentile_members(members, &state.leads));
            stats.object("audit_queue", |queue| {
                queue.plain("records", state.audit.len()).plain("records_bound", state.audit.capacity());
            });
        }
        stats.object("event_queue", |queue| {
            queue.plain("events", self.gauges.events()).plain("messages", self.gauges.messages());
            queue.plain("bytes", self.gauges.bytes());
            queue.plain("messages_bound", self.bounds.messages).plain("bytes_bound", self.bounds.bytes);
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

/// Of leads the low percentiles are the ones that matter: how close it came.
fn percentile_members(members: &mut Object<'_>, histogram: &Histogram) {
    members.plain("count", histogram.total());
    for (name, percent) in [("p1", 1), ("p10", 10), ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        members.plain(name, histogram.percentile_ms(percent));
    }
}

/// Every counter under its field's name. Destructured, so that a new counter cannot be forgotten here.
fn metrics_members(stats: &mut Object<'_>, metrics: &Metrics) {
    macro_rules! members {
        ($($field:ident),* $(,)?) => {
            let Metrics { $($field),* } = metrics;
            $(stats.plain(stringify!($field), $field);)*
        };
    }
    members!(
        success_count,
        failure_count,
        total_latency_ms,
        request_count,
        renewals,
        handovers,
        connects,
        drops,
        gaps,
        token_requests,
        token_failures,
        throttles,
        messages_received,
        bytes_received,
        messages_sent,
        bytes_sent,
        audit_records,
        audit_lost,
        hook_failures,
        slow_callbacks,
        senseless_inputs,
        last_lead_ms,
        rest_requests,
        rest_failures,
        channels,
    );
    stats.plain("success_rate", metrics.success_rate_percent()).plain("avg_latency_ms", metrics.avg_latency_ms());
}
