//! A program on a desktop: a public client, PKCE, and the library's own listener for the redirect (RFC 8252).

use genesys_ws_auth::event::{Question, State};
use genesys_ws_auth::hooks::{Answer, Request};
use genesys_ws_auth::Secret;
use serde_json::Value;

use super::app::{count, provider, url_of, user, App};
use super::harness::{Output, Server};

/// Loopback of version 4 and of version 6; the system says which port.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1:0/callback", "http://[::1]:0/callback"];

fn desktop(redirect_uri: &str) -> [(&str, &str); 5] {
    [
        ("client.id", "pocket"),
        ("client.authentication", "none"),
        ("token.grant", "authorization_code"),
        ("token.redirect_uri", redirect_uri),
        ("token.redirect_listener", "true"),
    ]
}

/// A public client that listens for the redirect itself; it has asked. The question, and where it listens.
#[track_caller]
fn pocket(server: &Server, redirect_uri: &str) -> (App, Request, String) {
    let mut app = App::new(server, &desktop(redirect_uri), "");
    app.client.start().expect("it starts");
    let question = app.question();
    let url = url_of(&question);
    let encoded = url.split('&').find_map(|pair| pair.strip_prefix("redirect_uri=")).expect("a redirect_uri");
    let place = ["%3A", "%2F", "%5B", "%5D"].iter().zip([":", "/", "[", "]"]);
    let place = place.fold(encoded.to_owned(), |text, (from, to)| text.replace(from, to));
    assert!(place.starts_with(redirect_uri.trim_end_matches("0/callback")) && place != redirect_uri, "{place}");
    (app, question, place)
}

/// What a browser shows: status, header fields, text.
#[track_caller]
fn visited(output: &Output) -> (u64, Value, String) {
    let text = output.json("BODY ");
    let status = output.json("STATUS ").as_u64().expect("a status");
    (status, output.json("HEADERS "), text.as_str().unwrap_or_default().to_owned())
}

/// Whether nobody listens there any more.
fn is_closed(place: &str) -> bool {
    let address = place.trim_start_matches("http://").trim_end_matches("/callback");
    std::net::TcpStream::connect(address).is_err()
}

#[test]
fn a_desktop_login_needs_no_answer_of_the_application() {
    let Some(server) = provider("a_desktop_login_needs_no_answer_of_the_application", &["--expires", "5"]) else {
        return;
    };
    for redirect_uri in LOOPBACK {
        let (mut app, question, place) = pocket(&server, redirect_uri);
        let (status, headers, text) = visited(&user(&server, &["login", &url_of(&question), "--visit"]));
        assert_eq!((status, &headers["cache-control"]), (200, &Value::from("no-store")), "{headers}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{headers}");
        assert!(text.contains("close this window") && !text.contains("code="), "{text}");
        app.wait_for("state Ready");
        assert!(is_closed(&place), "{place}");
        // Too late, and nothing comes of it.
        question.complete(Answer::Code(Secret::new("another".into())));
        // A public client's refresh token is rotated as well.
        app.wait_for("persist");
        app.wait_for("persist");
        let lines = app.close();
        assert_eq!(count(&lines, "code"), 1, "{lines:#?}");
    }
}

#[test]
fn nobody_else_can_answer_for_the_browser() {
    let Some(server) = provider("nobody_else_can_answer_for_the_browser", &[]) else { return };
    let (mut app, question, place) = pocket(&server, LOOPBACK[0]);
    let redirect = format!("{place}?code=stolen&state=guessed");
    let elsewhere = format!("{}?code=stolen", place.replace("callback", "elsewhere"));
    let cases: [(&[&str], u64); 6] = [
        (&["get", &redirect], 400),
        (&["get", &format!("{place}?error=access_denied&state=guessed")], 400),
        (&["get", &place], 400),
        (&["get", &redirect, "--host", "evil.example"], 421),
        (&["get", &redirect, "--method", "POST"], 405),
        (&["get", &elsewhere], 404),
    ];
    for (args, wanted) in cases {
        let (status, headers, text) = visited(&user(&server, args));
        assert_eq!(status, wanted, "{args:?}");
        assert_eq!(headers["cache-control"], "no-store", "{args:?}");
        assert!(!text.contains("stolen") && !text.contains("guessed"), "{args:?}: {text}");
    }
    // Whoever connects and says nothing keeps nobody out.
    let address = place.trim_start_matches("http://").trim_end_matches("/callback");
    let silent: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(address).expect("it listens")).collect();
    // Somebody who declines may still think better of it.
    let url = url_of(&question);
    let (status, _, text) = visited(&user(&server, &["login", &url, "--deny", "--visit"]));
    assert_eq!((status, text.contains("refused")), (200, true), "{text}");
    assert_eq!(app.client.metrics().token_requests, 0);
    let (status, ..) = visited(&user(&server, &["login", &url, "--visit"]));
    assert_eq!(status, 200);
    app.wait_for("state Ready");
    drop(silent);
    let lines = app.close();
    assert_eq!(count(&lines, "code"), 1, "{lines:#?}");
}

#[test]
fn the_listener_ends_with_its_question() {
    let Some(server) = provider("the_listener_ends_with_its_question", &[]) else { return };
    // Answered by the application, as if the browser were on another machine.
    let (mut app, question, place) = pocket(&server, LOOPBACK[0]);
    let output = user(&server, &["login", &url_of(&question)]);
    let location = output.stdout.iter().find_map(|line| line.strip_prefix("LOCATION ")).expect("a location");
    let Question::AuthorizationCode(authorization) = &question.question else { panic!("{question:?}") };
    question.complete(Answer::Code(authorization.code_of(location).expect("a code")));
    app.wait_for("state Ready");
    assert!(is_closed(&place));
    app.close();
    // Ended by a shutdown.
    let (app, _, place) = pocket(&server, LOOPBACK[0]);
    assert!(!is_closed(&place));
    app.close();
    assert!(is_closed(&place));
}

#[test]
fn nobody_is_sent_to_a_port_that_is_somebody_elses() {
    let Some(server) = provider("nobody_is_sent_to_a_port_that_is_somebody_elses", &[]) else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let redirect_uri = format!("http://{}/callback", taken.local_addr().expect("its address"));
    let mut app = App::new(&server, &desktop(&redirect_uri), "");
    app.client.start().expect("it starts");
    let record = loop {
        let record = app.wait_for("audit");
        if record.contains(&redirect_uri) {
            break record;
        }
    };
    assert!(record.contains("in use"), "{record}");
    assert_eq!((count(&app.seen, "code"), app.client.state()), (0, State::ReauthRequired), "{:#?}", app.seen);
    // When it is free again, the application says so.
    drop(taken);
    app.client.refresh_now().expect("it runs");
    let question = app.question();
    let (status, ..) = visited(&user(&server, &["login", &url_of(&question), "--visit"]));
    assert_eq!(status, 200);
    app.wait_for("state Ready");
    // That nobody could listen is no request of its own.
    let failures = app.client.metrics().token_failures;
    let refused = app.close().iter().filter(|line| line.contains(r#""event_type":"token_refused""#)).count();
    assert_eq!(failures, refused as u64);
}
