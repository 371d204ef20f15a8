//! What is done with bytes from outside, each with laws that hold whatever the bytes are. No part of a release: only
//! fuzzers (`ffi-tests/fuzz`) and unit tests see it.
//!
//! A target panics when a law is broken; what it is given decides everything it does.

mod audit;
mod said;
mod server;
mod signed;

#[cfg(test)]
mod tests;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, under the name of its program and its corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("audit_formats", audit::formats),
    ("audit_native", audit::native),
    ("auth_reply", server::auth_reply),
    ("claims", signed::claims),
    ("frames", server::frames),
    ("introspection", server::introspection),
    ("jwks", signed::jwks),
    ("jws", signed::jws),
    ("token_response", server::token_response),
];

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(own, _)| *own == name);
    target.unwrap_or_else(|| panic!("no target {name}")).1(data);
}

/// Cuts after the first line; what has but one line has an empty rest.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}

/// The first line as text.
fn text_line(data: &[u8]) -> (String, &[u8]) {
    let (line, rest) = line(data);
    (String::from_utf8_lossy(line).into_owned(), rest)
}
