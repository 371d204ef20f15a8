//! The callback triple `(fn, user_data, release)` and the closures made of it.
// The types are those of `Hooks`.
#![allow(clippy::type_complexity)]

use std::ffi::{c_char, c_void, CString};
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::event::{Notice, Sent};
use crate::hooks::{AuditView, HookFailed, Message, Moment, Request, ThreadKind};
use crate::proto::token::Token;

use super::audit::gwa_audit_t;
use super::event::gwa_event_t;
use super::handle;
use super::request::gwa_request_t;
use super::status::gwa_status_t;
use super::token::gwa_token_t;

/// Called exactly once with the user_data of a registration, after the last call of its callback: when the
/// configuration and all clients made from it have let go of it (they are gone, or the callback was replaced or
/// unregistered); before the registering call returns if that fails. On any thread; no lock of the library is held. It
/// may call the library (what would wait for a thread of the client is refused or deferred), and should not block.
/// NULL: nothing is called.
pub type gwa_release_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A message arrived. On gwa-dispatch (delivery = inline: on gwa-socket; poll: in gwa_client_next_event()). `message` lives for
/// the call; gwa_event_clone() keeps it. It may block: messages then wait in the queue, and reading stops when that is full
/// (inline: reading stops at once). It may call the library as each function's "Callback" says. NULL: messages are
/// counted and go nowhere (poll: come as events all the same).
pub type gwa_message_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, message: *const gwa_event_t)>;

/// An audit record, or for gwa_config_on_siem() a SIEM event. On gwa-dispatch (delivery = poll: in
/// gwa_client_next_event()), in order; for each record the audit callback first. Returns 0, or anything else for "failed":
/// that is counted and logged, and harms nothing. `record` lives for the call; gwa_audit_clone() keeps it. It may
/// block: records then wait in the queue (audit.queue_records), and what does not fit is told to both sinks. It may call
/// the library as each function's "Callback" says.
/// NULL: records are made for the other sink alone, or not delivered (poll: come as events all the same).
pub type gwa_audit_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, record: *const gwa_audit_t) -> i32>;

/// A state change, gap or hand-over: gwa_event_kind() says which. On gwa-dispatch (delivery = poll: in
/// gwa_client_next_event()), in one order with messages. `change` lives for the call; gwa_event_clone() keeps it. It may
/// block, which delays other callbacks. It may call the library as each function's "Callback" says.
/// NULL: not told (poll: comes as an event all the same).
pub type gwa_state_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, change: *const gwa_event_t)>;

/// A new token is in use. On gwa-dispatch (delivery = poll: in gwa_client_next_event()). `token` lives for the call;
/// gwa_token_clone() keeps it. It may block, which delays other callbacks. It may call the library as each function's
/// "Callback" says.
/// NULL: not told (poll: comes as an event all the same).
pub type gwa_token_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: *const gwa_token_t)>;

/// The library asks something: gwa_request_kind() says what. On gwa-dispatch (delivery = poll: in
/// gwa_client_next_event()). `request` is the application's from here on: it is answered by gwa_request_complete() or
/// gwa_request_fail(), now or later, from any thread, or freed by gwa_request_free(). It may block, which delays other
/// callbacks. It may call the library as each function's "Callback" says.
/// NULL: nobody answers, so nothing is asked (poll: comes as an event all the same).
pub type gwa_ask_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, request: *mut gwa_request_t)>;

/// How the message with the id gwa_client_send() gave ended: GWA_OK when its last byte was handed to the kernel, else
/// why it was returned unsent. On gwa-dispatch (delivery = poll: in gwa_client_next_event()). It may block, which delays
/// other callbacks. It may call the library as each function's "Callback" says.
/// NULL: not told (poll: comes as an event all the same).
pub type gwa_sent_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, id: u64, outcome: gwa_status_t)>;

/// A line of log: level from GWA_LOG_ERROR (1) to GWA_LOG_TRACE (5), part of the library, text without line end.
/// Never a secret. On gwa-dispatch (delivery = poll: in gwa_client_next_event()). The texts live for the call. It may
/// block, which delays other callbacks. It may call the library as each function's "Callback" says.
/// NULL: silent.
pub type gwa_log_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, target: *const c_char, text: *const c_char)>;

/// For gwa_thread_fn: the thread begins. Nothing but the blocking of signals comes before.
pub const GWA_THREAD_STARTED: i32 = 1;
/// For gwa_thread_fn: the thread ends. Nothing of the library's or the application's comes after.
pub const GWA_THREAD_ENDING: i32 = 2;

/// For gwa_thread_fn: makes token requests.
pub const GWA_THREAD_REFRESH: i32 = 1;
/// For gwa_thread_fn: reads and writes the socket; with delivery = inline it calls on_message.
pub const GWA_THREAD_SOCKET: i32 = 2;
/// For gwa_thread_fn: calls all other callbacks; there is none with delivery = poll.
pub const GWA_THREAD_DISPATCH: i32 = 3;

/// A thread of the client begins or ends: `moment` is GWA_THREAD_STARTED or GWA_THREAD_ENDING, `thread` one of
/// GWA_THREAD_REFRESH, GWA_THREAD_SOCKET, GWA_THREAD_DISPATCH, `name` what the system calls it, e.g. "gwa-socket". On that
/// thread, first and last of all that runs there, so on several threads at once; signals are blocked already. Made for
/// affinity, priority, attaching to a virtual machine. Each thread that tells its beginning tells its end, also after a
/// panic, and for every start of the client (a connect that fails ends the threads). `name` lives as long as the
/// library. It may block, which delays that thread: a renewal, the socket, other callbacks, or the end of a shutdown. It
/// may call the library as each function's "Callback" says; what waits for a thread of the client is refused. Threads that
/// only look up names (gwa-resolve) belong to no client and are not told.
/// NULL: not told.
pub type gwa_thread_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, moment: i32, thread: i32, name: *const c_char)>;

/// The application's pointer: passed back, never looked at.
#[derive(Clone, Copy)]
struct UserData(*mut c_void);

// SAFETY: the library only hands the pointer back; that callbacks run on the library's threads is part of
// their contract, so what it points to is fit for that.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// One registration's user data; releases it when dropped.
pub(super) struct Registration {
    data: UserData,
    release: gwa_release_fn,
}

impl Registration {
    /// From here on `release` is called exactly once, whatever becomes of the registration.
    pub(super) fn new(user_data: *mut c_void, release: gwa_release_fn) -> Self {
        Self { data: UserData(user_data), release }
    }

    /// Using a method makes a closure capture the whole registration, its release included.
    fn data(&self) -> *mut c_void {
        self.data.0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the caller registered this function for this pointer; nothing else uses it any more.
            unsafe { release(self.data.0) };
        }
    }
}

/// The hook of `on_message`.
pub(super) fn message(function: gwa_message_fn, own: Registration) -> Option<Arc<dyn Fn(Message<'_>) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(Message<'_>) + Send + Sync> {
        Arc::new(move |message| {
            // All of a message is borrowed: there is nothing to drop, and this is the hot path.
            let event = ManuallyDrop::new(gwa_event_t::message(&message));
            // SAFETY: the registered function and its pointer; the event lives until it returns.
            unsafe { function(own.data(), &raw const *event) };
        })
    })
}

/// A hook of one of the two sinks.
pub(super) type Sink = Arc<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync>;

/// The hook of `on_audit`, or of `on_siem`.
pub(super) fn sink(function: gwa_audit_fn, own: Registration, siem: bool) -> Option<Sink> {
    function.map(|function| -> Sink {
        Arc::new(move |view| {
            let record = gwa_audit_t::lent(&view, siem);
            // SAFETY: the registered function and its pointer; the record lives until it returns.
            let failed = unsafe { function(own.data(), &raw const record) };
            if failed == 0 {
                Ok(())
            } else {
                Err(HookFailed)
            }
        })
    })
}

/// The hook of `on_state`.
pub(super) fn state(function: gwa_state_fn, own: Registration) -> Option<Arc<dyn Fn(&Notice) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(&Notice) + Send + Sync> {
        Arc::new(move |notice| {
            let event = gwa_event_t::notice(notice);
            // SAFETY: the registered function and its pointer; the event lives until it returns.
            unsafe { function(own.data(), &raw const event) };
        })
    })
}

/// The hook of `on_token`.
pub(super) fn token(function: gwa_token_fn, own: Registration) -> Option<Arc<dyn Fn(&Token) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(&Token) + Send + Sync> {
        Arc::new(move |token| {
            let token = gwa_token_t::new(token);
            // SAFETY: the registered function and its pointer; the token lives until it returns.
            unsafe { function(own.data(), &raw const token) };
        })
    })
}

/// The hook of `on_ask`.
pub(super) fn ask(function: gwa_ask_fn, own: Registration) -> Option<Arc<dyn Fn(Request) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(Request) + Send + Sync> {
        Arc::new(move |request| match handle::put(gwa_request_t::new(request.clone())) {
            // SAFETY: the registered function and its pointer; the handle is the application's from here on.
            Ok(handle) => unsafe { function(own.data(), handle) },
            Err(error) => request.fail(error),
        })
    })
}

/// The hook of `on_sent`.
pub(super) fn sent(function: gwa_sent_fn, own: Registration) -> Option<Arc<dyn Fn(&Sent) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(&Sent) + Send + Sync> {
        Arc::new(move |sent| {
            let outcome = sent.outcome.as_ref().err().map_or(0, |error| error.code().number());
            // SAFETY: the registered function and its pointer.
            unsafe { function(own.data(), sent.id, outcome) };
        })
    })
}

/// The hook of `on_log`.
pub(super) fn log(function: gwa_log_fn, own: Registration) -> Option<Arc<dyn Fn(i32, &str, &str) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(i32, &str, &str) + Send + Sync> {
        Arc::new(move |level, target, text| {
            let (target, text) = (c_line(target), c_line(text));
            // SAFETY: the registered function and its pointer; the texts live until it returns.
            unsafe { function(own.data(), level, target.as_ptr(), text.as_ptr()) };
        })
    })
}

/// The hook of `on_thread`.
pub(super) fn thread(
    function: gwa_thread_fn,
    own: Registration,
) -> Option<Arc<dyn Fn(Moment, ThreadKind) + Send + Sync>> {
    function.map(|function| -> Arc<dyn Fn(Moment, ThreadKind) + Send + Sync> {
        Arc::new(move |moment, kind| {
            let moment = match moment {
                Moment::Started => GWA_THREAD_STARTED,
                Moment::Ending => GWA_THREAD_ENDING,
            };
            let (thread, name) = match kind {
                ThreadKind::Refresh => (GWA_THREAD_REFRESH, c"gwa-refresh"),
                ThreadKind::Socket => (GWA_THREAD_SOCKET, c"gwa-socket"),
                ThreadKind::Dispatch => (GWA_THREAD_DISPATCH, c"gwa-dispatch"),
            };
            // SAFETY: the registered function and its pointer; the name is a literal.
            unsafe { function(own.data(), moment, thread, name.as_ptr()) };
        })
    })
}

/// A line as C reads it: up to the first NUL, if there is one.
fn c_line(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}
