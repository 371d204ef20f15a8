//! Against plain sockets: what they write lies in the kernel when the listener is advanced, so one thread does for both.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::shell::clock::Clock;
use crate::sys::Descriptors;

struct Rig {
    clock: Clock,
    waiter: Waiter,
    redirect: Redirect,
    /// The queries that were judged.
    judged: Vec<String>,
    address: SocketAddr,
}

impl Rig {
    fn new(uri: &str) -> Self {
        let clock = Clock::new();
        let waiter = Waiter::new(&clock).unwrap();
        let redirect = Redirect::open(Place::of(uri).unwrap(), &waiter).unwrap();
        let address = redirect.place.authority().parse().unwrap();
        Self { clock, waiter, redirect, judged: Vec::new(), address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// A client that has sent this head, with the right `Host`.
    fn ask(&self, line: &str) -> TcpStream {
        let mut client = self.connect();
        write!(client, "{line} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).unwrap();
        client
    }

    /// Advances at this time; a state of `right` is taken, of `no` a refusal.
    fn advance_at(&mut self, boot_ms: u64) {
        let judged = &mut self.judged;
        self.redirect.advance(Now { boot_ms, ..Now::default() }, &self.waiter, |query| {
            judged.push(query.to_owned());
            match query {
                "state=right" => Page::Taken,
                "state=no" => Page::Denied,
                _ => Page::NotOurs,
            }
        });
    }

    /// Advances at this time until it is so.
    fn advance_until(&mut self, boot_ms: u64, is_so: impl Fn(&Redirect) -> bool) {
        let end = self.clock.now().boot_ms + 30_000;
        loop {
            self.advance_at(boot_ms);
            if is_so(&self.redirect) {
                return;
            }
            assert!(self.clock.now().boot_ms < end, "it never is");
            self.waiter.wait(Some(self.clock.now().boot_ms + 20), self.clock.now()).unwrap();
        }
    }

    /// Waits for news of sockets, and advances, until this client has its whole answer.
    fn answer(&mut self, mut client: TcpStream) -> String {
        client.set_nonblocking(true).unwrap();
        let mut text = Vec::new();
        let end = self.clock.now().boot_ms + 30_000;
        loop {
            self.advance_at(0);
            match client.read_to_end(&mut text) {
                Ok(_) => return String::from_utf8(text).unwrap(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
            assert!(self.clock.now().boot_ms < end, "no answer");
            self.waiter.wait(Some(self.clock.now().boot_ms + 20), self.clock.now()).unwrap();
        }
    }

    fn is_refused(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }
}

#[test]
fn the_redirect_is_answered_and_ends_the_listening() {
    for uri in ["http://127.0.0.1:0/cb", "http://[::1]/cb"] {
        let mut rig = Rig::new(uri);
        assert_ne!(rig.address.port(), 0);
        assert_eq!(rig.redirect.uri(), format!("http://{}/cb", rig.address));
        let answer = rig.answer(rig.ask("GET /cb?state=right"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("right"), "{answer}");
        assert_eq!(rig.judged, ["state=right"]);
        assert!(rig.is_refused());
        rig.advance_at(PATIENCE_MS + LINGER_MS);
        assert!(rig.redirect.is_over() && rig.redirect.deadline().is_none());
    }
}

#[test]
fn whatever_else_is_asked_leaves_it_open() {
    let mut rig = Rig::new("http://127.0.0.1:0/cb");
    for (line, status) in [
        ("GET /cb?state=wrong", "400"),
        ("GET /cb?state=no", "200"),
        ("GET /favicon.ico", "404"),
        ("POST /cb?state=right", "405"),
    ] {
        let answer = rig.answer(rig.ask(line));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
    assert_eq!(rig.judged, ["state=wrong", "state=no"]);
    let mut client = rig.connect();
    client.write_all(b"GET /cb?state=right HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    assert!(rig.answer(client).starts_with("HTTP/1.1 421 "));
    assert!(rig.answer(rig.ask("GET /cb?state=right")).starts_with("HTTP/1.1 200 "));
}

#[test]
fn one_redirect_is_taken_of_two() {
    let mut rig = Rig::new("http://127.0.0.1:0/cb");
    let (first, second) = (rig.ask("GET /cb?state=right"), rig.ask("GET /cb?state=right"));
    assert!(rig.answer(first).starts_with("HTTP/1.1 200 "));
    assert!(rig.answer(second).starts_with("HTTP/1.1 400 "));
    assert_eq!(rig.judged.len(), 1);
}

#[test]
fn a_request_may_come_in_pieces_and_has_to_end() {
    let mut rig = Rig::new("http://127.0.0.1:0/cb");
    let mut slow = rig.connect();
    rig.advance_until(1, |redirect| redirect.connections.len() == 1);
    for piece in ["GET /cb?sta", "te=right HTTP/1.1\r\n", &format!("Host: {}\r\n", rig.address), "\r"] {
        slow.write_all(piece.as_bytes()).unwrap();
        rig.advance_at(1);
    }
    assert!(rig.judged.is_empty());
    assert_eq!(rig.redirect.deadline(), Some(1 + PATIENCE_MS));
    rig.advance_at(1 + PATIENCE_MS);
    assert!(rig.redirect.connections.is_empty(), "its time is up");
    assert_eq!(rig.redirect.deadline(), None);
    let mut endless = rig.connect();
    let filler = vec![b'a'; HEAD + 1];
    endless.write_all(&filler).unwrap();
    assert!(rig.answer(endless).starts_with("HTTP/1.1 431 "));
    assert!(!rig.is_refused());
}

#[test]
fn silent_connections_keep_nobody_out() {
    let mut rig = Rig::new("http://127.0.0.1:0/cb");
    let silent: Vec<_> = (0..3 * CONNECTIONS).map(|_| rig.connect()).collect();
    rig.advance_until(0, |redirect| redirect.connections.len() == CONNECTIONS);
    assert!(rig.answer(rig.ask("GET /cb?state=right")).starts_with("HTTP/1.1 200 "));
    for mut client in silent {
        // Hung up on: at the end of the question, or for somebody else before.
        assert!(client.read(&mut [0]).map_or(true, |read| read == 0));
    }
}

#[test]
fn a_redirect_is_read_before_those_behind_it_push_it_out() {
    for is_known in [false, true] {
        let mut rig = Rig::new("http://127.0.0.1:0/cb");
        let mut browser = rig.connect();
        if is_known {
            rig.advance_until(0, |redirect| redirect.connections.len() == 1);
        }
        write!(browser, "GET /cb?state=right HTTP/1.1\r\nHost: {}\r\n\r\n", rig.address).unwrap();
        let _silent: Vec<_> = (0..3 * CONNECTIONS).map(|_| rig.connect()).collect();
        assert!(rig.answer(browser).starts_with("HTTP/1.1 200 "), "{is_known}");
        assert_eq!(rig.judged, ["state=right"]);
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let rig = Rig::new("http://127.0.0.1:0/cb");
    let error = Redirect::open(Place::of(&rig.redirect.uri()).unwrap(), &rig.waiter).err().unwrap();
    assert_eq!((error.code(), error.detail().stage), (Code::Internal, Stage::Token));
    assert!(error.to_string().contains(&rig.redirect.uri()) && error.detail().os_errno != 0, "{error}");
}

#[test]
fn it_ends_with_its_question() {
    let mut rig = Rig::new("http://127.0.0.1:0/cb");
    let half = rig.connect();
    rig.advance_at(0);
    rig.redirect.close();
    assert!(rig.redirect.is_over() && rig.is_refused());
    assert!((&half).read(&mut [0]).map_or(true, |read| read == 0));
}

#[test]
fn a_child_can_close_what_it_inherits() {
    let owner = std::sync::Arc::<Descriptors>::default();
    let _entered = Descriptors::enter(Some(std::sync::Arc::clone(&owner)));
    // As in a child, where nothing is dropped.
    let mut rig = mem::ManuallyDrop::new(Rig::new("http://127.0.0.1:0/cb"));
    let mut client = rig.connect();
    rig.advance_until(0, |redirect| redirect.connections.len() == 1);
    owner.close_all();
    assert!(rig.is_refused());
    assert!(client.read(&mut [0]).map_or(true, |read| read == 0));
}
