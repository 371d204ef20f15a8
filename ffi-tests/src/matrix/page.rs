//! `include/doc/callback-safety.md`.

use std::fmt::Write as _;

use super::{InCallback, Row, COLUMNS};

const HEAD: &str = "\
# Callback safety

What each function does when it is called from inside a callback of the same client. Made from
`ffi-tests/matrix/functions.txt`, which agrees with the `Callback` tags of the header and is executed: every function
is called from every callback, with every delivery (`cargo test -p ffi-tests --test matrices`). Do not edit.

* **yes**: allowed; it does what it does elsewhere. No lock of the library is held while a callback runs.
* **deferred**: returns `GWA_DEFERRED` at once; the rest is done when the callback has returned.
  (`gwa_client_unregister` is deferred in the callback it takes away, too.)
* **REENTRANT**: refused with `GWA_E_REENTRANT`: it would wait for the callback it is called from.
* **poll: REENTRANT**: so with `delivery = poll`; with another delivery the call is `GWA_E_BAD_STATE` everywhere.

A callback of *another* client is a thread like any other: there everything is allowed. A release function counts as
outside, on whichever thread it runs. A call that is allowed may still wait (`Blocking` in the header), and then delays
the callbacks behind it.
";

/// The page, from the rows.
pub fn page(rows: &[Row]) -> String {
    let mut text = String::from(HEAD);
    let mut group = "";
    for row in rows {
        let name = row.function.name.as_str();
        if group_of(name) != group {
            group = group_of(name);
            _ = write!(text, "\n## {group}\n\n| Function | {} |\n|---|", COLUMNS.join(" | "));
            text.push_str(&"---|".repeat(COLUMNS.len()));
            text.push('\n');
        }
        _ = write!(text, "| `{name}` |");
        for column in COLUMNS {
            _ = write!(text, " {} |", word(row.in_callback, column));
        }
        text.push('\n');
    }
    text
}

fn word(in_callback: InCallback, column: &str) -> &'static str {
    match in_callback {
        _ if column == "release" => "yes",
        InCallback::DeferredInThread if column == "thread" => "deferred",
        InCallback::Allowed | InCallback::DeferredInThread => "yes",
        InCallback::Deferred => "deferred",
        InCallback::Reentrant => "REENTRANT",
        InCallback::ReentrantInPoll => "poll: REENTRANT",
    }
}

/// The object a function is about.
fn group_of(name: &str) -> &'static str {
    let objects = ["client", "config", "request", "event", "audit", "token", "error", "text"];
    let object = name.split('_').nth(1).unwrap_or_default();
    let known = objects.into_iter().find(|known| *known == object);
    known.unwrap_or("others")
}
