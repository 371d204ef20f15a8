//! Counts what a C program still has to free.

use std::sync::atomic::{AtomicU64, Ordering};

use super::boundary;

static LIVE: AtomicU64 = AtomicU64::new(0);

/// One living object; part of everything that C can own.
#[derive(Debug)]
pub(super) struct Live(());

impl Live {
    /// Counts one more.
    pub(super) fn new() -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many objects of this library are alive in the process: configurations, clients, requests,
/// and owned events, audit records, errors, tokens and texts. For tests: 0 when all is freed.
/// A client counts until the last call on it has returned.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_debug_live_objects() -> u64 {
    boundary::value(0, || LIVE.load(Ordering::Relaxed))
}
