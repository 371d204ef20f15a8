//! The JSON of the statistics as a JSON Schema (2020-12), from the tables that it is written by.

use super::table::ROWS;
use super::timing::TIMED;
use crate::audit::writer::Object;
use crate::event::State;
use crate::hooks::Callback;

/// Percentiles that are told of every histogram. Of leads the low ones matter: how close it came.
pub(crate) const PERCENTILES: [(&str, u64); 6] =
    [("p1", 1), ("p10", 10), ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)];

/// A member that is a number or a text.
type Plain = (&'static str, &'static str, &'static str);

const QUEUES: [(&str, &str, &[Plain]); 2] = [
    (
        "audit_queue",
        "Records that wait for the audit callbacks.",
        &[("records", "integer", "Now."), ("records_bound", "integer", "At most (audit.queue_records).")],
    ),
    (
        "event_queue",
        "What waits for the other callbacks, or to be polled.",
        &[
            ("events", "integer", "Messages and notices."),
            ("messages", "integer", "Of these, messages."),
            ("bytes", "integer", "What they take."),
            ("messages_bound", "integer", "At most (events.queue_events)."),
            ("bytes_bound", "integer", "At most (events.queue_bytes)."),
        ],
    ),
];

/// Members that are `null` while there is nothing to say.
const PERHAPS: [(&str, &str, &[Plain]); 5] = [
    (
        "running_callback",
        "The callback that is running.",
        &[("name", "string", "Its name."), ("for_ms", "integer", "Since it was called.")],
    ),
    (
        "trust",
        "The trust store; null when nothing uses TLS.",
        &[("store", "string", "Where from."), ("roots", "integer", "How many roots.")],
    ),
    (
        "token_source",
        "The source of tokens, if others may use it too.",
        &[
            ("clients", "integer", "Clients that run on it."),
            ("token_requests", "integer", "Requests for all of them."),
        ],
    ),
    (
        "rate_limit",
        "The API's limit on requests (profile notifications).",
        &[
            ("count", "integer", "Requests counted."),
            ("allowed", "integer", "Requests allowed."),
            ("reset_s", "integer", "Seconds until it starts anew."),
            ("at", "string", "When that was told, UTC."),
        ],
    ),
    (
        "token",
        "The token in use.",
        &[
            ("age_ms", "integer", "Since it was granted."),
            ("renewal_in_ms", "integer", "Until its renewal starts; 0 when it is under way."),
            ("usable_for_ms", "integer", "Until it is presented no more; 0 when that has passed."),
        ],
    ),
];

/// A JSON Schema of what `gwa_client_stats` gives as JSON. Members are only ever added: whoever reads them ignores those
/// that are new.
pub fn schema() -> String {
    let mut out = String::with_capacity(32 << 10);
    let mut root = Object::begin(&mut out);
    root.text("$schema", "https://json-schema.org/draft/2020-12/schema");
    root.text("title", concat!("Statistics of genesys-ws-auth ", env!("CARGO_PKG_VERSION")));
    root.text("$comment", "Numbers have up to 64 bits. Newer versions add members.");
    root.text("type", "object");
    let mut names = Vec::new();
    root.object("properties", |properties| {
        let mut member = |name: &str, fill: &dyn Fn(&mut Object<'_>)| {
            names.push(name.to_owned());
            properties.object(name, |member| fill(member));
        };
        member("state", &|of| {
            of.text("description", "What the client does.");
            of.texts("enum", &State::ALL.iter().map(|state| state.name().to_owned()).collect::<Vec<_>>());
        });
        member("boot_id", &|of| plain(of, "string", "UUID of this client, as in its audit records."));
        member("delivery", &|of| {
            _ = of.texts("enum", &["callbacks", "inline", "poll"].map(str::to_owned)).text("description", "How callbacks run.");
        });
        for row in ROWS {
            member(row.field, &|of| plain(of, "integer", row.help));
        }
        member("success_rate", &|of| percent(of, "Share of attempts that succeeded, in percent; 0 before the first."));
        member("avg_latency_ms", &|of| plain(of, "number", "Mean latency of an attempt; 0 before the first."));
        member("lead_goal_rate", &|of| {
            percent(of, "Service level: share of tokens that were replaced before their goal passed, in percent; 100 before the first.");
        });
        member("latency_ms", &|of| refer(of, "All attempts, from start to accepted or failed."));
        for timed in TIMED {
            member(timed.member, &|of| refer(of, timed.help));
        }
        for (name, help, members) in QUEUES {
            member(name, &|of| object(of, help, members));
        }
        for (name, help, members) in PERHAPS {
            member(name, &|of| perhaps(of, help, members));
        }
        member("server_clock_ahead_ms", &|of| {
            of.texts("type", &["integer", "null"].map(str::to_owned));
            of.text("description", "How far the server's clock is ahead of ours, as its Date header tells.");
        });
        member("network", &network);
        member("callbacks", &callbacks);
    });
    root.texts("required", &names);
    root.object("$defs", |defs| _ = defs.object("durations", durations));
    root.end();
    out
}

fn plain(of: &mut Object<'_>, kind: &str, help: &str) {
    of.text("type", kind).text("description", help);
    if kind != "string" {
        of.plain("minimum", 0);
    }
}

fn percent(of: &mut Object<'_>, help: &str) {
    plain(of, "number", help);
    of.plain("maximum", 100);
}

fn refer(of: &mut Object<'_>, help: &str) {
    of.text("$ref", "#/$defs/durations").text("description", help);
}

fn object(of: &mut Object<'_>, help: &str, members: &[Plain]) {
    of.text("type", "object");
    described(of, help, members);
}

fn perhaps(of: &mut Object<'_>, help: &str, members: &[Plain]) {
    of.texts("type", &["object", "null"].map(str::to_owned));
    described(of, help, members);
}

fn described(of: &mut Object<'_>, help: &str, members: &[Plain]) {
    of.text("description", help);
    of.object("properties", |properties| {
        for (name, kind, help) in members {
            properties.object(name, |member| plain(member, kind, help));
        }
    });
    of.texts("required", &members.iter().map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>());
}

fn durations(of: &mut Object<'_>) {
    of.text("type", "object").text("description", "How long something took, in milliseconds; 0 before the first.");
    of.object("properties", |properties| {
        properties.object("count", |member| plain(member, "integer", "How many."));
        for (name, percent) in PERCENTILES {
            let help = format!("{percent} % stay at or below; at most an eighth too large.");
            properties.object(name, |member| plain(member, "integer", &help));
        }
    });
    let names = std::iter::once("count").chain(PERCENTILES.iter().map(|(name, _)| *name));
    of.texts("required", &names.map(str::to_owned).collect::<Vec<_>>());
}

fn network(of: &mut Object<'_>) {
    let names = ["pins", "client_certificate", "min_tls", "token_proxy", "socket_proxy"];
    of.text("type", "object").text("description", "How the client reaches the network.");
    of.object("properties", |properties| {
        properties.object("pins", |member| plain(member, "integer", "Public-key pins."));
        properties.object("client_certificate", |member| {
            member.text("type", "boolean").text("description", "Whether one is shown to servers that ask.");
        });
        properties.object("min_tls", |member| plain(member, "string", "Oldest version of TLS."));
        for name in ["token_proxy", "socket_proxy"] {
            properties.object(name, |member| {
                member.texts("type", &["string", "null"].map(str::to_owned));
                member.text("description", "Host and port of the proxy on the way.");
            });
        }
    });
    of.texts("required", &names.map(str::to_owned));
}

fn callbacks(of: &mut Object<'_>) {
    let help = "Calls of each function that lasted a millisecond of the clock or longer.";
    let members: [Plain; 3] = [
        ("count", "integer", "How many."),
        ("total_ms", "integer", "All together."),
        ("max_ms", "integer", "The longest."),
    ];
    of.text("type", "object").text("description", help);
    of.object("properties", |properties| {
        for callback in Callback::ALL {
            properties.object(callback.name(), |member| object(member, "One function.", &members));
        }
    });
    of.texts("required", &Callback::ALL.map(|callback| callback.name().to_owned()));
}
