//! Counters of a client, as a struct that may grow, and as JSON.

use std::mem::offset_of;

use crate::metrics::Metrics;

use super::boundary;
use super::client::gwa_client_t;
use super::handle;
use super::raw::{self, invalid};
use super::status::gwa_status_t;
use super::text::gwa_text_t;

/// Format of gwa_client_stats(): one JSON object.
pub const GWA_STATS_JSON: i32 = 1;

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
    /// Token requests that failed.
    pub token_failures: u64,
    /// Times a server throttled us.
    pub throttles: u64,
    /// Application messages received.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Application messages sent.
    pub messages_sent: u64,
    /// Their bytes.
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
}

impl gwa_metrics_t {
    fn new(metrics: &Metrics) -> Self {
        Self {
            struct_size: 0,
            // Both are at most 100 000 and 2^64; `as` saturates.
            success_rate_milli_percent: (metrics.success_rate_percent() * 1_000.0) as u32,
            avg_latency_us: (metrics.avg_latency_ms() * 1_000.0) as u64,
            success_count: metrics.success_count,
            failure_count: metrics.failure_count,
            total_latency_ms: metrics.total_latency_ms,
            request_count: metrics.request_count,
            renewals: metrics.renewals,
            handovers: metrics.handovers,
            connects: metrics.connects,
            drops: metrics.drops,
            gaps: metrics.gaps,
            token_requests: metrics.token_requests,
            token_failures: metrics.token_failures,
            throttles: metrics.throttles,
            messages_received: metrics.messages_received,
            bytes_received: metrics.bytes_received,
            messages_sent: metrics.messages_sent,
            bytes_sent: metrics.bytes_sent,
            audit_records: metrics.audit_records,
            audit_lost: metrics.audit_lost,
            hook_failures: metrics.hook_failures,
            slow_callbacks: metrics.slow_callbacks,
            senseless_inputs: metrics.senseless_inputs,
            last_lead_ms: metrics.last_lead_ms,
            rest_requests: metrics.rest_requests,
            rest_failures: metrics.rest_failures,
            channels: metrics.channels,
        }
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

/// Counters and state as text. `format` is GWA_STATS_JSON: one JSON object without line breaks. Holds no secret.
///
/// Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL and for another format; `out` is written only with
/// GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_stats(
    client: *mut gwa_client_t,
    format: i32,
    out: *mut *mut gwa_text_t,
) -> gwa_status_t {
    boundary::status(|| {
        let client = handle::find(client)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        if format != GWA_STATS_JSON {
            return Err(invalid("format", "is not GWA_STATS_JSON"));
        }
        out.write(gwa_text_t::owned(&client.client().stats_json()));
        Ok(())
    })
}

// `fill` leaves the first four bytes to the caller.
const _: () = assert!(offset_of!(gwa_metrics_t, struct_size) == 0);

#[cfg(test)]
mod tests {
    use super::*;

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
