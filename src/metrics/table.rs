//! The one table of counters and gauges: field of the struct, member of the JSON, sample of the OpenMetrics text.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{mean, percent};

/// A counter or gauge, wherever it is told.
pub(crate) struct Row {
    /// Field of the struct and member of the JSON.
    pub(crate) field: &'static str,
    /// [`Family`] it is a sample of, or empty: a histogram says it already.
    pub(crate) family: &'static str,
    /// Value of the family's label, or empty.
    pub(crate) label: &'static str,
    /// In words.
    pub(crate) help: &'static str,
    /// Its value.
    pub(crate) read: fn(&Metrics) -> u64,
}

/// What a family of samples is (OpenMetrics 1.0, "Metric Types").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Only ever rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// What its numbers are (OpenMetrics 1.0, "Units and Base Units").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unit {
    /// Things.
    None,
    /// Kept in milliseconds, told in seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// Samples of one name: they are told together, below one header.
pub(crate) struct Family {
    /// Without `gwa_` and `_total`; ends with the unit.
    pub(crate) name: &'static str,
    /// Type.
    pub(crate) kind: Kind,
    /// Unit.
    pub(crate) unit: Unit,
    /// Name of the label that tells its samples apart, or empty.
    pub(crate) label: &'static str,
    /// In words.
    pub(crate) help: &'static str,
}

impl Family {
    /// Whether its samples make sense for a client: those of a token while there is one, those of a source if it is shared.
    pub(crate) fn applies(&self, metrics: &Metrics) -> bool {
        let of_token = self.kind == Kind::Gauge && self.unit == Unit::Seconds && self.name.starts_with("token_");
        let of_source = self.name.starts_with("source_");
        !(of_token && metrics.token_held == 0 || of_source && metrics.source_clients == 0)
    }
}

/// `@Variant` before a row: any thread may raise it, by [`Counter`]; the others are filled in when somebody asks.
macro_rules! table {
    ($($(@$variant:ident)? $field:ident: $family:literal $($label:literal)?, $doc:literal;)*) => {
        /// A snapshot of a client's counters and gauges. All are 64 bits wide; counters saturate and never fall.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[non_exhaustive]
        pub struct Metrics {
            $(#[doc = $doc] pub $field: u64,)*
        }

        /// Every row, in the order of the struct in C.
        pub(crate) const ROWS: &[Row] = &[$(Row {
            field: stringify!($field),
            family: $family,
            label: concat!($($label)?),
            help: $doc,
            read: |metrics| metrics.$field,
        },)*];

        /// A counter that the threads of a client raise.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Counter {
            $($(#[doc = $doc] $variant,)?)*
        }

        impl Counter {
            /// All, in the order of the table.
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$variant,)?)*];
        }

        impl Counters {
            /// A snapshot; what nobody raises is left at zero.
            pub(crate) fn snapshot(&self) -> Metrics {
                Metrics { $($($field: self.of(Counter::$variant).load(Ordering::Relaxed),)?)* ..Metrics::default() }
            }
        }
    };
}

table! {
    success_count: "attempts" "success", "Authentication attempts that succeeded.";
    failure_count: "attempts" "failure", "Authentication attempts that failed.";
    total_latency_ms: "", "Sum of the latencies of all attempts, in milliseconds.";
    request_count: "", "All attempts.";
    @Renewals renewals: "renewals", "Renewals accepted.";
    @Handovers handovers: "handovers", "Of these, by hand-over to a second socket.";
    @Connects connects: "connects", "Sockets opened (upgrade finished).";
    @Drops drops: "", "Sockets lost while live.";
    @Gaps gaps: "gaps", "Gaps reported.";
    @TokenRequests token_requests: "token_requests", "Token requests made.";
    @TokenFailures token_failures: "token_failures", "Attempts to get a token that failed, sent or not.";
    @Throttles throttles: "throttles", "Times a server throttled us.";
    @MessagesReceived messages_received: "messages" "received", "Application messages received.";
    @BytesReceived bytes_received: "message_bytes" "received", "Bytes of application messages received.";
    @MessagesSent messages_sent: "messages" "sent", "Application messages sent.";
    @BytesSent bytes_sent: "message_bytes" "sent", "Bytes of application messages sent.";
    audit_records: "", "Audit records made.";
    audit_lost: "audit_records_lost", "Audit records lost to the queue's bound.";
    @HookFailures hook_failures: "callback_failures", "Audit and SIEM callbacks that reported a failure.";
    @SlowCallbacks slow_callbacks: "slow_callbacks", "Callbacks slower than callbacks.slow_ms.";
    @SenselessInputs senseless_inputs: "senseless_inputs", "Facts that came when nobody expected them.";
    @LastLeadMs last_lead_ms: "renewal_last_lead_seconds", "Life the old token had left when the last new one took effect, in milliseconds.";
    @RestRequests rest_requests: "rest_requests", "REST requests made (profile notifications).";
    @RestFailures rest_failures: "rest_failures", "Of these, those without an answer or with one other than 2xx.";
    @Channels channels: "channels", "Channels made (profile notifications); each rollover needs one.";

    @GoalsMet lead_goals_met: "lead_goals" "met", "Renewals that took effect while the old token had its goal of life left.";
    @GoalsMissed lead_goals_missed: "lead_goals" "missed", "Tokens whose goal passed before another took effect: the client was Degraded.";
    @DropsReset drops_reset: "connection_losses" "reset", "Live sockets lost to a reset, or an end without a close frame.";
    @DropsSilence drops_silence: "connection_losses" "silence", "Live sockets lost to silence: no pong, no heartbeat.";
    @DropsCloseRetry drops_close_retry: "connection_losses" "close_retry", "Live sockets closed by the server with a code of class retry.";
    @DropsCloseDrain drops_close_drain: "connection_losses" "close_drain", "Live sockets closed by the server with a code of class drain.";
    @DropsCloseToken drops_close_token: "connection_losses" "close_token", "Live sockets closed by the server with a code of class token.";
    @DropsCloseFinal drops_close_final: "connection_losses" "close_final", "Live sockets closed by the server with a code of class final.";
    @DropsTls drops_tls: "connection_losses" "tls", "Live sockets lost to a fault of TLS.";
    @DropsProtocol drops_protocol: "connection_losses" "protocol", "Live sockets lost because the peer broke the protocol, or sent too large a message.";
    @DropsToken drops_token: "connection_losses" "token", "Live sockets lost because their token had expired or was revoked.";
    @DropsChannel drops_channel: "connection_losses" "channel", "Live sockets lost because their channel was gone or refused.";
    @DropsDisplaced drops_displaced: "connection_losses" "displaced", "Live sockets lost to another client that took the channel.";
    @DropsOther drops_other: "connection_losses" "other", "Live sockets lost to anything else.";
    @FailuresDns failures_dns: "attempt_failures" "dns", "Attempts that failed in name resolution.";
    @FailuresTcp failures_tcp: "attempt_failures" "tcp", "Attempts that failed in TCP.";
    @FailuresProxy failures_proxy: "attempt_failures" "proxy", "Attempts that failed at a proxy.";
    @FailuresTls failures_tls: "attempt_failures" "tls", "Attempts that failed in TLS.";
    @FailuresHttp failures_http: "attempt_failures" "http", "Attempts that failed in HTTP.";
    @FailuresOauth failures_oauth: "attempt_failures" "oauth", "Attempts that failed at the token endpoint.";
    @FailuresWs failures_ws: "attempt_failures" "ws", "Attempts that the WebSocket's server refused, closed or did not answer.";
    @FailuresScope failures_scope: "attempt_failures" "scope", "Attempts whose token lacks scopes.";
    @FailuresOther failures_other: "attempt_failures" "other", "Attempts that failed for anything else.";
    @GapMs gap_ms: "", "Length of all gaps that have ended, in milliseconds.";
    messages_returned: "messages_returned", "Messages handed back unsent at the end.";
    @ReadPauses read_pauses: "read_pauses", "Times a socket was not read because the event queue was full.";
    log_lost: "log_lines_lost", "Lines of log lost because on_log was slow.";
    audit_info: "audit_records" "info", "Audit records of level info.";
    audit_notice: "audit_records" "notice", "Audit records of level notice.";
    audit_warning: "audit_records" "warning", "Audit records of level warning.";
    audit_error: "audit_records" "error", "Audit records of level error.";
    audit_critical: "audit_records" "critical", "Audit records of level critical.";
    events_waiting: "queue_items" "event", "Events that wait, or whose callback is running.";
    events_waiting_most: "queue_items_most" "event", "The most events that waited when they were taken out.";
    events_bound: "queue_items_bound" "event", "Messages that may wait (events.queue_events).";
    event_bytes_waiting: "queue_bytes" "event", "What they take.";
    event_bytes_bound: "queue_bound_bytes" "event", "What they may take (events.queue_bytes).";
    audit_waiting: "queue_items" "audit", "Audit records that wait.";
    audit_waiting_most: "queue_items_most" "audit", "The most audit records that waited.";
    audit_bound: "queue_items_bound" "audit", "Audit records that may wait (audit.queue_records).";
    sends_waiting: "queue_items" "send", "Messages not yet sent.";
    sends_waiting_most: "queue_items_most" "send", "The most messages that were not yet sent.";
    sends_bound: "queue_items_bound" "send", "Messages that may wait to be sent (send.queue_messages).";
    send_bytes_waiting: "queue_bytes" "send", "Their bytes.";
    send_bytes_bound: "queue_bound_bytes" "send", "Bytes that may wait to be sent (send.queue_bytes).";
    token_held: "token_held", "1 while there is a token, else 0.";
    token_age_ms: "token_age_seconds", "Since the token was granted, in milliseconds; 0 without one.";
    token_renewal_in_ms: "token_renewal_in_seconds", "Until its renewal starts, in milliseconds; 0 when it is under way, and without a token.";
    token_usable_for_ms: "token_usable_for_seconds", "Until it is presented no more, in milliseconds; 0 when that has passed, and without a token.";
    latency_p50_ms: "", "Latency that half of all attempts stay within, in milliseconds.";
    latency_p90_ms: "", "Latency that 90 % of all attempts stay within, in milliseconds.";
    latency_p99_ms: "", "Latency that 99 % of all attempts stay within, in milliseconds.";
    renewal_p50_ms: "", "Latency that half of the renewals stay within, in milliseconds.";
    renewal_p90_ms: "", "Latency that 90 % of the renewals stay within, in milliseconds.";
    renewal_p99_ms: "", "Latency that 99 % of the renewals stay within, in milliseconds.";
    connect_p50_ms: "", "Time from dialling to an open WebSocket that half of the sockets stay within, in milliseconds.";
    connect_p90_ms: "", "The same for 90 % of the sockets, in milliseconds.";
    connect_p99_ms: "", "The same for 99 % of the sockets, in milliseconds.";
    token_request_p50_ms: "", "Time that half of the token requests stay within, in milliseconds.";
    token_request_p90_ms: "", "Time that 90 % of the token requests stay within, in milliseconds.";
    token_request_p99_ms: "", "Time that 99 % of the token requests stay within, in milliseconds.";
    lead_p1_ms: "", "Life left of the old token in the worst 1 % of the renewals, in milliseconds.";
    lead_p10_ms: "", "Life left of the old token in the worst 10 % of the renewals, in milliseconds.";
    lead_p50_ms: "", "Life left of the old token in the worse half of the renewals, in milliseconds.";
    source_clients: "source_clients", "Clients that run on the token source that this one shares; 0: it has one of its own.";
    source_token_requests: "source_token_requests", "Token requests of that source, for all its clients.";
    source_token_failures: "source_token_failures", "Its attempts to get a token that failed, sent or not.";
    source_throttles: "source_throttles", "Times that the token endpoint throttled it.";
    @Reconnects reconnects: "", "Live connections made again after a loss.";
    @ReconnectsReset reconnects_reset: "reconnects" "reset", "Made again for sockets lost to a reset, or an end without a close frame.";
    @ReconnectsSilence reconnects_silence: "reconnects" "silence", "Made again for sockets lost to silence: no pong, no heartbeat.";
    @ReconnectsCloseRetry reconnects_close_retry: "reconnects" "close_retry", "Made again for sockets that the server had closed with a code of class retry.";
    @ReconnectsCloseDrain reconnects_close_drain: "reconnects" "close_drain", "Made again for sockets that the server had closed with a code of class drain.";
    @ReconnectsCloseToken reconnects_close_token: "reconnects" "close_token", "Made again for sockets that the server had closed with a code of class token.";
    @ReconnectsCloseFinal reconnects_close_final: "reconnects" "close_final", "Made again for sockets that the server had closed with a code of class final.";
    @ReconnectsTls reconnects_tls: "reconnects" "tls", "Made again for sockets lost to a fault of TLS.";
    @ReconnectsProtocol reconnects_protocol: "reconnects" "protocol", "Made again for sockets lost because the peer broke the protocol, or sent too large a message.";
    @ReconnectsToken reconnects_token: "reconnects" "token", "Made again for sockets lost because their token had expired or was revoked.";
    @ReconnectsChannel reconnects_channel: "reconnects" "channel", "Made again for sockets lost because their channel was gone or refused.";
    @ReconnectsDisplaced reconnects_displaced: "reconnects" "displaced", "Made again for sockets lost to another client that took the channel.";
    @ReconnectsOther reconnects_other: "reconnects" "other", "Made again for sockets lost to anything else.";
    @RetriesToken retries_token_request: "retries" "token_request", "Token requests made after one that failed.";
    @RetriesAttempt retries_attempt: "retries" "attempt", "Authentication attempts made after one that failed.";
}

macro_rules! families {
    ($($name:literal $kind:ident $unit:ident $label:literal, $help:literal;)*) => {
        /// Every family of counters and gauges, in the order of the text.
        pub(crate) const FAMILIES: &[Family] = &[$(Family {
            name: $name, kind: Kind::$kind, unit: Unit::$unit, label: $label, help: $help,
        },)*];
    };
}

families! {
    "attempts" Counter None "outcome", "Authentication attempts: first ones, renewals, reconnects.";
    "attempt_failures" Counter None "category", "Authentication attempts that failed, by category of the error.";
    "renewals" Counter None "", "Renewals accepted on the live connection.";
    "handovers" Counter None "", "Renewals that needed a second socket.";
    "lead_goals" Counter None "outcome", "Service level of renewals: tokens replaced while they had their goal of life left, and others.";
    "connects" Counter None "", "Sockets opened.";
    "connection_losses" Counter None "cause", "Live sockets lost, by cause.";
    "reconnects" Counter None "cause", "Live connections made again, by what the one before was lost to.";
    "retries" Counter None "what", "Token requests, and authentication attempts as a whole, that were made after one that failed.";
    "gaps" Counter None "", "Stretches of time during which messages may have been missed.";
    "token_requests" Counter None "", "Token requests made; by a shared source: none of the client's own.";
    "token_failures" Counter None "", "Attempts to get a token that failed, sent or not.";
    "throttles" Counter None "", "Times a server asked to wait (429, 400 rate limit exceeded).";
    "messages" Counter None "direction", "Application messages.";
    "message_bytes" Counter Bytes "direction", "Their bytes.";
    "messages_returned" Counter None "", "Messages handed back unsent.";
    "read_pauses" Counter None "", "Times a socket was not read because the event queue was full.";
    "audit_records" Counter None "level", "Audit records made, by level.";
    "audit_records_lost" Counter None "", "Audit records lost to the queue's bound.";
    "log_lines_lost" Counter None "", "Lines of log lost because on_log was slow.";
    "callback_failures" Counter None "", "Callbacks that reported a failure or panicked.";
    "slow_callbacks" Counter None "", "Callbacks slower than callbacks.slow_ms.";
    "senseless_inputs" Counter None "", "Facts that came when nobody expected them.";
    "rest_requests" Counter None "", "REST requests made (profile notifications).";
    "rest_failures" Counter None "", "REST requests without an answer or with one other than 2xx.";
    "channels" Counter None "", "Channels made (profile notifications).";
    "renewal_last_lead_seconds" Gauge Seconds "", "Life the old token had left when the last new one took effect.";
    "token_held" Gauge None "", "1 while there is a token, else 0.";
    "token_age_seconds" Gauge Seconds "", "Since the token was granted.";
    "token_renewal_in_seconds" Gauge Seconds "", "Until the renewal of the token starts.";
    "token_usable_for_seconds" Gauge Seconds "", "Until the token is presented no more.";
    "source_clients" Gauge None "", "Clients of the token source that this one shares, itself included.";
    "source_token_requests" Counter None "", "Token requests of the shared source: the same for all its clients, so take the maximum, not the sum.";
    "source_token_failures" Counter None "", "Its attempts to get a token that failed, sent or not.";
    "source_throttles" Counter None "", "Times that the token endpoint throttled the shared source.";
    "queue_items" Gauge None "queue", "What waits in a queue: events, audit records, messages to send.";
    "queue_items_most" Gauge None "queue", "The most that ever waited in it.";
    "queue_items_bound" Gauge None "queue", "What may wait in it.";
    "queue_bytes" Gauge Bytes "queue", "What waits in a queue, in bytes.";
    "queue_bound_bytes" Gauge Bytes "queue", "What may wait in it, in bytes.";
}

impl Metrics {
    /// `100 × success / requests`, or 0 before the first attempt.
    pub fn success_rate_percent(&self) -> f64 {
        percent(self.success_count, self.request_count)
    }

    /// Mean latency in milliseconds, or 0 before the first attempt.
    pub fn avg_latency_ms(&self) -> f64 {
        mean(self.total_latency_ms, self.request_count)
    }

    /// The service level of renewals: the share of tokens that were replaced in time, in percent; 100 before the first.
    pub fn lead_goal_percent(&self) -> f64 {
        match self.lead_goals_met.saturating_add(self.lead_goals_missed) {
            0 => 100.0,
            all => percent(self.lead_goals_met, all),
        }
    }
}

/// The counters of one client, raised without a lock.
#[derive(Debug)]
pub(crate) struct Counters([AtomicU64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }
}

impl Counters {
    /// Adds `n`; stops at the largest number.
    pub(crate) fn add(&self, counter: Counter, n: u64) {
        if n == 0 {
            return;
        }
        let add = |value: u64| Some(value.saturating_add(n));
        // The closure always gives a value, so this cannot fail.
        let _ = self.of(counter).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// [`Counters::add`] for a counter that one thread alone raises, on the hot path: no locked instruction.
    pub(crate) fn raise(&self, counter: Counter, n: u64) {
        let value = self.of(counter);
        value.store(value.load(Ordering::Relaxed).saturating_add(n), Ordering::Relaxed);
    }

    /// Replaces the value, for gauges.
    pub(crate) fn set(&self, counter: Counter, value: u64) {
        self.of(counter).store(value, Ordering::Relaxed);
    }

    /// Numbers of variants are the places of their counters.
    fn of(&self, counter: Counter) -> &AtomicU64 {
        &self.0[counter as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_saturate() {
        let counters = Counters::default();
        counters.add(Counter::Drops, u64::MAX - 1);
        counters.add(Counter::Drops, 1);
        counters.add(Counter::Drops, 5);
        assert_eq!(counters.snapshot().drops, u64::MAX);
    }

    #[test]
    fn every_counter_has_a_place_of_its_own() {
        let counters = Counters::default();
        for (place, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, place);
            counters.set(*counter, 1);
            let snapshot = counters.snapshot();
            assert_eq!(ROWS.iter().map(|row| (row.read)(&snapshot)).sum::<u64>(), place as u64 + 1, "{counter:?}");
        }
    }

    /// What is not told as a sample can be computed from samples, or is a quantile, which OpenMetrics leaves to the reader.
    const NO_SAMPLE: [&str; 6] =
        ["total_latency_ms", "request_count", "drops", "audit_records", "gap_ms", "reconnects"];

    #[test]
    fn every_row_is_a_sample_of_its_own() {
        for row in ROWS {
            if row.family.is_empty() {
                let quantile = row.field.contains("_p") && row.field.ends_with("_ms");
                assert!(quantile || NO_SAMPLE.contains(&row.field), "{}", row.field);
                continue;
            }
            let family = FAMILIES.iter().find(|family| family.name == row.family).expect(row.field);
            assert_eq!(family.label.is_empty(), row.label.is_empty(), "{}", row.field);
            assert_eq!(family.unit == Unit::Seconds, row.field.ends_with("_ms"), "{}", row.field);
            let same = |other: &&Row| (other.family, other.label) == (row.family, row.label);
            assert_eq!(ROWS.iter().filter(same).count(), 1, "{}", row.field);
        }
        for family in FAMILIES {
            assert!(ROWS.iter().any(|row| row.family == family.name), "{}", family.name);
            assert_eq!(family.name.ends_with("_seconds"), family.unit == Unit::Seconds, "{}", family.name);
            assert_eq!(family.name.ends_with("_bytes"), family.unit == Unit::Bytes);
        }
    }
}
