//! What a client tells an operator: metrics, statistics, how it reaches the network.

use std::sync::PoisonError;

use super::Client;
use crate::config::settings::{Proxy, Settings};
use crate::error::{Code, Error, Stage};
use crate::metrics::{text, Format, Labels, Metrics, Snapshot};
use crate::shell::delivery::{NetworkReport, SourceReport, TokenTimes};

impl Client {
    /// Counters and gauges.
    pub fn metrics(&self) -> Metrics {
        self.metrics_with(self.token_times())
    }

    /// Metrics, state and the times of the token as one JSON object: see [`crate::metrics::schema`].
    pub fn stats_json(&self) -> String {
        let token = self.token_times();
        let ahead_ms = self.share.source().server_ahead_ms();
        self.delivery.stats_json(self.state(), &self.metrics_with(token), token, ahead_ms, &self.network())
    }

    /// Metrics as text for Prometheus; the samples have no label that tells one client from another.
    pub fn metrics_text(&self, format: Format) -> String {
        text(format, &[(Labels::default(), self.snapshot())])
    }

    /// The metrics of several clients as one text, in which each family is told once. The name of a client is the value of
    /// the label `client`.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is empty or stands there twice.
    pub fn metrics_text_of(clients: &[(&str, &Self)], format: Format) -> Result<String, Error> {
        for (index, (name, _)) in clients.iter().enumerate() {
            let is_taken = clients.iter().take(index).any(|(other, _)| other == name);
            if name.is_empty() || is_taken {
                let text = format!("name {index} {}.", if is_taken { "stands there twice" } else { "is empty" });
                return Err(Error::new(Code::InvalidArgument, Stage::Call, text));
            }
        }
        let labels = |name: &&str| Labels { client: Some((*name).to_owned()) };
        let told: Vec<_> = clients.iter().map(|(name, client)| (labels(name), client.snapshot())).collect();
        Ok(text(format, &told))
    }

    fn snapshot(&self) -> Snapshot {
        self.delivery.snapshot(self.state(), self.metrics())
    }

    fn metrics_with(&self, token: Option<TokenTimes>) -> Metrics {
        let times = token.unwrap_or_default();
        let source = self.share.source();
        let of_source = if source.is_shared() { source.metrics() } else { Metrics::default() };
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let (sends_waiting, sends_waiting_most, send_bytes_waiting) =
            (outbox.len() as u64, outbox.most() as u64, outbox.bytes() as u64);
        drop(outbox);
        Metrics {
            messages_returned: self.shared.unsent(),
            sends_waiting,
            sends_waiting_most,
            sends_bound: self.settings.send_queue_messages as u64,
            send_bytes_waiting,
            send_bytes_bound: self.settings.send_queue_bytes as u64,
            token_held: u64::from(token.is_some()),
            token_age_ms: times.age_ms,
            token_renewal_in_ms: times.renewal_in_ms,
            token_usable_for_ms: times.usable_for_ms,
            source_clients: if source.is_shared() { source.running_clients() as u64 } else { 0 },
            source_token_requests: of_source.token_requests,
            source_token_failures: of_source.token_failures,
            source_throttles: of_source.throttles,
            ..self.delivery.metrics()
        }
    }

    fn token_times(&self) -> Option<TokenTimes> {
        let now = self.clock.now();
        self.shared.token().map(|token| TokenTimes {
            age_ms: now.wall_ms.saturating_sub(token.granted_at_wall_ms),
            renewal_in_ms: token.schedule.refresh_ms.saturating_sub(now.boot_ms),
            usable_for_ms: token.remaining_ms(now.boot_ms),
        })
    }

    /// Which trust store, which client certificate, which proxies.
    fn network(&self) -> NetworkReport {
        let Settings { proxies, pins, client_identity, min_tls, token_url, ws_url, api_url, .. } = &*self.settings;
        let streaming_url = self.settings.streaming_url();
        let or = |one: &String, other: &String| if one.is_empty() { other.clone() } else { one.clone() };
        let uses = |proxy: &Option<Proxy>, url: &str| {
            proxy.as_ref().and(self.net.target(url).ok()).and_then(|target| Some(self.net.proxy(&target)?.peer()))
        };
        NetworkReport {
            trust: self.net.trust_report().map(|report| (report.store.clone(), report.roots)),
            pins: pins.len(),
            client_certificate: client_identity.is_some(),
            min_tls: min_tls.name(),
            token_proxy: uses(&proxies.token, &or(token_url, api_url)),
            socket_proxy: uses(&proxies.socket, &or(ws_url, &streaming_url)),
            source: self.source_report(),
            rate_limit: self.share.source().rate_limit(),
        }
    }

    /// The source of its tokens, if others may use it too.
    fn source_report(&self) -> Option<SourceReport> {
        let source = self.share.source();
        source.is_shared().then(|| SourceReport {
            clients: source.running_clients(),
            token_requests: source.metrics().token_requests,
        })
    }
}
