//! nginx terminates TLS before Node's `ws`: the token endpoint and the socket behind one real reverse proxy.

use genesys_ws_auth::event::MessageKind;
use genesys_ws_auth::{Code, Error};
use serde_json::json;

use super::client::{count, App};
use super::daemon::{Extra, Nginx};
use super::harness::{available_with, Env, Peer, Server};
use super::runtimes::{part, sent};

/// Node's server without TLS, nginx before it, and where a client finds it.
struct Rig {
    server: Server,
    nginx: Nginx,
    env: Env,
}

impl Rig {
    /// `None` where a part is missing.
    fn start(test: &str, args: &[&str], extra: Extra) -> Option<Self> {
        if !available_with(&format!("nginx::{test}"), &[Peer::Node], &["nginx", "openssl"]) {
            return None;
        }
        let server = Server::start(Peer::Node, &[args, &["--plain", "--limit", "300"]].concat());
        let nginx = Nginx::start(&server.env, extra);
        let env = nginx.env(&server.env);
        Some(Self { server, nginx, env })
    }
}

const NOTHING: Extra = Extra { main: "", listen: "", server: "", location: "" };

#[test]
fn messages_both_ways_and_renewals_in_band() {
    let args = ["--expires", "3", "--grace", "1", "--pump", "10", "--count", "500", "--echo"];
    let Some(mut rig) = Rig::start("messages_both_ways_and_renewals_in_band", &args, NOTHING) else { return };
    let mut app = App::connected(&rig.env, &[]);
    let large = "x".repeat(200_000);
    app.send(MessageKind::Text, "{\"note\":\"\u{fc}\"}".as_bytes());
    app.send(MessageKind::Binary, large.as_bytes());
    app.wait_for("message 1 text {\"note\":\"\u{fc}\"}");
    let echoed = app.wait_for("message 1 binary x");
    assert_eq!(echoed.len(), "message 1 binary ".len() + large.len());
    // The last one, on the connection of the first.
    app.wait_for("message 1 binary {\"type\":\"event\",\"connection\":1,\"seq\":499}");
    let metrics = app.metrics();
    let lines = app.close();
    assert_eq!((metrics.connects, metrics.gaps, count(&lines, "sent 1 ok"), count(&lines, "sent 2 ok")), (1, 0, 1, 1));
    assert!(metrics.renewals >= 1, "{metrics:?}");
    rig.server.wait_for("CLOSED 1 1000");
    let counted = rig.server.stop();
    let expected = json!({"connects": 1, "auths": 1, "refusals": 0});
    assert_eq!(part(&counted, &expected), expected);
    assert!(counted["reauths"].as_u64() >= Some(metrics.renewals));
}

#[test]
fn a_second_socket_takes_over_where_the_server_cannot_renew() {
    let args = ["--expires", "3", "--reauth", "refuse", "--pump", "10"];
    let Some(rig) = Rig::start("a_second_socket_takes_over_where_the_server_cannot_renew", &args, NOTHING) else {
        return;
    };
    let mut app = App::connected(&rig.env, &[]);
    app.wait_for("handover 1 2");
    app.wait_for("handover 2 3");
    app.wait_for("message 3 ");
    let metrics = app.metrics();
    let lines = app.close();
    assert_eq!((metrics.gaps, count(&lines, "gap")), (0, 0), "{metrics:?}");
    let counted = rig.server.stop();
    assert_eq!(counted["reauths"], 0);
    assert!(counted["auths"].as_u64() >= Some(3), "{counted}");
    // Those that were left were read to their ends; what the last one sent while it was being closed is its own affair.
    let left = counted["connections"].as_array().into_iter().flatten().filter(|c| c["id"].as_u64() < Some(3));
    let left: u64 = left.filter_map(|connection| connection["sent"].as_u64()).sum();
    let received = (count(&lines, "message 1 ") + count(&lines, "message 2 ")) as u64;
    assert_eq!(received, left, "{counted}");
}

#[test]
fn a_reload_keeps_the_connection() {
    let args = ["--pump", "20", "--payload", "text"];
    let Some(mut rig) = Rig::start("a_reload_keeps_the_connection", &args, NOTHING) else { return };
    let mut app = App::connected(&rig.env, &[]);
    app.wait_for("message 1 ");
    rig.nginx.reload();
    // The old worker serves on: a hundred more by the same connection, then the farewell through it.
    for _ in 0..100 {
        app.wait_for("message 1 ");
    }
    assert_eq!((app.metrics().connects, app.metrics().gaps), (1, 0));
    app.close();
    rig.server.wait_for("CLOSED 1 1000");
}

#[test]
fn a_reload_that_ends_the_old_worker_is_a_gap() {
    let args = ["--pump", "20", "--payload", "text"];
    let extra = Extra { main: "worker_shutdown_timeout 1s;", ..NOTHING };
    let Some(mut rig) = Rig::start("a_reload_that_ends_the_old_worker_is_a_gap", &args, extra) else { return };
    let mut app = App::connected(&rig.env, &[]);
    rig.nginx.reload();
    app.wait_for("gap begins");
    app.wait_for("gap ends");
    app.wait_for("message 2 ");
    assert_eq!(app.metrics().token_requests, 1, "the token is good yet");
    app.close();
}

#[test]
fn nginx_stops_and_comes_back() {
    let args = ["--pump", "20", "--payload", "text"];
    let Some(mut rig) = Rig::start("nginx_stops_and_comes_back", &args, NOTHING) else { return };
    let mut app = App::connected(&rig.env, &[]);
    app.wait_for("message 1 ");
    rig.nginx.down();
    app.wait_for("gap begins");
    // Nobody listens: at least one attempt is refused.
    let refused = app.wait_for("state Reconnecting");
    app.wait_for("state Reconnecting");
    rig.nginx.up();
    app.wait_for("gap ends");
    // Attempts that failed were numbered too.
    app.wait_for("message ");
    let metrics = app.metrics();
    assert_eq!((metrics.connects, metrics.drops, metrics.gaps), (2, 1, 1), "{refused}");
    app.close();
}

#[test]
fn pings_keep_nginx_from_giving_up_a_silent_connection() {
    // nginx gives up after 2 s without a byte from the server, which has nothing to say for 7 s.
    let args = ["--pump", "7000", "--payload", "text"];
    let extra = Extra { location: "proxy_read_timeout 2s; proxy_send_timeout 2s;", ..NOTHING };
    let Some(rig) = Rig::start("pings_keep_nginx_from_giving_up_a_silent_connection", &args, extra) else { return };
    let mut app = App::connected(&rig.env, &[("ws.ping_after_ms", "500")]);
    app.wait_for("message 1 ");
    assert_eq!((app.metrics().connects, app.metrics().gaps), (1, 0));
    app.close();
}

#[test]
fn a_connection_that_nginx_gives_up_is_replaced() {
    let extra = Extra { location: "proxy_read_timeout 1s;", ..NOTHING };
    let Some(rig) = Rig::start("a_connection_that_nginx_gives_up_is_replaced", &[], extra) else { return };
    // No ping for 25 s, the default.
    let mut app = App::connected(&rig.env, &[]);
    for _ in 0..2 {
        app.wait_for("gap begins");
        app.wait_for("gap ends");
    }
    assert!(app.metrics().connects >= 3 && app.metrics().token_requests == 1, "{:?}", app.metrics());
    app.close();
}

/// What `connect` fails with when nginx answers the upgrade itself.
fn refused(test: &str, extra: Extra) -> Option<Error> {
    let rig = Rig::start(test, &[], extra)?;
    let app = App::new(&rig.env, &[("token.attempts", "1")]);
    let error = app.refused();
    app.close();
    Some(error)
}

#[test]
fn an_upgrade_that_nginx_refuses_says_when_to_come_back() {
    let server = "location = /ws { add_header Retry-After 7 always; return 503; }";
    let extra = Extra { server, ..NOTHING };
    let Some(error) = refused("an_upgrade_that_nginx_refuses_says_when_to_come_back", extra) else { return };
    let detail = error.detail();
    let seen = (error.code(), detail.http_status, error.retry_after_ms());
    assert_eq!(seen, (Code::UpgradeRefused, 503, Some(7_000)), "{error}");
}

#[test]
fn an_upgrade_is_never_redirected() {
    let server = "location = /ws { return 301 https://localhost/elsewhere; }";
    let Some(error) = refused("an_upgrade_is_never_redirected", Extra { server, ..NOTHING }) else { return };
    let seen = (error.code(), error.detail().http_status, error.is_retriable());
    assert_eq!(seen, (Code::UpgradeRefused, 301, false), "{error}");
}

#[test]
fn a_token_request_is_never_redirected() {
    let server = "location = /oauth/token { return 307 https://localhost/elsewhere; }";
    let Some(error) = refused("a_token_request_is_never_redirected", Extra { server, ..NOTHING }) else { return };
    assert_eq!((error.code(), error.detail().http_status, error.is_retriable()), (Code::Redirect, 307, false));
}

#[test]
fn a_running_client_waits_out_what_nginx_asks_for() {
    let server = "location = /ws { add_header Retry-After 2 always; return 503; }";
    let args = ["--pump", "20"];
    let extra = Extra { server, ..NOTHING };
    let Some(mut rig) = Rig::start("a_running_client_waits_out_what_nginx_asks_for", &args, extra) else { return };
    let mut app = App::new(&rig.env, &[]);
    app.start();
    app.wait_for("state Reconnecting (connect failed) upgrade");
    rig.nginx.configure(NOTHING);
    rig.nginx.reload();
    app.wait_for("state Ready");
    app.wait_for("message ");
    assert_eq!(app.metrics().token_requests, 1);
    app.close();
}

#[test]
fn a_server_that_would_rather_speak_http_2_speaks_http_1_1_with_us() {
    let extra = Extra { listen: "http2", ..NOTHING };
    let args = ["--pump", "20", "--count", "20"];
    let Some(rig) = Rig::start("a_server_that_would_rather_speak_http_2", &args, extra) else { return };
    let mut app = App::connected(&rig.env, &[]);
    app.wait_for("message 1 binary {\"type\":\"event\",\"connection\":1,\"seq\":19}");
    app.close();
    assert_eq!(sent(&rig.server.stop()), 20);
}

#[test]
fn each_version_of_tls_alone() {
    for (name, server) in
        [("1.2", "ssl_protocols TLSv1.2; ssl_session_cache shared:S:1m;"), ("1.3", "ssl_protocols TLSv1.3;")]
    {
        let args = ["--pump", "20", "--count", "20"];
        let Some(rig) = Rig::start(&format!("each_version_of_tls_alone ({name})"), &args, Extra { server, ..NOTHING })
        else {
            return;
        };
        let mut app = App::connected(&rig.env, &[]);
        app.wait_for("message 1 binary {\"type\":\"event\",\"connection\":1,\"seq\":19}");
        app.close();
    }
}

#[test]
fn large_headers_both_ways() {
    // Twelve headers of 2,000 bytes in the answer to the upgrade; three of 4,000 in the request, which nginx takes unasked.
    let server = "set $kb 0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghij;
        set $two '';
        if ($uri = /ws) { set $two $kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb$kb; }";
    let location = "add_header X-A $two always; add_header X-B $two always; add_header X-C $two always;
        add_header X-D $two always; add_header X-E $two always; add_header X-F $two always;
        add_header X-G $two always; add_header X-H $two always; add_header X-I $two always;
        add_header X-J $two always; add_header X-K $two always; add_header X-L $two always;";
    let extra = Extra { server, location, ..NOTHING };
    let args = ["--pump", "20", "--count", "20", "--keep-refresh-token"];
    let Some(mut rig) = Rig::start("large_headers_both_ways", &args, extra) else { return };
    let large = "h".repeat(4_000);
    let keys = ["ws.header.X-A", "ws.header.X-B", "ws.header.X-C"].map(|key| (key, large.as_str()));
    let mut app = App::connected(&rig.env, &keys);
    app.wait_for("message 1 binary {\"type\":\"event\",\"connection\":1,\"seq\":19}");
    app.close();
    // An nginx that takes less.
    rig.nginx.configure(Extra { server: "large_client_header_buffers 4 2k;", ..NOTHING });
    rig.nginx.reload();
    let app = App::new(&rig.env, &[&keys[..], &[("token.attempts", "1")]].concat());
    let error = app.refused();
    assert_eq!((error.code(), error.detail().http_status), (Code::UpgradeRefused, 400), "{error}");
    app.close();
}
