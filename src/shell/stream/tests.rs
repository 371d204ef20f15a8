use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::channel;

use rustls::HandshakeKind;

use crate::shell::dial::Opened;
use crate::shell::testing::{plain, read_until, secure, serve, serve_tls, trickle, Authority, Side};

const LENGTH: usize = 3 << 20;

/// Sends `data`, and reads as many bytes back.
fn echo(side: &mut Side, opened: &mut Opened, data: &[u8]) -> Vec<u8> {
    opened.stream.push(data).unwrap();
    let mut back = Vec::new();
    let mut buffer = [0; 5_000];
    while back.len() < data.len() {
        opened.stream.flush_some().unwrap();
        match opened.stream.read(&mut buffer) {
            Ok(count) => back.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => side.wait(opened),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(opened.stream.unflushed(), 0);
    back
}

/// What the next read comes to when it no longer blocks.
fn next(side: &mut Side, opened: &mut Opened) -> std::io::Result<usize> {
    loop {
        match opened.stream.read(&mut [0; 100]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => side.wait(opened),
            result => return result,
        }
    }
}

/// Sends everything back until the client is done, then ends without a goodbye.
fn echo_peer(mut stream: impl Read + Write) {
    let mut buffer = [0; 30_000];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        stream.write_all(&buffer[..count]).unwrap();
        stream.flush().unwrap();
    }
}

fn pattern() -> Vec<u8> {
    (0..LENGTH as u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn plain_bytes_go_both_ways_whatever_the_kernel_has_room_for() {
    let mut side = Side::new(plain(serve(echo_peer)));
    let mut opened = side.dial().unwrap();
    assert!(!opened.stream.is_tls());
    assert!(echo(&mut side, &mut opened, &pattern()) == pattern());
    assert_eq!((opened.stream.bytes_read(), opened.stream.bytes_written()), (LENGTH as u64, LENGTH as u64));
    opened.stream.close();
    assert_eq!(next(&mut side, &mut opened).unwrap(), 0);
}

#[test]
fn tls_bytes_go_both_ways_whatever_the_kernel_has_room_for() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(&["localhost"], 2100), echo_peer);
    let mut side = Side::new(secure(address, &authority));
    let mut opened = side.dial().unwrap();
    assert!(opened.stream.is_tls());
    assert!(echo(&mut side, &mut opened, &pattern()) == pattern());
    opened.stream.trim();
    assert!(echo(&mut side, &mut opened, b"once more") == b"once more");
}

#[test]
fn the_older_version_and_a_few_bytes_at_a_time_will_do() {
    let authority = Authority::new();
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let address = serve_tls(authority.server_of(&["localhost"], 2100, versions), echo_peer);
        let mut side = Side::new(secure(trickle(address, 7), &authority));
        let mut opened = side.dial().unwrap();
        assert!(echo(&mut side, &mut opened, &pattern()[..20_000]) == pattern()[..20_000]);
    }
}

#[test]
fn new_keys_in_the_middle_do_no_harm() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(&["localhost"], 2100), |mut peer| {
        for part in [b"one", b"two"] {
            peer.write_all(part).unwrap();
            peer.conn.refresh_traffic_keys().unwrap();
        }
        peer.write_all(b"end").unwrap();
        read_until(&mut peer, b"never");
    });
    let mut side = Side::new(secure(address, &authority));
    let mut opened = side.dial().unwrap();
    let mut count = 0;
    while count < 9 {
        count += next(&mut side, &mut opened).unwrap();
    }
}

#[test]
fn an_end_with_close_notify_is_proper_and_one_without_is_not() {
    let authority = Authority::new();
    let mut with_goodbye = true;
    let address = serve_tls(authority.server(&["localhost"], 2100), move |mut peer| {
        if std::mem::take(&mut with_goodbye) {
            peer.conn.send_close_notify();
        }
        peer.flush().unwrap();
    });
    let mut side = Side::new(secure(address, &authority));
    let mut opened = side.dial().unwrap();
    assert_eq!(next(&mut side, &mut opened).unwrap(), 0);
    let mut opened = side.dial().unwrap();
    assert_eq!(next(&mut side, &mut opened).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn whole_records_before_a_broken_one_are_read_first() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(&["localhost"], 2100), |mut peer| {
        let mut bytes = Vec::new();
        for part in [b"one", b"two"] {
            peer.conn.writer().write_all(part).unwrap();
            peer.conn.write_tls(&mut bytes).unwrap();
        }
        bytes.extend_from_slice(&[0x17, 3, 3, 0, 20]);
        bytes.extend_from_slice(&[0xAA; 20]);
        peer.sock.write_all(&bytes).unwrap();
        read_until(&mut peer.sock, b"never");
    });
    let mut side = Side::new(secure(address, &authority));
    let mut opened = side.dial().unwrap();
    let mut count = 0;
    while count < 6 {
        count += next(&mut side, &mut opened).unwrap();
    }
    assert_eq!(next(&mut side, &mut opened).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(next(&mut side, &mut opened).unwrap_err().kind(), ErrorKind::NotConnected);
}

#[test]
fn our_end_says_goodbye() {
    let authority = Authority::new();
    let (sender, said) = channel();
    let address = serve_tls(authority.server(&["localhost"], 2100), move |mut peer| {
        sender.send(peer.read(&mut [0; 10]).map_err(|error| error.kind())).unwrap();
    });
    let mut side = Side::new(secure(address, &authority));
    side.dial().unwrap().stream.close();
    assert_eq!(said.recv().unwrap(), Ok(0));
}

#[test]
fn the_second_connection_resumes_the_session() {
    let authority = Authority::new();
    let (sender, kinds) = channel();
    let address = serve_tls(authority.server(&["localhost"], 2100), move |mut peer| {
        peer.write_all(b"x").unwrap();
        read_until(&mut peer, b"y");
        sender.send(peer.conn.handshake_kind().unwrap()).unwrap();
    });
    let mut side = Side::new(secure(address, &authority));
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut opened = side.dial().unwrap();
        assert_eq!(next(&mut side, &mut opened).unwrap(), 1);
        opened.stream.push(b"y").unwrap();
        assert_eq!(kinds.recv().unwrap(), expected);
    }
}

#[test]
fn a_broken_record_is_an_error_and_no_panic() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(&["localhost"], 2100), |mut peer| {
        peer.sock.write_all(&[0x17, 3, 3, 0xff, 0xff, 1, 2, 3]).unwrap();
        read_until(&mut peer.sock, b"never");
    });
    let mut side = Side::new(secure(address, &authority));
    let mut opened = side.dial().unwrap();
    assert_eq!(next(&mut side, &mut opened).unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn what_is_private_joins_the_head_and_nothing_else() {
    let (sender, said) = channel();
    let address = serve(move |mut peer| {
        let head = read_until(&mut peer, b"end");
        sender.send(String::from_utf8(head).unwrap()).unwrap();
    });
    let mut side = Side::new(plain(address));
    let mut opened = side.dial().unwrap();
    opened.stream.set_private("/a b?c", b"Key: hush\r\n".to_vec().into());
    assert_eq!(opened.stream.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(), 27);
    assert_eq!(opened.stream.write(b"\r\n\r\nend").unwrap(), 7);
    assert_eq!(said.recv().unwrap(), "GET /a b?c HTTP/1.1\r\nHost: x\r\nKey: hush\r\n\r\n\r\n\r\nend");
}
