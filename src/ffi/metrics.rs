//! Counters of a client, as a struct that may grow.

use std::mem::offset_of;

use crate::metrics::Metrics;

use super::boundary;
use super::client::gwa_client_t;
use super::handle;
use super::raw;
use super::status::gwa_status_t;

/// Counters of a client since it was made. Set up with GWA_METRICS_INIT(); newer versions add fields at the end.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct gwa_metrics_t {
    /// Size of the struct the caller has, in bytes.
    pub struct_size: u32,
    /// Share of attempts that succeeded, in thousandths of a percent (0 to 100000); 0 before the first attempt.
    pub success_rate_milli_percent: u32,
    /// Mean latency of an attempt, in microseconds; 0 before the first attempt.
    pub avg_latency_us: u64,
    /// Authentication attempts that succeeded.
    pub success_count: u64,
    /// Authentication attempts that failed.
    pub failure_count: u64,
    /// Sum of the latencies of all attempts, in milliseconds.
    pub total_latency_ms: u64,
    /// All attempts.
    pub request_count: u64,
    /// Renewals accepted.
    pub renewals: u64,
    /// Of these, by hand-over to a second socket.
    pub handovers: u64,
    /// Sockets opened (upgrade finished).
    pub connects: u64,
    /// Sockets lost while live.
    pub drops: u64,
    /// Gaps reported.
    pub gaps: u64,
    /// Token requests made.
    pub token_requests: u64,
    /// Attempts to get a token that failed, sent or not.
    pub token_failures: u64,
    /// Times a server throttled us.
    pub throttles: u64,
    /// Application messages received.
    pub messages_received: u64,
    /// Bytes of application messages received.
    pub bytes_received: u64,
    /// Application messages sent.
    pub messages_sent: u64,
    /// Bytes of application messages sent.
    pub bytes_sent: u64,
    /// Audit records made.
    pub audit_records: u64,
    /// Audit records lost to the queue's bound.
    pub audit_lost: u64,
    /// Audit and SIEM callbacks that reported a failure.
    pub hook_failures: u64,
    /// Callbacks slower than callbacks.slow_ms.
    pub slow_callbacks: u64,
    /// Facts that came when nobody expected them.
    pub senseless_inputs: u64,
    /// Life the old token had left when the last new one took effect, in milliseconds.
    pub last_lead_ms: u64,
    /// REST requests made (profile notifications).
    pub rest_requests: u64,
    /// Of these, those without an answer or with one other than 2xx.
    pub rest_failures: u64,
    /// Channels made (profile notifications); each rollover needs one.
    pub channels: u64,
    /// Renewals that took effect while the old token had its goal of life left.
    pub lead_goals_met: u64,
    /// Tokens whose goal passed before another took effect: the client was Degraded.
    pub lead_goals_missed: u64,
    /// Live sockets lost to a reset, or an end without a close frame.
    pub drops_reset: u64,
    /// Live sockets lost to silence: no pong, no heartbeat.
    pub drops_silence: u64,
    /// Live sockets closed by the server with a code of class retry.
    pub drops_close_retry: u64,
    /// Live sockets closed by the server with a code of class drain.
    pub drops_close_drain: u64,
    /// Live sockets closed by the server with a code of class token.
    pub drops_close_token: u64,
    /// Live sockets closed by the server with a code of class final.
    pub drops_close_final: u64,
    /// Live sockets lost to a fault of TLS.
    pub drops_tls: u64,
    /// Live sockets lost because the peer broke the protocol, or sent too large a message.
    pub drops_protocol: u64,
    /// Live sockets lost because their token had expired or was revoked.
    pub drops_token: u64,
    /// Live sockets lost because their channel was gone or refused.
    pub drops_channel: u64,
    /// Live sockets lost to another client that took the channel.
    pub drops_displaced: u64,
    /// Live sockets lost to anything else.
    pub drops_other: u64,
    /// Attempts that failed in name resolution.
    pub failures_dns: u64,
    /// Attempts that failed in TCP.
    pub failures_tcp: u64,
    /// Attempts that failed at a proxy.
    pub failures_proxy: u64,
    /// Attempts that failed in TLS.
    pub failures_tls: u64,
    /// Attempts that failed in HTTP.
    pub failures_http: u64,
    /// Attempts that failed at the token endpoint.
    pub failures_oauth: u64,
    /// Attempts that the WebSocket's server refused, closed or did not answer.
    pub failures_ws: u64,
    /// Attempts whose token lacks scopes.
    pub failures_scope: u64,
    /// Attempts that failed for anything else.
    pub failures_other: u64,
    /// Length of all gaps that have ended, in milliseconds.
    pub gap_ms: u64,
    /// Messages handed back unsent at the end.
    pub messages_returned: u64,
    /// Times a socket was not read because the event queue was full.
    pub read_pauses: u64,
    /// Lines of log lost because on_log was slow.
    pub log_lost: u64,
    /// Audit records of level info.
    pub audit_info: u64,
    /// Audit records of level notice.
    pub audit_notice: u64,
    /// Audit records of level warning.
    pub audit_warning: u64,
    /// Audit records of level error.
    pub audit_error: u64,
    /// Audit records of level critical.
    pub audit_critical: u64,
    /// Events that wait, or whose callback is running.
    pub events_waiting: u64,
    /// The most events that waited when they were taken out.
    pub events_waiting_most: u64,
    /// Messages that may wait (events.queue_events).
    pub events_bound: u64,
    /// What they take.
    pub event_bytes_waiting: u64,
    /// What they may take (events.queue_bytes).
    pub event_bytes_bound: u64,
    /// Audit records that wait.
    pub audit_waiting: u64,
    /// The most audit records that waited.
    pub audit_waiting_most: u64,
    /// Audit records that may wait (audit.queue_records).
    pub audit_bound: u64,
    /// Messages not yet sent.
    pub sends_waiting: u64,
    /// The most messages that were not yet sent.
    pub sends_waiting_most: u64,
    /// Messages that may wait to be sent (send.queue_messages).
    pub sends_bound: u64,
    /// Their bytes.
    pub send_bytes_waiting: u64,
    /// Bytes that may wait to be sent (send.queue_bytes).
    pub send_bytes_bound: u64,
    /// 1 while there is a token, else 0.
    pub token_held: u64,
    /// Since the token was granted, in milliseconds; 0 without one.
    pub token_age_ms: u64,
    /// Until its renewal starts, in milliseconds; 0 when it is under way, and without a token.
    pub token_renewal_in_ms: u64,
    /// Until it is presented no more, in milliseconds; 0 when that has passed, and without a token.
    pub token_usable_for_ms: u64,
    /// Latency that half of all attempts stay within, in milliseconds.
    pub latency_p50_ms: u64,
    /// Latency that 90 % of all attempts stay within, in milliseconds.
    pub latency_p90_ms: u64,
    /// Latency that 99 % of all attempts stay within, in milliseconds.
    pub latency_p99_ms: u64,
    /// Latency that half of the renewals stay within, in milliseconds.
    pub renewal_p50_ms: u64,
    /// Latency that 90 % of the renewals stay within, in milliseconds.
    pub renewal_p90_ms: u64,
    /// Latency that 99 % of the renewals stay within, in milliseconds.
    pub renewal_p99_ms: u64,
    /// Time from dialling to an open WebSocket that half of the sockets stay within, in milliseconds.
    pub connect_p50_ms: u64,
    /// The same for 90 % of the sockets, in milliseconds.
    pub connect_p90_ms: u64,
    /// The same for 99 % of the sockets, in milliseconds.
    pub connect_p99_ms: u64,
    /// Time that half of the token requests stay within, in milliseconds.
    pub token_request_p50_ms: u64,
    /// Time that 90 % of the token requests stay within, in milliseconds.
    pub token_request_p90_ms: u64,
    /// Time that 99 % of the token requests stay within, in milliseconds.
    pub token_request_p99_ms: u64,
    /// Life left of the old token in the worst 1 % of the renewals, in milliseconds.
    pub lead_p1_ms: u64,
    /// Life left of the old token in the worst 10 % of the renewals, in milliseconds.
    pub lead_p10_ms: u64,
    /// Life left of the old token in the worse half of the renewals, in milliseconds.
    pub lead_p50_ms: u64,
    /// Clients that run on the token source that this one shares; 0: it has one of its own.
    pub source_clients: u64,
    /// Token requests of that source, for all its clients.
    pub source_token_requests: u64,
    /// Its attempts to get a token that failed, sent or not.
    pub source_token_failures: u64,
    /// Times that the token endpoint throttled it.
    pub source_throttles: u64,
    /// Live connections made again after a loss.
    pub reconnects: u64,
    /// Made again for sockets lost to a reset, or an end without a close frame.
    pub reconnects_reset: u64,
    /// Made again for sockets lost to silence: no pong, no heartbeat.
    pub reconnects_silence: u64,
    /// Made again for sockets that the server had closed with a code of class retry.
    pub reconnects_close_retry: u64,
    /// Made again for sockets that the server had closed with a code of class drain.
    pub reconnects_close_drain: u64,
    /// Made again for sockets that the server had closed with a code of class token.
    pub reconnects_close_token: u64,
    /// Made again for sockets that the server had closed with a code of class final.
    pub reconnects_close_final: u64,
    /// Made again for sockets lost to a fault of TLS.
    pub reconnects_tls: u64,
    /// Made again for sockets lost because the peer broke the protocol, or sent too large a message.
    pub reconnects_protocol: u64,
    /// Made again for sockets lost because their token had expired or was revoked.
    pub reconnects_token: u64,
    /// Made again for sockets lost because their channel was gone or refused.
    pub reconnects_channel: u64,
    /// Made again for sockets lost to another client that took the channel.
    pub reconnects_displaced: u64,
    /// Made again for sockets lost to anything else.
    pub reconnects_other: u64,
    /// Token requests made after one that failed.
    pub retries_token_request: u64,
    /// Authentication attempts made after one that failed.
    pub retries_attempt: u64,
}

impl gwa_metrics_t {
    fn new(metrics: &Metrics) -> Self {
        // Without `..`: a new row of the table cannot be forgotten here.
        macro_rules! filled {
            ($($field:ident),* $(,)?) => {{
                let Metrics { $($field),* } = *metrics;
                Self {
                    struct_size: 0,
                    // Both are at most 100 000 and 2^64; `as` saturates.
                    success_rate_milli_percent: (metrics.success_rate_percent() * 1_000.0) as u32,
                    avg_latency_us: (metrics.avg_latency_ms() * 1_000.0) as u64,
                    $($field,)*
                }
            }};
        }
        filled!(
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
            lead_goals_met,
            lead_goals_missed,
            drops_reset,
            drops_silence,
            drops_close_retry,
            drops_close_drain,
            drops_close_token,
            drops_close_final,
            drops_tls,
            drops_protocol,
            drops_token,
            drops_channel,
            drops_displaced,
            drops_other,
            failures_dns,
            failures_tcp,
            failures_proxy,
            failures_tls,
            failures_http,
            failures_oauth,
            failures_ws,
            failures_scope,
            failures_other,
            gap_ms,
            messages_returned,
            read_pauses,
            log_lost,
            audit_info,
            audit_notice,
            audit_warning,
            audit_error,
            audit_critical,
            events_waiting,
            events_waiting_most,
            events_bound,
            event_bytes_waiting,
            event_bytes_bound,
            audit_waiting,
            audit_waiting_most,
            audit_bound,
            sends_waiting,
            sends_waiting_most,
            sends_bound,
            send_bytes_waiting,
            send_bytes_bound,
            token_held,
            token_age_ms,
            token_renewal_in_ms,
            token_usable_for_ms,
            latency_p50_ms,
            latency_p90_ms,
            latency_p99_ms,
            renewal_p50_ms,
            renewal_p90_ms,
            renewal_p99_ms,
            connect_p50_ms,
            connect_p90_ms,
            connect_p99_ms,
            token_request_p50_ms,
            token_request_p90_ms,
            token_request_p99_ms,
            lead_p1_ms,
            lead_p10_ms,
            lead_p50_ms,
            source_clients,
            source_token_requests,
            source_token_failures,
            source_throttles,
            reconnects,
            reconnects_reset,
            reconnects_silence,
            reconnects_close_retry,
            reconnects_close_drain,
            reconnects_close_token,
            reconnects_close_final,
            reconnects_tls,
            reconnects_protocol,
            reconnects_token,
            reconnects_channel,
            reconnects_displaced,
            reconnects_other,
            retries_token_request,
            retries_attempt,
        )
    }
}

/// Sets up a metrics struct: all 0, and its size. Call it as GWA_METRICS_INIT(metrics). NULL, and a size below 4, are nothing.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_metrics_init(metrics: *mut gwa_metrics_t, struct_size: u32) {
    // SAFETY: NULL, or `struct_size` writable bytes.
    unsafe { raw::init_sized(metrics, struct_size) };
}

/// Writes the client's counters. Reads `inout->struct_size`, set by GWA_METRICS_INIT(), and fills what fits into it.
///
/// Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL and for a struct that was not set up.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_metrics(client: *mut gwa_client_t, inout: *mut gwa_metrics_t) -> gwa_status_t {
    boundary::status(|| {
        let client = handle::find(client)?;
        // SAFETY: NULL, or set up by the caller.
        let room = unsafe { raw::room(inout, "inout") }?;
        let metrics = gwa_metrics_t::new(&client.client().metrics());
        // SAFETY: `room` bytes are the caller's, as its struct_size says.
        unsafe { raw::fill(inout, room, &metrics) };
        Ok(())
    })
}

// `fill` leaves the first four bytes to the caller.
const _: () = assert!(offset_of!(gwa_metrics_t, struct_size) == 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ROWS;

    /// The header is made of the struct's source, which macros would hide: it is compared with the table instead.
    #[test]
    fn the_struct_is_the_table() {
        let source = include_str!("metrics.rs").split("pub avg_latency_us: u64,\n").nth(1).unwrap();
        let fields = source.split("\n}").next().unwrap();
        let rows = ROWS.iter().map(|row| format!("    /// {}\n    pub {}: u64,", row.help, row.field));
        assert_eq!(fields, rows.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn an_older_caller_gets_what_fits() {
        let mut metrics = gwa_metrics_t { last_lead_ms: 77, ..gwa_metrics_t::default() };
        let room = offset_of!(gwa_metrics_t, success_count) + 8;
        metrics.struct_size = room as u32;
        let full =
            gwa_metrics_t::new(&Metrics { success_count: 3, request_count: 4, last_lead_ms: 5, ..Metrics::default() });
        // SAFETY: the room is within the struct.
        unsafe { raw::fill(&raw mut metrics, room, &full) };
        assert_eq!((metrics.struct_size as usize, metrics.success_count), (room, 3));
        assert_eq!((metrics.success_rate_milli_percent, metrics.request_count, metrics.last_lead_ms), (75_000, 0, 77));
    }

    #[test]
    fn a_newer_caller_keeps_what_we_do_not_know() {
        let mut newer = [gwa_metrics_t { last_lead_ms: 9, ..gwa_metrics_t::default() }; 2];
        newer[0].struct_size = 2 * size_of::<gwa_metrics_t>() as u32;
        // SAFETY: two structs in a row stand for one that is twice as large.
        let room = unsafe { raw::room(newer.as_mut_ptr(), "inout") }.unwrap();
        // SAFETY: as above.
        unsafe { raw::fill(newer.as_mut_ptr(), room, &gwa_metrics_t::default()) };
        assert_eq!((newer[0].last_lead_ms, newer[1].last_lead_ms), (0, 9));
        assert_eq!(newer[0].struct_size as usize, 2 * size_of::<gwa_metrics_t>());
    }

    #[test]
    fn init_touches_only_what_the_caller_has() {
        let mut metrics = gwa_metrics_t { last_lead_ms: 77, success_count: 1, ..gwa_metrics_t::default() };
        // SAFETY: 24 bytes of the struct.
        unsafe { gwa_metrics_init(&raw mut metrics, 24) };
        assert_eq!((metrics.struct_size, metrics.success_count, metrics.last_lead_ms), (24, 0, 77));
        // SAFETY: NULL is nothing, and so is no room.
        unsafe { gwa_metrics_init(std::ptr::null_mut(), 24) };
        // SAFETY: as above.
        unsafe { gwa_metrics_init(&raw mut metrics, 3) };
        assert_eq!(metrics.struct_size, 24);
    }

    #[test]
    fn a_struct_that_was_not_set_up_is_refused() {
        let mut metrics = gwa_metrics_t::default();
        // SAFETY: a whole struct, or NULL.
        assert!(unsafe { raw::room(&raw mut metrics, "inout") }.is_err());
        // SAFETY: as above.
        assert!(unsafe { raw::room(std::ptr::null_mut::<gwa_metrics_t>(), "inout") }.is_err());
    }
}
