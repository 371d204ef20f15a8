use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;

const BOUND: Duration = Duration::from_secs(20);

/// A relay, a client at it, and the server's end of that connection.
fn conversation() -> (Relay, TcpStream, TcpStream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
    let client = TcpStream::connect(relay.addr()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(BOUND)).unwrap();
    (relay, client, server, listener)
}

fn get(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn both_directions_pass_and_ends_are_passed_on() {
    let (relay, mut client, mut server, _listener) = conversation();
    client.write_all(b"question").unwrap();
    assert_eq!(get(&mut server, 8), b"question");
    server.write_all(b"answer").unwrap();
    drop(server);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"answer");
    assert_eq!(relay.accepted(), 1);
}

#[test]
fn a_frozen_direction_holds_and_the_other_passes() {
    let (relay, mut client, mut server, _listener) = conversation();
    relay.flow_to_client(Flow::Freeze);
    server.write_all(b"later").unwrap();
    client.write_all(b"now").unwrap();
    assert_eq!(get(&mut server, 3), b"now");
    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    client.set_read_timeout(Some(BOUND)).unwrap();
    relay.flow_to_client(Flow::Pass);
    assert_eq!(get(&mut client, 5), b"later");
}

#[test]
fn trickle_and_throttle_lose_nothing() {
    let (relay, mut client, mut server, _listener) = conversation();
    let sent: Vec<u8> = (0..5_000).map(|i| i as u8).collect();
    relay.flow_to_client(Flow::Trickle);
    server.write_all(&sent).unwrap();
    assert_eq!(get(&mut client, 5_000), sent);
    relay.flow_to_client(Flow::Throttle(10_000));
    let start = Instant::now();
    server.write_all(&sent).unwrap();
    assert_eq!(get(&mut client, 5_000), sent);
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
}

#[test]
fn connections_end_as_asked() {
    let (relay, mut client, mut server, _listener) = conversation();
    relay.cut(Cut::Reset);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (relay, mut client, mut server, _listener) = conversation();
    relay.cut(Cut::Fin);
    assert_eq!((client.read(&mut [0; 8]).unwrap(), server.read(&mut [0; 8]).unwrap()), (0, 0));
}

#[test]
fn gates_meet_connections_as_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
    let connect = || {
        let client = TcpStream::connect_timeout(&relay.addr(), Duration::from_millis(300))?;
        client.set_read_timeout(Some(BOUND))?;
        Ok::<_, std::io::Error>(client)
    };
    let kind = |outcome: std::io::Result<usize>| outcome.map_err(|error| error.kind());
    relay.gate(Gate::Refuse);
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    relay.gate(Gate::BlackHole);
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::TimedOut);
    relay.gate(Gate::Refuse);
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    relay.gate(Gate::End(Cut::Reset));
    if let Ok(mut client) = connect() {
        assert_eq!(kind(client.read(&mut [0; 8])), Err(ErrorKind::ConnectionReset));
    }
    relay.gate(Gate::End(Cut::Fin));
    assert_eq!(kind(connect().unwrap().read(&mut [0; 8])), Ok(0));
    relay.gate(Gate::Say(b"words".to_vec()));
    let mut client = connect().unwrap();
    client.write_all(b"hello").unwrap();
    assert_eq!(get(&mut client, 5), b"words");
    relay.gate(Gate::Until(3, Cut::Fin));
    let mut client = connect().unwrap();
    listener.accept().unwrap().0.write_all(b"more than that").unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"mor");
    relay.gate(Gate::BlackHole);
    let before = relay.accepted();
    relay.gate(Gate::Open);
    let mut client = connect().unwrap();
    assert!(relay.wait_accepted(before + 1, BOUND));
    listener.accept().unwrap().0.write_all(b"open").unwrap();
    assert_eq!(get(&mut client, 4), b"open");
    assert_eq!(relay.accepted(), before + 1, "what filled the backlog does not count");
}
