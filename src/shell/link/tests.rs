use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;

use tungstenite::protocol::CloseFrame;
use tungstenite::{accept, Message, WebSocket};

use super::*;
use crate::config::Settings;
use crate::shell::testing::{logged, plain, read_until, secure, serve, serve_tls, start_log, trickle, Authority, Side};

impl Side {
    fn link(&mut self) -> Result<Link, Error> {
        let mut link = Link::dial(7, None, &self.net, &self.waiter, self.clock.now())?;
        loop {
            match link.advance(self.clock.now(), &self.waiter) {
                Opening::Connected => link.upgrade(self.clock.now())?,
                Opening::Open => return Ok(link),
                Opening::Failed(error) => return Err(error),
                Opening::Pending => self.await_news(&mut link),
            }
        }
    }

    fn await_news(&mut self, link: &mut Link) {
        let woken = self.waiter.wait(link.deadline(), self.clock.now()).unwrap();
        woken.sockets().for_each(|ready| assert!(link.on_ready(ready)));
    }

    /// What the next read comes to when it no longer blocks; sends what waits.
    fn next(&mut self, link: &mut Link) -> Seen {
        loop {
            match link.read() {
                ReadOutcome::WouldBlock => {}
                ReadOutcome::Text(text) => return Seen::Text(text.into()),
                ReadOutcome::Binary(bytes) => return Seen::Binary(bytes.into()),
                ReadOutcome::Control => return Seen::Control,
                ReadOutcome::Closed { code, reason } => return Seen::Closed(code, reason),
                ReadOutcome::Ended(error) => return Seen::Ended(error.code()),
            }
            self.await_news(link);
            link.flush().unwrap();
        }
    }

    fn send(&mut self, link: &mut Link, text: &str) {
        let mut flushed = link.send_text(text).unwrap();
        while flushed == Flushed::Pending {
            self.await_news(link);
            flushed = link.flush().unwrap();
        }
    }
}

/// An outcome that owns its message.
#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Control,
    Closed(u16, String),
    Ended(Code),
}

/// A WebSocket server.
fn socket(mut peer: impl FnMut(WebSocket<TcpStream>) + Send + 'static) -> SocketAddr {
    serve(move |stream| peer(accept(stream).unwrap()))
}

/// A server that is done with the upgrade and then sends these bytes.
fn sending(bytes: &'static [u8]) -> SocketAddr {
    socket(move |mut peer| {
        peer.get_mut().write_all(bytes).unwrap();
        while peer.read().is_ok() {}
    })
}

fn text(seen: Seen) -> String {
    match seen {
        Seen::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn first_read(bytes: &'static [u8]) -> Seen {
    let mut side = Side::new(Settings { max_message_bytes: 10, ..plain(sending(bytes)) });
    let mut link = side.link().unwrap();
    side.next(&mut link)
}

fn echo<S: Read + Write>(mut peer: WebSocket<S>) {
    while let Ok(message) = peer.read() {
        if message.is_text() || message.is_binary() {
            peer.send(message).unwrap();
        }
    }
}

#[test]
fn messages_of_all_sizes_come_back() {
    let mut side = Side::new(plain(socket(echo)));
    let mut link = side.link().unwrap();
    assert_eq!((link.epoch(), link.deadline()), (7, None));
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let long = "ä".repeat(size / 2) + &"x".repeat(size % 2);
        side.send(&mut link, &long);
        assert_eq!(link.unflushed(), 0);
        assert!(text(side.next(&mut link)) == long);
    }
    link.send_binary(&[0, 255]).unwrap();
    assert_eq!(side.next(&mut link), Seen::Binary(vec![0, 255]));
    assert!(link.bytes_read() > 1 << 20 && link.bytes_written() > 1 << 20);
}

#[test]
fn tls_carries_it_too() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(&["localhost"], 2100), |stream| echo(accept(stream).unwrap()));
    let mut side = Side::new(secure(address, &authority));
    let mut link = side.link().unwrap();
    for size in [1, 100_000, 1] {
        side.send(&mut link, &"x".repeat(size));
        assert!(text(side.next(&mut link)) == "x".repeat(size));
    }
}

#[test]
fn messages_arrive_a_few_bytes_at_a_time() {
    let mut side = Side::new(plain(trickle(socket(echo), 1)));
    let mut link = side.link().unwrap();
    for size in [1, 200, 20_000] {
        side.send(&mut link, &"x".repeat(size));
        assert!(text(side.next(&mut link)) == "x".repeat(size));
    }
}

#[test]
fn what_the_peer_says_with_the_upgrade_is_read() {
    let address = serve(|stream| {
        let mut peer = accept(stream).unwrap();
        (0..100).for_each(|number| peer.write(Message::Text(number.to_string().into())).unwrap());
        peer.flush().unwrap();
        while peer.read().is_ok() {}
    });
    let mut side = Side::new(plain(address));
    let mut link = side.link().unwrap();
    for number in 0..100 {
        assert_eq!(text(side.next(&mut link)), number.to_string());
    }
}

#[test]
fn the_upgrade_says_what_the_settings_say() {
    let (sender, said) = channel();
    let address = serve(move |mut peer| {
        sender.send(String::from_utf8(read_until(&mut peer, b"\r\n\r\n")).unwrap()).unwrap();
    });
    let settings = Settings {
        origin: "https://example.com".into(),
        subprotocol: "v1".into(),
        headers: vec![("X-Key".into(), "hush".into())],
        ..plain(address)
    };
    let mut side = Side::new(settings);
    assert_eq!(side.link().map(drop).unwrap_err().code(), Code::Dropped);
    let said = said.recv().unwrap();
    let agent = format!("user-agent: {}", side.net.settings.user_agent);
    assert!(said.starts_with("GET /ws HTTP/1.1\r\n"));
    for line in [&agent, "Origin: https://example.com", "Sec-WebSocket-Protocol: v1", "X-Key: hush"] {
        assert_eq!(said.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {said}");
    }
}

#[test]
fn refusals_keep_status_and_wait() {
    let refused = |answer: &'static str| {
        let address = serve(move |mut peer| {
            read_until(&mut peer, b"\r\n\r\n");
            peer.write_all(answer.as_bytes()).unwrap();
        });
        Side::new(plain(address)).link().map(drop).unwrap_err()
    };
    let error = refused("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((error.code(), error.detail().http_status), (Code::UpgradeRefused, 503));
    assert_eq!(error.retry_after_ms(), Some(2_000));
    assert_eq!(refused("HTTP/1.1 401 No\r\n\r\n").code(), Code::UpgradeUnauthorized);
    assert_eq!(refused("SSH-2.0-x\r\n\r\n").code(), Code::WsProtocol);
    assert_eq!(refused("SSH-2.0-x\r\n").code(), Code::Dropped);
    let endless = format!("HTTP/1.1 101 Yes\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(refused(Box::leak(endless.into_boxed_str())).code(), Code::WsProtocol);
    assert_eq!(refused("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n").code(), Code::WsProtocol);
}

#[test]
fn an_upgrade_that_takes_too_long_is_given_up() {
    let silent = serve(|mut peer| drop(read_until(&mut peer, b"never")));
    let mut side = Side::new(Settings { upgrade_timeout_ms: 5, ..plain(silent) });
    let error = side.link().map(drop).unwrap_err();
    assert_eq!((error.code(), error.detail().stage), (Code::UpgradeTimeout, Stage::Upgrade));
}

#[test]
fn a_ping_is_answered_without_being_asked() {
    let (sender, pongs) = channel();
    let address = socket(move |mut peer| {
        peer.send(Message::Ping("are you there".into())).unwrap();
        sender.send(peer.read().unwrap()).unwrap();
        let ping = peer.read().unwrap();
        assert!(ping.is_ping());
        let _ = peer.flush();
        while peer.read().is_ok() {}
    });
    let mut side = Side::new(plain(address));
    let mut link = side.link().unwrap();
    assert_eq!(side.next(&mut link), Seen::Control);
    assert_eq!(pongs.recv().unwrap(), Message::Pong("are you there".into()));
    assert_eq!(link.ping().unwrap(), Flushed::Done);
    assert_eq!(side.next(&mut link), Seen::Control);
}

#[test]
fn both_sides_can_close() {
    let mut side = Side::new(plain(socket(|mut peer| while peer.read().is_ok() {})));
    let mut link = side.link().unwrap();
    link.start_close(1000, &"ä".repeat(200)).unwrap();
    assert_eq!(link.send_text("late").unwrap_err().code(), Code::Dropped);
    assert_eq!(side.next(&mut link), Seen::Closed(1000, "ä".repeat(61)));
    assert_eq!(side.next(&mut link), Seen::Ended(Code::Dropped));

    let (sender, replies) = channel();
    let address = socket(move |mut peer| {
        peer.close(Some(CloseFrame { code: 1012.into(), reason: "restart".into() })).unwrap();
        sender.send(peer.read().unwrap()).unwrap();
    });
    let mut side = Side::new(plain(address));
    let mut link = side.link().unwrap();
    assert_eq!(side.next(&mut link), Seen::Closed(1012, "restart".into()));
    assert!(replies.recv().unwrap().is_close());
}

#[test]
fn what_a_peer_must_not_send_ends_the_link() {
    assert_eq!(first_read(&[0x88, 0]), Seen::Closed(1005, String::new()));
    for bytes in [
        &[0x81, 1, 0xff][..],
        &[0x81, 0x85, 0, 0, 0, 0, 1, 2, 3, 4, 5],
        &[0x83, 0],
        &[0xc1, 0],
        &[0x80, 0],
        &[0x88, 1, 3],
        &[0x88, 2, 3, 0xed],
        &[0x88, 3, 3, 0xe8, 0xff],
    ] {
        assert_eq!(first_read(bytes), Seen::Ended(Code::WsProtocol), "{bytes:?}");
    }
    for bytes in [&[0x82, 11][..], &[0x82, 127, 0xff, 255, 255, 255, 255, 255, 255, 255], b"\x02\x06abcdef\x80\x06"] {
        assert_eq!(first_read(bytes), Seen::Ended(Code::MessageTooLarge), "{bytes:?}");
    }
}

#[test]
fn the_peer_is_told_what_it_did_wrong() {
    let (sender, closes) = channel();
    let address = socket(move |mut peer| {
        peer.get_mut().write_all(&[0x81, 1, 0xff]).unwrap();
        sender.send(peer.read().unwrap()).unwrap();
    });
    let mut side = Side::new(plain(address));
    let mut link = side.link().unwrap();
    assert_eq!(side.next(&mut link), Seen::Ended(Code::WsProtocol));
    let Message::Close(Some(frame)) = closes.recv().unwrap() else { panic!() };
    assert_eq!(u16::from(frame.code), 1007);
    assert_eq!(link.send_text("x").unwrap_err().code(), Code::Dropped);
}

#[test]
fn a_peer_that_hangs_up_is_noticed() {
    let mut side = Side::new(plain(socket(drop)));
    let mut link = side.link().unwrap();
    assert_eq!(side.next(&mut link), Seen::Ended(Code::Dropped));
    link.abort();
    assert_eq!(link.send_text("x").unwrap_err().code(), Code::Dropped);
    assert!(matches!(link.advance(side.clock.now(), &side.waiter), Opening::Failed(_)));
}

#[test]
fn dropping_a_link_closes_its_socket() {
    let (sender, ends) = channel();
    let address = socket(move |mut peer| sender.send(peer.read().is_err()).unwrap());
    let mut side = Side::new(plain(address));
    drop(side.link().unwrap());
    assert!(ends.recv().unwrap());
}

#[test]
fn messages_above_the_maximum_are_not_sent() {
    let mut side = Side::new(Settings { max_message_bytes: 3, ..plain(socket(echo)) });
    let mut link = side.link().unwrap();
    assert_eq!(link.send_text("four").unwrap_err().code(), Code::TooLarge);
    side.send(&mut link, "333");
    assert_eq!(text(side.next(&mut link)), "333");
}

#[test]
fn no_message_we_send_no_path_and_no_private_header_is_logged() {
    start_log();
    let (sender, said) = channel();
    let address = socket(move |mut peer| sender.send(peer.read().unwrap()).unwrap());
    let headers = vec![("X-Key".into(), "HEADERSECRET".into())];
    let ws_url = format!("ws://{address}/channels/PATHSECRET?q");
    let mut side = Side::new(Settings { headers, ws_url, ..plain(address) });
    let mut link = side.link().unwrap();
    link.send_text("AUTHSECRET").unwrap();
    assert_eq!(said.recv().unwrap(), Message::Text("AUTHSECRET".into()));
    // The server is a tungstenite too, and logs what it reads, each in its own words.
    let log = logged();
    assert!(log.contains("Sec-WebSocket-Key"), "the log is collected");
    assert!(!log.contains("X-Key: HEADERSECRET") && !log.contains("PATHSECRET"));
    let mut ours = log.lines().filter(|line| !line.starts_with("tungstenite::protocol Received message"));
    assert!(!ours.any(|line| line.contains("AUTHSECRET")));
}
