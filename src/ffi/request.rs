//! `gwa_request_t`: a question of the library, answered once.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::hooks::{Answer, Request};
use crate::proto::oauth;
use crate::secret::Secret;

use super::boundary;
use super::event::question_number;
use super::handle::{self, Checked, Object};
use super::live::Live;
use super::raw::{self, invalid};
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t, Text};
use std::sync::Arc;

/// Store the refresh token of gwa_request_refresh_token() durably, then complete with no answer (NULL, 0, 0). The
/// server has already forgotten the one before. After token.persist_timeout_ms the new access token is used anyway.
pub const GWA_REQUEST_PERSIST_REFRESH_TOKEN: i32 = 1;
/// The credentials no longer work, or there are none yet: get an authorization code (from a person, by a browser, at
/// gwa_request_authorize_url()) and complete with it, or with the whole URL that the browser was sent back to. A code that
/// the server refuses is not asked for again until gwa_client_refresh_now() or gwa_client_set_secret().
/// With token.redirect_listener it need not be answered: show the URL, and free the request.
pub const GWA_REQUEST_AUTHORIZATION_CODE: i32 = 2;
/// Get an access token and complete with it and with the time it still lives (token.grant = application). It is asked for
/// when the one before comes near its end, or was refused: then the same one again is a failed attempt. After
/// token.provider_timeout_ms, or earlier while a token is held (a quarter of what is left of it, at least 3 s), the attempt
/// has failed and the question is asked anew, by the same delays as a token request; a token that is still valid is kept.
pub const GWA_REQUEST_TOKEN: i32 = 3;

/// The largest value of token.max_bytes.
const MAX_TOKEN: usize = 1 << 20;

/// A question of the library; a checked handle. Answer it once, from any thread, now or later.
pub struct gwa_request_t {
    request: Request,
    authorize_url: Option<Text>,
    _live: Live,
}

impl gwa_request_t {
    /// The object behind a new handle.
    pub(super) fn new(request: Request) -> Self {
        let authorize_url = match &request.question {
            Question::AuthorizationCode(authorization) if !authorization.url().is_empty() => {
                Some(Text::new(authorization.url()))
            }
            _ => None,
        };
        Self { request, authorize_url, _live: Live::new() }
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
            Object::Config(_) | Object::Client(_) | Object::Source(_) => None,
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

/// The URL at which a person signs in (GWA_REQUEST_AUTHORIZATION_CODE): token.authorize_url with client.id, token.redirect_uri,
/// scopes.requested, a `state` of this question alone and, as token.pkce has it, a code_challenge. Show it to nobody else.
///
/// NULL for other questions, and for a handle that is none. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: NULL. Signal: unsafe. Blocking: no.
/// Ownership: the request keeps the text until it is completed, failed or freed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_request_authorize_url(request: *const gwa_request_t, len: *mut usize) -> *const c_char {
    // SAFETY: writable or NULL.
    let len = unsafe { raw::optional_out(len) };
    boundary::value(ptr::null(), || {
        let found = handle::find(request).ok();
        // The table holds the object, and so the text, as long as the handle is good.
        text::lend(found.as_ref().and_then(|found| found.authorize_url.as_ref()).map(Text::with_nul), len)
    })
}

/// Answers a question. `answer` is copied: for GWA_REQUEST_AUTHORIZATION_CODE an authorization code (1 to 4096 bytes, no
/// control characters), or the redirect that brought it (its URL or the query in it, at most 16384 bytes), whose `state` is
/// then compared with that of gwa_request_authorize_url(); an access token (1 byte to 1 MiB of ASCII without control characters; token.max_bytes
/// applies) for GWA_REQUEST_TOKEN; nothing (NULL, 0) for GWA_REQUEST_PERSIST_REFRESH_TOKEN. `expires_in_ms` is how long the
/// access token still lives, or 0: then it was granted just now, for as long as its JWT says (exp minus iat), else for
/// 300 s. What is left less than 1 s is a failed attempt. For all other questions it is 0. An answer that comes after the
/// question timed out is ignored.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE (also the second time); GWA_E_INVALID_ARGUMENT (also for a redirect of another `state`),
/// GWA_E_INVALID_UTF8, or GWA_E_OAUTH for a redirect that carries an `error`, and then the question stays open: the person may
/// try again, or gwa_request_fail() ends it.
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
        let answer = checked(&found.request.question, answer, expires_in_ms)?;
        handle::take(request)?.request.complete(answer);
        Ok(())
    })
}

/// Says that there will be no answer. `status` is the application's reason, not GWA_OK; `why`, if not NULL, goes into
/// errors and audit records, so it must hold no secret. For GWA_REQUEST_TOKEN this is a failed attempt, and the question comes again
/// after a delay; with GWA_E_REAUTH_REQUIRED it is final: the client goes to GWA_STATE_REAUTH_REQUIRED and asks no more until
/// gwa_client_refresh_now() or gwa_client_set_secret().
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
        let found = handle::find(request)?;
        // SAFETY: a text that ends with NUL, or NULL.
        let why = unsafe { text::optional_c_text(why, "why") }?;
        if status == 0 {
            return Err(invalid("status", "is GWA_OK"));
        }
        let error = refusal(&found.request.question, status, why);
        handle::take(request)?.request.fail(error);
        Ok(())
    })
}

/// Frees a question without an answer: it times out. NULL, and a handle that is dead, are nothing.
///
/// Thread: any. Callback: allowed. Fork: inert, but the handle is dead there. Signal: unsafe. Blocking: no.
/// Ownership: takes the request. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_request_free(request: *mut gwa_request_t) {
    boundary::value((), || drop(handle::take(request)));
}

/// The application's reason as an error. That a person has to act is the one it can say in our own terms.
fn refusal(question: &Question, status: gwa_status_t, why: &str) -> Error {
    let code = Code::from_number(status);
    if (question, code) == (&Question::AccessToken, Some(Code::ReauthRequired)) {
        return Error::new(Code::ReauthRequired, Stage::Token, why);
    }
    let name = code.map_or_else(|| status.to_string(), |code| code.name().to_owned());
    let stage = if *question == Question::AccessToken { Stage::Token } else { Stage::Callback };
    Error::new(Code::CallbackFailed, stage, format!("{name}: {why}"))
}

fn checked(question: &Question, answer: &[u8], expires_in_ms: u64) -> Result<Answer, Error> {
    if expires_in_ms != 0 && *question != Question::AccessToken {
        return Err(invalid("expires_in_ms", "is not 0"));
    }
    match question {
        Question::AccessToken => {
            let token = text::utf8(answer, "answer")?;
            if token.len() > MAX_TOKEN || !oauth::is_token(token) {
                return Err(invalid("answer", "is not a token of 1 byte to 1 MiB of ASCII without control characters"));
            }
            let expires_in_ms = Some(expires_in_ms).filter(|ms| *ms > 0);
            Ok(Answer::AccessToken { token: Secret::new(token.to_owned()), expires_in_ms })
        }
        Question::PersistRefreshToken(_) if answer.is_empty() => Ok(Answer::Done),
        Question::PersistRefreshToken(_) => Err(invalid("answer", "is not empty")),
        Question::AuthorizationCode(authorization) => {
            authorization.code_of(text::utf8(answer, "answer")?).map(Answer::Code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Authorization;
    use std::sync::mpsc::{channel, Receiver};

    fn asked(question: Question) -> (*mut gwa_request_t, Receiver<Result<Answer, Error>>) {
        let (sender, receiver) = channel();
        let reply = Arc::new(move |_, answer| sender.send(answer).unwrap());
        (handle::put(gwa_request_t::new(Request::new(1, question, reply))).unwrap(), receiver)
    }

    #[test]
    fn a_question_is_answered_once() {
        let (request, answers) = asked(Question::AuthorizationCode(Authorization::default()));
        assert_eq!(gwa_request_kind(request), GWA_REQUEST_AUTHORIZATION_CODE);
        // SAFETY: a literal of four bytes; NULL without bytes.
        let complete = |len| unsafe { gwa_request_complete(request, c"code".as_ptr().cast(), len, 0) };
        assert_eq!(complete(0), Code::InvalidArgument.number(), "no code, the question stays open");
        assert_eq!(complete(4), 0);
        assert_eq!(complete(4), Code::BadHandle.number());
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Ok(Answer::Code(Secret::new("code".into())))]);
    }

    #[test]
    fn a_token_is_provided_with_its_life() {
        let (request, answers) = asked(Question::AccessToken);
        assert_eq!(gwa_request_kind(request), GWA_REQUEST_TOKEN);
        for (bad, len) in [(c"tok\nen", 6), (c"", 0), (c"caf\xc3\xa9", 5)] {
            // SAFETY: so many bytes of a literal.
            let status = unsafe { gwa_request_complete(request, bad.as_ptr().cast(), len, 0) };
            assert_eq!(status, Code::InvalidArgument.number(), "the question stays open: {bad:?}");
        }
        // SAFETY: a literal of five bytes.
        assert_eq!(unsafe { gwa_request_complete(request, c"token".as_ptr().cast(), 5, 60_000) }, 0);
        let token = Secret::new("token".into());
        assert_eq!(answers.try_recv(), Ok(Ok(Answer::AccessToken { token, expires_in_ms: Some(60_000) })));
        let (request, answers) = asked(Question::AccessToken);
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_request_complete(request, c"token".as_ptr().cast(), 5, 0) }, 0);
        let unsaid = answers.try_recv().unwrap().unwrap();
        assert!(matches!(unsaid, Answer::AccessToken { expires_in_ms: None, .. }));
        let (request, _) = asked(Question::AuthorizationCode(Authorization::default()));
        // SAFETY: as above.
        let status = unsafe { gwa_request_complete(request, c"token".as_ptr().cast(), 5, 60_000) };
        assert_eq!(status, Code::InvalidArgument.number(), "only a token has a life");
        gwa_request_free(request);
    }

    #[test]
    fn one_reason_not_to_provide_a_token_is_final() {
        for (status, code) in [(Code::ReauthRequired, Code::ReauthRequired), (Code::Dns, Code::CallbackFailed)] {
            let (request, answers) = asked(Question::AccessToken);
            // SAFETY: NULL.
            assert_eq!(unsafe { gwa_request_fail(request, status.number(), ptr::null()) }, 0);
            let error = answers.try_recv().unwrap().unwrap_err();
            assert_eq!((error.code(), error.detail().stage), (code, Stage::Token));
        }
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
        let (request, answers) = asked(Question::AuthorizationCode(Authorization::default()));
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
