//! `gwa_request_t`: a question of the library, answered once.

use std::ffi::{c_char, c_void};

use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::hooks::{Answer, Request};
use crate::secret::Secret;

use super::boundary;
use super::event::question_number;
use super::handle::{self, Checked, Object};
use super::live::Live;
use super::raw::{self, invalid};
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t};
use std::sync::Arc;

/// Store the refresh token of gwa_request_refresh_token() durably, then complete with no answer (NULL, 0, 0). The
/// server has already forgotten the one before. After token.persist_timeout_ms the new access token is used anyway.
pub const GWA_REQUEST_PERSIST_REFRESH_TOKEN: i32 = 1;
/// The credentials no longer work: get an authorization code (from a person, by a browser) and complete with it.
pub const GWA_REQUEST_AUTHORIZATION_CODE: i32 = 2;

/// A question of the library; a checked handle. Answer it once, from any thread, now or later.
pub struct gwa_request_t {
    request: Request,
    _live: Live,
}

impl gwa_request_t {
    /// The object behind a new handle.
    pub(super) fn new(request: Request) -> Self {
        Self { request, _live: Live::new() }
    }
}

impl Checked for gwa_request_t {
    const KIND: u64 = 3;

    fn into_object(this: Arc<Self>) -> Object {
        Object::Request(this)
    }

    fn from_object(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Request(request) => Some(request),
            Object::Config(_) | Object::Client(_) => None,
        }
    }
}

/// What is asked: one of GWA_REQUEST_..., or 0 for a handle that is none. Fail questions you do not know.
///
/// Thread: any. Callback: allowed. Fork: 0. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_request_kind(request: *const gwa_request_t) -> i32 {
    boundary::value(0, || handle::find(request).map_or(0, |found| question_number(&found.request.question)))
}

/// The refresh token to store (GWA_REQUEST_PERSIST_REFRESH_TOKEN), a secret.
///
/// Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL and for other questions; `out` is written only
/// with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_text_free(), which wipes it. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_request_refresh_token(
    request: *const gwa_request_t,
    out: *mut *mut gwa_text_t,
) -> gwa_status_t {
    boundary::status(|| {
        let found = handle::find(request)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let Question::PersistRefreshToken(token) = &found.request.question else {
            return Err(invalid("request", "does not ask to store a refresh token"));
        };
        out.write(gwa_text_t::owned(token.expose()));
        Ok(())
    })
}

/// Answers a question. `answer` is copied: an authorization code (1 to 4096 bytes, no control characters) for
/// GWA_REQUEST_AUTHORIZATION_CODE, nothing (NULL, 0) for GWA_REQUEST_PERSIST_REFRESH_TOKEN. `expires_in_ms` is kept for
/// questions to come and is 0. An answer that comes after the question timed out is ignored.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE (also the second time); GWA_E_INVALID_ARGUMENT or GWA_E_INVALID_UTF8, and then the
/// question stays open.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: with GWA_OK the handle is dead. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_request_complete(
    request: *mut gwa_request_t,
    answer: *const c_void,
    len: usize,
    expires_in_ms: u64,
) -> gwa_status_t {
    boundary::status(|| {
        let found = handle::find(request)?;
        // SAFETY: `len` readable bytes, or NULL.
        let answer = unsafe { text::bytes(answer, len, "answer") }?;
        let answer = checked(&found.request.question, answer)?;
        if expires_in_ms != 0 {
            return Err(invalid("expires_in_ms", "is not 0"));
        }
        handle::take(request)?.request.complete(answer);
        Ok(())
    })
}

/// Says that there will be no answer. `status` is the application's reason, not GWA_OK; `why`, if not NULL, goes into
/// errors and log, so it must hold no secret.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE (also the second time); GWA_E_INVALID_ARGUMENT or GWA_E_INVALID_UTF8, and then the
/// question stays open.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: with GWA_OK the handle is dead. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_request_fail(
    request: *mut gwa_request_t,
    status: gwa_status_t,
    why: *const c_char,
) -> gwa_status_t {
    boundary::status(|| {
        handle::find(request)?;
        // SAFETY: a text that ends with NUL, or NULL.
        let why = unsafe { text::optional_c_text(why, "why") }?;
        if status == 0 {
            return Err(invalid("status", "is GWA_OK"));
        }
        let name = Code::from_number(status).map_or_else(|| status.to_string(), |code| code.name().to_owned());
        let error = Error::new(Code::CallbackFailed, Stage::Callback, format!("{name}: {why}"));
        handle::take(request)?.request.fail(error);
        Ok(())
    })
}

/// Frees a question without an answer: it times out. NULL, and a handle that is dead, are nothing.
///
/// Thread: any. Callback: allowed. Fork: inert. Signal: unsafe. Blocking: no.
/// Ownership: takes the request. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_request_free(request: *mut gwa_request_t) {
    boundary::value((), || drop(handle::take(request)));
}

fn checked(question: &Question, answer: &[u8]) -> Result<Answer, Error> {
    match question {
        Question::PersistRefreshToken(_) if answer.is_empty() => Ok(Answer::Done),
        Question::PersistRefreshToken(_) => Err(invalid("answer", "is not empty")),
        Question::AuthorizationCode => {
            let code = text::utf8(answer, "answer")?;
            if code.is_empty() || code.len() > 4_096 || code.chars().any(char::is_control) {
                return Err(invalid("answer", "is not a code of 1 to 4096 bytes without control characters"));
            }
            Ok(Answer::Code(Secret::new(code.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;
    use std::sync::mpsc::{channel, Receiver};

    fn asked(question: Question) -> (*mut gwa_request_t, Receiver<Result<Answer, Error>>) {
        let (sender, receiver) = channel();
        let reply = Arc::new(move |_, answer| sender.send(answer).unwrap());
        (handle::put(gwa_request_t::new(Request { id: 1, question, reply })).unwrap(), receiver)
    }

    #[test]
    fn a_question_is_answered_once() {
        let (request, answers) = asked(Question::AuthorizationCode);
        assert_eq!(gwa_request_kind(request), GWA_REQUEST_AUTHORIZATION_CODE);
        // SAFETY: a literal of four bytes; NULL without bytes.
        let complete = |len| unsafe { gwa_request_complete(request, c"code".as_ptr().cast(), len, 0) };
        assert_eq!(complete(0), Code::InvalidArgument.number(), "no code, the question stays open");
        assert_eq!(complete(4), 0);
        assert_eq!(complete(4), Code::BadHandle.number());
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Ok(Answer::Code(Secret::new("code".into())))]);
    }

    #[test]
    fn a_stored_token_needs_no_answer() {
        let (request, answers) = asked(Question::PersistRefreshToken(Secret::new("hush".into())));
        let mut token = ptr::null_mut();
        // SAFETY: a writable place.
        assert_eq!(unsafe { gwa_request_refresh_token(request, &raw mut token) }, 0);
        // SAFETY: a text of ours, freed once.
        unsafe { text::gwa_text_free(token) };
        // SAFETY: no bytes.
        assert_eq!(unsafe { gwa_request_complete(request, ptr::null(), 0, 0) }, 0);
        assert_eq!(answers.try_recv(), Ok(Ok(Answer::Done)));
    }

    #[test]
    fn a_refusal_says_why() {
        let (request, answers) = asked(Question::AuthorizationCode);
        // SAFETY: NULL or a literal.
        assert_eq!(unsafe { gwa_request_fail(request, 0, ptr::null()) }, Code::InvalidArgument.number());
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_request_fail(request, 4108, c"nobody there".as_ptr()) }, 0);
        let error = answers.try_recv().unwrap().unwrap_err();
        assert_eq!(error.detail().message, "GWA_E_CANCELLED: nobody there");
        gwa_request_free(request);
        gwa_request_free(ptr::null_mut());
    }
}
