use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use super::*;
use crate::config::Settings;
use crate::secret::Secret;
use crate::shell::testing::{logged, plain, read_until, secure, serve, serve_tls, start_log, Authority, Side};

const FORM: &str = "grant_type=client_credentials";

fn request(side: &Side) -> Request {
    Request {
        purpose: Purpose::Token,
        method: Method::Post,
        url: side.net.settings.token_url.clone(),
        authorization: Secret::new("Basic eDp5".into()),
        body: RequestBody::Form(Secret::new(FORM.into())),
        timeout_ms: 10_000,
    }
}

fn post(side: &mut Side, request: &Request) -> Result<Reply, Error> {
    let cancel = Cancel::new(side.waiter.bell());
    Http::new(&side.net).send(request, &cancel, &mut side.waiter, &side.clock)
}

fn ask(side: &mut Side) -> Result<Reply, Error> {
    let request = request(side);
    post(side, &request)
}

/// A server that answers every request so.
fn answering(answer: &'static str) -> SocketAddr {
    serve(move |mut peer| {
        read_until(&mut peer, FORM.as_bytes());
        let _ = peer.write_all(answer.as_bytes());
    })
}

fn outcome(answer: &'static str) -> Result<Reply, Error> {
    ask(&mut Side::new(Settings { max_response_bytes: 10, ..plain(answering(answer)) }))
}

#[test]
fn a_form_is_posted_and_the_answer_comes_back_whole() {
    let (sender, said) = channel();
    let address = serve(move |mut peer| {
        sender.send(String::from_utf8(read_until(&mut peer, FORM.as_bytes())).unwrap()).unwrap();
        let head = "HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nININ-Correlation-Id: c-1\r\nDate: today\r\n";
        peer.write_all(format!("{head}Content-Length: 2\r\n\r\n{{}}").as_bytes()).unwrap();
    });
    let mut side = Side::new(plain(address));
    let reply = ask(&mut side).unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (429, &b"{}"[..]));
    assert_eq!(reply.retry_after.as_deref(), Some("3"));
    assert_eq!(reply.correlation_id.as_deref(), Some("c-1"));
    assert_eq!(reply.date.as_deref(), Some("today"));
    let said = said.recv().unwrap().to_lowercase();
    assert!(said.starts_with("post /oauth/token http/1.1\r\n"), "{said}");
    for line in [
        format!("host: {address}"),
        "authorization: basic edp5".into(),
        "accept: application/json".into(),
        "content-type: application/x-www-form-urlencoded".into(),
        format!("user-agent: {}", side.net.settings.user_agent),
        format!("content-length: {}", FORM.len()),
    ] {
        assert_eq!(said.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {said}");
    }
}

#[test]
fn every_framing_is_understood() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabc",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        assert_eq!(outcome(answer).map(|reply| reply.body), Ok(b"abc".to_vec()), "{answer}");
    }
    assert_eq!(outcome("HTTP/1.1 204 No Content\r\n\r\n").map(|reply| reply.body), Ok(vec![]));
}

#[test]
fn wrong_answers_are_told_apart() {
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890", Code::ResponseTooLarge),
        ("HTTP/1.1 200 OK\r\n\r\n01234567890", Code::ResponseTooLarge),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Code::HttpProtocol),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Code::HttpProtocol),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", Code::HttpProtocol),
        ("HTTP/1.1 200", Code::HttpProtocol),
        ("SSH-2.0-OpenSSH\r\n\r\n", Code::HttpProtocol),
        ("", Code::HttpProtocol),
        ("HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\n\r\n", Code::Redirect),
        ("HTTP/1.1 307 Moved\r\nLocation: /x\r\nContent-Length: 1\r\n\r\nx", Code::Redirect),
    ] {
        let error = outcome(answer).unwrap_err();
        assert_eq!(error.code(), code, "{answer}: {error}");
        assert!(!error.detail().host.is_empty());
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let address = serve(|mut peer| {
        read_until(&mut peer, FORM.as_bytes());
        let _ = peer.write_all(format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(1 << 20)).as_bytes());
    });
    let mut side = Side::new(plain(address));
    assert_eq!(ask(&mut side).unwrap_err().code(), Code::HttpProtocol);
}

#[test]
fn credentials_that_would_break_the_head_are_refused() {
    let mut side = Side::new(plain(answering("")));
    let request = Request { authorization: Secret::new("Basic x\r\nHost: y".into()), ..request(&side) };
    assert_eq!(post(&mut side, &request).unwrap_err().code(), Code::BadValue);
    let mut side = Side::new(Settings { user_agent: "a\r\nb".into(), ..plain(answering("")) });
    assert_eq!(ask(&mut side).unwrap_err().code(), Code::BadValue);
}

#[test]
fn tls_carries_it_too() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(&["localhost"], 2100), |mut peer| {
        read_until(&mut peer, FORM.as_bytes());
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").unwrap();
        peer.write_all(&[b'x'; 5000]).unwrap();
    });
    let mut side = Side::new(secure(address, &authority));
    assert_eq!(ask(&mut side).unwrap().body, [b'x'; 5000]);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let silent = serve(|mut peer| drop(read_until(&mut peer, b"never")));
    let mut side = Side::new(plain(silent));
    let request = Request { timeout_ms: 20, ..request(&side) };
    assert_eq!(post(&mut side, &request).unwrap_err().code(), Code::HttpTimeout);
}

#[test]
fn a_refused_connection_is_an_error_and_the_wait_comes_back() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut side = Side::new(plain(address));
    assert_eq!(ask(&mut side).unwrap_err().code(), Code::Connect);
    assert!(side.waiter.wait(Some(0), side.clock.now()).unwrap().deadline);
}

/// Cancels a request to `settings` once the server has seen it come so far.
fn cancelled(make: impl FnOnce(std::sync::mpsc::Sender<TcpStream>) -> Settings) {
    let (sender, reached) = channel();
    let mut side = Side::new(make(sender));
    let cancel = Cancel::new(side.waiter.bell());
    let canceller = thread::spawn({
        let cancel = cancel.clone();
        move || {
            let held = reached.recv().unwrap();
            cancel.cancel();
            held
        }
    });
    let error = Http::new(&side.net).send(&request(&side), &cancel, &mut side.waiter, &side.clock).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    assert!(side.waiter.wait(Some(0), side.clock.now()).unwrap().bell, "the bell must ring again");
    canceller.join().unwrap();
}

#[test]
fn a_cancelled_request_ends_at_once() {
    cancelled(|reached| {
        plain(serve(move |mut peer| {
            read_until(&mut peer, FORM.as_bytes());
            reached.send(peer).unwrap();
        }))
    });
    // In the TLS handshake.
    cancelled(|reached| secure(serve(move |peer| reached.send(peer).unwrap()), &Authority::new()));
    // In the body.
    cancelled(|reached| {
        plain(serve(move |mut peer| {
            read_until(&mut peer, FORM.as_bytes());
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap();
            reached.send(peer).unwrap();
        }))
    });
}

#[test]
fn no_secret_is_logged_at_any_level() {
    start_log();
    let address = serve(|mut peer| {
        read_until(&mut peer, b"&end");
        let body = "TOKENX".repeat(20);
        peer.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    });
    let mut side = Side::new(plain(address));
    let request = Request {
        authorization: Secret::new("BASICX".repeat(20)),
        body: RequestBody::Form(Secret::new(format!("{}&end", "FORMXX".repeat(20)))),
        url: format!("http://{address}/channels/{}?x", "PATHXX".repeat(20)),
        ..request(&side)
    };
    assert_eq!(post(&mut side, &request).unwrap().body.len(), 120);
    // ureq logs rows of 16 characters: a secret of repeated six would show whole.
    let log = logged();
    assert!(log.contains(&format!("http://{address}")), "the log is collected");
    for secret in ["TOKENX", "BASICX", "FORMXX", "PATHXX"] {
        assert!(!log.contains(secret), "{secret}");
    }
}
