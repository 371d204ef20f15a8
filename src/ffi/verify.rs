//! `gwa_audit_verify_t`: the offline verifier of audit logs, without a client.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};

use crate::audit::verify::{Verdict, Verifier};
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

use super::boundary;
use super::error::gwa_error_t;
use super::live::Live;
use super::raw::{self, invalid};
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t};

/// gwa_audit_verify_finish(): every record is as it was made, and none is missing.
pub const GWA_AUDIT_INTACT: i32 = 1;
/// So it is, but the log itself says that records are missing, and where: a full queue, or a run that was not closed.
pub const GWA_AUDIT_DECLARED_GAP: i32 = 2;
/// The log ends before the record that gwa_audit_verify_expect() named, or within a line.
pub const GWA_AUDIT_TRUNCATED: i32 = 3;
/// A record is not as it was made, or not where it was; "bad" of the report is the first one.
pub const GWA_AUDIT_TAMPERED: i32 = 4;
/// Nothing here was made with this key: another key, or no log of a chain.
pub const GWA_AUDIT_NOT_A_CHAIN: i32 = 5;

/// A log that is being verified, a plain object. Calls of several threads on one of them wait for each other.
pub struct gwa_audit_verify_t {
    /// Nothing once it is finished.
    verifier: Mutex<Option<Verifier>>,
    _live: Live,
}

impl gwa_audit_verify_t {
    fn with(&self, run: impl FnOnce(&mut Verifier) -> Result<(), Error>) -> Result<(), Error> {
        let mut verifier = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
        run(verifier.as_mut().ok_or_else(finished)?)
    }
}

fn number(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Intact => GWA_AUDIT_INTACT,
        Verdict::DeclaredGap => GWA_AUDIT_DECLARED_GAP,
        Verdict::Truncated => GWA_AUDIT_TRUNCATED,
        Verdict::Tampered => GWA_AUDIT_TAMPERED,
        Verdict::NotAChain => GWA_AUDIT_NOT_A_CHAIN,
    }
}

fn finished() -> Error {
    Error::new(Code::BadState, Stage::Call, "The log is finished.")
}

/// Begins to verify the log of one sink, whatever its format. `key` is K0 of its chain (audit.chain_key), 64 hexadecimal
/// digits; it is not kept.
///
/// Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_INVALID_UTF8; GWA_E_BAD_VALUE for anything else.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_audit_verify_free() and `*err` with gwa_error_free(); NULL for `err` is
/// allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_verify_new(
    key: *const c_char,
    len: usize,
    out: *mut *mut gwa_audit_verify_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        if key.is_null() {
            return Err(invalid("key", "is NULL"));
        }
        // SAFETY: `len` readable bytes.
        let key = unsafe { text::bytes(key.cast(), len, "key") }?;
        let verifier = Verifier::new(&Secret::new(text::utf8(key, "key")?.to_owned()))?;
        out.write(raw::give(gwa_audit_verify_t { verifier: Mutex::new(Some(verifier)), _live: Live::new() }));
        Ok(())
    })
}

/// Says that the log has to go at least as far as this record, best a checkpoint that was kept elsewhere: as it was
/// delivered, with or without its line end. Without one nobody can tell whether the last records are missing.
///
/// Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL and for a text that no chain has sealed; GWA_E_BAD_STATE after
/// gwa_audit_verify_finish().
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the record is copied; the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_verify_expect(
    verify: *mut gwa_audit_verify_t,
    record: *const c_char,
    len: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: the caller's pointers: an object, `len` readable bytes and a writable place, each or NULL.
    unsafe { with_bytes(verify, record.cast(), len, ("record", err), Verifier::expect) }
}

/// Says that the log begins right after this record, because older files are not at hand: a checkpoint that was verified
/// with them. What is fed may begin earlier: lines up to and with this record are then skipped, which the report says
/// ("skipped"). Before anything is fed.
///
/// Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL and for a text that no chain has sealed; GWA_E_BAD_STATE when lines
/// were fed, and after gwa_audit_verify_finish().
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the record is copied; the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_verify_begin_after(
    verify: *mut gwa_audit_verify_t,
    record: *const c_char,
    len: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: the caller's pointers: an object, `len` readable bytes and a writable place, each or NULL.
    unsafe { with_bytes(verify, record.cast(), len, ("record", err), Verifier::begin_after) }
}

/// Verifies the next bytes of the log: records, each followed by a line feed. They may be cut anywhere; several files are
/// fed one after the other, the oldest first. Memory does not grow with the log.
///
/// Returns GWA_OK, whatever is found; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_STATE after gwa_audit_verify_finish().
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the data are not kept; the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_verify_feed(
    verify: *mut gwa_audit_verify_t,
    data: *const c_void,
    len: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    let feed = |verifier: &mut Verifier, bytes: &[u8]| {
        verifier.feed(bytes);
        Ok(())
    };
    // SAFETY: the caller's pointers: an object, `len` readable bytes and a writable place, each or NULL.
    unsafe { with_bytes(verify, data, len, ("data", err), feed) }
}

/// The log ends here: writes one of GWA_AUDIT_... to `result`, and to `report`, if that is not NULL, one JSON object:
/// {"result", "lines", "records", "skipped", "verified", "sink", "chain", "bad": {"line", "seq"}, "why", "first":
/// {"boot_id"}, "last": {"line", "seq", "boot_id", "epoch", "mac"}, "torn_line", "gap_count", "gaps": [{"kind", "line",
/// ...}]}, without what does not apply. Afterwards the object can only be freed.
///
/// Returns GWA_OK, whatever was found; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_STATE the second time.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*report` with gwa_text_free() and `*err` with gwa_error_free(); NULL for `err` is allowed.
/// Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_verify_finish(
    verify: *mut gwa_audit_verify_t,
    result: *mut i32,
    report: *mut *mut gwa_text_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        // SAFETY: an object or NULL.
        let verify = unsafe { raw::borrowed(verify) }.ok_or_else(|| invalid("verify", "is NULL"))?;
        // SAFETY: writable or NULL.
        let result = unsafe { raw::out(result, "result") }?;
        // SAFETY: writable or NULL.
        let report = unsafe { raw::optional_out(report) };
        let verifier = verify.verifier.lock().unwrap_or_else(PoisonError::into_inner).take();
        let found = verifier.ok_or_else(finished)?.finish();
        result.write(number(found.verdict));
        if let Some(report) = report {
            report.write(gwa_text_t::owned(&found.to_json()));
        }
        Ok(())
    })
}

/// Frees it, finished or not. NULL is nothing.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: takes the object. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_verify_free(verify: *mut gwa_audit_verify_t) {
    // SAFETY: the caller gives up what a function of ours gave it.
    boundary::value((), || unsafe { raw::free(verify) });
}

/// # Safety
/// `verify` is an object of ours or NULL; `data` points to `len` readable bytes or is NULL; the place is writable or NULL.
unsafe fn with_bytes(
    verify: *mut gwa_audit_verify_t,
    data: *const c_void,
    len: usize,
    (name, err): (&str, *mut *mut gwa_error_t),
    run: impl FnOnce(&mut Verifier, &[u8]) -> Result<(), Error>,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        // SAFETY: an object or NULL.
        let verify = unsafe { raw::borrowed(verify) }.ok_or_else(|| invalid("verify", "is NULL"))?;
        // SAFETY: `len` readable bytes, or NULL.
        let data = unsafe { text::bytes(data, len, name) }?;
        verify.with(|verifier| run(verifier, data))
    })
}
