//! Metrics of clients as text: JSON with a schema, and what Prometheus reads.

use std::ffi::c_char;
use std::sync::Arc;

use crate::client::Client;
use crate::error::Error;
use crate::metrics::{self, Format};

use super::boundary;
use super::client::gwa_client_t;
use super::handle;
use super::raw::{self, invalid};
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t};

/// Clients in one text: more have no place in a process.
const MAX_CLIENTS: usize = 65_536;

/// Format of gwa_client_stats(): one JSON object without line breaks, as gwa_stats_schema() describes it.
pub const GWA_STATS_JSON: i32 = 1;
/// Format of gwa_client_stats() and gwa_metrics_text(): OpenMetrics 1.0, for an HTTP answer of the type
/// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
pub const GWA_STATS_OPENMETRICS: i32 = 2;
/// Format of gwa_client_stats() and gwa_metrics_text(): Prometheus's older text format 0.0.4 (`text/plain; version=0.0.4`), which
/// the textfile collector of node_exporter reads.
pub const GWA_STATS_PROMETHEUS: i32 = 3;

/// Metrics and state as text. `format` is GWA_STATS_JSON, GWA_STATS_OPENMETRICS or GWA_STATS_PROMETHEUS. Holds no secret. The
/// samples of the latter two have no label that tells one client from another: see gwa_metrics_text().
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
        let text = match format {
            GWA_STATS_JSON => client.client().stats_json(),
            _ => client.client().metrics_text(text_format(format)?),
        };
        out.write(gwa_text_t::owned(&text));
        Ok(())
    })
}

/// The metrics of `count` clients as one text in which every family of samples is told once, as both formats ask for. The
/// label `client` of a client's samples has the value `names[i]`; with NULL for `names` it is the client's place in `clients`,
/// from 0. Keep a client's name for as long as the process lives: another name is another time series. `format` is
/// GWA_STATS_OPENMETRICS or GWA_STATS_PROMETHEUS. Without clients the text tells the version of the library alone.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE if one of the clients is none; GWA_E_INVALID_ARGUMENT for NULL, for a name that is empty
/// or stands there twice, and for another format; GWA_E_INVALID_UTF8; `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller keeps `clients` and `names`, and frees `*out` with gwa_text_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_metrics_text(
    clients: *const *mut gwa_client_t,
    names: *const *const c_char,
    count: usize,
    format: i32,
    out: *mut *mut gwa_text_t,
) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        // SAFETY: an array of handles, or NULL.
        let clients = unsafe { handles(clients, count) }?;
        let places: Vec<String> = (0..count).map(|place| place.to_string()).collect();
        let names = if names.is_null() {
            places.iter().map(String::as_str).collect()
        } else {
            // SAFETY: an array of texts that end with NUL.
            unsafe { text::c_texts(names, count, "names") }?
        };
        let named: Vec<_> = names.into_iter().zip(clients.iter().map(|client| client.client())).collect();
        let text = Client::metrics_text_of(&named, text_format(format)?)?;
        out.write(gwa_text_t::owned(&text));
        Ok(())
    })
}

/// The JSON of gwa_client_stats() as a JSON Schema (draft 2020-12). Newer versions of the library add members: readers ignore
/// those they do not know.
///
/// Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_stats_schema(out: *mut *mut gwa_text_t) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        out.write(gwa_text_t::owned(&metrics::schema()));
        Ok(())
    })
}

fn text_format(format: i32) -> Result<Format, Error> {
    match format {
        GWA_STATS_OPENMETRICS => Ok(Format::OpenMetrics),
        GWA_STATS_PROMETHEUS => Ok(Format::Prometheus),
        _ => Err(invalid("format", "is not one of those that the function takes")),
    }
}

/// The clients of an array of handles.
///
/// # Safety
/// `clients` is NULL or points to `count` readable handles.
unsafe fn handles(clients: *const *mut gwa_client_t, count: usize) -> Result<Vec<Arc<gwa_client_t>>, Error> {
    if count > MAX_CLIENTS || clients.is_null() && count > 0 {
        return Err(invalid("clients", "is NULL, or too many"));
    }
    let mut found = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: `index` is below `count`.
        let place = unsafe { clients.add(index) };
        // SAFETY: it lies within the caller's array.
        let client = unsafe { place.read() };
        found.push(handle::find(client)?);
    }
    Ok(found)
}
