//! What the clients of a process learn of an endpoint and share: whether it can renew in band.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use crate::proto::time::Now;
use crate::sys::PerProcess;

/// An endpoint that could not renew in band is not asked again for so long.
const UNABLE_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Host and port → until when, in the system's boot clock.
static UNABLE: PerProcess<Mutex<Table>> = PerProcess::new(Mutex::new(None));

/// `None` until the first entry.
type Table = Option<HashMap<String, Duration>>;

/// Remembers that `endpoint` (host and port) cannot renew in band.
pub fn mark_in_band_unable(endpoint: &str, clock: &Clock, now: Now) {
    let until = clock.system_boottime(now.boot_ms) + UNABLE_FOR;
    let mut table = UNABLE.get().lock().unwrap_or_else(PoisonError::into_inner);
    table.get_or_insert_with(HashMap::new).insert(endpoint.to_owned(), until);
}

/// Until when `endpoint` cannot renew in band, in the boot time of `clock`; `None` when it may.
pub fn in_band_unable_until(endpoint: &str, clock: &Clock, now: Now) -> Option<u64> {
    let table = UNABLE.get().lock().unwrap_or_else(PoisonError::into_inner);
    let left = table.as_ref()?.get(endpoint)?.checked_sub(clock.system_boottime(now.boot_ms))?;
    Some(now.boot_ms + u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
}
