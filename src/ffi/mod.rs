//! The C ABI: every `gwa_` function, and the only place beside `sys` where unsafe code lives.
//!
//! What a C program may rely on is written in `cbindgen.toml` (the head of the header) and at each
//! function; both end up in `include/genesys_ws_auth.h`. How it is kept:
//!
//! * [`handle`] turns objects into tokens and back; a token is looked up, never dereferenced;
//! * [`raw`] and [`text`] hold every conversion of a pointer that C gave us;
//! * [`boundary`] stands inside every function body: it catches panics and hands out errors;
//! * [`callbacks`] turns the triple `(fn, user_data, release)` into the closures of `Hooks`.
//!
//! Functions that dereference nothing but checked handles are safe functions; all others are
//! `unsafe extern "C"`, and their safety contract is the header: pointers are NULL or valid for the
//! call, texts end with NUL, lengths are true, plain objects are not used after their free function.
// The names are those of the C header.
#![allow(non_camel_case_types)]

mod audit;
mod boundary;
mod callbacks;
mod client;
mod config;
mod error;
mod event;
mod event_fields;
mod handle;
mod hooks;
mod live;
mod metrics;
mod raw;
mod report;
mod request;
mod scopes;
mod source;
mod status;
mod text;
mod token;
mod topics;
mod unregister;
mod verify;
mod version;

#[cfg(test)]
mod tests;

#[cfg(not(target_os = "linux"))]
compile_error!("genesys-ws-auth runs on Linux only: eventfd, timerfd and epoll are used directly");

#[cfg(not(target_pointer_width = "64"))]
compile_error!("handles are 64-bit tokens in pointers: only 64-bit platforms are supported");

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must be caught at the C boundary: build with panic = \"unwind\"");
