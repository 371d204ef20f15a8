//! What happened, as JSON and in words.

use ffi_tests::sim::{Connection, End, Log};
use serde_json::{json, Value};

/// The JSON summary.
pub fn json(log: &Log) -> Value {
    let connections = log.connections.iter().enumerate();
    let forced = log.connections.iter().filter(|c| c.is_forced());
    json!({
        "messages_sent": log.messages_sent(),
        "messages_sent_on_forced_drops": forced.map(|c| c.sent.messages).sum::<u64>(),
        "token_requests": log.token_requests(),
        "connects": log.ws_connects(),
        "auths": log.auths(),
        "reauths": log.reauths(),
        "auths_refused": log.auths.iter().filter(|auth| auth.accepted == Some(false)).count(),
        "forced_drops": log.forced_drops(),
        "messages_received": log.received_total,
        "channels": log.channels_made(),
        "evictions": log.evictions(),
        "events": log.emitted_total,
        "most_sockets": log.most_sockets(),
        "connections": connections.map(|(index, c)| connection(index, c)).collect::<Vec<_>>(),
    })
}

fn connection(index: usize, connection: &Connection) -> Value {
    let end = connection.end.as_ref();
    json!({
        "index": index,
        "messages_sent": connection.sent.messages,
        "binary_sent": connection.sent.binary,
        "seqs": connection.sent.ranges.iter().map(|(from, to)| json!([from, to])).collect::<Vec<_>>(),
        "auths_accepted": connection.accepted,
        "heartbeats": connection.heartbeats,
        "opened_ms": connection.at.as_millis() as u64,
        "ended_ms": end.map(|(at, _)| at.as_millis() as u64),
        "end": end.map_or("alive".to_owned(), |(_, end)| in_words(end)),
        "forced": connection.is_forced(),
    })
}

/// The summary for people.
pub fn words(log: &Log) -> String {
    let mut out = format!(
        "simulator: {} token requests, {} connects, {} first authentications, {} renewals, {} forced drops\n",
        log.token_requests(),
        log.ws_connects(),
        log.auths(),
        log.reauths(),
        log.forced_drops()
    );
    if log.channels_made() > 0 {
        let (made, evicted, events) = (log.channels_made(), log.evictions(), log.emitted_total);
        out += &format!("simulator: {made} channels, {evicted} of them evicted, {events} events\n");
    }
    for (index, c) in log.connections.iter().enumerate() {
        let end = c.end.as_ref().map_or("alive".to_owned(), |(_, end)| in_words(end));
        let (sent, oks) = (c.sent.messages, c.accepted);
        out += &format!("simulator: connection {index}: {sent} messages sent, {oks} auth accepted, {end}\n");
    }
    out
}

fn in_words(end: &End) -> String {
    match end {
        End::ClientClosed(code) => format!("closed by the client with {code}"),
        End::ClientGone => "left by the client without a close frame".to_owned(),
        End::ClientFault(what) => format!("ended for a client's fault: {what}"),
        End::ServerClosed(code) => format!("closed by the server with {code}"),
        End::Dropped => "dropped by the script".to_owned(),
        End::Reset => "reset by the script".to_owned(),
        End::Stopped => "alive until the simulator stopped".to_owned(),
    }
}
